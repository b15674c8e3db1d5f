//! What the recordings take for granted: buckets and objects that were made without being recorded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use longshore_devserver::Handle;
use serde::Deserialize;
use serde_json::json;

use super::archive;
use super::cloud::Cloud;
use super::http::send;
use crate::wire_support::exchange::directory;

/// One thing to be made; see `tests/wire/setup.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    file: String,
    /// Name of the exchange before which it happens; empty: before the first; `*`: before each.
    #[serde(default)]
    before: String,
    /// `bucket/object` to be written.
    #[serde(default)]
    put: String,
    /// Several of them.
    #[serde(default)]
    puts: Vec<String>,
    /// Its content.
    #[serde(default)]
    body: String,
    /// `bucket`, `put`, `puts` and `delete` are about the S3 endpoint behind the cluster.
    #[serde(default)]
    cloud: bool,
    /// `bucket/object` of a cloud bucket that the cluster is to forget its copy of.
    #[serde(default)]
    evict: String,
    /// How often the content is repeated.
    #[serde(default = "one")]
    times: usize,
    /// A bucket to be created, unless it exists where the step is due before every exchange.
    #[serde(default)]
    bucket: String,
    /// A bucket to be destroyed if it exists.
    #[serde(default)]
    destroy: String,
    /// A call to the AuthN service, `METHOD /path`, with `body`.
    #[serde(default)]
    authn: String,
    /// A call to the gateway, `METHOD /path`, with `body`.
    #[serde(default)]
    gateway: String,
    /// How many seconds jobs pretend to be at work from here on.
    job_time: Option<u64>,
    /// Whether the exchange's token is revoked, unknown to AuthN.
    #[serde(default)]
    revoke: bool,
    /// Whether clients need a token from here on.
    guard: Option<bool>,
    /// Query parameters beside the provider.
    #[serde(default)]
    query: String,
    /// `bucket/object` to be deleted.
    #[serde(default)]
    delete: String,
    /// `bucket/object` that gets metadata.
    #[serde(default)]
    patch: String,
    /// A file to be made for promotion; ends in `/` for an empty directory.
    #[serde(default)]
    promote: String,
    /// Files, name and content, of which the written object is an archive: a TAR, packed as its name says.
    #[serde(default)]
    members: Vec<(String, String)>,
    /// That metadata.
    #[serde(default)]
    custom: BTreeMap<String, String>,
}

fn one() -> usize {
    1
}

/// Exchanges that are not replayed, or not compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    file: String,
    /// Names; one that ends in `*` stands for all that begin so.
    names: Vec<String>,
    /// Names, likewise, that are replayed nevertheless.
    #[serde(default)]
    except: Vec<String>,
    #[expect(dead_code, reason = "for readers")]
    reason: String,
}

impl Scope {
    fn holds(&self, file: &str, name: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        self.file == file && self.names.iter().any(matches) && !self.except.iter().any(matches)
    }
}

#[derive(Deserialize)]
struct Document {
    step: Vec<Step>,
    /// What the dev server is not meant to do.
    #[serde(default)]
    outside: Vec<Scope>,
    /// Answers that tell of the recorded machine, such as its logs: their bodies are not compared.
    #[serde(default)]
    machine: Vec<Scope>,
    /// Calls that the dev server's cluster does not have: only who may make them is compared.
    #[serde(default)]
    access_only: Vec<Scope>,
}

/// Who makes the calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) gateway: SocketAddr,
    pub(crate) authn: Option<SocketAddr>,
    pub(crate) headers: &'a BTreeMap<String, String>,
    /// Identity of the cluster.
    pub(crate) cluster: &'a str,
    /// Token of the exchange that comes next.
    pub(crate) token: &'a str,
    /// What stands behind the cluster.
    pub(crate) cloud: Option<&'a Cloud>,
    pub(crate) server: &'a Handle,
}

#[derive(Debug)]
pub(crate) struct Setup {
    steps: Vec<Step>,
    outside: Vec<Scope>,
    machine: Vec<Scope>,
    access_only: Vec<Scope>,
}

impl Setup {
    pub(crate) fn load() -> Self {
        let path = directory().join("setup.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let document: Document = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let Document { step: steps, outside, machine, access_only } = document;
        Self { steps, outside, machine, access_only }
    }

    /// True if an exchange is not replayed.
    pub(crate) fn is_outside(&self, file: &str, name: &str) -> bool {
        self.outside.iter().any(|scope| scope.holds(file, name))
    }

    /// True if the body of an answer is a matter of the machine.
    pub(crate) fn is_of_machine(&self, file: &str, name: &str) -> bool {
        self.machine.iter().any(|scope| scope.holds(file, name))
    }

    /// True if a call that does not exist here got as far as it should: past the checks of access.
    pub(crate) fn passes(&self, file: &str, name: &str, recorded: u16, here: u16) -> bool {
        let refused = |status| matches!(status, 401 | 403);
        let passed = !refused(recorded) && !refused(here);
        // The second hop of a call that does not exist leads nowhere.
        (passed || name.ends_with("#2")) && self.access_only.iter().any(|scope| scope.holds(file, name))
    }

    /// Makes the files that are to be promoted.
    pub(crate) fn files(&self, file: &str, root: &Path) {
        for step in self.steps.iter().filter(|s| s.file == file && !s.promote.is_empty()) {
            let path = root.join(&step.promote);
            let dir = if step.promote.ends_with('/') { Some(path.as_path()) } else { path.parent() };
            std::fs::create_dir_all(dir.expect("a directory")).expect("a directory");
            if !step.promote.ends_with('/') {
                std::fs::write(&path, &step.body).expect("a file");
            }
        }
    }

    /// Does what is due before the exchange called `before`.
    pub(crate) fn run(&self, file: &str, before: &str, caller: &Caller<'_>) {
        for step in self.steps.iter().filter(|s| s.file == file && s.before == before) {
            step.run(caller);
        }
    }
}

impl Step {
    fn run(&self, caller: &Caller<'_>) {
        if let Some(required) = self.guard {
            let auth = json!({"client_auth_required": required});
            let body = json!({"action": "set-config", "value": {"auth": auth}}).to_string();
            call(caller, "PUT", "/v1/cluster", body.as_bytes());
        }
        if let Some(seconds) = self.job_time {
            caller.server.set_job_time(Duration::from_secs(seconds));
        }
        if let Some((method, path)) = self.authn.split_once(' ') {
            let body = self.body.replace("CLUSTER", caller.cluster);
            let authn = caller.authn.expect("an AuthN service");
            let answer = send(authn, method, path, caller.headers, body.as_bytes()).expect("an answer");
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, 200, "{method} {path} {body}: {text}");
        }
        if let Some((method, path)) = self.gateway.split_once(' ') {
            call(caller, method, path, self.body.as_bytes());
        }
        if self.revoke {
            let body = json!({"tokens": [caller.token]}).to_string();
            call(caller, "DELETE", "/v1/tokens", body.as_bytes());
        }
        if !self.evict.is_empty() {
            let path = format!("/v1/objects/{}?provider=aws", self.evict);
            call(caller, "DELETE", &path, br#"{"action":"evict-listrange"}"#);
        }
        if self.cloud {
            return self.run_in_cloud(caller.cloud.expect("a cloud"));
        }
        let exists = |bucket: &str| {
            let path = format!("/v1/buckets/{bucket}?provider=ais");
            let answer = send(caller.gateway, "HEAD", &path, caller.headers, b"").expect("an answer");
            answer.status == 200
        };
        if !self.destroy.is_empty() && exists(&self.destroy) {
            let path = format!("/v1/buckets/{}?provider=ais", self.destroy);
            call(caller, "DELETE", &path, br#"{"action":"destroy-bck"}"#);
        }
        let query = if self.query.is_empty() { String::new() } else { format!("&{}", self.query) };
        let kept = self.before == "*" && !self.bucket.is_empty() && exists(&self.bucket);
        if !self.bucket.is_empty() && !kept {
            let path = format!("/v1/buckets/{}?provider=ais{query}", self.bucket);
            call(caller, "POST", &path, br#"{"action":"create-bck"}"#);
        }
        for put in self.puts.iter().chain(Some(&self.put).filter(|p| !p.is_empty())) {
            let path = format!("/v1/objects/{put}?provider=ais{query}");
            let body = if self.members.is_empty() {
                self.body.repeat(self.times).into_bytes()
            } else {
                archive::written(put, &self.members)
            };
            call(caller, "PUT", &path, &body);
        }
        if !self.delete.is_empty() {
            call(caller, "DELETE", &format!("/v1/objects/{}?provider=ais{query}", self.delete), b"");
        }
        if !self.patch.is_empty() {
            let body = json!({"action": "", "value": self.custom}).to_string();
            call(
                caller,
                "PATCH",
                &format!("/v1/objects/{}?provider=ais{query}", self.patch),
                body.as_bytes(),
            );
        }
    }
}

impl Step {
    fn run_in_cloud(&self, cloud: &Cloud) {
        if !self.bucket.is_empty() {
            cloud.create_bucket(&self.bucket);
        }
        for put in self.puts.iter().chain(Some(&self.put).filter(|p| !p.is_empty())) {
            cloud.put(put, self.body.repeat(self.times).into_bytes());
        }
        if !self.delete.is_empty() {
            cloud.delete(&self.delete);
        }
    }
}

fn call(caller: &Caller<'_>, method: &str, path: &str, body: &[u8]) {
    let mut answer = send(caller.gateway, method, path, caller.headers, body).expect("an answer");
    if let Some(location) = answer.headers.get("location") {
        let rest = location.strip_prefix("http://").expect("an http URL");
        let (host, path) = rest.split_once('/').expect("a path");
        let host = host.parse().expect("an address");
        answer = send(host, method, &format!("/{path}"), &BTreeMap::new(), body).expect("an answer");
    }
    assert_eq!(answer.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
}

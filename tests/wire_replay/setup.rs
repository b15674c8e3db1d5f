//! What the recordings take for granted: buckets and objects that were made without being recorded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use super::http::send;
use crate::wire_support::exchange::directory;

/// One thing to be made; see `tests/wire/setup.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    file: String,
    /// Name of the exchange before which it happens; empty: before the first.
    #[serde(default)]
    before: String,
    /// `bucket/object` to be written.
    #[serde(default)]
    put: String,
    /// Its content.
    #[serde(default)]
    body: String,
    /// How often the content is repeated.
    #[serde(default = "one")]
    times: usize,
    /// A bucket to be created.
    #[serde(default)]
    bucket: String,
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
    /// That metadata.
    #[serde(default)]
    custom: BTreeMap<String, String>,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
struct Document {
    step: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Setup {
    steps: Vec<Step>,
}

impl Setup {
    pub(crate) fn load() -> Self {
        let path = directory().join("setup.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let document: Document = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { steps: document.step }
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
    pub(crate) fn run(&self, file: &str, before: &str, gateway: SocketAddr) {
        for step in self.steps.iter().filter(|s| s.file == file && s.before == before) {
            step.run(gateway);
        }
    }
}

impl Step {
    fn run(&self, gateway: SocketAddr) {
        let query = if self.query.is_empty() { String::new() } else { format!("&{}", self.query) };
        if !self.bucket.is_empty() {
            let path = format!("/v1/buckets/{}?provider=ais{query}", self.bucket);
            call(gateway, "POST", &path, br#"{"action":"create-bck"}"#);
        }
        if !self.put.is_empty() {
            let path = format!("/v1/objects/{}?provider=ais{query}", self.put);
            call(gateway, "PUT", &path, self.body.repeat(self.times).as_bytes());
        }
        if !self.delete.is_empty() {
            call(gateway, "DELETE", &format!("/v1/objects/{}?provider=ais{query}", self.delete), b"");
        }
        if !self.patch.is_empty() {
            let body = serde_json::json!({"action": "", "value": self.custom}).to_string();
            call(
                gateway,
                "PATCH",
                &format!("/v1/objects/{}?provider=ais{query}", self.patch),
                body.as_bytes(),
            );
        }
    }
}

fn call(gateway: SocketAddr, method: &str, path: &str, body: &[u8]) {
    let mut answer = send(gateway, method, path, &BTreeMap::new(), body).expect("an answer");
    if let Some(location) = answer.headers.get("location") {
        let rest = location.strip_prefix("http://").expect("an http URL");
        let (host, path) = rest.split_once('/').expect("a path");
        let host = host.parse().expect("an address");
        answer = send(host, method, &format!("/{path}"), &BTreeMap::new(), body).expect("an answer");
    }
    assert_eq!(answer.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
}

//! Replays a file of recorded exchanges against a fresh dev server.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use longshore_devserver::{DevServer, Handle};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::cloud::Cloud;
use super::http::{Answer, send};
use super::setup::{Caller, Setup};
use super::tokens::{self, Tokens};
use super::{archive, standin, volatile};
use crate::wire_support::exceptions::Exceptions;
use crate::wire_support::exchange::{Exchange, Response};

/// How recorded clients encode query values.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where files to be promoted lay when recorded.
const PROMOTE_ROOT: &str = "/var/lib/ais/promote";

/// Where the recorded services listened.
const GATEWAY: &str = "127.0.0.1:53080";
const TARGETS: [&str; 2] = ["127.0.0.1:53081", "127.0.0.1:53082"];
const STAND_IN: &str = "127.0.0.1:52090";
/// The AuthN service that gave out short-lived tokens only.
const SHORT_LIVED: &str = "127.0.0.1:52013";
/// Identity of the recorded cluster that required tokens.
const CLUSTER: &str = "G_PFFrkQ6";
/// Recorded on a cluster with a cloud behind it; the others are of one without.
const WITH_CLOUD: [&str; 2] = ["remote-backend", "s3-endpoint"];
const SUPERUSER: (&str, &str) = ("admin", "adminPass-1");

/// Result of one exchange: the differences that are not agreed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) differences: Vec<String>,
}

pub(crate) struct Replay<'a> {
    file: &'a str,
    server: Handle,
    /// What may be promoted; removed with the replay.
    _files: tempfile::TempDir,
    exceptions: &'a Exceptions,
    setup: &'a Setup,
    /// Where the recorded gateway sent each object, by path; the value is the recorded host.
    homes: BTreeMap<String, String>,
    /// Recorded ids and what they are here.
    ids: BTreeMap<String, String>,
    /// The dev server's own redirect for the exchange before.
    location: Option<String>,
    /// Where the dev server redirected to, by the recorded path.
    places: BTreeMap<String, SocketAddr>,
    tokens: Tokens,
    /// Authorization of calls that are not recorded, where one is needed.
    admin: BTreeMap<String, String>,
    /// The service with short lifetimes, where one was recorded.
    short: Option<Handle>,
    cloud: Option<Cloud>,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(file: &'a str, exceptions: &'a Exceptions, setup: &'a Setup) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let guarded = file.starts_with("authn-") || file.starts_with("guarded-");
        let mut builder = DevServer::builder().promote_root(files.path());
        let mut short = None;
        if guarded {
            builder = builder.guarded(true).authn_secret(tokens::SECRET).superuser(SUPERUSER.0, SUPERUSER.1);
            let lives = |seconds| std::time::Duration::from_secs(seconds);
            let other = DevServer::builder().authn("127.0.0.1:0").superuser(SUPERUSER.0, SUPERUSER.1);
            let other = other.token_lifetime(lives(60)).max_token_age(lives(120));
            short = (file == "authn-errors").then(|| other.start_blocking().expect("a server"));
        }
        if WITH_CLOUD.contains(&file) {
            builder = builder.s3("127.0.0.1:0");
        }
        let server = builder.start_blocking().expect("a server");
        let cloud = Cloud::of(&server);
        let mut ids = BTreeMap::new();
        let root = files.path().to_string_lossy().into_owned();
        setup.files(file, files.path());
        ids.insert(PROMOTE_ROOT.to_owned(), root);
        let mut replay = Self {
            file,
            server,
            _files: files,
            exceptions,
            setup,
            homes: BTreeMap::new(),
            ids,
            location: None,
            places: BTreeMap::new(),
            tokens: Tokens::default(),
            admin: BTreeMap::new(),
            short,
            cloud,
        };
        if guarded {
            replay.log_in();
        }
        replay
    }

    /// Gets a token for calls that are not recorded, and learns what stands for the recorded cluster.
    fn log_in(&mut self) {
        let authn = self.server.authn_addr().expect("an AuthN service");
        let (path, body) =
            (format!("/v1/users/{}", SUPERUSER.0), format!("{{\"password\":\"{}\"}}", SUPERUSER.1));
        let answer = send(authn, "POST", &path, &BTreeMap::new(), body.as_bytes()).expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.body).expect("a token");
        let token = answer["token"].as_str().expect("a token");
        self.admin.insert("authorization".into(), format!("Bearer {token}"));
        let map = self.map();
        self.ids.insert(CLUSTER.into(), map["uuid"].as_str().expect("an id").to_owned());
        self.ids.insert(GATEWAY.into(), self.server.aistore_addr().to_string());
        for (recorded, here) in TARGETS.iter().zip(self.targets()) {
            self.ids.insert((*recorded).to_owned(), here.to_string());
        }
        self.ids.insert(STAND_IN.into(), standin::start().to_string());
    }

    /// The cluster map.
    fn map(&self) -> Value {
        let gateway = self.server.aistore_addr();
        let answer = send(gateway, "GET", "/v1/daemon?what=smap", &self.admin, b"").expect("a map");
        serde_json::from_slice(&answer.body).expect("a map")
    }

    /// Does what is due before an exchange.
    fn set_up(&mut self, before: &str, next: Option<&Exchange>) {
        let bearer = next.and_then(|e| e.request.headers.get("authorization")?.strip_prefix("Bearer "));
        let token = match (bearer, next) {
            (Some(token), Some(next)) => self.renewed(token, next.time()),
            _ => String::new(),
        };
        let caller = Caller {
            gateway: self.server.aistore_addr(),
            authn: self.server.authn_addr(),
            headers: &self.admin,
            token: &token,
            cloud: self.cloud.as_ref(),
            server: &self.server,
            cluster: self.ids.get(CLUSTER).map_or("", String::as_str),
        };
        self.setup.run(self.file, before, &caller);
    }

    pub(crate) fn run(mut self, exchanges: &[Exchange]) -> Vec<Outcome> {
        for exchange in exchanges {
            if let Some(location) = exchange.response.as_ref().and_then(|r| r.headers.get("location")) {
                let (host, path) = split(location);
                self.homes.insert(object_path(&path), host);
            }
        }
        self.learn_nodes(exchanges);
        self.set_up("", None);
        exchanges.iter().map(|e| self.exchange(e)).collect()
    }

    /// Recorded node ids stand for nodes of their kind here.
    fn learn_nodes(&mut self, exchanges: &[Exchange]) {
        let map = self.map();
        let mut here = map["tmap"].as_object().expect("targets").keys().cycle();
        let gateway = map["proxy_si"]["daemon_id"].as_str().expect("an id");
        for exchange in exchanges {
            let request = &exchange.request;
            let texts = [
                request.path.clone(),
                request.body.text(),
                request.headers.values().cloned().collect::<Vec<_>>().join(" "),
            ];
            for id in texts.iter().flat_map(|t| volatile::node_ids(t)) {
                let own = if id.as_bytes()[3] == b'p' { gateway } else { here.next().expect("a target") };
                self.ids.entry(id).or_insert_with(|| own.to_owned());
            }
        }
    }

    fn exchange(&mut self, exchange: &Exchange) -> Outcome {
        if !exchange.name.ends_with("#2") {
            self.set_up("*", None);
        }
        self.set_up(&exchange.name, Some(exchange));
        let late = ["expired-between-hops#2", "expired-after-hops", "token-short-lived-cached-then-expired"];
        if late.contains(&exchange.name.as_str()) {
            self.tokens.outlive_short();
        }
        let mut differences = Vec::new();
        let request = &exchange.request;
        let (address, path) = self.address(exchange);
        let then = exchange.time();
        let path = self.renewed(&path, then);
        let body = match &request.body {
            crate::wire_support::exchange::Body::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.renewed(text, then).into_bytes(),
                Err(_) => bytes.clone(),
            },
            other => other.bytes(),
        };
        let headers = request.headers.iter().map(|(n, v)| (n.clone(), self.renewed(v, then))).collect();
        let answer = send(address, &request.method, &path, &headers, &body);
        self.location = answer.as_ref().and_then(|a| a.headers.get("location").cloned());
        match (&exchange.response, &answer) {
            (None, None) => {}
            (None, Some(answer)) => {
                self.differ(exchange, &mut differences, "status", "closed", &answer.status);
            }
            (Some(_), None) => self.differ(exchange, &mut differences, "status", "an answer", &"closed"),
            (Some(response), Some(answer)) => {
                self.learn(response, answer);
                if self.setup.passes(self.file, &exchange.name, response.status, answer.status) {
                    return Outcome { name: exchange.name.clone(), differences };
                }
                self.compare(exchange, response, answer, &mut differences);
            }
        }
        Outcome { name: exchange.name.clone(), differences }
    }

    /// The listener that stands for the recorded one, and the path to ask for.
    fn address(&self, exchange: &Exchange) -> (SocketAddr, String) {
        let path = exchange.request.path.clone();
        let gateway = self.server.aistore_addr();
        if exchange.node == "authn" {
            let short = self
                .short
                .as_ref()
                .filter(|_| exchange.request.headers.get("host").is_some_and(|host| host == SHORT_LIVED));
            return (short.unwrap_or(&self.server).authn_addr().expect("an AuthN service"), path);
        }
        if exchange.name.ends_with("#2") {
            let Some(location) = &self.location else { return (gateway, path) };
            let (host, path) = split(location);
            return (host.parse().expect("an address"), path);
        }
        if exchange.node != "target" {
            return (gateway, path);
        }
        if let Some(place) = self.places.get(&object_path(&path)) {
            return (*place, path);
        }
        // Straight to a target: to the object's own, or to the other one, as recorded.
        let home = self.homes.get(&object_path(&path));
        let asked = exchange.request.headers.get("host");
        let own = self.target_of(&path);
        let targets = self.targets();
        let right = home.is_none() || home == asked;
        let address = targets.iter().find(|t| (Some(**t) == own) == right).or(targets.first());
        (*address.expect("a target"), path)
    }

    fn targets(&self) -> Vec<SocketAddr> {
        let map = self.map();
        let targets = map["tmap"].as_object().expect("targets").values();
        let url = |t: &Value| t["public_net"]["direct_url"].as_str().map(|u| split(&format!("{u}/")).0);
        targets.filter_map(url).map(|host| host.parse().expect("an address")).collect()
    }

    /// The target that the dev server's gateway names for an object.
    fn target_of(&self, path: &str) -> Option<SocketAddr> {
        let answer = send(self.server.aistore_addr(), "HEAD", path, &self.admin, b"")?;
        split(answer.headers.get("location")?).0.parse().ok()
    }

    /// Replaces recorded ids by the ones that the dev server gave out.
    fn translate(&self, text: &str) -> String {
        let encode = |id: &str| utf8_percent_encode(id, QUERY).to_string();
        // Longer ones first: a handle begins with a node id.
        let mut ids: Vec<_> = self.ids.iter().collect();
        ids.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        ids.into_iter().fold(text.to_owned(), |text, (old, new)| {
            text.replace(old, new).replace(&encode(old), &encode(new))
        })
    }

    /// A recorded text as it is to be sent: with ids and tokens of here.
    fn renewed(&mut self, text: &str, then: f64) -> String {
        let mut tokens = std::mem::take(&mut self.tokens);
        let renewed = tokens.translate(&self.translate(text), then, |claims| self.translate(claims));
        self.tokens = tokens;
        renewed
    }

    fn learn(&mut self, response: &Response, answer: &Answer) {
        self.tokens.learn(&response.body.text(), &String::from_utf8_lossy(&answer.body));
        let mut learn = |old: &str, new: &str| {
            if (old.len() >= 8 || old.starts_with(['[', '"'])) && old != new {
                self.ids.insert(old.to_owned(), new.to_owned());
            }
        };
        for name in ["ais-append-handle", "ais-xaction-id"] {
            if let (Some(old), Some(new)) = (response.headers.get(name), answer.headers.get(name)) {
                learn(old, new);
                // Errors name the work file.
                if let (Some(old), Some(new)) = (work_file(old), work_file(new)) {
                    learn(old, new);
                }
            }
        }
        // Batches have their identities in the path.
        if let (Some(old), Some(new)) = (response.headers.get("location"), answer.headers.get("location")) {
            let ((_, old), (host, new)) = (split(old), split(new));
            if old.starts_with("/v1/ml/") {
                self.places.insert(object_path(&old), host.parse().expect("an address"));
                let (old, new) = (object_path(&old), object_path(&new));
                old.split('/').zip(new.split('/')).for_each(|(old, new)| learn(old, new));
                // The last item counts the targets.
                let tail =
                    |path: &str| path.rmatch_indices('/').nth(1).map(|(at, _)| path[at + 1..].to_owned());
                if let (Some(old), Some(new)) = (tail(&old), tail(&new)) {
                    learn(&old, &new);
                }
            }
        }
        let old = response.body.text();
        let new = String::from_utf8_lossy(&answer.body).into_owned();
        let is_id = |t: &str| {
            (8..=64).contains(&t.len()) && t.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        if is_id(&old) && is_id(&new) {
            learn(&old, &new);
        }
        // Uploads have their identity in a document.
        let upload = |text: &str| {
            let rest = text.split_once("<InitiateMultipartUploadResult>")?.1.split_once("<UploadId>")?.1;
            Some(rest.split_once('<')?.0.to_owned())
        };
        if let (Some(old), Some(new)) = (upload(&old), upload(&new)) {
            learn(&old, &new);
        }
        // Too short to be replaced wherever it stands.
        if is_rebalance(&old) && is_rebalance(&new) {
            for (before, after) in [("[", "]"), ("\"", "\"")] {
                learn(&format!("{before}{old}{after}"), &format!("{before}{new}{after}"));
            }
        }
        if let (Some(old), Some(new)) = (document(&response.body.bytes()), document(&answer.body)) {
            for member in ["uuid", "UUID", "continuation_token"] {
                if let (Some(old), Some(new)) = (old[member].as_str(), new[member].as_str()) {
                    learn(old, new);
                }
            }
        }
    }

    fn compare(&self, exchange: &Exchange, wanted: &Response, got: &Answer, differences: &mut Vec<String>) {
        if wanted.status != got.status {
            self.differ(exchange, differences, "status", &wanted.status, &got.status);
        }
        let method = &exchange.request.method;
        let names: std::collections::BTreeSet<_> = wanted.headers.keys().chain(got.headers.keys()).collect();
        // A refusal's length depends on the time that its text tells.
        let refused = |name: &str| name == "content-length" && wanted.status == 403;
        for name in names.into_iter().filter(|n| !volatile::is_ignored(n, method) && !refused(n)) {
            let form = |value: Option<&String>| {
                let value = value.map(|v| volatile::header(name, v)).filter(|v| !v.is_empty());
                value.unwrap_or_else(|| "nothing".to_owned())
            };
            let wanted = wanted.headers.get(name).map(|v| self.translate(v));
            let (wanted, got) = (form(wanted.as_ref()), form(got.headers.get(name)));
            if wanted != got {
                self.differ(exchange, differences, &format!("header:{name}"), &wanted, &got);
            }
        }
        let id_only = |t: &str| self.ids.values().any(|id| id == t);
        let machine = self.setup.is_of_machine(self.file, &exchange.name);
        let (wanted_body, got_body) = if method == "HEAD" || machine {
            (String::new(), String::new())
        } else {
            (self.body(&wanted.body.bytes(), true), self.body(&got.body, false))
        };
        let rebalance = is_rebalance(&wanted_body) && is_rebalance(&got_body);
        if wanted_body != got_body && !id_only(&got_body) && !rebalance {
            self.differ(exchange, differences, "body", &wanted_body, &got_body);
        }
    }

    /// A body in the form in which it is compared.
    fn body(&self, bytes: &[u8], recorded: bool) -> String {
        let bytes = &self.tokens_apart(bytes, recorded);
        if let Some(text) = archive::normal(bytes) {
            return volatile::text(&if recorded { self.translate(&text) } else { text });
        }
        if let Some(document) = document(bytes) {
            let text = document.to_string();
            let document: Value = if recorded {
                serde_json::from_str(&self.translate(&text)).unwrap_or(document)
            } else {
                document
            };
            return volatile::json(document).to_string();
        }
        let text = String::from_utf8_lossy(bytes);
        volatile::text(&if recorded { self.translate(&text) } else { text.into_owned() })
    }

    /// A body whose tokens are replaced by their claims.
    fn tokens_apart(&self, bytes: &[u8], recorded: bool) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("eyJ") => {
                let ids = |claims: &str| if recorded { self.translate(claims) } else { claims.to_owned() };
                tokens::normal(text, ids).into_bytes()
            }
            _ => bytes.to_vec(),
        }
    }

    fn differ(
        &self,
        exchange: &Exchange,
        differences: &mut Vec<String>,
        field: &str,
        wanted: &(impl std::fmt::Display + ?Sized),
        got: &(impl std::fmt::Display + ?Sized),
    ) {
        if !self.exceptions.allows(self.file, &exchange.name, field) {
            differences.push(format!("{field}\n      recorded: {wanted}\n      answered: {got}"));
        }
    }
}

/// `g` and a number.
fn is_rebalance(id: &str) -> bool {
    id.strip_prefix('g').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The name of the file that an append handle leads to.
fn work_file(handle: &str) -> Option<&str> {
    handle.split('|').nth(1)?.rsplit('/').next()
}

/// JSON or MessagePack, if it is a document at all.
fn document(bytes: &[u8]) -> Option<Value> {
    match bytes.first()? {
        // The server sometimes prints bytes that are no text.
        b'{' | b'[' => serde_json::from_str(&String::from_utf8_lossy(bytes)).ok(),
        0x80..=0x8f => rmp_serde::from_slice(bytes).ok(),
        _ => None,
    }
}

/// Host and path of an absolute URL.
fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let slash = rest.find('/').unwrap_or(rest.len());
    (rest[..slash].to_owned(), rest[slash..].to_owned())
}

fn object_path(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

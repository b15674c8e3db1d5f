//! Replays recorded exchanges of an Apolo buckets service against the dev server.
//!
//! What may differ: identities, times, credentials, signatures, and the order of members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use longshore_devserver::{ApoloSettings, DevServer, Handle};
use regex::Regex;
use serde_json::Value;

use super::apolo_s3::{KEY, put};
use super::http::{Answer, send_recorded};
use super::replay::Outcome;
use crate::wire_support::exceptions::Exceptions;
use crate::wire_support::exchange::{Exchange, Response};

/// Headers that are not compared: what depends on the machine, and the framing of bodies that are compared themselves.
const IGNORED: &[&str] = &["date", "content-length", "transfer-encoding", "connection", "server"];
/// Members whose values are secrets: they have to be there, and no more.
const SECRETS: &[&str] = &["access_key_id", "secret_access_key", "session_token", "access_token"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static UUID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?\+00:00"));
static PROVIDER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(neuro-pl-[0-9a-z-]+?)[0-9a-f]{12}\b"));
static ORIGIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"http://(?:127\.0\.0\.1:\d+|localhost)"));
static SIGNED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(Signature|Expires)=[^&]+"));

/// The service being asked; one recording follows another on it.
pub(crate) struct ApoloReplay<'a> {
    exceptions: &'a Exceptions,
    server: Handle,
    /// One on which nothing can be created.
    closed: Handle,
    /// Recorded identities, and what stands for them here.
    known: BTreeMap<String, String>,
}

fn start(creation: bool) -> Handle {
    let settings = ApoloSettings::default().creation(creation);
    let builder = DevServer::builder().apolo("127.0.0.1:0").apolo_settings(settings);
    builder.s3_key(KEY.0, KEY.1).start_blocking().expect("a server")
}

impl<'a> ApoloReplay<'a> {
    pub(crate) fn new(exceptions: &'a Exceptions) -> Self {
        let (server, closed) = (start(true), start(false));
        let refresh = server.apolo_settings().refresh_token("alice");
        let known = BTreeMap::from([("good-refresh".to_owned(), refresh)]);
        Self { exceptions, server, closed, known }
    }

    /// Replays a file; exceptions call it `apolo/NAME`.
    pub(crate) fn run(&mut self, file: &str, exchanges: &[Exchange]) -> Vec<Outcome> {
        exchanges.iter().map(|exchange| self.exchange(file, exchange)).collect()
    }

    /// What happened before a request without being recorded.
    fn prepare(&mut self, exchange: &Exchange) {
        if exchange.name == "rm_bucket" {
            let body = r#"{"name":"xfer-63171","org_name":"acme","project_name":"proj1"}"#;
            let made = self.call("POST", "/api/v1/buckets/buckets", body);
            assert_eq!(made.status, 201, "a bucket");
        }
        if exchange.name == "rm_nonempty_bucket" || exchange.name == "rm_bucket" {
            let path = exchange.request.path.replace('?', "/make_tmp_credentials?");
            let found: Value =
                serde_json::from_slice(&self.call("POST", &path, "").body).expect("credentials");
            let bucket = found["credentials"]["bucket_name"].as_str().expect("a bucket");
            put(&self.server, &format!("/{bucket}/key"), b"x");
        }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let token = format!("Bearer {}", self.server.apolo_settings().token("alice"));
        let headers =
            [("host", "localhost".to_owned()), ("authorization", token), ("content-length", String::new())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        let address = self.server.apolo_addr().expect("a service");
        send_recorded(address, method, path, &headers, body.as_bytes(), false).expect("an answer")
    }

    fn exchange(&mut self, file: &str, exchange: &Exchange) -> Outcome {
        self.prepare(exchange);
        let request = &exchange.request;
        let server = if exchange.name.starts_with("disabled_") { &self.closed } else { &self.server };
        let address = server.apolo_addr().expect("a service");
        let body = String::from_utf8_lossy(&request.body.bytes()).into_owned();
        let (path, body) = (self.translate(&request.path), self.translate(&body));
        let answer = send_recorded(address, &request.method, &path, &request.headers, body.as_bytes(), false);
        let recorded = exchange.response.as_ref().expect("an answer was recorded");
        let answer = answer.unwrap_or_default();
        self.learn(&recorded.body.text(), &String::from_utf8_lossy(&answer.body));
        let mut differences = Vec::new();
        for (field, wanted, got) in compare(recorded, &answer) {
            if !self.exceptions.allows(&format!("apolo/{file}"), &exchange.name, &field) {
                differences.push(format!("{field}\n      recorded: {wanted}\n      answered: {got}"));
            }
        }
        Outcome { name: exchange.name.clone(), differences }
    }

    fn translate(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    /// Identities in the order in which they stand in both.
    fn learn(&mut self, recorded: &str, answered: &str) {
        for name in [&*UUID, &*PROVIDER] {
            let all = |text: &str| name.find_iter(text).map(|m| m.as_str().to_owned()).collect::<Vec<_>>();
            let (old, new) = (all(&members(recorded)), all(&members(answered)));
            if old.len() == new.len() {
                self.known.extend(old.into_iter().zip(new).filter(|(old, new)| old != new));
            }
        }
    }
}

/// Documents with their members sorted, so that both are read in one order.
fn members(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(value) => value.to_string(),
        Err(_) => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn compare(recorded: &Response, answer: &Answer) -> Vec<(String, String, String)> {
    let mut differences = Vec::new();
    let mut differ = |field: String, wanted: String, got: String| {
        if wanted != got {
            differences.push((field, wanted, got));
        }
    };
    differ("status".into(), recorded.status.to_string(), answer.status.to_string());
    let names: BTreeSet<_> = recorded.headers.keys().chain(answer.headers.keys()).collect();
    for name in names.into_iter().filter(|name| !IGNORED.contains(&name.as_str())) {
        let form = |headers: &BTreeMap<String, String>| match headers.get(name) {
            None => "nothing".to_owned(),
            // Each tells its own version.
            Some(value) if name == "x-service-version" => {
                value.split('/').next().unwrap_or_default().to_owned()
            }
            Some(value) => value.clone(),
        };
        differ(format!("header:{name}"), form(&recorded.headers), form(&answer.headers));
    }
    let got = String::from_utf8_lossy(&answer.body).into_owned();
    differ("body".into(), body(&recorded.body.text()), body(&got));
    differences
}

/// A body without what varies.
fn body(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(value) => without_secrets(value).to_string(),
        Err(_) => plain(line),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| {
                let secret = SECRETS.contains(&name.as_str()) && value.is_string();
                let value = if secret { "SECRET".into() } else { without_secrets(value) };
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::String(text) => plain(&text).into(),
        other => other,
    }
}

fn plain(text: &str) -> String {
    let text = UUID.replace_all(text, "ID");
    let text = TIME.replace_all(&text, "TIME");
    let text = PROVIDER.replace_all(&text, "${1}X");
    let text = ORIGIN.replace_all(&text, "ORIGIN");
    SIGNED.replace_all(&text, "$1=X").into_owned()
}

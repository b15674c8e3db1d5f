//! Replays recorded exchanges of a Supabase Storage server against the dev server.
//!
//! What may differ: identities, times, tokens (compared by what they claim), and the framing of bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use longshore_devserver::{DevServer, Handle, SupabaseSettings};
use regex::{Captures, Regex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, send, send_recorded};
use super::replay::Outcome;
use crate::wire_support::exceptions::Exceptions;
use crate::wire_support::exchange::{Exchange, Response};

/// Headers that are not compared: the date, the framing of bodies that are compared themselves, and how long an idle
/// connection is kept.
const IGNORED: &[&str] = &["date", "content-length", "transfer-encoding", "keep-alive"];
/// Headers whose presence is compared, but not their value.
const TIMES: &[&str] = &["last-modified", "expires", "created-at"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static UUID: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+"));

/// A file being replayed.
pub(crate) struct SupabaseReplay<'a> {
    /// `supabase/NAME`, as exceptions call it.
    file: String,
    server: Handle,
    exceptions: &'a Exceptions,
    /// Recorded identities, tokens and cursors, and what stands for them here.
    known: BTreeMap<String, String>,
}

impl<'a> SupabaseReplay<'a> {
    pub(crate) fn new(file: &str, exceptions: &'a Exceptions) -> Self {
        let server = DevServer::builder().supabase("127.0.0.1:0").start_blocking().expect("a server");
        let replay = Self { file: format!("supabase/{file}"), server, exceptions, known: BTreeMap::new() };
        if file == "client-tus-js" {
            // Made before the recording began.
            replay.make_bucket("jstus");
        }
        replay
    }

    fn make_bucket(&self, name: &str) {
        let key = self.server.supabase_settings().service_key();
        let headers =
            [("authorization", format!("Bearer {key}")), ("content-type", "application/json".into())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let address = self.server.supabase_addr().expect("a service");
        let body = format!("{{\"name\":\"{name}\"}}");
        let made = send(address, "POST", "/bucket", &headers.into(), body.as_bytes());
        assert!(made.is_some_and(|a| a.status == 200), "bucket {name}");
    }

    pub(crate) fn run(mut self, exchanges: &[Exchange]) -> Vec<Outcome> {
        exchanges.iter().map(|exchange| self.exchange(exchange)).collect()
    }

    fn exchange(&mut self, exchange: &Exchange) -> Outcome {
        if exchange.name == "get-signed-expired" {
            // A token that is good for one second.
            std::thread::park_timeout(Duration::from_millis(1100));
        }
        let request = &exchange.request;
        let headers = request.headers.iter().map(|(n, v)| (n.clone(), self.translate(v)));
        let mut headers: BTreeMap<_, _> = headers.collect();
        let body = request.body.bytes();
        let body = match String::from_utf8(body) {
            Ok(text) => self.translate(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let mut path = self.translate(&request.path);
        let accepted = exchange.response.as_ref().is_some_and(|r| r.status == 200);
        if accepted && path.contains("X-Amz-Signature=") {
            path = presign(&request.method, &path, self.server.supabase_settings());
        }
        let signed = headers.get("authorization").is_some_and(|a| a.starts_with("AWS4"));
        if signed && path != request.path {
            resign(&request.method, &path, &mut headers, self.server.supabase_settings());
        }
        let address = self.server.supabase_addr().expect("a service");
        let answer = send_recorded(address, &request.method, &path, &headers, &body, request.body_withheld);
        let mut differences = Vec::new();
        match (&exchange.response, &answer) {
            (Some(response), Some(answer)) => {
                self.learn(response, answer);
                self.compare(exchange, response, answer, &mut differences);
            }
            (None, None) => {}
            (recorded, answer) => {
                let said = |there: bool| if there { "an answer" } else { "closed" };
                let (wanted, got) = (said(recorded.is_some()), said(answer.is_some()));
                self.differ(exchange, &mut differences, "status", wanted, got);
            }
        }
        Outcome { name: exchange.name.clone(), differences }
    }

    /// A recorded text with what stands here for identities, tokens and cursors.
    fn translate(&self, text: &str) -> String {
        // Longer ones first: a token may hold an identity.
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        known.into_iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    fn learn(&mut self, recorded: &Response, answer: &Answer) {
        let (old, new) = (recorded.body.text(), String::from_utf8_lossy(&answer.body).into_owned());
        let location = |headers: &BTreeMap<String, String>| {
            headers.get("location").and_then(|l| l.rsplit('/').next()).map(str::to_owned)
        };
        let mut pairs: Vec<(String, String)> = Vec::new();
        pairs.extend(location(&recorded.headers).zip(location(&answer.headers)));
        let tokens = |text: &str| TOKEN.find_iter(text).map(|m| m.as_str().to_owned()).collect::<Vec<_>>();
        pairs.extend(tokens(&old).into_iter().zip(tokens(&new)));
        let member = |text: &str| {
            let document: Value = serde_json::from_str(text).ok()?;
            document["nextCursor"].as_str().map(str::to_owned)
        };
        pairs.extend(member(&old).zip(member(&new)));
        let upload = |text: &str| {
            let start = text.find("<UploadId>")? + "<UploadId>".len();
            Some(text[start..].split('<').next()?.to_owned())
        };
        pairs.extend(upload(&old).zip(upload(&new)));
        self.known.extend(pairs.into_iter().filter(|(old, new)| old != new && old.len() >= 8));
    }

    fn compare(&self, exchange: &Exchange, wanted: &Response, got: &Answer, differences: &mut Vec<String>) {
        if wanted.status != got.status {
            let (wanted, got) = (wanted.status.to_string(), got.status.to_string());
            self.differ(exchange, differences, "status", &wanted, &got);
        }
        let head = exchange.request.method == "HEAD";
        let names: BTreeSet<_> = wanted.headers.keys().chain(got.headers.keys()).collect();
        for name in names {
            // The length in the answer to HEAD is all that tells the size.
            if IGNORED.contains(&name.as_str()) && !(head && name == "content-length") {
                continue;
            }
            let asked_to_close = exchange.request.headers.get("connection").is_some_and(|c| c == "close");
            if name == "connection" && asked_to_close {
                continue;
            }
            let form = |headers: &BTreeMap<String, String>| header(name, headers.get(name));
            let (wanted, got) = (form(&wanted.headers), form(&got.headers));
            if wanted != got {
                self.differ(exchange, differences, &format!("header:{name}"), &wanted, &got);
            }
        }
        let wanted = match String::from_utf8(wanted.body.bytes()) {
            Ok(text) => body(self.translate(&text).as_bytes()),
            Err(error) => body(error.as_bytes()),
        };
        let got = body(&got.body);
        if !head && wanted != got {
            self.differ(exchange, differences, "body", &wanted, &got);
        }
    }

    fn differ(
        &self,
        exchange: &Exchange,
        differences: &mut Vec<String>,
        field: &str,
        wanted: &str,
        got: &str,
    ) {
        if !self.exceptions.allows(&self.file, &exchange.name, field) {
            differences.push(format!("{field}\n      recorded: {wanted}\n      answered: {got}"));
        }
    }
}

/// Signs as S3 does: the signature of a canonical request.
pub(super) fn signature(canonical: &str, date: &str, scope: &str, secret: &str) -> String {
    let hmac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let secret = format!("AWS4{secret}").into_bytes();
    hex(&hmac(&scope.split('/').fold(secret, |key, part| hmac(&key, part)), &text))
}

/// The parameters of a query in the order of signatures.
pub(super) fn sorted(query: &str) -> String {
    let whole = |pair: &str| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") };
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(whole).collect();
    pairs.sort();
    pairs.join("&")
}

/// A presigned URL made anew: the recorded one has expired.
fn presign(method: &str, url: &str, settings: &SupabaseSettings) -> String {
    let (path, query) = url.split_once('?').expect("a query");
    let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/{}/s3/aws4_request", &date[..8], settings.region());
    let credential = format!("{}/{scope}", settings.s3_access_key()).replace('/', "%2F");
    let renewed =
        query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).map(|pair| {
            match pair.split_once('=') {
                Some(("X-Amz-Date", _)) => format!("X-Amz-Date={date}"),
                Some(("X-Amz-Credential", _)) => format!("X-Amz-Credential={credential}"),
                _ => pair.to_owned(),
            }
        });
    let query = sorted(&renewed.collect::<Vec<_>>().join("&"));
    let canonical = format!("{method}\n{path}\n{query}\nhost:localhost\n\nhost\nUNSIGNED-PAYLOAD");
    let signature = signature(&canonical, &date, &scope, settings.s3_secret_key());
    format!("{path}?{query}&X-Amz-Signature={signature}")
}

/// Signs a request again whose path holds another identity than the recorded one.
fn resign(method: &str, url: &str, headers: &mut BTreeMap<String, String>, settings: &SupabaseSettings) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let old = headers["authorization"].clone();
    let field = |name: &str| {
        let found = old.split([',', ' ']).find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        found.expect("a signature").to_owned()
    };
    let scope = field("Credential").split_once('/').expect("a scope").1.to_owned();
    let names = field("SignedHeaders");
    let lines: Vec<_> = names.split(';').map(|name| format!("{name}:{}", headers[name].trim())).collect();
    let signed = lines.join("\n");
    let (date, payload) = (&headers["x-amz-date"], &headers["x-amz-content-sha256"]);
    let canonical = format!("{method}\n{path}\n{}\n{signed}\n\n{names}\n{payload}", sorted(query));
    let new = signature(&canonical, date, &scope, settings.s3_secret_key());
    headers.insert("authorization".into(), old.replace(&field("Signature"), &new));
}

/// A header's value in the form in which it is compared.
fn header(name: &str, value: Option<&String>) -> String {
    let nothing = "nothing".to_owned();
    let Some(value) = value else { return nothing };
    match name {
        // Kept alive or not said: the same.
        "connection" if value != "close" => nothing,
        "expires" if value == "Invalid Date" => value.clone(),
        "expires" if value.ends_with("2050 00:00:00 GMT") => value.clone(),
        _ if TIMES.contains(&name) => "TIME".into(),
        "location" => {
            let path = value.split("/upload/").nth(1).unwrap_or(value);
            let id = path.rsplit('/').next().unwrap_or(path);
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(id).ok().and_then(|b| String::from_utf8(b).ok());
            let origin = value.split("/upload/").next().unwrap_or_default();
            format!("{origin} {}", text(&decoded.map_or(path.to_owned(), |d| path.replace(id, &d))))
        }
        _ => text(value),
    }
}

fn body(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => json(value).to_string(),
        Err(_) => text(&String::from_utf8_lossy(bytes)),
    }
}

/// A document without what varies, its members sorted.
fn json(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let member = |(name, value): (String, Value)| match (name.as_str(), &value) {
                ("nextCursor", Value::String(cursor)) => {
                    let lines =
                        BASE64_STANDARD.decode(cursor).map(|b| String::from_utf8_lossy(&b).into_owned());
                    (name, Value::from(text(&lines.unwrap_or_default())))
                }
                _ => (name, json(value)),
            };
            let sorted: BTreeMap<_, _> = map.into_iter().map(member).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Value::String(string) => Value::from(text(&string)),
        other => other,
    }
}

/// Text without what varies.
fn text(input: &str) -> String {
    let claims = |token: &Captures<'_>| {
        let part =
            |at: usize| token[0].split('.').nth(at).and_then(|p| BASE64_URL_SAFE_NO_PAD.decode(p).ok());
        let document = part(1).and_then(|p| serde_json::from_slice::<Value>(&p).ok());
        let Some(mut document) = document else { return token[0].to_owned() };
        let header = part(0).map(|h| String::from_utf8_lossy(&h).into_owned()).unwrap_or_default();
        if let (Some(from), Some(to)) = (document["iat"].as_i64(), document["exp"].as_i64()) {
            document["exp"] = Value::from(to - from);
            document["iat"] = Value::from("TIME");
        }
        format!("{header}{document}")
    };
    let output = TOKEN.replace_all(input, claims);
    let output = UUID.replace_all(&output, "ID");
    TIME.replace_all(&output, "TIME").into_owned()
}

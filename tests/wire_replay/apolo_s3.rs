//! Replays what the official Apolo client asks of S3 against the embedded S3: every request is signed again, because the
//! credentials of the recording are gone.
//!
//! The answers were recorded from an emulation, so only what S3 itself promises is compared: status, content and the
//! headers that describe it, entries of listings, codes of errors.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use longshore_devserver::{DevServer, Handle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, send_recorded};
use super::replay::Outcome;
use super::supabase::{signature, sorted};
use crate::wire_support::exceptions::Exceptions;
use crate::wire_support::exchange::{Body, Exchange, Response};

pub(super) const KEY: (&str, &str) = ("adminkey", "adminsecret");
/// Headers that say what an object is.
const HEADERS: &[&str] = &["content-range", "etag"];

static TAGS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("<(Key|Size|Prefix|Code|IsTruncated|EncodingType|KeyCount)>([^<]*)<").expect("a pattern")
});
static UPLOAD: LazyLock<Regex> = LazyLock::new(|| Regex::new("<UploadId>([^<]+)<").expect("a pattern"));
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("continuation-token=[0-9a-f]+").expect("a pattern"));
static NEXT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("<NextContinuationToken>([^<]+)<").expect("a pattern"));

pub(crate) struct ApoloS3Replay<'a> {
    exceptions: &'a Exceptions,
    server: Handle,
    /// Recorded upload ids and tokens, and what stands for them here.
    known: BTreeMap<String, String>,
    /// Where the last page ended.
    next: String,
}

impl<'a> ApoloS3Replay<'a> {
    pub(crate) fn new(exceptions: &'a Exceptions) -> Self {
        let builder = DevServer::builder().s3("127.0.0.1:0").s3_key(KEY.0, KEY.1);
        Self {
            exceptions,
            server: builder.start_blocking().expect("a server"),
            known: BTreeMap::new(),
            next: String::new(),
        }
    }

    pub(crate) fn run(mut self, file: &str, exchanges: &[Exchange]) -> Vec<Outcome> {
        for name in exchanges.iter().filter_map(|e| e.request.path.split(['/', '?']).nth(1)) {
            self.put(&format!("/{name}"), b"");
        }
        self.before_the_recording(exchanges);
        exchanges.iter().map(|exchange| self.exchange(file, exchange)).collect()
    }

    /// What was put there by other means than the client.
    fn before_the_recording(&self, exchanges: &[Exchange]) {
        let bucket = |part: &str| {
            let path =
                exchanges.iter().map(|e| &e.request.path).find(|p| p.contains(part)).expect("a bucket");
            format!("/{}", path.split(['/', '?']).nth(1).unwrap_or_default())
        };
        let (files, pages) = (bucket("-xfer-"), bucket("-pages-"));
        for (key, body) in [("both", "file"), ("both/x", "x"), ("weird//dbl", "x"), ("/lead", "x")] {
            self.put(&format!("{files}/{key}"), body.as_bytes());
        }
        let pages_keys = (0..1005).map(|index| format!("{index:04}")).chain(["d1/x".into(), "zz/x".into()]);
        for key in pages_keys {
            self.put(&format!("{pages}/p/{key}"), b"");
        }
    }

    fn put(&self, path: &str, body: &[u8]) {
        put(&self.server, path, body);
    }

    fn exchange(&mut self, file: &str, exchange: &Exchange) -> Outcome {
        let request = &exchange.request;
        let mut headers = request.headers.clone();
        // Continuing is asked for where a body follows, which here is sent at once.
        headers.remove("expect");
        // The token stood in a page of which the length alone was kept.
        let path = TOKEN.replace(&request.path, format!("continuation-token={}", self.next));
        let path = self.translate(&path);
        let body = match &request.body {
            Body::Bytes(bytes) => self.translate(&String::from_utf8_lossy(bytes)).into_bytes(),
            other => other.bytes(),
        };
        if headers.contains_key("authorization") {
            resign(&request.method, &path, &mut headers, &body);
        }
        let address = self.server.s3_addr().expect("S3");
        let answer = send_recorded(address, &request.method, &path, &headers, &body, false);
        let recorded = exchange.response.as_ref().expect("an answer was recorded");
        let answer = answer.unwrap_or_default();
        self.learn(recorded, &answer);
        let mut differences = Vec::new();
        for (field, wanted, got) in compare(&request.method, recorded, &answer) {
            if !self.exceptions.allows(&format!("apolo/{file}"), &exchange.name, field) {
                differences.push(format!("{field}\n      recorded: {wanted}\n      answered: {got}"));
            }
        }
        Outcome { name: exchange.name.clone(), differences }
    }

    fn translate(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    }

    fn learn(&mut self, recorded: &Response, answer: &Answer) {
        let (old, new) = (recorded.body.text(), String::from_utf8_lossy(&answer.body).into_owned());
        if let (Some(old), Some(new)) = (UPLOAD.captures(&old), UPLOAD.captures(&new)) {
            self.known.insert(old[1].to_owned(), new[1].to_owned());
        }
        if let Some(next) = NEXT.captures(&new) {
            self.next = utf8_percent_encode(&next[1], NON_ALPHANUMERIC).to_string();
        }
    }
}

/// Writes an object, or makes a bucket, with the key that opens everything.
pub(super) fn put(server: &Handle, path: &str, body: &[u8]) {
    let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date,";
    let mut headers = BTreeMap::from([
        ("host".to_owned(), "localhost".to_owned()),
        ("authorization".to_owned(), names.to_owned()),
    ]);
    resign("PUT", path, &mut headers, body);
    let made = send_recorded(server.s3_addr().expect("S3"), "PUT", path, &headers, body, false);
    assert!(made.is_some_and(|a| a.status == 200 || a.status == 409), "{path}");
}

/// Signs a request for now, with the key of this server.
fn resign(method: &str, url: &str, headers: &mut BTreeMap<String, String>, body: &[u8]) {
    headers.remove("x-amz-security-token");
    let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let digest = Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    headers.insert("x-amz-date".into(), date.clone());
    headers.insert("x-amz-content-sha256".into(), digest.clone());
    let recorded = headers["authorization"].clone();
    let names = recorded.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
    let names: Vec<_> =
        names.expect("a signature").split(';').filter(|name| headers.contains_key(*name)).collect();
    let lines: Vec<_> = names.iter().map(|name| format!("{name}:{}", headers[*name].trim())).collect();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (names, lines) = (names.join(";"), lines.join("\n"));
    let canonical = format!("{method}\n{path}\n{}\n{lines}\n\n{names}\n{digest}", sorted(query));
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let signature = signature(&canonical, &date, &scope, KEY.1);
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        KEY.0
    );
    headers.insert("authorization".into(), value);
}

fn compare(method: &str, recorded: &Response, answer: &Answer) -> Vec<(&'static str, String, String)> {
    let mut differences = Vec::new();
    let mut differ = |field: &'static str, wanted: String, got: String| {
        if wanted != got {
            differences.push((field, wanted, got));
        }
    };
    differ("status", recorded.status.to_string(), answer.status.to_string());
    for name in HEADERS {
        // What consists of parts has a checksum of checksums, of bodies that were not all kept.
        let tag = |value: &String| {
            if value.contains('-') && *name == "etag" { "PARTS".into() } else { value.clone() }
        };
        let form = |headers: &BTreeMap<String, String>| headers.get(*name).map_or("nothing".into(), tag);
        let unsaid = *name == "content-range" && !recorded.headers.contains_key(*name);
        if !unsaid {
            differ(name, form(&recorded.headers), form(&answer.headers));
        }
    }
    if method == "HEAD" {
        let size =
            |headers: &BTreeMap<String, String>| headers.get("content-length").cloned().unwrap_or_default();
        if recorded.status == 200 {
            differ("content-length", size(&recorded.headers), size(&answer.headers));
        }
        return differences;
    }
    let xml = answer.body.starts_with(b"<?xml");
    match &recorded.body {
        // A page of a thousand entries, of which little more than the length was kept.
        Body::Head(..) if xml => differ("entries", "1000".into(), entries(&answer.body).to_string()),
        Body::Head(length, head) => {
            differ("length", length.to_string(), answer.body.len().to_string());
            differ(
                "body",
                format!("{head:?}"),
                format!("{:?}", answer.body.get(..head.len()).unwrap_or_default()),
            );
        }
        body if xml => differ("body", tags(&body.bytes()), tags(&answer.body)),
        body => differ(
            "body",
            String::from_utf8_lossy(&body.bytes()).into_owned(),
            String::from_utf8_lossy(&answer.body).into_owned(),
        ),
    }
    differences
}

fn entries(body: &[u8]) -> usize {
    let text = String::from_utf8_lossy(body);
    text.matches("<Contents>").count() + text.matches("<CommonPrefixes>").count()
}

/// What a document says, whatever the order of its elements.
fn tags(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut all: Vec<_> = TAGS.captures_iter(&text).map(|c| format!("{}={}", &c[1], &c[2])).collect();
    let failed = all.iter().any(|tag| tag.starts_with("Code="));
    all.retain(|tag| tag != "Prefix=" && (!failed || tag.starts_with("Code=")));
    all.sort();
    all.join(" ")
}

//! Recorded exchanges; the format is described in `tests/wire/<platform>/README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Deserialize;
use serde_json::Value;

/// One request and its answer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    /// Empty where there is but one.
    #[serde(default)]
    pub(crate) node: String,
    pub(crate) request: Request,
    /// `None`: the server closed the connection without an answer.
    pub(crate) response: Option<Response>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Body,
    /// The head alone was sent.
    #[serde(default)]
    #[allow(dead_code, reason = "not every test program asks")]
    pub(crate) body_withheld: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Body,
}

impl Exchange {
    /// When it was recorded, in seconds since the epoch; zero if the answer does not tell.
    #[allow(dead_code, reason = "not every test program asks")]
    pub(crate) fn time(&self) -> f64 {
        let date = self.response.as_ref().and_then(|r| r.headers.get("date"));
        let time = date.and_then(|d| jiff::fmt::rfc2822::parse(d).ok());
        time.map_or(0.0, |t| t.timestamp().as_duration().as_secs_f64())
    }
}

/// A recorded body.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Value")]
pub(crate) enum Body {
    Empty,
    Bytes(Vec<u8>),
    /// Only the length was kept.
    Length(usize),
    /// Only the length and the first bytes were kept.
    Head(usize, Vec<u8>),
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        match &value {
            Value::String(text) => Self::Bytes(text.clone().into_bytes()),
            Value::Object(map) => {
                if let Some(Value::String(text)) = map.get("$base64") {
                    return Self::Bytes(base64::prelude::BASE64_STANDARD.decode(text).unwrap_or_default());
                }
                let size = |name| map.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                if let (Some(length), Some(Value::String(head))) = (size("bytes"), map.get("head_base64")) {
                    return Self::Head(
                        length,
                        base64::prelude::BASE64_STANDARD.decode(head).unwrap_or_default(),
                    );
                }
                let length = map.get("$length").and_then(Value::as_u64).unwrap_or(0);
                Self::Length(usize::try_from(length).unwrap_or(usize::MAX))
            }
            _ => Self::Empty,
        }
    }
}

impl Body {
    /// The bytes; of a body whose length alone was kept, the pattern that all of them were made of, and where the first
    /// ones were kept too, these again and again.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Head(length, head) => head.iter().copied().cycle().take(*length).collect(),
            Self::Length(length) => b"0123456789abcdef".iter().copied().cycle().take(*length).collect(),
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }
}

/// The directory of recorded exchanges.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wire")
}

/// The exchanges of one file, in execution order.
pub(crate) fn load(platform: &str, file: &str) -> Vec<Exchange> {
    let path = directory().join(platform).join(format!("{file}.json"));
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

//! The recorded exchanges.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// One exchange, as the file has it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    /// What was asked: `proxy`, `target`, `authn`.
    #[serde(default)]
    pub(crate) node: String,
    pub(crate) request: Request,
    /// `None`: the server closed the connection.
    pub(crate) response: Option<Response>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// A call: the exchange with the node that was asked, those with the nodes that it was redirected to, and for a
/// call that asks again for its result (`...-start`, `...-poll-1`, ...) those too.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Names of the exchanges after the first, but for the redirected ones.
    pub(crate) more: Vec<String>,
    pub(crate) hops: Vec<Exchange>,
}

impl Group {
    /// Names of all its exchanges, but for the redirected ones.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.more)
    }
}

pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wire")
}

/// The exchanges of a file, one by one.
pub(crate) fn exchanges(file: &str) -> Vec<Exchange> {
    let path = directory().join("aistore").join(format!("{file}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn load(file: &str) -> Vec<Group> {
    let exchanges = exchanges(file);
    let mut groups: Vec<Group> = Vec::new();
    for exchange in exchanges {
        let base = exchange.name.split('#').next().unwrap_or_default().to_owned();
        match groups.last_mut() {
            Some(group) if group.name == base && exchange.name.contains('#') => group.hops.push(exchange),
            Some(group) if polls(&group.name, &base) => {
                group.more.push(base);
                // What is asked after the result is there is not part of the call.
                if group.hops.last().and_then(|hop| hop.response.as_ref()).is_some_and(|r| r.status != 200) {
                    group.hops.push(exchange);
                }
            }
            _ => groups.push(Group { name: base, more: Vec::new(), hops: vec![exchange] }),
        }
    }
    groups
}

fn polls(start: &str, poll: &str) -> bool {
    let asked = start.strip_suffix("-start").and_then(|what| poll.strip_prefix(what));
    asked.is_some_and(|rest| rest.starts_with("-poll-"))
}

/// A recorded body: as it was, or only its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Bytes(Vec<u8>),
    Length(usize),
}

impl Body {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Bytes(text.clone().into_bytes()),
            Value::Object(map) => match (map.get("$base64"), map.get("$length").or_else(|| map.get("bytes")))
            {
                (Some(Value::String(text)), _) => Self::Bytes(STANDARD.decode(text).unwrap()),
                (_, Some(length)) => Self::Length(usize::try_from(length.as_u64().unwrap()).unwrap()),
                _ => panic!("an unknown form of body: {value}"),
            },
            _ => Self::Bytes(Vec::new()),
        }
    }

    /// The bytes; where only the length was kept, as many zeros.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Length(length) => vec![0; *length],
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self, Self::Bytes(_))
    }
}

impl Request {
    pub(crate) fn body(&self) -> Body {
        Body::of(&self.body)
    }

    /// Path, decoded, and query pairs, decoded and sorted.
    pub(crate) fn target(&self) -> (String, Vec<(String, String)>) {
        split_target(&self.path)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The JSON body; `Null` if there is none or it is not JSON. A message that leaves out what it does not need
    /// means the same as one that spells it.
    pub(crate) fn json(&self) -> Value {
        let mut body: Value = serde_json::from_slice(&self.body().bytes()).unwrap_or(Value::Null);
        if let Some(message) = body.as_object_mut().filter(|message| message.contains_key("action")) {
            message.entry("name").or_insert_with(|| "".into());
            message.entry("value").or_insert(Value::Null);
        }
        body
    }
}

impl Response {
    /// An answer that was not recorded, to a question that a call asks first.
    pub(crate) fn made(status: u16, body: &str) -> Self {
        Self { status, headers: std::collections::BTreeMap::new(), body: Value::from(body) }
    }

    pub(crate) fn body(&self) -> Body {
        Body::of(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body().bytes()).unwrap_or(Value::Null)
    }
}

pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(crate) fn split_target(target: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(&value.replace('+', " "))))
        .collect();
    pairs.sort();
    (decode(path), pairs)
}

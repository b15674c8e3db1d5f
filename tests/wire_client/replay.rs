//! One recorded call, made again.

use std::cell::RefCell;

use longshore_core_types::ErrorKind;
use serde_json::Value;

use crate::{
    calls, errors,
    network::{Asked, Network},
    recorded::{Body, Exchange, Group, split_target},
};

/// What the client does with a recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actual {
    /// It makes it, and what it sends is what was recorded.
    Built,
    /// It refuses to make it, and sends nothing.
    Refused,
    /// It has no call for it.
    ServerOnly,
}

impl Actual {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Refused => "refused",
            Self::ServerOnly => "server-only",
        }
    }
}

/// Answers that are broken, and the error by which the client notices.
const BROKEN: &[(&str, ErrorKind)] = &[
    // Appending with an old handle leaves a checksum that does not match the content.
    ("get-after-stale", ErrorKind::ChecksumMismatch),
    ("get-after-stale-validate", ErrorKind::ChecksumMismatch),
    // A part sent twice is lost: the length is announced in full, and the connection breaks.
    ("get-replaced-last", ErrorKind::Transport),
];

thread_local! {
    pub(crate) static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    );
}

/// The trial of one call: it must be what its class says.
pub(crate) fn trial(group: &Group, class: Option<&String>) -> Result<(), String> {
    let actual = replay(group)?;
    match class {
        None => Err(format!("it has no class; it is {}", actual.name())),
        Some(class) if class == actual.name() => Ok(()),
        Some(class) => Err(format!("it is classed {class} but is {}", actual.name())),
    }
}

/// Makes the call, if there is one, and compares both ways.
pub(crate) fn replay(group: &Group) -> Result<Actual, String> {
    let Some(call) = calls::read(group) else { return Ok(Actual::ServerOnly) };
    let before = call.beforehand.len();
    let mut answers: Vec<_> = call.beforehand.iter().cloned().map(Some).collect();
    answers.extend(group.hops.iter().map(|hop| hop.response.clone()));
    // What a call asks after its recorded exchanges has an answer only if those were redirected to their end.
    let ended = group.hops.last().and_then(|hop| hop.response.as_ref()).is_some_and(|r| r.status < 300);
    if ended {
        answers.extend(call.afterwards.iter().cloned().map(Some));
    }
    let network = Network::new(answers);
    let client = network.client(|builder| builder);
    let result = RUNTIME.with_borrow(|runtime| runtime.block_on((call.run)(client)));
    let mut asked = network.asked();
    asked.drain(..before.min(asked.len()));
    if asked.is_empty() {
        return match result {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::RangeNotSatisfiable
                ) =>
            {
                Ok(Actual::Refused)
            }
            other => Err(format!("nothing was sent, and the outcome is {other:?}")),
        };
    }
    for (hop, asked) in group.hops.iter().zip(&asked) {
        same_request(hop, asked).map_err(|e| format!("{}: {e}", hop.name))?;
    }
    if asked.len() < group.hops.len() {
        return Err(format!("{} of {} requests were sent", asked.len(), group.hops.len()));
    }
    let last = &group.hops[group.hops.len() - 1];
    let Some(response) = &last.response else {
        return match result {
            Err(error) if error.kind() == ErrorKind::Transport => Ok(Actual::Built),
            other => Err(format!("the server closed the connection, and the outcome is {other:?}")),
        };
    };
    if (300..400).contains(&response.status) {
        // Only the redirect was recorded: it must be followed byte for byte.
        followed(response.header("location").unwrap_or_default(), asked.get(group.hops.len()))?;
        return Ok(Actual::Built);
    }
    let wanted = |e: String| format!("{}: {e}", last.name);
    if response.status == 202 && asked.len() > group.hops.len() {
        // Only the start was recorded; that it is asked for the result is all there is to see.
        return Ok(Actual::Built);
    }
    if let Some((_, kind)) = BROKEN.iter().find(|(name, _)| *name == group.name) {
        return match result {
            Err(error) if error.kind() == *kind && error.status().is_none() => Ok(Actual::Built),
            other => Err(format!("the answer is broken, and the client says {other:?}")),
        };
    }
    match result {
        Ok(value) => {
            let want = (call.want)(&group.hops[0].request, response);
            if value == want { Ok(Actual::Built) } else { Err(difference(&value, &want)) }
        }
        Err(error) if response.status >= 400 => {
            errors::check(&error, response).map_err(wanted)?;
            Ok(Actual::Built)
        }
        // Zeros stand for a body of which only the length was kept, and they are no document.
        Err(error) if error.kind() == ErrorKind::Protocol && !response.body().is_complete() => {
            Ok(Actual::Built)
        }
        Err(error) => Err(format!("the answer was {}, and the client says {error:?}", response.status)),
    }
}

fn difference(found: &Value, want: &Value) -> String {
    format!("the answer was read as\n  {found}\nnot as\n  {want}")
}

fn followed(location: &str, asked: Option<&Asked>) -> Result<(), String> {
    let asked = asked.ok_or("the redirect was not followed")?;
    let url = format!("http://{}{}", asked.authority, asked.target);
    if url == location { Ok(()) } else { Err(format!("{url} was asked, not {location}")) }
}

/// Headers that say what is meant; the others differ between HTTP clients.
const HEADERS: &[&str] = &["range"];

fn same_request(hop: &Exchange, asked: &Asked) -> Result<(), String> {
    let recorded = &hop.request;
    let differs = |what: &str, found: &dyn std::fmt::Debug, want: &dyn std::fmt::Debug| {
        Err(format!("the {what} is\n  {found:?}\nnot\n  {want:?}"))
    };
    if asked.method != recorded.method {
        return differs("method", &asked.method, &recorded.method);
    }
    let (found, want) = (split_target(&asked.target), recorded.target());
    let canonical = |(path, pairs): (String, Vec<(String, String)>)| {
        // An empty pattern is none.
        let pairs = pairs.into_iter().filter(|(name, value)| name != "regex" || !value.is_empty());
        let pairs = pairs.map(|(name, value)| match name.as_str() {
            // Truth values are read in any letter case.
            "bsumm_remote" | "keep_bck_md" => (name, value.to_lowercase()),
            // `#ns` and `@#ns` are one namespace.
            "namespace" if value.starts_with('#') => (name, format!("@{value}")),
            _ => (name, value),
        });
        (path, pairs.collect::<Vec<_>>())
    };
    let (found, want) = (canonical(found), canonical(want));
    if found != want {
        return differs("URL", &found, &want);
    }
    for (name, value) in &recorded.headers {
        let meant = name.starts_with("ais-") || HEADERS.contains(&name.as_str());
        if !meant {
            continue;
        }
        let lines: Vec<_> =
            asked.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        if lines.join(", ") != *value {
            return differs(name, &lines, value);
        }
    }
    let extra = asked.headers.keys().find(|name| {
        let meant = name.as_str().starts_with("ais-") || name.as_str() == "range";
        meant && !recorded.headers.contains_key(name.as_str())
    });
    if let Some(name) = extra {
        return differs("header", name, &"none");
    }
    same_body(&recorded.body(), &asked.body)
}

/// Messages mean the same without fields that hold the zero of their type, and job queries in any letter case.
fn canonical(value: &Value) -> Value {
    let value = crate::wanted::without_zeros(value);
    let Value::Object(map) = &value else { return value };
    let lower = |map: &serde_json::Map<String, Value>| -> Value {
        map.iter()
            .map(|(key, value)| (key.to_lowercase(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    match map.get("value") {
        // One message holds JSON inside a string.
        Some(Value::String(text)) if text.starts_with('{') => {
            let inner = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
            let mut map = map.clone();
            map.insert("value".into(), inner);
            map.into()
        }
        Some(Value::Object(inner)) if inner.contains_key("Kind") || inner.contains_key("ID") => {
            let mut map = map.clone();
            map.insert("value".into(), lower(inner));
            map.into()
        }
        None if !map.contains_key("action") && !map.contains_key("value") => lower(map),
        _ => value,
    }
}

fn same_body(recorded: &Body, asked: &[u8]) -> Result<(), String> {
    let Body::Bytes(recorded) = recorded else {
        let Body::Length(length) = recorded else { return Ok(()) };
        return if asked.len() == *length {
            Ok(())
        } else {
            Err(format!("{} bytes, not {length}", asked.len()))
        };
    };
    if asked == recorded {
        return Ok(());
    }
    // JSON is equal as a value: order and blanks are nobody's business.
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok().map(|value| canonical(&value));
    match (json(asked), json(recorded)) {
        (Some(found), Some(want)) if found == want => Ok(()),
        _ => Err(format!(
            "the body is\n  {}\nnot\n  {}",
            String::from_utf8_lossy(asked),
            String::from_utf8_lossy(recorded)
        )),
    }
}

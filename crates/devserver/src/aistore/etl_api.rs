//! Transformations: the answers of a cluster without Kubernetes, which cannot run any.

use std::collections::BTreeSet;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::error::{Fail, Relayed, Result};
use super::gateway::other_method;
use super::gojson::{self, Schema, Struct, parse_duration};
use super::guard;
use super::node::Cx;
use super::reply::Reply;
use crate::access::bits::ADMIN;
use crate::sync::lock;

/// Names of transformations that somebody tried to start: like the original, the cluster remembers them although they
/// cannot run.
pub(crate) type Transformations = Mutex<BTreeSet<String>>;

const NO_KUBERNETES: &str = "the operation requires Kubernetes";
const NO_CLIENT: &str = "k8s client is not initialized (non-Kubernetes deployment?)";
const ALLOW: &str = "DELETE, GET, POST, PUT";
/// Shortest and longest name of a transformation.
const NAME: std::ops::RangeInclusive<usize> = 6..=32;

/// Answers `/v1/etl`; `rest` is what follows.
pub(crate) fn handle(cx: &Cx, rest: &str) -> Result<Reply> {
    if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(&cx.method) {
        return Ok(other_method(&cx.method, ALLOW));
    }
    guard::cluster(cx, ADMIN)?;
    let node = cx.cluster.targets[0].name();
    let refused = |method: &'static str, path: String, text: &str| {
        Err(Fail::bad(text).relayed(Relayed { method, path, caller: cx.node_name(), node: node.clone() }))
    };
    let path = || cx.path.trim_end_matches('/').to_owned();
    let items: Vec<_> = rest.split('/').filter(|i| !i.is_empty()).collect();
    let known = |name: &str| -> Result<()> {
        if name.len() < *NAME.start() {
            return Err(Fail::bad(format!("ETL name {name:?} is too short")));
        }
        if lock(&cx.cluster.transformations).contains(name) {
            return Ok(());
        }
        Err(Fail::not_found(format!("{}: etl job {name} does not exist", cx.node_name())))
    };
    match (&cx.method, items.as_slice()) {
        (&Method::GET, [] | [_, "logs" | "health" | "metrics"]) => refused("GET", path(), NO_KUBERNETES),
        (&Method::GET, [name]) => {
            known(name)?;
            refused("GET", path() + "/details", NO_KUBERNETES)
        }
        (&Method::GET, [name, "logs", target]) => {
            if !cx.cluster.targets.iter().any(|t| t.id == *target) {
                return Err(Fail::bad(format!("unknown target {target:?}")));
            }
            refused("GET", format!("/v1/etl/{name}/logs"), NO_KUBERNETES)
        }
        (&Method::POST, [] | [_]) => Err(cx.too_short(4)),
        (&Method::POST, [name, "start"]) => {
            known(name)?;
            refused("POST", "/v1/txn/begin".into(), NO_CLIENT)
        }
        (&Method::POST, [name, "stop"]) => {
            known(name)?;
            refused("DELETE", format!("/v1/etl/{name}"), NO_KUBERNETES)
        }
        (&Method::POST, [_, verb]) => Err(Fail::bad(format!("invalid action \"invalid operation: {verb}\""))),
        (&Method::DELETE, []) => Err(cx.too_short(3)),
        (&Method::DELETE, [name]) => {
            known(name)?;
            refused("DELETE", path(), NO_KUBERNETES)
        }
        (&Method::PUT, []) => {
            init(cx)?;
            refused("POST", "/v1/txn/begin".into(), NO_CLIENT)
        }
        (&Method::PUT, [..]) => {
            let (path, got) = (cx.path.trim_matches('/'), items.len() + 2);
            Err(Fail::bad(format!("URL '{path}' is too long: expected 2 items, got {got}")))
        }
        _ => Err(cx.invalid_uri()),
    }
}

static RUNTIME: Struct = Struct {
    name: "etl.RuntimeSpec",
    fields: &[("image", "Image", Schema::Text), ("command", "Command", Schema::List("[]string"))],
    strict: false,
};

static BY_IMAGE: Struct = Struct {
    name: "etl.ETLSpecMsg",
    fields: &[
        ("name", "EtlName", Schema::Text),
        ("communication", "CommTypeX", Schema::Text),
        ("init_timeout", "InitTimeout", Schema::Duration),
        ("obj_timeout", "ObjTimeout", Schema::Duration),
        ("support_direct_put", "SupportDirectPut", Schema::Bool),
        ("runtime", "Runtime", Schema::Struct(&RUNTIME)),
    ],
    strict: false,
};

static BY_POD: Struct = Struct {
    name: "etl.InitSpecMsg",
    fields: &[
        ("name", "EtlName", Schema::Text),
        ("communication", "CommTypeX", Schema::Text),
        ("init_timeout", "InitTimeout", Schema::Duration),
        ("obj_timeout", "ObjTimeout", Schema::Duration),
        ("support_direct_put", "SupportDirectPut", Schema::Bool),
        ("spec", "Spec", Schema::Text),
    ],
    strict: false,
};

/// A transformation, by its image or by the specification of its pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    name: String,
    communication: String,
    init_timeout: String,
    obj_timeout: String,
    support_direct_put: bool,
    runtime: Runtime,
    spec: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Runtime {
    image: String,
}

const PUSH: &str = "hpush://";
const SOCKET: &str = "ws://";
const COMMUNICATIONS: [&str; 3] = [PUSH, "hpull://", SOCKET];

impl Message {
    fn decode(body: &Bytes, schema: &'static Struct) -> std::result::Result<Self, String> {
        gojson::check(body, Schema::Struct(schema))?;
        let mut value: serde_json::Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        // What the other form is made of may be anything.
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, _| schema.fields.iter().any(|(field, ..)| field == name));
        }
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    /// How messages name it.
    fn title(&self) -> String {
        if self.name.is_empty() { "[]".into() } else { format!("[etl={:?}]", self.name) }
    }

    fn communication(&self) -> &str {
        if self.communication.is_empty() { PUSH } else { &self.communication }
    }

    /// What both forms have in common.
    fn check(&self) -> std::result::Result<(), String> {
        let name = &self.name;
        let why = if name.len() < *NAME.start() {
            format!("ETL name {name:?} is too short")
        } else if name.len() > *NAME.end() {
            format!("ETL name {name:?} is too long")
        } else if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            format!("ETL name {name:?} is invalid: can only contain [a-z0-9-]")
        } else if !COMMUNICATIONS.contains(&self.communication()) {
            format!("{} unknown comm-type {:?}", self.title(), self.communication)
        } else if self.communication() == SOCKET && !self.support_direct_put {
            return Err("WebSocket without direct put is not supported yet. Ensure that the \
                        `metadata.annotations.support_direct_put` annotation is set to `true` and that your ETL server \
                        properly implements the direct put mechanism"
                .into());
        } else {
            return Ok(());
        };
        let timeout =
            |text: &str, default| duration(parse_duration(text).filter(|n| *n > 0).unwrap_or(default));
        let (communication, minutes, seconds) = (
            self.communication(),
            timeout(&self.init_timeout, 300_000_000_000),
            timeout(&self.obj_timeout, 45_000_000_000),
        );
        Err(format!("{why} [init-etl-spec[{name}-{communication}], env=[], timeout=({minutes}, {seconds})]"))
    }

    fn check_image(&self) -> std::result::Result<(), String> {
        if self.runtime.image.is_empty() {
            return Err(format!("{} runtime.image must be specified", self.title()));
        }
        self.check()
    }

    /// The specification is looked at as far as it tells whether one was meant.
    fn check_pod(&self) -> std::result::Result<(), String> {
        let spec = STANDARD.decode(&self.spec).map_err(|e| e.to_string())?;
        let spec = String::from_utf8_lossy(&spec);
        let has = |name: &str| {
            let of_line = |line: &str| line.trim_start_matches([' ', '-', '"', '{']).starts_with(name);
            spec.lines().filter(|line| of_line(line)).count()
        };
        if has("kind") == 0 {
            let title = self.title();
            return Err(format!(
                "{title} failed to parse pod spec: Object 'Kind' is missing in '{spec}'\n{spec:?}"
            ));
        }
        match has("image:") + has("image\"") {
            1 => self.check(),
            n => Err(format!("{} unsupported number of containers ({n}), expected: 1", self.title())),
        }
    }
}

/// A Go duration without fractions of a second.
fn duration(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Checks the form of a transformation and remembers its name.
fn init(cx: &Cx) -> Result<()> {
    let body = &cx.json;
    let by_image = Message::decode(body, &BY_IMAGE).and_then(|m| m.check_image().map(|()| m));
    let message = by_image.or_else(|first| {
        let by_pod = Message::decode(body, &BY_POD).and_then(|m| m.check_pod().map(|()| m));
        by_pod.map_err(|second| {
            Fail::bad(format!("invalid etl.InitMsg: ETLSpecMsg error: {first}; InitSpecMsg error: {second}"))
        })
    })?;
    if !lock(&cx.cluster.transformations).insert(message.name.clone()) {
        let text = format!("{}: etl job {} already exists", cx.node_name(), message.name);
        return Err(Fail::new(StatusCode::CONFLICT, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &str) -> std::result::Result<(), String> {
        let spec = STANDARD.encode(spec);
        Message { name: "etl-one".into(), spec, ..Message::default() }.check_pod()
    }

    #[test]
    fn pods() {
        assert_eq!(
            pod("kind: Pod\nspec:\n  containers:\n    - name: server\n      image: repo/img:1\n"),
            Ok(())
        );
        assert!(pod("kind: Pod\n").is_err_and(|e| e.contains("containers (0)")));
        assert!(pod("").is_err_and(|e| e.ends_with("missing in ''\n\"\"")));
    }

    #[test]
    fn durations() {
        let all = [300, 45, 7265].map(|seconds| duration(seconds * 1_000_000_000));
        assert_eq!(all, ["5m0s", "45s", "2h1m5s"]);
    }
}

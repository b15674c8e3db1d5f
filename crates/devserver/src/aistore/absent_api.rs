//! Distributed sort, transformations and downloads: the answers of a cluster that has none.

use std::collections::BTreeSet;
use std::sync::Mutex;

use http::{Method, StatusCode};
use serde_json::Value;

use super::error::{Fail, Relayed, Result};
use super::gateway::other_method;
use super::guard::{self, Form};
use super::node::Cx;
use super::reply::Reply;
use crate::access::bits::ADMIN;
use crate::sync::lock;

/// Answers `/v1/sort`, `/v1/etl` and `/v1/download`; `rest` is what follows.
pub(crate) fn handle(cx: &Cx, what: &str, rest: &str) -> Result<Reply> {
    match what {
        "download" => return download(cx),
        "etl" => return etl(cx, rest),
        _ => {}
    }
    guard::cluster(cx, ADMIN)?;
    if cx.method == Method::GET {
        return Ok(Reply::text("[]"));
    }
    Err(Fail::new(StatusCode::NOT_IMPLEMENTED, "dsort is not supported by this cluster"))
}

/// Names of transformations that somebody tried to start: like the original, the cluster remembers them although they
/// cannot run.
pub(crate) type Transformations = Mutex<BTreeSet<String>>;

const NO_KUBERNETES: &str = "the operation requires Kubernetes";
const NO_CLIENT: &str = "k8s client is not initialized (non-Kubernetes deployment?)";
const ALLOW: &str = "DELETE, GET, POST, PUT";
/// Shortest and longest name of a transformation.
const NAME: std::ops::RangeInclusive<usize> = 6..=32;

fn etl(cx: &Cx, rest: &str) -> Result<Reply> {
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

/// Checks the form of a transformation, as far as that tells whether one was meant, and remembers its name.
fn init(cx: &Cx) -> Result<()> {
    let bad = |why: String| Err(Fail::bad(format!("invalid etl.InitMsg: {why}")));
    let message: Value = match serde_json::from_slice(&cx.json) {
        Ok(message) => message,
        Err(error) => return bad(error.to_string()),
    };
    let text = |name: &str| message[name].as_str().filter(|t| !t.is_empty());
    let name = text("name").or_else(|| text("id")).unwrap_or_default().to_owned();
    if !NAME.contains(&name.len()) {
        let how = if name.len() < *NAME.start() { "short" } else { "long" };
        return bad(format!("ETL name {name:?} is too {how}"));
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return bad(format!("ETL name {name:?} is invalid: can only contain [a-z0-9-]"));
    }
    if message["runtime"]["image"].as_str().is_none_or(str::is_empty) && text("spec").is_none() {
        return bad(format!("[etl={name:?}] runtime.image must be specified"));
    }
    if !lock(&cx.cluster.transformations).insert(name.clone()) {
        let message = format!("{}: etl job {name} already exists", cx.node_name());
        return Err(Fail::new(StatusCode::CONFLICT, message));
    }
    Ok(())
}

fn download(cx: &Cx) -> Result<Reply> {
    if cx.method == Method::POST {
        if cx.cluster.guard.required() {
            guard::bearer(cx, Form::Wrapped)?;
        }
        return Err(Fail::new(StatusCode::NOT_IMPLEMENTED, "downloads are not supported by this cluster"));
    }
    let message: Value = serde_json::from_slice(&cx.json).unwrap_or_default();
    let id = message["id"].as_str().unwrap_or_default();
    if id.is_empty() {
        return Ok(Reply::text("[]"));
    }
    let node = cx.cluster.targets[0].name();
    let text = format!("{node}: download job {id} does not exist");
    let path = cx.path.clone();
    Err(Fail::not_found(text).relayed(Relayed { method: "GET", path, caller: cx.node_name(), node }))
}

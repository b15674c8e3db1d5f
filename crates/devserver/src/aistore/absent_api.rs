//! Distributed sort and downloads: the answers of a cluster that has none.

use http::{Method, StatusCode};
use serde::Deserialize;

use super::archive::explain;
use super::error::{Fail, Relayed, Result};
use super::gateway::other_method;
use super::gojson::{self, Schema, Struct};
use super::guard::{self, Form};
use super::node::Cx;
use super::reply::Reply;
use crate::access::bits::ADMIN;

const ALLOW: &str = "DELETE, GET, POST";

/// Answers `/v1/sort` like a cluster that was built without it: there are no jobs, and none can be started.
pub(crate) fn sort(cx: &Cx) -> Result<Reply> {
    if ![Method::GET, Method::POST, Method::DELETE].contains(&cx.method) {
        return Ok(other_method(&cx.method, ALLOW));
    }
    guard::cluster(cx, ADMIN)?;
    if cx.method == Method::GET {
        return Ok(Reply::text("[]"));
    }
    let refusal = Reply::text("dsort not enabled (build with -tags=dsort)\n");
    Ok(Reply { status: StatusCode::NOT_IMPLEMENTED, ..refusal })
}

static ADMIN_BODY: Struct = Struct {
    name: "dload.AdminBody",
    fields: &[
        ("id", "ID", Schema::Text),
        ("regex", "Regex", Schema::Text),
        ("only_active_tasks", "OnlyActive", Schema::Bool),
    ],
    strict: false,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    id: String,
    regex: String,
}

impl Query {
    fn of(cx: &Cx) -> Result<Self> {
        let (node, method) = (cx.node_name(), &cx.method);
        let bad = |e: &str| {
            Fail::bad(format!(
                "{node}: failed to unmarshal [**dload.AdminBody] ({method}), err: {e} (prxdl.go, #55)"
            ))
        };
        if cx.json.is_empty() {
            return Err(bad("EOF"));
        }
        gojson::check(&cx.json, Schema::Struct(&ADMIN_BODY)).map_err(|e| bad(&e))?;
        let query: Self = serde_json::from_slice(&cx.json).map_err(|e| bad(&e.to_string()))?;
        query.check(cx.method == Method::DELETE)?;
        Ok(query)
    }

    fn check(&self, needs_id: bool) -> Result<()> {
        let Self { id, regex } = self;
        if needs_id && id.is_empty() {
            return Err(Fail::bad("UUID not specified"));
        }
        if !regex.is_empty() && !id.is_empty() {
            return Err(Fail::bad(format!(
                "regex {regex:?} and job ID {id:?} cannot be defined together (choose one or the other)"
            )));
        }
        match regex::Regex::new(regex) {
            Ok(_) => Ok(()),
            Err(e) => Err(Fail::bad(format!("error parsing regexp: {}", explain(&e, regex))).tcode("Error")),
        }
    }
}

/// Answers `/v1/download`; `rest` is what follows.
pub(crate) fn download(cx: &Cx, rest: &str) -> Result<Reply> {
    let rest = rest.trim_end_matches('/');
    let missing = |method: &'static str, id: &str| {
        let node = cx.cluster.targets[0].name();
        let text = format!("{node}: download job {id} does not exist");
        let path = cx.path.clone();
        Err(Fail::not_found(text).relayed(Relayed { method, path, caller: cx.node_name(), node }))
    };
    match cx.method {
        Method::POST if !rest.is_empty() => {
            let (path, got) = (cx.path.trim_matches('/'), rest.split('/').count() + 2);
            Err(Fail::bad(format!("URL '{path}' is too long: expected 2 items, got {got}")))
        }
        Method::POST => {
            if cx.cluster.guard.required() {
                guard::bearer(cx, Form::Wrapped)?;
            }
            Err(Fail::new(StatusCode::NOT_IMPLEMENTED, "downloads are not supported by this cluster"))
        }
        Method::GET => match Query::of(cx)?.id.as_str() {
            "" => Ok(Reply::text("[]")),
            id => missing("GET", id),
        },
        Method::DELETE if rest.is_empty() => Err(cx.too_short(3)),
        Method::DELETE if !matches!(rest, "abort" | "remove") => {
            Err(Fail::bad(format!("invalid action {rest:?}")))
        }
        Method::DELETE => missing("DELETE", &Query::of(cx)?.id),
        _ => Ok(other_method(&cx.method, ALLOW)),
    }
}

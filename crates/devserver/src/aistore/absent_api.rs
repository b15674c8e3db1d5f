//! Distributed sort, transformations and downloads: the answers of a cluster that has none.

use http::{Method, StatusCode};
use serde_json::Value;

use super::error::{Fail, Relayed, Result};
use super::guard::{self, Form};
use super::node::Cx;
use super::reply::Reply;
use crate::access::bits::ADMIN;

/// Answers `/v1/sort`, `/v1/etl` and `/v1/download`.
pub(crate) fn handle(cx: &Cx, what: &str) -> Result<Reply> {
    if what == "download" {
        return download(cx);
    }
    guard::cluster(cx, ADMIN)?;
    if cx.method == Method::GET {
        return Ok(Reply::text("[]"));
    }
    let feature = if what == "sort" { "dsort" } else { "ETL" };
    Err(Fail::new(StatusCode::NOT_IMPLEMENTED, format!("{feature} is not supported by this cluster")))
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

//! Administration of nodes, of backends and of other clusters: what there is of it in a cluster that never changes.

use http::{Method, StatusCode};

use super::bucket_api::invalid_action;
use super::cluster_api::SMAP_VERSION;
use super::error::{Fail, Relayed, Result};
use super::names::Provider;
use super::node::Cx;
use super::node_api;
use super::reply::Reply;
use super::{NodeInfo, guard, job_api};
use crate::access::bits::ADMIN;

/// `PUT /v1/cluster/..`; `rest` is what follows.
pub(crate) fn cluster(cx: &Cx, rest: &str) -> Result<Reply> {
    let mut items = rest.trim_end_matches('/').split('/');
    let verb = items.next().unwrap_or_default();
    if verb == "set-config" {
        return job_api::control(cx);
    }
    guard::cluster(cx, ADMIN)?;
    let item = items.next().unwrap_or_default();
    match verb {
        "load-x509" => Err(Fail::bad("invalid request to reload X509 certs (running plain HTTP)")),
        "proxy" => set_primary(cx, item),
        "enable-bend" | "disable-bend" => backend(cx, verb.trim_end_matches("-bend"), item),
        "attach" | "detach" => remote(cx, verb),
        // As the original, which knows nothing of it.
        _ => Ok(Reply::ok()),
    }
}

fn set_primary(cx: &Cx, id: &str) -> Result<Reply> {
    if id == cx.cluster.gateway.id {
        return Ok(Reply::ok());
    }
    let node = cx.node_name();
    let text = format!(
        "{node}: set-primary failure ('frc' query is false): node {id} not present in Smap v{SMAP_VERSION}"
    );
    Err(Fail::not_found(text).tcode("errNodeNotFound"))
}

fn backend(cx: &Cx, verb: &str, name: &str) -> Result<Reply> {
    let provider = Provider::parse(name).ok().filter(|p| *p != Provider::Ais);
    if provider.is_none() {
        return Err(Fail::bad(format!("can only {verb} cloud backend (have {name:?})")));
    }
    let caller = cx.node_name();
    let node = cx.cluster.targets[0].name();
    let why = if provider == Some(Provider::Aws) && cx.cluster.cloud.is_some() {
        "belongs to this server for good"
    } else {
        "is not configured"
    };
    let text = format!(
        "node {node} failed to {verb} \"{name}\" backend (phase begin): backend \"{name}\" {why}, cannot {verb}"
    );
    let path = format!("/v1/daemon/{verb}-bend/{name}/begin");
    Err(Fail::bad(text).relayed(Relayed { method: "PUT", path, caller, node }))
}

/// Other clusters, of which this one never has any.
fn remote(cx: &Cx, verb: &str) -> Result<Reply> {
    let what = cx.query.value("what");
    if what != "remote" {
        return Err(Fail::bad(format!("unexpected query [what={what}]")));
    }
    let node = cx.node_name();
    if verb == "detach" {
        let text = format!("{node}: failed to detach remote cluster, err: not found");
        return Err(Fail::not_found(text).tcode("ErrFailedTo"));
    }
    let alias = cx.header("ais-remote-ais-alias").unwrap_or_default();
    let url = cx.header("ais-remote-ais-url").unwrap_or_default();
    if url.is_empty() {
        let text = format!(
            "{node}: failed to attach remote cluster [alias {alias} => ], err: parse \"\": empty url"
        );
        return Err(Fail::bad(text).tcode("ErrFailedTo"));
    }
    let text = format!("{node}: cannot attach {url}: this cluster stands alone - operation not supported");
    Err(Fail::new(StatusCode::NOT_IMPLEMENTED, text).tcode("ErrUnsupp"))
}

/// Other methods of `/v1/cluster`; `None` for those that it knows.
pub(crate) fn other_of_cluster(cx: &Cx, rest: &str) -> Option<Fail> {
    match cx.method {
        Method::DELETE => {
            let text = "not expecting DELETE /v1/cluster via pub-net";
            Some(Fail::new(StatusCode::FORBIDDEN, text))
        }
        Method::POST if rest.is_empty() => Some(cx.too_short(3)),
        _ => None,
    }
}

/// `PUT /v1/daemon` of the gateway itself.
pub(crate) fn daemon(cx: &Cx) -> Result<Reply> {
    guard::cluster(cx, ADMIN)?;
    node(cx, cx.node())
}

/// An action on one node.
pub(crate) fn node(cx: &Cx, node: &NodeInfo) -> Result<Reply> {
    let action = cx.action()?;
    match action.action.as_str() {
        // There is one log.
        "rotate-logs" => Ok(Reply::ok()),
        "reset-stats" => {
            node_api::counters(&cx.cluster, node).reset(action.value.as_bool().unwrap_or(false));
            Ok(Reply::ok())
        }
        _ => Err(invalid_action(&action)),
    }
}

//! Calls on the cluster as a whole and on single nodes.

use std::collections::BTreeMap;

use http::Method;
use longshore_core_types::{Idempotency, Resource, Result};
use serde::Deserialize;

use super::{Request, bucket::null_default, from_json, headers};
use crate::{
    cluster::{
        LogSeverity, RemoteCluster,
        node::{ClusterStats, NodeStats, SystemInfo, SystemOverview},
    },
    names::invalid,
    smap::ClusterMap,
};

use Idempotency::Idempotent;

/// A question about the cluster, answered by whatever gateway is asked.
pub(crate) fn ask(what: &str, operation: &'static str) -> Request {
    Request::new(Method::GET, "/v1/cluster", operation, Idempotent).query("what", what)
}

/// A question that a gateway passes on to one node.
pub(crate) fn ask_node(id: &str, what: &str, operation: &'static str) -> Result<Request> {
    check_node(id)?;
    let name = id.to_owned().into();
    let request = Request::new(Method::GET, "/v1/reverse/daemon", operation, Idempotent).query("what", what);
    Ok(request.header(headers::NODE_ID, id)?.on(Resource::Named { kind: "node", name }))
}

fn check_node(id: &str) -> Result<()> {
    // The gateway would answer for itself, or refuse.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(invalid(format!("{id:?} is not the id of a node")));
    }
    Ok(())
}

pub(crate) fn health(query: &str) -> Request {
    Request::new(Method::GET, "/v1/health", "aistore.cluster.health", Idempotent).query(query, "true")
}

/// Log of a node from a byte on, or all its logs as an archive.
pub(crate) fn log(id: &str, severity: LogSeverity, offset: u64, archive: bool) -> Result<Request> {
    let request = ask_node(id, "log", "aistore.cluster.log")?.query("severity", severity.as_str());
    let request = request.query_if(archive, "all", "true");
    Ok(request.query_if(offset > 0 && !archive, "offset", &offset.to_string()))
}

/// Makes another cluster known under an alias.
pub(crate) fn attach(alias: &str, url: &str) -> Result<Request> {
    remote("attach", "aistore.cluster.attach", alias)?.header(headers::REMOTE_URL, url)
}

/// Forgets another cluster.
pub(crate) fn detach(alias: &str) -> Result<Request> {
    remote("detach", "aistore.cluster.detach", alias)
}

fn remote(action: &str, operation: &'static str, alias: &str) -> Result<Request> {
    if alias.is_empty() {
        return Err(invalid("the alias of a remote cluster is empty"));
    }
    let name = alias.to_owned().into();
    let request = Request::new(Method::PUT, format!("/v1/cluster/{action}"), operation, Idempotent);
    let request = request.query("what", "remote").header(headers::REMOTE_ALIAS, alias)?;
    Ok(request.on(Resource::Named { kind: "cluster", name }))
}

#[derive(Deserialize)]
struct WireRemotes {
    #[serde(rename = "a", default, deserialize_with = "null_default")]
    all: Vec<WireRemote>,
}

#[derive(Deserialize)]
struct WireRemote {
    #[serde(default)]
    smap: Option<ClusterMap>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    alias: String,
    #[serde(default)]
    uuid: String,
}

pub(crate) fn parse_remotes(body: &[u8]) -> Result<Vec<RemoteCluster>> {
    let remotes: WireRemotes = from_json(body, "a list of remote clusters")?;
    let remotes = remotes.all.into_iter();
    let remotes = remotes.map(|remote| RemoteCluster {
        alias: remote.alias,
        uuid: remote.uuid,
        url: remote.url,
        map: remote.smap,
    });
    Ok(remotes.collect())
}

pub(crate) fn parse_stats(body: &[u8]) -> Result<ClusterStats> {
    #[derive(Deserialize)]
    struct Wire {
        proxy: NodeStats,
        #[serde(default, deserialize_with = "null_default")]
        target: BTreeMap<String, NodeStats>,
    }
    let wire: Wire = from_json(body, "statistics of nodes")?;
    Ok(ClusterStats { gateway: wire.proxy, targets: wire.target })
}

pub(crate) fn parse_system(body: &[u8]) -> Result<SystemOverview> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default, deserialize_with = "null_default")]
        proxy: BTreeMap<String, SystemInfo>,
        #[serde(default, deserialize_with = "null_default")]
        target: BTreeMap<String, SystemInfo>,
    }
    let wire: Wire = from_json(body, "the state of the machines")?;
    Ok(SystemOverview { gateways: wire.proxy, targets: wire.target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_ask_another_node_is_refused() {
        for bad in ["", "a b", "x/y", "t[1]"] {
            assert!(ask_node(bad, "config", "x").is_err(), "{bad}");
        }
        assert!(attach("", "http://x").is_err() && detach("").is_err());
        assert!(attach("a", "bad\nurl").is_err());
    }

    #[test]
    fn logs() {
        let request = log("t1", LogSeverity::Error, 12, false).unwrap();
        assert_eq!(request.query.as_str(), "what=log&severity=error&offset=12");
        let request = log("t1", LogSeverity::Info, 12, true).unwrap();
        assert_eq!(request.query.as_str(), "what=log&severity=info&all=true");
    }

    #[test]
    fn lists_that_are_not_there() {
        assert!(parse_remotes(br#"{"a":null,"ver":0}"#).unwrap().is_empty());
        let system = parse_system(br#"{"proxy":{"p":{"mem_used":1}},"target":null}"#).unwrap();
        assert_eq!((system.gateways["p"].memory_used, system.targets.len()), (1, 0));
    }
}

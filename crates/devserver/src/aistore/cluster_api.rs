//! Cluster map, health, configuration: what `/v1/daemon`, `/v1/cluster`, `/v1/reverse` and `/v1/health` tell.

use http::header::HeaderName;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::error::{Fail, Relayed, Result};
use super::gateway::other_method;
use super::node::Cx;
use super::reply::Reply;
use super::{Cluster, NodeInfo, admin_api, guard, job_api, node_api, props};
use crate::access::bits::{ADMIN, SHOW_CLUSTER};
use crate::fault::Unsettled;
use crate::journal::NodeKind;

/// Version of the cluster map; it never changes.
pub(crate) const SMAP_VERSION: u32 = 8;

/// State of a node that serves and has nothing to move.
const SETTLED: u64 = 6;

const NODE_ID: &str = "ais-node-id";
const NODE_UPTIME: HeaderName = HeaderName::from_static("ais-node-uptime");
const CLUSTER_UPTIME: HeaderName = HeaderName::from_static("ais-cluster-uptime");

/// `/v1/daemon?what=..` of the node itself.
pub(crate) fn daemon(cx: &Cx) -> Result<Reply> {
    if cx.method == Method::PUT && cx.target.is_some() {
        let text = format!("{}: PUT {} is read-only on PUBLIC", cx.node_name(), cx.path);
        return Err(Fail::new(StatusCode::FORBIDDEN, text));
    }
    if cx.method != Method::GET {
        return Ok(other_method(&cx.method, "GET, POST, PUT"));
    }
    if cx.target.is_none() {
        guard::cluster(cx, SHOW_CLUSTER)?;
    }
    about(cx, cx.node())
}

/// `/v1/reverse/daemon?what=..` of the node that a header names.
pub(crate) fn reverse(cx: &Cx, rest: &str) -> Result<Reply> {
    let changes = cx.method == Method::PUT;
    if cx.method != Method::GET && !changes {
        return Ok(other_method(&cx.method, "DELETE, GET, POST, PUT"));
    }
    if rest.split('/').next() != Some("daemon") {
        return Err(cx.invalid_uri());
    }
    // The path in errors is the one that the node would see.
    let method = if changes { "PUT" } else { "GET" };
    let forwarded = |fail: Fail| {
        let (caller, node) = (String::new(), cx.node_name());
        fail.relayed(Relayed { method, path: "/v1/daemon".into(), caller, node })
    };
    guard::cluster(cx, if changes { ADMIN } else { SHOW_CLUSTER }).map_err(forwarded)?;
    let id = cx.header(NODE_ID).ok_or_else(|| forwarded(Fail::bad("missing node ID")))?;
    let nodes = cx.cluster.targets.iter().chain([&cx.cluster.gateway]);
    let Some(node) = nodes.into_iter().find(|n| n.id == id) else {
        let me = cx.node_name();
        return Err(forwarded(
            Fail::not_found(format!(
                "{me}: cannot forward request to node node {id} not present in Smap v{SMAP_VERSION}"
            ))
            .tcode("errNodeNotFound"),
        ));
    };
    let answer = if changes { admin_api::node(cx, node) } else { about(cx, node) };
    answer.map_err(|fail| {
        let (caller, node) = (cx.node_name(), node.name());
        fail.relayed(Relayed { method, path: "/v1/daemon".into(), caller, node })
    })
}

fn about(cx: &Cx, node: &NodeInfo) -> Result<Reply> {
    let what = cx.query.value("what");
    Ok(match what {
        "smap" => line(&smap(cx)),
        "bmd" => line(&bucket_map(&cx.cluster)),
        "snode" => line(&snode(node)),
        "software_version" => Reply::text("5.0."),
        "config" => line(&cluster_config(&cx.cluster)),
        _ => {
            if let Some(answer) = node_api::about(cx, node, what) {
                return answer;
            }
            return Err(Fail::bad(format!("invalid '/v1/daemon' request: unrecognized 'what={what}' query")));
        }
    })
}

/// `/v1/cluster?what=..`.
pub(crate) fn cluster(cx: &Cx) -> Result<Reply> {
    if cx.method != Method::GET {
        return Ok(other_method(&cx.method, "DELETE, GET, POST, PUT"));
    }
    guard::cluster(cx, SHOW_CLUSTER)?;
    if let Some(answer) = job_api::query(cx) {
        return answer;
    }
    let what = cx.query.value("what");
    Ok(match what {
        "smap" => line(&smap(cx)),
        "bmd" => line(&bucket_map(&cx.cluster)),
        "snode" => line(&snode(cx.node())),
        "cluster_config" => line(&cluster_config(&cx.cluster)),
        "backends" => line(&json!([])),
        "remote" => line(&json!({"a": [], "ver": 0})),
        _ => {
            return node_api::about_all(&cx.cluster, what)
                .unwrap_or_else(|| Err(Fail::bad(format!("unexpected query [what={what}]"))));
        }
    })
}

/// `/v1/health`; the method does not matter.
pub(crate) fn health(cx: &Cx) -> Result<Reply> {
    let flag = |name| cx.query.flag(name);
    let uptime = cx.cluster.started.elapsed().as_nanos().to_string();
    let uptimes = |reply: Reply| reply.with(NODE_UPTIME, &uptime).with(CLUSTER_UPTIME, &uptime);
    let refuse = |message: &str| {
        Fail::bad(message).header("ais-node-uptime", &uptime).header("ais-cluster-uptime", &uptime)
    };
    let gateway = cx.node().kind == NodeKind::Gateway;
    if gateway && flag("cii-apr") && (flag("cii") || flag("apr")) {
        return Err(refuse(
            "invalid query: \"cii-apr\" implies (\"cii\" + \"apr\"); the explicit form must not be combined",
        ));
    }
    if gateway && flag("prr") && (flag("cii") || flag("cii-apr")) {
        return Err(refuse("invalid query: \"prr\" cannot be combined with \"cii\" or \"cii-apr\""));
    }
    if flag("cii") || flag("cii-apr") {
        return Ok(uptimes(line(&node_state(cx))));
    }
    let reply = Reply::new(StatusCode::OK);
    Ok(if gateway { uptimes(reply) } else { reply })
}

/// A JSON document with the line break that Go's encoder adds.
pub(crate) fn line(document: &Value) -> Reply {
    Reply::json(format!("{document}\n"))
}

/// Flags of a node in the cluster map.
const UNDER_MAINTENANCE: u64 = 1 << 2;

pub(crate) fn node_state(cx: &Cx) -> Value {
    let cluster = &cx.cluster;
    let flags = match cx.plan.unsettled() {
        Some(Unsettled::Rebalancing) => SETTLED | 1 << 3,
        Some(Unsettled::Interrupted) => SETTLED | 1 << 4,
        _ => SETTLED,
    };
    let url = cluster.gateway.url();
    json!({
        "smap": {
            "Primary": {"pub_url": url, "control_url": url, "id": cluster.gateway.id},
            "uuid": cluster.uuid,
            "version": SMAP_VERSION.to_string(),
        },
        "bmd": {"uuid": cluster.uuid, "version": "1"},
        "rmd": {"version": "0"},
        "config": {"version": "1"},
        "etlmd": {"version": "0"},
        "flags": flags,
    })
}

/// A node of the cluster map.
pub(crate) fn snode(node: &NodeInfo) -> Value {
    let net = json!({
        "node_ip_addr": node.address.ip().to_string(),
        "daemon_port": node.address.port().to_string(),
        "direct_url": node.url(),
    });
    let (kind, flags) = match node.kind {
        NodeKind::Gateway => ("proxy", 2),
        _ => ("target", 0),
    };
    json!({
        "public_net": net,
        "intra_data_net": net,
        "intra_control_net": net,
        "daemon_type": kind,
        "daemon_id": node.id,
        "flags": flags,
        "id_digest": node.digest,
    })
}

fn smap(cx: &Cx) -> Value {
    let cluster = &cx.cluster;
    let gateway = snode(&cluster.gateway);
    let mut targets: serde_json::Map<_, _> =
        cluster.targets.iter().map(|t| (t.id.to_owned(), snode(t))).collect();
    if cx.plan.unsettled() == Some(Unsettled::Maintenance)
        && let Some((_, first)) = targets.iter_mut().next()
    {
        first["flags"] = json!(UNDER_MAINTENANCE);
    }
    json!({
        "pmap": {cluster.gateway.id: gateway},
        "proxy_si": gateway,
        "tmap": targets,
        "uuid": cluster.uuid,
        "creation_time": cluster.created,
        "version": SMAP_VERSION.to_string(),
    })
}

fn bucket_map(cluster: &Cluster) -> Value {
    let mut providers = json!({"ais": {"@#": {}}});
    for bucket in cluster.buckets.list(None, None) {
        let name = &bucket.name;
        providers[name.provider.as_str()][name.namespace.uname()][&name.name] = bucket.props();
    }
    json!({"providers": providers, "uuid": cluster.uuid, "version": "1"})
}

/// What clients read of the configuration.
fn cluster_config(cluster: &Cluster) -> Value {
    let auth = if cluster.guard.required() {
        json!({"client_auth_required": true, "signature": {"method": "HS256", "key": "**********"}})
    } else {
        json!({"client_auth_required": false})
    };
    let defaults = props::defaults();
    let mut config = json!({
        "auth": auth,
        "backend": {"ais": null},
        "uuid": cluster.uuid,
        "config_version": "1",
        "features": "0",
        "proxy": {"primary_url": cluster.gateway.url(), "original_url": cluster.gateway.url()},
        "net": {"http": {"use_https": false, "skip_verify": false, "chunked_transfer": true}},
        "timeout": {"cplane_operation": "2s", "max_keepalive": "5s", "cold_get_conflict": "5s"},
        "client": {"client_timeout": "10s", "client_long_timeout": "5m", "list_timeout": "5m"},
        "get_batch": {"max_wait": "20s", "warmup_workers": -1, "max_soft_errs": 8},
        "space": {"cleanupwm": 65, "lowwm": 75, "highwm": 90, "out_of_space": 95},
        "rebalance": {"enabled": true},
        "resilver": {"enabled": true},
    });
    for section in ["write_policy", "checksum", "rate_limit", "ec", "chunks", "lru", "mirror", "versioning"] {
        config[section] = defaults[section].clone();
    }
    config
}

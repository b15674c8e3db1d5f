//! Calls on the cluster as a whole and on single nodes.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use longshore_aistore::{Cluster, ClusterMap, LogSeverity, NodeStats, NodeStatus, SystemInfo};
use longshore_blob_api::ByteStream;
use longshore_core_types::Result;
use serde_json::{Map, Value, json};

use crate::{
    calls::{Call, Pairs},
    object_calls::only_headers,
    recorded::{Request, Response},
    wanted,
};

/// Questions that have no body.
pub(crate) fn whole_cluster(what: &str) -> Option<Call> {
    fn call<F>(want: wanted::Want, run: impl FnOnce(Cluster) -> F + 'static) -> Call
    where
        F: Future<Output = Result<Value>> + 'static,
    {
        Call::new(want, |client| run(client.cluster()))
    }
    Some(match what {
        "node_stats" => call(want_stats, |cluster| async move {
            let all = cluster.stats().await?;
            let targets: Map<_, _> = all.targets.iter().map(|(id, node)| (id.clone(), stats(node))).collect();
            Ok(json!([stats(&all.gateway), targets]))
        }),
        "sysinfo" => call(want_system, |cluster| async move {
            let all = cluster.system().await?;
            Ok(json!([machines(&all.gateways), machines(&all.targets)]))
        }),
        "backends" => call(wanted::json, |cluster| async move { Ok(json!(cluster.backends().await?)) }),
        "cluster_config" => call(wanted::json, |cluster| async move { cluster.config().await }),
        "remote" => call(want_remotes, |cluster| async move {
            let all = cluster.remote_clusters().await?;
            let nodes = |map: &ClusterMap| map.gateways.len() + map.targets.len();
            Ok(all.iter().map(|r| json!([r.alias, r.uuid, r.url, r.map.as_ref().map(nodes)])).collect())
        }),
        _ => return None,
    })
}

/// What is asked of one node through a gateway.
pub(crate) fn node_call(request: &Request, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &["ais-node-id"])?;
    (!request.header("accept")?.contains("msgpack")).then_some(())?;
    let (what, node) = (pairs.take("what")?, request.header("ais-node-id")?.to_owned());
    if what == "log" {
        return log(node, pairs);
    }
    pairs.end()?;
    match what.as_str() {
        "config" => {
            Some(Call::new(wanted::json, |client| async move { client.cluster().node_config(&node).await }))
        }
        "metrics" => Some(Call::new(wanted::json, |client| async move {
            Ok(json!(client.cluster().metrics(&node).await?))
        })),
        "node_status" => Some(Call::new(want_status, |client| async move {
            Ok(status(&client.cluster().node_status(&node).await?))
        })),
        _ => None,
    }
}

fn log(node: String, mut pairs: Pairs) -> Option<Call> {
    let severity = match pairs.take("severity")?.as_str() {
        "info" => LogSeverity::Info,
        "warning" => LogSeverity::Warning,
        "error" => LogSeverity::Error,
        _ => return None,
    };
    let offset = match pairs.take("offset") {
        None => 0,
        Some(text) => text.parse().ok()?,
    };
    let archive = pairs.flag("all")?;
    pairs.end()?;
    (!archive || offset == 0).then_some(())?;
    Some(Call::new(want_body, move |client| async move {
        let log = client.cluster().node_log(node).severity(severity).offset(offset);
        let body: ByteStream = if archive { log.archive().await? } else { log.await? };
        let chunks: Vec<_> = body.try_collect().await?;
        Ok(wanted::digest(&chunks.concat()))
    }))
}

pub(crate) fn health(mut pairs: Pairs) -> Option<Call> {
    if let Some(value) = pairs.take("prr") {
        (value == "true").then_some(())?;
        pairs.end()?;
        let mut call =
            Call::new(want_ready, |client| async move { Ok(json!(client.cluster().is_ready().await?)) });
        call.beforehand.push(map_of_one());
        return Some(call);
    }
    (pairs.take("readiness")? == "true").then_some(())?;
    pairs.end()?;
    Some(Call::new(
        wanted::nothing,
        |client| async move { client.cluster().health().await.map(|()| Value::Null) },
    ))
}

/// A cluster map whose primary is the gateway that is asked.
fn map_of_one() -> Response {
    let net = json!({"direct_url": "http://gateway:8080"});
    let map = json!({"proxy_si": {"daemon_id": "p", "public_net": net}, "tmap": {}, "pmap": {}});
    Response::made(200, &map.to_string())
}

pub(crate) fn remote_cluster(request: &Request, path: &str, mut pairs: Pairs) -> Option<Call> {
    (pairs.take("what")? == "remote").then_some(())?;
    pairs.end()?;
    let alias = request.header("ais-remote-ais-alias")?.to_owned();
    let url = request.header("ais-remote-ais-url").map(str::to_owned);
    match (path.ends_with("/attach"), url) {
        (true, Some(url)) => Some(Call::new(wanted::nothing, |client| async move {
            client.cluster().attach_remote(&alias, &url).await.map(|()| Value::Null)
        })),
        (false, None) => Some(Call::new(wanted::nothing, |client| async move {
            client.cluster().detach_remote(&alias).await.map(|()| Value::Null)
        })),
        _ => None,
    }
}

fn want_ready(_: &Request, response: &Response) -> Value {
    json!(response.status == 200)
}

fn want_body(_: &Request, response: &Response) -> Value {
    wanted::digest(&response.body().bytes())
}

fn status(status: &NodeStatus) -> Value {
    let mountpaths: Vec<_> = status.capacity.mountpaths.keys().collect();
    json!({
        "id": status.node.id, "out": status.out_of_service, "version": status.version,
        "deployment": status.deployment, "gets": status.counters.get("get.n"),
        "counters": status.counters.iter().map(|(_, value)| value).sum::<i64>(),
        "disk": [status.capacity.used, status.capacity.available, status.capacity.fullest_percent],
        "mountpaths": mountpaths, "state": status.state.bits(),
        "memory": status.system.memory_used, "load": status.system.load.one, "raw": status.raw(),
    })
}

fn want_status(_: &Request, response: &Response) -> Value {
    let raw = response.json();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    json!({
        "id": raw["snode"]["daemon_id"], "out": text(&raw["status"]), "version": raw["ais_version"],
        "deployment": raw["deployment"], "gets": raw["tracker"]["get.n"].as_i64().unwrap_or_default(),
        "counters": sum(&raw["tracker"]), "disk": disk(&raw["capacity"]),
        "mountpaths": keys(&raw["capacity"]["mountpaths"]), "state": raw["cluster"]["flags"],
        "memory": raw["sys_info"]["mem_used"], "load": raw["sys_info"]["load_avg"]["One"].as_f64(),
        "raw": raw.clone(),
    })
}

fn sum(tracker: &Value) -> i64 {
    tracker.as_object().map_or(0, |map| map.values().map(|value| value.as_i64().unwrap()).sum())
}

fn keys(map: &Value) -> Vec<String> {
    map.as_object().map_or_else(Vec::new, |map| map.keys().cloned().collect())
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        value => value.as_u64().unwrap_or_default(),
    }
}

fn disk(capacity: &Value) -> Value {
    json!([number(&capacity["total_used"]), number(&capacity["total_avail"]), number(&capacity["pct_max"])])
}

fn stats(stats: &NodeStats) -> Value {
    let used = [stats.capacity.used, stats.capacity.available, stats.capacity.fullest_percent];
    json!([stats.node.id, stats.counters.iter().map(|(_, value)| value).sum::<i64>(), used])
}

fn want_stats(_: &Request, response: &Response) -> Value {
    let raw = response.json();
    let one =
        |node: &Value| json!([node["snode"]["daemon_id"], sum(&node["tracker"]), disk(&node["capacity"])]);
    let targets = raw["target"].as_object().unwrap().iter().map(|(id, node)| (id.clone(), one(node)));
    json!([one(&raw["proxy"]), targets.collect::<Map<_, _>>()])
}

fn machines(all: &BTreeMap<String, SystemInfo>) -> Value {
    let one = |m: &SystemInfo| {
        json!([m.memory_used, m.memory_available, m.cpu_percent, m.load.five, m.disk_used, m.disk_size])
    };
    all.iter().map(|(id, machine)| (id.clone(), one(machine))).collect::<Map<_, _>>().into()
}

fn want_system(_: &Request, response: &Response) -> Value {
    let raw = response.json();
    let one = |m: &Value| {
        json!([
            m["mem_used"],
            m["mem_avail"],
            m["pct_cpu_used"].as_f64(),
            m["load_avg"]["Five"].as_f64(),
            number(&m["fs_used"]),
            number(&m["fs_capacity"])
        ])
    };
    let all = |name: &str| -> Value {
        let nodes = raw[name].as_object().unwrap().iter();
        nodes.map(|(id, machine)| (id.clone(), one(machine))).collect::<Map<_, _>>().into()
    };
    json!([all("proxy"), all("target")])
}

fn want_remotes(_: &Request, response: &Response) -> Value {
    let raw = response.json();
    let all = raw["a"].as_array().cloned().unwrap_or_default();
    let one = |r: &Value| {
        let nodes = |map: &Value| keys(&map["pmap"]).len() + keys(&map["tmap"]).len();
        let map = (!r["smap"].is_null()).then(|| nodes(&r["smap"]));
        json!([r["alias"], r["uuid"], r["url"], map])
    };
    all.iter().map(one).collect()
}

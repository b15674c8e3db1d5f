//! What nodes tell about themselves: status, counters, the machine, logs.
//!
//! Counters and logs are of what this server really did. A node has no disk of its own: its capacity is nominal, and used
//! is what lies on it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;

use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::archive::{Archiver, Format};
use super::cluster_api::{line, node_state, snode};
use super::error::{Fail, Result};
use super::gotime;
use super::ids::now;
use super::node::Cx;
use super::reply::Reply;
use super::{Cluster, NodeInfo};
use crate::journal::{JournalEntry, NodeKind};
use crate::sync::lock;

/// Bytes that a target is said to have room for.
const CAPACITY: u64 = 1 << 40;

/// What one node did since it started, or since its counters were reset.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, u64>>);

impl Counters {
    /// Counts an answered request.
    pub(crate) fn count(&self, operation: &str, status: u16, bytes: u64) {
        let name = match operation {
            "get" => "get",
            "put" | "mpt-part" => "put",
            "append" => "append",
            "head" => "head",
            "delete" => "del",
            "list" => "lst",
            "batch" => "getbatch",
            _ => return,
        };
        let mut counters = lock(&self.0);
        let mut add = |name: String, n: u64| *counters.entry(name).or_default() += n;
        if status >= 400 {
            add(format!("err.{name}.n"), 1);
            return;
        }
        add(format!("{name}.n"), 1);
        if bytes > 0 {
            add(format!("{name}.size"), bytes);
        }
    }

    /// Starts afresh; with `errors_only`, only counters of errors.
    pub(crate) fn reset(&self, errors_only: bool) {
        lock(&self.0).retain(|name, _| errors_only && !name.starts_with("err."));
    }

    fn json(&self) -> Value {
        let counters = lock(&self.0);
        Value::Object(counters.iter().map(|(name, n)| (name.clone(), json!(n))).collect())
    }
}

fn index(cluster: &Cluster, node: &NodeInfo) -> Option<usize> {
    cluster.targets.iter().position(|t| t.id == node.id)
}

/// Answers `what=..` about a node, if it is one of these.
pub(crate) fn about(cx: &Cx, node: &NodeInfo, what: &str) -> Option<Result<Reply>> {
    let cluster = &cx.cluster;
    let target = node.kind == NodeKind::Target;
    Some(match what {
        "node_status" => status(cx, node).map(|s| line(&s)),
        "node_stats" => stats(cluster, node).map(|s| line(&s)),
        "sysinfo" => Ok(line(&system(cluster, node))),
        "metrics" => Ok(line(&metrics())),
        "log" => log(cx, node),
        "tls_certificate" => {
            Err(Fail::new(http::StatusCode::NOT_FOUND, "no TLS certificate loaders configured"))
        }
        "disk" if target => capacity(cluster, node).map(|mut capacity| {
            capacity["AllDiskStats"] = json!({});
            line(&capacity)
        }),
        "mountpaths" if target => Ok(line(&mountpaths(node))),
        "remote" if target => Ok(line(&json!({"a": [], "ver": 0}))),
        _ => return None,
    })
}

/// Answers `what=..` about all nodes, if it is one of these.
pub(crate) fn about_all(cluster: &Cluster, what: &str) -> Option<Result<Reply>> {
    let by_target = |each: &dyn Fn(&NodeInfo) -> Result<Value>| -> Result<Value> {
        let targets = cluster.targets.iter().map(|t| Ok((t.id.to_owned(), each(t)?)));
        Ok(Value::Object(targets.collect::<Result<Map<_, _>>>()?))
    };
    Some(match what {
        "sysinfo" => by_target(&|t| Ok(system(cluster, t))).map(|targets| {
            let gateway = &cluster.gateway;
            line(&json!({"proxy": {gateway.id: system(cluster, gateway)}, "target": targets}))
        }),
        "node_stats" => by_target(&|t| stats(cluster, t)).and_then(|targets| {
            Ok(line(&json!({"proxy": stats(cluster, &cluster.gateway)?, "target": targets})))
        }),
        "mountpaths" => by_target(&|t| Ok(mountpaths(t))).map(|targets| line(&json!({"targets": targets}))),
        "target_ips" => {
            let ips: Vec<_> = cluster.targets.iter().map(|t| t.address.ip().to_string()).collect();
            // Three networks each.
            let all: Vec<_> = ips.iter().flat_map(|ip| [ip.as_str(); 3]).collect();
            Ok(Reply::text(all.join(",")))
        }
        _ => return None,
    })
}

/// What a node counts.
pub(crate) fn counters<'a>(cluster: &'a Cluster, node: &NodeInfo) -> &'a Counters {
    &cluster.counters[index(cluster, node).map_or(0, |t| t + 1)]
}

fn stats(cluster: &Cluster, node: &NodeInfo) -> Result<Value> {
    let counters = counters(cluster, node);
    Ok(json!({"snode": snode(node), "tracker": counters.json(), "capacity": capacity(cluster, node)?}))
}

fn status(cx: &Cx, node: &NodeInfo) -> Result<Value> {
    let cluster = &cx.cluster;
    let mut status = stats(cluster, node)?;
    status["status"] = json!("");
    status["deployment"] = json!("dev");
    status["ais_version"] = json!("5.0.");
    status["build_time"] = json!("");
    status["k8s_pod_name"] = json!("");
    status["cluster"] = node_state(cx);
    status["sys_info"] = system(cluster, node);
    status["smap_version"] = json!(super::cluster_api::SMAP_VERSION.to_string());
    Ok(status)
}

fn paths(node: &NodeInfo) -> [String; 2] {
    ["mp1", "mp2"].map(|mp| format!("/ais/{mp}/{}", node.id))
}

fn mountpaths(node: &NodeInfo) -> Value {
    json!({"available": paths(node), "waiting_dd": [], "disabled": []})
}

/// Bytes on a target.
fn used(cluster: &Cluster, target: usize) -> Result<u64> {
    let snapshot = cluster.storage.snapshot()?;
    let mut used = 0;
    for bucket in cluster.buckets.list(None, None) {
        for item in snapshot.walk(bucket.id)?.from("")? {
            let (name, record) = item?;
            if cluster.place(&bucket, &name) == target {
                used += record.size;
            }
        }
    }
    Ok(used)
}

fn capacity(cluster: &Cluster, node: &NodeInfo) -> Result<Value> {
    let Some(target) = index(cluster, node) else {
        return Ok(json!({
            "mountpaths": null, "cs_err": "", "total_used": "0", "total_avail": "0",
            "pct_max": 0, "pct_avg": 0, "pct_min": 0,
        }));
    };
    let used = used(cluster, target)?;
    let percent = used.saturating_mul(100) / CAPACITY;
    let (used, avail) = (used.to_string(), CAPACITY.saturating_sub(used).to_string());
    let path = json!({
        "mountpath_label": "", "fs": {"Fs": "dev", "FsType": "dev", "FsID": "0,0"}, "disks": ["vda"],
        "used": used, "avail": avail, "pct_used": percent,
    });
    let paths: Map<_, _> = paths(node).into_iter().map(|p| (p, path.clone())).collect();
    Ok(json!({
        "mountpaths": paths, "cs_err": "", "total_used": used, "total_avail": avail,
        "pct_max": percent, "pct_avg": percent, "pct_min": percent,
    }))
}

/// The machine and this process, as far as Linux tells; zeros elsewhere.
fn system(cluster: &Cluster, node: &NodeInfo) -> Value {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory = text("/proc/meminfo");
    let kib = |name: &str| {
        let line = memory.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let (total, free, available) = (kib("MemTotal"), kib("MemFree"), kib("MemAvailable"));
    let pages: Vec<u64> = text("/proc/self/statm").split(' ').filter_map(|n| n.trim().parse().ok()).collect();
    let page = |n: usize| pages.get(n).copied().unwrap_or(0) * 4096;
    let loads: Vec<f64> = text("/proc/loadavg").split(' ').filter_map(|n| n.parse().ok()).collect();
    let load = |n: usize| loads.get(n).copied().unwrap_or(0.0);
    let mut info = json!({
        "mem_used": page(1), "mem_avail": available, "pct_mem_used": 0.0, "pct_cpu_used": 0.0,
        "load_avg": {"One": load(0), "Five": load(1), "Fifteen": load(2)},
        "cpu_util": 0,
        "mem": {
            "Total": total, "Used": total - free.min(total), "Free": free, "BuffCache": kib("Cached"),
            "ActualFree": available, "ActualUsed": total - available.min(total),
        },
        "proc": {
            "CPU": {"User": 0, "System": 0, "Total": 0, "LastTime": 0, "Percent": 0.0},
            "Mem": {"Size": page(0), "Resident": page(1), "Share": page(2)},
        },
    });
    if let Some(target) = index(cluster, node) {
        let used = used(cluster, target).unwrap_or(0);
        info["fs_used"] = json!(used.to_string());
        info["fs_capacity"] = json!(CAPACITY.to_string());
        info["pct_fs_used"] = json!(used.saturating_mul(100) / CAPACITY);
    }
    info
}

/// Names and kinds of the counters.
fn metrics() -> Value {
    let names = ["get", "put", "append", "head", "del", "lst", "getbatch"];
    let all = names.iter().flat_map(|name| {
        [
            (format!("{name}.n"), json!("counter")),
            (format!("{name}.size"), json!("size")),
            (format!("err.{name}.n"), json!("counter")),
        ]
    });
    Value::Object(all.collect())
}

/// The requests that a node has answered, as its log.
fn log(cx: &Cx, node: &NodeInfo) -> Result<Reply> {
    let severity = match cx.query.value("severity").to_ascii_lowercase().as_str() {
        "" | "i" | "info" => 'I',
        "w" | "warning" => 'W',
        "e" | "error" => 'E',
        _ => {
            let asked = cx.query.value("severity");
            return Err(Fail::bad(format!("unknown log severity {asked:?}")));
        }
    };
    let text = log_text(cx, node, severity != 'I');
    if !cx.query.flag("all") {
        return Ok(Reply::text(log_from(&text, cx.query.value("offset"))?.to_owned()));
    }
    let kind = if node.kind == NodeKind::Target { "target" } else { "proxy" };
    let name = format!("ais{kind}.{}.log", if severity == 'I' { "INFO" } else { "ERROR" });
    let mut archive = Archiver::new(Format::Tgz, Vec::new());
    archive.append(&name, text.len() as u64, now(), &mut text.as_bytes())?;
    Ok(Reply::ok().with(CONTENT_TYPE, "application/x-gzip").body(archive.finish()?))
}

/// What a log holds from an offset on.
fn log_from<'a>(text: &'a str, offset: &str) -> Result<&'a str> {
    if offset.is_empty() {
        return Ok(text);
    }
    let number: i64 = offset.parse().map_err(|_| {
        Fail::bad(format!("strconv.ParseInt: parsing {offset:?}: invalid syntax")).tcode("NumError")
    })?;
    let start = usize::try_from(number)
        .map_err(|_| Fail::bad(format!("seek to {number}: invalid argument")).tcode("PathError"))?;
    if start > text.len() {
        let size = text.len();
        return Err(Fail::bad(format!("log likely rotated (offset {number}, size {size})")));
    }
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    Ok(&text[start..])
}

fn log_text(cx: &Cx, node: &NodeInfo, errors_only: bool) -> String {
    let started = now() - i64::try_from(cx.cluster.journal.age().as_nanos()).unwrap_or(0);
    let mut text = Vec::new();
    let _ = writeln!(text, "Started up at {}", gotime::format(started, "2006/01/02 15:04:05"));
    let _ = writeln!(text, "Node {}, Version 5.0., longshore dev server", node.name());
    let own = |e: &JournalEntry| e.node == node.kind && e.node_id == node.id;
    for entry in cx.cluster.journal.filter(own) {
        let Some(status) = entry.status.filter(|s| !errors_only || *s >= 400) else { continue };
        let at = started + i64::try_from(entry.at.as_nanos()).unwrap_or(0);
        let letter = if status >= 400 { 'E' } else { 'I' };
        let time = gotime::format(at, "15:04:05.000000");
        let _ = writeln!(text, "{letter} {time} {} {} => {status}", entry.method, entry.path);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_go_on_where_they_were_read_to() {
        assert_eq!(log_from("one two", "4").expect("a rest"), "two");
        assert_eq!(log_from("one", "3").expect("a rest"), "");
        let why = |offset| log_from("one", offset).expect_err("refused").message;
        assert!(why("4").contains("rotated") && why("-1").contains("invalid argument"));
        assert!(why("x").contains("invalid syntax"));
    }

    #[test]
    fn counters_tell_what_was_answered() {
        let counters = Counters::default();
        counters.count("get", 200, 10);
        counters.count("get", 206, 5);
        counters.count("get", 404, 0);
        counters.count("patch", 200, 0);
        assert_eq!(counters.json(), json!({"get.n": 2, "get.size": 15, "err.get.n": 1}));
        counters.reset(true);
        assert_eq!(counters.json(), json!({"get.n": 2, "get.size": 15}));
        counters.reset(false);
        assert_eq!(counters.json(), json!({}));
    }
}

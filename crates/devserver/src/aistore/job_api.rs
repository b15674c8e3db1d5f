//! `/v1/cluster`: queries about jobs, generic start and stop.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::actmsg::decode_value;
use super::cluster_api::line;
use super::error::{Fail, Relayed, Result};
use super::gateway::bucket;
use super::gojson::{self, Schema, Struct};
use super::ids::{now, short_id};
use super::jobs::{Kind, Report, Selection, Start, find_kind};
use super::names::{BucketName, Namespace, Provider};
use super::node::Cx;
use super::reply::Reply;
use super::{guard, token_api};
use crate::access::bits::ADMIN;

/// Shortest id that is looked up.
const MIN_ID: usize = 8;

static QUERY: Struct = Struct {
    name: "xact.QueryMsg",
    fields: &[
        ("id", "ID", Schema::Text),
        ("kind", "Kind", Schema::Text),
        ("node", "Node", Schema::Text),
        ("bck", "Bck", Schema::Any),
        ("show_active", "OnlyRunning", Schema::Any),
    ],
    strict: false,
};

static ARGUMENTS: Struct = Struct {
    name: "xact.ArgsMsg",
    fields: &[
        ("ID", "ID", Schema::Text),
        ("Kind", "Kind", Schema::Text),
        ("DaemonID", "DaemonID", Schema::Text),
        ("Bck", "Bck", Schema::Any),
        ("Buckets", "Buckets", Schema::Any),
        ("Timeout", "Timeout", Schema::Integer),
        ("flags", "Flags", Schema::Integer),
        ("Force", "Force", Schema::Bool),
        ("OnlyRunning", "OnlyRunning", Schema::Bool),
    ],
    strict: true,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BucketMessage {
    name: String,
    provider: String,
    namespace: Option<NamespaceMessage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NamespaceMessage {
    uuid: String,
    name: String,
}

/// Reads a bucket object; `None` for null or one without a name.
pub(crate) fn bucket_of(value: &Value) -> Result<Option<BucketName>> {
    let message: Option<BucketMessage> =
        serde_json::from_value(value.clone()).map_err(|e| Fail::bad(format!("bad bucket: {e}")))?;
    let Some(message) = message.filter(|m| !m.name.is_empty()) else { return Ok(None) };
    let namespace = message.namespace.unwrap_or_default();
    Ok(Some(BucketName {
        provider: Provider::parse(&message.provider)?,
        namespace: Namespace { uuid: namespace.uuid, name: namespace.name },
        name: message.name,
    }))
}

/// A query about jobs or the arguments of start and stop; member names in any case.
#[derive(Debug, Default)]
struct Message {
    id: String,
    kind: String,
    node: String,
    bucket: Option<BucketName>,
    buckets: Vec<Value>,
    running: Option<bool>,
}

impl Message {
    fn new(value: &Value) -> Result<Self> {
        let Value::Object(map) = value else { return Ok(Self::default()) };
        let member = |name: &str| map.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let text = |name: &str| member(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            id: text("id"),
            kind: text("kind"),
            node: text("daemonid"),
            bucket: member("bck").map(bucket_of).transpose()?.flatten(),
            buckets: member("buckets").and_then(Value::as_array).cloned().unwrap_or_default(),
            running: member("show_active").and_then(Value::as_bool),
        })
    }

    /// `x-kind[id]-bucket`, as far as given.
    fn display(&self, prefix: &str) -> String {
        let kind = find_kind(&self.kind).map_or("", |k| k.name);
        let id = if self.id.is_empty() { String::new() } else { format!("[{}]", self.id) };
        let bucket = self.bucket.as_ref().map_or_else(String::new, |b| format!("-{b}"));
        format!("{prefix}-{kind}{id}{bucket}")
    }
}

/// Answers `what=status|status_all|running_all|qryxstats`; `None` for any other `what`.
pub(crate) fn query(cx: &Cx) -> Option<Result<Reply>> {
    Some(match cx.query.value("what") {
        "status" => message(cx, "ic.go, #221").and_then(|m| status(cx, &m)),
        "status_all" => message(cx, "ic.go, #172").map(|m| status_all(cx, &m)),
        "running_all" => message(cx, "prxclu.go, #197").map(|m| {
            let names = cx.cluster.jobs.running(find_kind(&m.kind));
            line(&Value::from(names))
        }),
        "qryxstats" => message(cx, "prxclu.go, #154").and_then(|m| snapshots(cx, &m)),
        _ => return None,
    })
}

fn message(cx: &Cx, place: &str) -> Result<Message> {
    let node = cx.node_name();
    let fail = |e: &str| {
        Fail::bad(format!("{node}: failed to unmarshal [*xact.QueryMsg] (GET), err: {e} ({place})"))
    };
    if cx.json.is_empty() {
        return Err(fail("EOF"));
    }
    gojson::check(&cx.json, Schema::Struct(&QUERY)).map_err(|e| fail(&e))?;
    let value: Value = serde_json::from_slice(&cx.json).map_err(|e| fail(&e.to_string()))?;
    Message::new(&value)
}

fn plain(value: &Value) -> Reply {
    Reply::text(value.to_string())
}

fn status(cx: &Cx, message: &Message) -> Result<Reply> {
    let kind = find_kind(&message.kind);
    if message.id.is_empty() && kind.is_none() {
        return Err(Fail::bad("invalid x-"));
    }
    if let Some(name) = &message.bucket {
        bucket(cx, name)?;
    }
    let node = cx.node_name();
    if message.id.is_empty() {
        let selection = Selection { kind, ..Selection::default() };
        return match cx.cluster.jobs.status(&selection) {
            Some((status, _)) => Ok(plain(&status)),
            None => Err(Fail::not_found(format!("nl [{node}, {}] does not exist", message.display("x")))),
        };
    }
    let selection = Selection { ids: vec![&message.id], ..Selection::default() };
    let Some((status, own)) = cx.cluster.jobs.status(&selection) else {
        return Err(Fail::not_found(format!("{node}: x-[{}] does not exist", message.id)));
    };
    if kind.is_some_and(|k| k != own) {
        return Err(Fail::bad(format!(
            "kind mismatch: {}, expected kind={}",
            message.display("x"),
            own.name
        )));
    }
    Ok(plain(&status))
}

fn status_all(cx: &Cx, message: &Message) -> Reply {
    // Only canonical names are understood here.
    let kind = find_kind(&message.kind).filter(|k| k.name == message.kind);
    if kind.is_none() && !message.kind.is_empty() {
        return plain(&Value::Null);
    }
    let ids = if message.id.is_empty() { Vec::new() } else { vec![message.id.as_str()] };
    let running = message.running.filter(|r| *r);
    let selection = Selection { ids, kind, bucket: message.bucket.as_ref(), running };
    let all = cx.cluster.jobs.statuses(&selection);
    plain(&if all.is_empty() { Value::Null } else { Value::Array(all) })
}

fn snapshots(cx: &Cx, message: &Message) -> Result<Reply> {
    let relayed = |fail: Fail| relay(cx, "GET", fail);
    let ids: Vec<_> = message.id.split(',').filter(|i| !i.is_empty()).collect();
    if let Some(bad) = ids.iter().find(|i| i.len() < MIN_ID && !i.starts_with('g')) {
        return Err(relayed(Fail::bad(format!("invalid xaction (job) UUID {bad:?}"))));
    }
    let not_found = || Fail::new(StatusCode::NOT_FOUND, format!("\"{}\" not found", message.display("x")));
    if let Some(name) = &message.bucket
        && cx.cluster.buckets.find(name).is_none()
    {
        return Err(not_found());
    }
    let by_id = !ids.is_empty();
    let selection = Selection {
        ids,
        kind: find_kind(&message.kind),
        bucket: message.bucket.as_ref(),
        running: message.running.filter(|_| !by_id),
    };
    let targets: Vec<_> = cx.cluster.targets.iter().map(|t| t.id).collect();
    cx.cluster.jobs.snapshots(&selection, &targets).map(|s| line(&s)).ok_or_else(not_found)
}

/// An error that a target gave the gateway.
fn relay(cx: &Cx, method: &'static str, fail: Fail) -> Fail {
    let node = cx.cluster.targets[0].name();
    fail.relayed(Relayed { method, path: "/v1/xactions".into(), caller: cx.node_name(), node })
}

/// `PUT /v1/cluster`.
pub(crate) fn control(cx: &Cx) -> Result<Reply> {
    let action = cx.action()?;
    if action.action == "set-config" {
        return token_api::set_config(cx, &action);
    }
    guard::cluster(cx, ADMIN)?;
    match action.action.as_str() {
        "reset-stats" => {
            let errors_only = action.value.as_bool().unwrap_or(false);
            cx.cluster.counters.iter().for_each(|c| c.reset(errors_only));
            return Ok(Reply::ok());
        }
        // There is one log, no cache of metadata and no backend with credentials.
        "rotate-logs" | "clear-lcache" => return Ok(Reply::ok()),
        "reload-creds" => return reload_credentials(cx, &action.name),
        _ => {}
    }
    let value: Value = decode_value(&action, Schema::Struct(&ARGUMENTS), &cx.node_name())?;
    let message = Message::new(&value)?;
    match action.action.as_str() {
        "start" => start(cx, &message, &action.name),
        "stop" => stop(cx, &message),
        other => Err(Fail::bad(format!("invalid action {other:?}"))),
    }
}

/// There is nothing to load again; only whether there is such a backend can be told.
fn reload_credentials(cx: &Cx, name: &str) -> Result<Reply> {
    let provider = Provider::parse(name)?;
    if provider == Provider::Ais || (provider == Provider::Aws && cx.cluster.cloud.is_some()) {
        return Ok(Reply::ok());
    }
    let title = provider.title();
    Err(Fail::bad(format!("{title} backend is missing in the cluster configuration"))
        .tcode("ErrMissingBackend"))
}

fn start(cx: &Cx, message: &Message, prefix: &str) -> Result<Reply> {
    let relayed = |fail: Fail| relay(cx, "PUT", fail);
    let bucketed = |prefix: &str| {
        let kind = find_kind(&message.kind).map_or("", |k| k.name);
        let bucket = message.bucket.as_ref().map_or_else(String::new, |b| format!("-{b}"));
        format!("{prefix}-{kind}[{}]{bucket}", short_id())
    };
    let Some(kind) = find_kind(&message.kind) else {
        return Err(relayed(Fail::bad(format!("invalid xaction (job) kind \"\": {}", bucketed("xa")))));
    };
    if kind.start == Start::Cluster {
        return start_rebalance(cx, message, prefix);
    }
    if kind.start == Start::OneNode {
        return start_on_node(cx, kind, message);
    }
    let known = match &message.bucket {
        Some(name) => {
            Some(bucket(cx, name).map_err(|f| if kind.start == Start::Remote { f } else { relayed(f) })?)
        }
        None => None,
    };
    match kind.start {
        Start::NeedsBucket if known.is_none() => {
            return Err(relayed(Fail::bad(format!("xaction {:?} requires a bucket to start", kind.name))));
        }
        Start::Any | Start::NeedsBucket => {}
        Start::Remote => return Err(remote_only(cx, kind, message)),
        Start::OwnCall => {
            return Err(relayed(Fail::bad(format!(
                "initiating \"{}\" must be done via a separate documented API",
                bucketed("xa")
            ))));
        }
        Start::ByPut => {
            return Err(relayed(Fail::bad(format!(
                "cannot start \"{}\" (is driven by PUTs into a mirrored bucket)",
                bucketed("xa")
            ))));
        }
        Start::Never | Start::Cluster | Start::OneNode => {
            let message = format!("cannot start xaction {} - operation not supported", kind.name);
            return Err(relayed(Fail::new(StatusCode::NOT_IMPLEMENTED, message).tcode("ErrUnsupp")));
        }
    }
    for value in &message.buckets {
        if let Some(name) = bucket_of(value)? {
            bucket(cx, &name)?;
        }
    }
    // These two keep their buckets to themselves.
    let secretive = matches!(kind.name, "lru" | "cleanup-store");
    let report = Report { bucket: message.bucket.clone().filter(|_| !secretive), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record(kind.name, now(), report)))
}

fn remote_only(cx: &Cx, kind: &Kind, message: &Message) -> Fail {
    let have = message.bucket.as_ref().map_or_else(String::new, ToString::to_string);
    if kind.name == "blob-download" {
        return Fail::bad(format!("{}: expecting remote bucket (have {have})", kind.name))
            .tcode("ErrNotRemoteBck");
    }
    relay(cx, "PUT", Fail::bad(format!("can only prefetch Cloud and remote AIS buckets (have {have})")))
}

fn start_rebalance(cx: &Cx, message: &Message, prefix: &str) -> Result<Reply> {
    if message.bucket.is_none() && !prefix.is_empty() {
        return Err(Fail::bad(format!(
            "invalid limited-scope \"rebalance\": (n/a bucket, {prefix:?} prefix)"
        )));
    }
    if let Some(name) = &message.bucket {
        bucket(cx, name)?;
    }
    if let Some(id) = cx.cluster.jobs.running_id("rebalance") {
        return Err(Fail::new(
            StatusCode::CONFLICT,
            format!("cluster membership \"rebalance\" is currently busy (rebalance[{id}] is running), please try again"),
        )
        .tcode("ErrBusy"));
    }
    Ok(Reply::text(cx.cluster.jobs.record("rebalance", now(), Report::default())))
}

fn start_on_node(cx: &Cx, kind: &Kind, message: &Message) -> Result<Reply> {
    if message.node.is_empty() {
        let text =
            format!("cannot run {} on all targets in the cluster - operation not supported", kind.name);
        return Err(Fail::new(StatusCode::NOT_IMPLEMENTED, text).tcode("ErrUnsupp"));
    }
    let Some(index) = cx.cluster.targets.iter().position(|t| t.id == message.node) else {
        let me = cx.node_name();
        let text = format!("{me}: cannot {} node {} not present in <nil>", kind.name, message.node);
        return Err(Fail::bad(text).tcode("errNodeNotFound"));
    };
    let report = Report { only: Some(index), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record(kind.name, now(), report)))
}

fn stop(cx: &Cx, message: &Message) -> Result<Reply> {
    let kind = find_kind(&message.kind);
    if message.id.is_empty() && kind.is_none() {
        return Err(relay(
            cx,
            "PUT",
            Fail::bad("cannot stop xaction given 'xa-[]' - expecting a valid kind and/or UUID"),
        ));
    }
    if !message.id.is_empty() && message.id.len() < MIN_ID && !message.id.starts_with('g') {
        let id = &message.id;
        return Err(relay(cx, "PUT", Fail::bad(format!("invalid xaction (job) UUID {id:?}: xa-[{id}]"))));
    }
    let ids = if message.id.is_empty() { Vec::new() } else { vec![message.id.as_str()] };
    let selection = Selection { ids, kind, bucket: message.bucket.as_ref(), running: Some(true) };
    cx.cluster.jobs.abort(&selection);
    Ok(Reply::ok())
}

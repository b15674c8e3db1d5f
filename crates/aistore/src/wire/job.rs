//! Jobs: queries, start, stop.

use std::collections::BTreeMap;

use http::Method;
use longshore_core_types::{Idempotency, Resource, Result};
use serde::{Deserialize, Serialize};

use super::{
    Request,
    bucket::{WireBucket, null_default},
    from_json,
    time::time,
};
use crate::{
    job::{JobKind, JobSnapshot, JobStats, JobStatus},
    names::{BucketRef, invalid},
    smap::loose_u64,
};

use Idempotency::{Idempotent, NotIdempotent};

/// Which jobs are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) id: String,
    pub(crate) kind: Option<JobKind>,
    pub(crate) bucket: Option<BucketRef>,
    /// Running only, finished only, or both.
    pub(crate) active: Option<bool>,
}

/// The message of job calls. Its keys have no lower-case form in older servers.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Kind")]
    kind: &'a str,
    #[serde(rename = "DaemonID")]
    node: &'a str,
    #[serde(rename = "Bck")]
    bucket: Option<WireBucket>,
    #[serde(rename = "Buckets")]
    buckets: Option<Vec<WireBucket>>,
    #[serde(rename = "Force", skip_serializing_if = "std::ops::Not::not")]
    force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    show_active: Option<bool>,
}

impl<'a> Message<'a> {
    fn of(query: &'a Query) -> Self {
        Self {
            id: &query.id,
            kind: query.kind.as_ref().map_or("", JobKind::as_str),
            node: "",
            bucket: query.bucket.as_ref().map(WireBucket::from),
            buckets: None,
            force: false,
            show_active: query.active,
        }
    }
}

fn resource(id: &str, kind: Option<&JobKind>) -> Resource {
    let name = if id.is_empty() { kind.map_or("", JobKind::as_str) } else { id };
    Resource::Named { kind: "job", name: name.to_owned().into() }
}

/// An id that the server would call malformed, or that would widen the query to every job.
fn check_id(id: &str) -> Result<()> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_,".contains(&b);
    if id.is_empty() || !id.bytes().all(good) {
        return Err(invalid(format!("{id:?} is not the id of a job")));
    }
    Ok(())
}

/// A kind that the server does not know counts as none, so that the query meets other jobs too.
fn check(query: &Query) -> Result<()> {
    match (&query.kind, query.id.as_str()) {
        (None, "") => Err(invalid("a job is named by its id or its kind")),
        (Some(kind), "") if !kind.is_known() => {
            Err(invalid(format!("{kind} is no kind of job that this client knows; name the job by its id")))
        }
        (_, "") => Ok(()),
        (_, id) => check_id(id),
    }
}

fn get(what: &str, operation: &'static str) -> Request {
    Request::new(Method::GET, "/v1/cluster", operation, Idempotent).query("what", what)
}

/// The record that gateways keep of a job.
pub(crate) fn status(query: &Query) -> Result<Request> {
    check(query)?;
    get("status", "aistore.job.status").on(resource(&query.id, query.kind.as_ref())).json(&Message::of(query))
}

/// What each target says about a job.
pub(crate) fn snapshots(query: &Query) -> Result<Request> {
    check(query)?;
    get("qryxstats", "aistore.job.snapshots")
        .on(resource(&query.id, query.kind.as_ref()))
        .json(&Message::of(query))
}

#[derive(Serialize)]
struct Many<'a> {
    kind: &'a str,
    node: &'a str,
    show_active: bool,
}

/// The records of many jobs. `fresh` lets the gateway ask the targets first.
pub(crate) fn status_all(kind: Option<&JobKind>, active: bool, fresh: bool) -> Result<Request> {
    let message = Many { kind: kind.map_or("", JobKind::as_str), node: "", show_active: active };
    get("status_all", "aistore.job.list").query_if(fresh, "frc", "true").json(&message)
}

/// Kind and id of the jobs that run. Of a kind that the server does not know, all would be answered.
pub(crate) fn running(kind: Option<&JobKind>) -> Result<Request> {
    if let Some(kind) = kind.filter(|kind| !kind.is_known()) {
        return Err(invalid(format!("{kind} is no kind of job that this client knows; ask for all of them")));
    }
    let message = Many { kind: kind.map_or("", JobKind::as_str), node: "", show_active: true };
    get("running_all", "aistore.job.running").json(&message)
}

/// Options of a start.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartParams {
    pub(crate) buckets: Vec<BucketRef>,
    pub(crate) node: String,
    pub(crate) force: bool,
}

pub(crate) fn start(kind: &JobKind, params: &StartParams) -> Result<Request> {
    if !kind.is_startable() {
        return Err(invalid(format!("jobs of kind {kind} are started by a call of their own")));
    }
    if *kind == JobKind::Resilver && params.node.is_empty() {
        return Err(invalid("resilver works on one target, which must be named"));
    }
    // Without a bucket a prefetch wedges the targets; the others are refused by the server.
    if kind.needs_bucket() && params.buckets.is_empty() {
        return Err(invalid(format!("a job of kind {kind} needs a bucket")));
    }
    if *kind == JobKind::PrefetchObjects && params.buckets.iter().any(|bucket| !bucket.is_remote()) {
        return Err(invalid("prefetch works on remote buckets only"));
    }
    let (bucket, buckets) = match params.buckets.as_slice() {
        [] => (None, None),
        [bucket] => (Some(WireBucket::from(bucket)), None),
        many => (None, Some(many.iter().map(WireBucket::from).collect())),
    };
    let message = Message {
        id: "",
        kind: kind.as_str(),
        node: &params.node,
        bucket,
        buckets,
        force: params.force,
        show_active: None,
    };
    Request::new(Method::PUT, "/v1/cluster", "aistore.job.start", NotIdempotent)
        .on(resource("", Some(kind)))
        .action("start", "", &message)
}

pub(crate) fn stop(query: &Query) -> Result<Request> {
    check(query)?;
    Request::new(Method::PUT, "/v1/cluster", "aistore.job.abort", Idempotent)
        .on(resource(&query.id, query.kind.as_ref()))
        .action("stop", "", &Message::of(query))
}

#[derive(Deserialize)]
struct WireStatus {
    #[serde(default)]
    uuid: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    err: String,
    #[serde(default)]
    end_time: i64,
    #[serde(default)]
    aborted: bool,
}

impl From<WireStatus> for JobStatus {
    fn from(wire: WireStatus) -> Self {
        let nanos = u64::try_from(wire.end_time).ok().filter(|nanos| *nanos > 0);
        Self {
            id: wire.uuid,
            kind: JobKind::from(wire.kind.as_str()),
            error: (!wire.err.is_empty()).then_some(wire.err),
            ended: nanos
                .map(|nanos| std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos)),
            aborted: wire.aborted,
        }
    }
}

pub(crate) fn parse_status(body: &[u8]) -> Result<JobStatus> {
    Ok(from_json::<WireStatus>(body, "the status of a job")?.into())
}

pub(crate) fn parse_status_all(body: &[u8]) -> Result<Vec<JobStatus>> {
    let all: Option<Vec<WireStatus>> = from_json(body, "a list of jobs")?;
    Ok(all.unwrap_or_default().into_iter().map(Into::into).collect())
}

/// `kind[id]` each.
pub(crate) fn parse_running(body: &[u8]) -> Result<Vec<(JobKind, String)>> {
    let all: Option<Vec<String>> = from_json(body, "a list of running jobs")?;
    let pairs = all.unwrap_or_default().into_iter().filter_map(|text| {
        let (kind, id) = text.strip_suffix(']')?.split_once('[')?;
        Some((JobKind::from(kind), id.to_owned()))
    });
    Ok(pairs.collect())
}

#[derive(Deserialize)]
struct WireSnapshot {
    #[serde(default)]
    id: String,
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "start-time")]
    start: String,
    #[serde(default, rename = "end-time")]
    end: String,
    #[serde(default)]
    bck: WireBucket,
    #[serde(default, rename = "src-bck")]
    source: WireBucket,
    #[serde(default, rename = "dst-bck")]
    destination: WireBucket,
    #[serde(default)]
    ctlmsg: String,
    #[serde(default, rename = "abort-err")]
    abort_error: String,
    #[serde(default)]
    err: String,
    #[serde(default, rename = "glob.id", deserialize_with = "loose_u64")]
    packed: u64,
    #[serde(default)]
    stats: WireStats,
    #[serde(default)]
    aborted: bool,
    #[serde(default)]
    is_idle: bool,
}

#[derive(Default, Deserialize)]
struct WireStats {
    #[serde(default, rename = "loc-objs", deserialize_with = "loose_u64")]
    objects: u64,
    #[serde(default, rename = "loc-bytes", deserialize_with = "loose_u64")]
    bytes: u64,
    #[serde(default, rename = "out-objs", deserialize_with = "loose_u64")]
    sent_objects: u64,
    #[serde(default, rename = "out-bytes", deserialize_with = "loose_u64")]
    sent_bytes: u64,
    #[serde(default, rename = "in-objs", deserialize_with = "loose_u64")]
    received_objects: u64,
    #[serde(default, rename = "in-bytes", deserialize_with = "loose_u64")]
    received_bytes: u64,
}

impl WireSnapshot {
    fn into_snapshot(self, node: &str) -> JobSnapshot {
        let text = |text: String| (!text.is_empty()).then_some(text);
        let low = |bits: u64| u32::try_from(bits & 0x3ff).unwrap_or_default();
        JobSnapshot {
            node: node.to_owned(),
            id: self.id,
            kind: JobKind::from(self.kind.as_str()),
            started: time(&self.start),
            ended: time(&self.end),
            bucket: self.bck.to_ref(),
            source: self.source.to_ref(),
            destination: self.destination.to_ref(),
            message: text(self.ctlmsg),
            abort_error: text(self.abort_error),
            error: text(self.err),
            stats: JobStats {
                objects: self.stats.objects,
                bytes: self.stats.bytes,
                sent_objects: self.stats.sent_objects,
                sent_bytes: self.stats.sent_bytes,
                received_objects: self.stats.received_objects,
                received_bytes: self.stats.received_bytes,
            },
            joggers: low(self.packed),
            workers: low(self.packed >> 10),
            aborted: self.aborted,
            idle: self.is_idle,
        }
    }
}

/// All snapshots of an answer. A query by a kind that the server does not know answers with others.
pub(crate) fn parse_snapshots(body: &[u8], query: &Query) -> Result<Vec<JobSnapshot>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Snapshots(#[serde(deserialize_with = "null_default")] Vec<WireSnapshot>);

    let nodes: BTreeMap<String, Snapshots> = from_json(body, "snapshots of a job")?;
    let mut all = Vec::new();
    for (node, snapshots) in nodes {
        all.extend(snapshots.0.into_iter().map(|snapshot| snapshot.into_snapshot(&node)));
    }
    if let Some(kind) = &query.kind {
        all.retain(|snapshot| snapshot.kind == *kind);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_checked() {
        let by = |id: &str, kind: Option<&str>| Query {
            id: id.to_owned(),
            kind: kind.map(JobKind::from),
            ..Query::default()
        };
        for bad in [by("", None), by("a b", None), by("x/y", None), by("", Some("no-such-kind"))] {
            assert!(status(&bad).is_err() && snapshots(&bad).is_err() && stop(&bad).is_err(), "{bad:?}");
        }
        assert!(running(Some(&"no-such-kind".into())).is_err());
        assert!(running(None).is_ok() && running(Some(&JobKind::Lru)).is_ok());
        assert!(status(&by("Hib5IZbqv", None)).is_ok());
        assert!(snapshots(&by("", Some("lru"))).is_ok());
        let start = |kind: &str, params: StartParams| start(&JobKind::from(kind), &params);
        assert!(start("prefetch-listrange", StartParams::default()).is_err());
        let here = StartParams { buckets: vec!["b".parse().unwrap()], ..StartParams::default() };
        assert!(start("prefetch-listrange", here.clone()).is_err());
        assert!(start("copy-bck", here.clone()).is_err());
        assert!(start("no-such-kind", here.clone()).is_err());
        assert!(start("resilver", StartParams::default()).is_err());
        assert!(start("rechunk", StartParams::default()).is_err());
        assert!(start("lru", here).is_ok());
    }

    #[test]
    fn answers() {
        let body = br#"{"t1":[{"id":"x","kind":"lru","start-time":"2026-08-21T10:00:00.123456789Z",
            "end-time":"0001-01-01T00:00:00Z","glob.id":"4098","stats":{"loc-objs":"10"}}],"t2":null}"#;
        let all = parse_snapshots(body, &Query::default()).unwrap();
        assert_eq!((all.len(), all[0].joggers, all[0].workers, all[0].stats.objects), (1, 2, 4, 10));
        assert!(all[0].started.is_some() && all[0].ended.is_none());
        let other = Query { kind: Some(JobKind::Rechunk), ..Query::default() };
        assert!(parse_snapshots(body, &other).unwrap().is_empty());
        assert_eq!(parse_running(b"[\"lru[x8Yq]\"]").unwrap(), [(JobKind::Lru, "x8Yq".to_owned())]);
        assert!(parse_status_all(b"null").unwrap().is_empty());
    }
}

//! Distributed sorts.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Resource, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Request,
    bucket::{WireBucket, null_default},
    from_json,
};
use crate::{
    dsort::{DsortInfo, DsortPhase, DsortSpec},
    names::invalid,
    smap::loose_u64,
};

use Idempotency::{Idempotent, NotIdempotent};

pub(crate) fn start(spec: &DsortSpec, map_url: Option<&str>) -> Result<Request> {
    let json = spec.to_json(map_url)?;
    Request::new(Method::POST, "/v1/sort", "aistore.dsort.start", NotIdempotent)
        .on(spec.input_bucket.resource())
        .json(&json)
}

/// An id that is empty would mean every job.
fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(invalid(format!("{id:?} is not the id of a sort")));
    }
    Ok(())
}

fn on_job(method: Method, path: &str, id: &str, operation: &'static str) -> Result<Request> {
    check_id(id)?;
    let name = id.to_owned().into();
    let request = Request::new(method, path, operation, Idempotent).query("uuid", id);
    Ok(request.on(Resource::Named { kind: "dsort", name }))
}

pub(crate) fn info(id: &str) -> Result<Request> {
    on_job(Method::GET, "/v1/sort", id, "aistore.dsort.info")
}

pub(crate) fn abort(id: &str) -> Result<Request> {
    on_job(Method::DELETE, "/v1/sort/abort", id, "aistore.dsort.abort")
}

pub(crate) fn remove(id: &str) -> Result<Request> {
    on_job(Method::DELETE, "/v1/sort", id, "aistore.dsort.remove")
}

pub(crate) fn list(matching: &str, active: bool) -> Request {
    Request::new(Method::GET, "/v1/sort", "aistore.dsort.list", Idempotent)
        .query_if(!matching.is_empty(), "regex", matching)
        .query_if(active, "only_active", "true")
}

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "src-bck")]
    source: WireBucket,
    #[serde(default, rename = "dst-bck")]
    destination: WireBucket,
    #[serde(default, rename = "started_time", deserialize_with = "super::time::deserialize")]
    started: Option<SystemTime>,
    #[serde(default, rename = "finish_time", deserialize_with = "super::time::deserialize")]
    finished: Option<SystemTime>,
    #[serde(default, rename = "loc-objs", deserialize_with = "loose_u64")]
    objects: u64,
    #[serde(default, rename = "loc-bytes", deserialize_with = "loose_u64")]
    bytes: u64,
    #[serde(default, rename = "Metrics")]
    metrics: WireMetrics,
    #[serde(default)]
    aborted: bool,
    #[serde(default)]
    archived: bool,
}

#[derive(Default, Deserialize)]
struct WireMetrics {
    #[serde(default)]
    local_extraction: WirePhase,
    #[serde(default)]
    meta_sorting: WirePhase,
    #[serde(default)]
    shard_creation: WirePhase,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "null_default")]
    warnings: Vec<String>,
    #[serde(default, deserialize_with = "null_default")]
    errors: Vec<String>,
}

#[derive(Default, Deserialize)]
struct WirePhase {
    /// Nanoseconds.
    #[serde(default)]
    elapsed: u64,
    #[serde(default)]
    running: bool,
    #[serde(default)]
    finished: bool,
    #[serde(default, alias = "to_create", deserialize_with = "loose_u64")]
    total_count: u64,
    #[serde(default, alias = "created_count", deserialize_with = "loose_u64")]
    extracted_count: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    extracted_size: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    extracted_record_count: u64,
}

impl From<WirePhase> for DsortPhase {
    fn from(wire: WirePhase) -> Self {
        Self {
            elapsed: Duration::from_nanos(wire.elapsed),
            running: wire.running,
            finished: wire.finished,
            total: wire.total_count,
            done: wire.extracted_count,
            bytes: wire.extracted_size,
            records: wire.extracted_record_count,
        }
    }
}

impl From<WireInfo> for DsortInfo {
    fn from(wire: WireInfo) -> Self {
        Self {
            id: wire.id,
            source: wire.source.to_ref(),
            destination: wire.destination.to_ref(),
            description: wire.metrics.description,
            started: wire.started,
            finished: wire.finished,
            objects: wire.objects,
            bytes: wire.bytes,
            extraction: wire.metrics.local_extraction.into(),
            sorting: wire.metrics.meta_sorting.into(),
            creation: wire.metrics.shard_creation.into(),
            warnings: wire.metrics.warnings,
            errors: wire.metrics.errors,
            aborted: wire.aborted,
            archived: wire.archived,
        }
    }
}

/// By target. A cluster that was built without sorting answers an empty list.
pub(crate) fn parse_info(body: &[u8]) -> Result<BTreeMap<String, DsortInfo>> {
    let value: Value = from_json(body, "the state of a sort")?;
    if value.is_array() {
        let message = "the cluster was built without distributed sort";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let all: BTreeMap<String, WireInfo> = from_json(body, "the state of a sort")?;
    Ok(all.into_iter().map(|(node, wire)| (node, wire.into())).collect())
}

pub(crate) fn parse_list(body: &[u8]) -> Result<Vec<DsortInfo>> {
    let all: Option<Vec<WireInfo>> = from_json(body, "a list of sorts")?;
    Ok(all.unwrap_or_default().into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        for bad in ["", "a b", "x/y"] {
            assert!(info(bad).is_err() && abort(bad).is_err() && remove(bad).is_err(), "{bad}");
        }
        assert_eq!(abort("srt-1").unwrap().path, "/v1/sort/abort");
    }

    #[test]
    fn answers() {
        let body = br#"{"t1":{"id":"srt-1","started_time":"0001-01-01T00:00:00Z","loc-objs":"2",
            "Metrics":{"local_extraction":{"elapsed":1268857,"finished":true,"total_count":"5","extracted_count":"2"},
            "shard_creation":{"to_create":"3","created_count":"1"},"errors":["no"]},"aborted":true,"archived":true}}"#;
        let all = parse_info(body).unwrap();
        let info = &all["t1"];
        assert_eq!((info.started, info.objects, info.extraction.done), (None, 2, 2));
        assert_eq!((info.creation.total, info.creation.done, info.errors.len()), (3, 1, 1));
        assert_eq!(parse_info(b"[]").unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(parse_list(b"[]").unwrap().is_empty());
    }
}

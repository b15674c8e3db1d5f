//! Calls on buckets that start jobs or are asked for their result again: copy, rename, evict, summaries.

use std::collections::BTreeMap;

use http::{Method, response::Parts};
use longshore_core_types::{Error, ErrorKind, Idempotency, ObjectKey, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Request,
    bucket::{WireBucket, on_bucket},
    from_json, headers,
    object::check_remote,
};
use crate::{
    bucket::summary::BucketSummary,
    names::{BucketRef, Provider, check_length, check_object_name, check_prefix, invalid},
    object::options::{EtlCall, Presence, go_duration},
    smap::loose_u64,
};

use Idempotency::{Idempotent, NotIdempotent};

pub(crate) fn rename(bucket: &BucketRef, to: &BucketRef) -> Result<Request> {
    for side in [bucket, to] {
        if side.provider() != Provider::Ais {
            return Err(invalid(format!("{side}: only buckets of the cluster itself can be renamed")));
        }
    }
    if bucket == to {
        return Err(invalid(format!("{to} is the name already")));
    }
    on_bucket(Method::POST, bucket, "aistore.bucket.rename", NotIdempotent)
        .query("bck_to", &to.uname())
        .action("move-bck", "", &Value::Null)
}

/// Drops what the cluster holds of a remote bucket.
pub(crate) fn evict(bucket: &BucketRef, keep_metadata: bool) -> Result<Request> {
    check_remote(bucket, "evicting")?;
    on_bucket(Method::DELETE, bucket, "aistore.bucket.evict", Idempotent)
        .query("keep_bck_md", if keep_metadata { "true" } else { "false" })
        .action("evict-remote-bck", "", &Value::Null)
}

/// Options of copies and transformations, of whole buckets and of selected objects.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub(crate) struct CopyParams {
    pub(crate) prefix: String,
    pub(crate) prepend: String,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) latest: bool,
    pub(crate) sync: bool,
    pub(crate) not_recursive: bool,
    pub(crate) workers: Option<i32>,
    pub(crate) continue_on_error: bool,
    pub(crate) extensions: BTreeMap<String, String>,
    pub(crate) etl: Option<EtlCall>,
    pub(crate) timeout: Option<std::time::Duration>,
    /// Also what a remote source has beyond the cluster's copies.
    pub(crate) remote_too: bool,
}

/// The message of copies and transformations.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the message")]
pub(crate) struct CopyMessage<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ext: &'a BTreeMap<String, String>,
    prefix: &'a str,
    prepend: &'a str,
    dry_run: bool,
    force: bool,
    #[serde(rename = "latest-ver")]
    latest: bool,
    synchronize: bool,
    #[serde(rename = "non-recurs", skip_serializing_if = "std::ops::Not::not")]
    not_recursive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pipeline: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<String>,
    #[serde(rename = "num-workers", skip_serializing_if = "Option::is_none")]
    workers: Option<i32>,
    #[serde(rename = "coer", skip_serializing_if = "std::ops::Not::not")]
    continue_on_error: bool,
}

impl CopyParams {
    pub(crate) fn check(&self) -> Result<()> {
        check_prefix(&self.prefix)?;
        if self.sync && !self.prepend.is_empty() {
            return Err(invalid("a copy that also deletes cannot rename: leave out `prepend` or `sync`"));
        }
        if !self.prepend.is_empty() {
            // All new names begin with it, so the shortest one stands for them.
            let name = ObjectKey::new(format!("{}x", self.prepend))?;
            check_object_name(&name, false)?;
            check_length(&name)?;
        }
        let dotted = |text: &String| text.is_empty() || text.contains('.');
        if let Some((from, to)) = self.extensions.iter().find(|(from, to)| dotted(from) || dotted(to)) {
            return Err(invalid(format!("extensions are written without dots: {from:?} to {to:?}")));
        }
        self.etl.as_ref().map_or(Ok(()), EtlCall::check)
    }

    pub(crate) fn message(&self) -> CopyMessage<'_> {
        CopyMessage {
            ext: &self.extensions,
            prefix: &self.prefix,
            prepend: &self.prepend,
            dry_run: self.dry_run,
            force: self.force,
            latest: self.latest,
            synchronize: self.sync,
            not_recursive: self.not_recursive,
            id: self.etl.as_ref().map(|etl| etl.name.as_str()),
            pipeline: self.etl.as_ref().map_or(&[], |etl| &etl.pipeline),
            request_timeout: self.timeout.map(go_duration),
            workers: self.workers,
            continue_on_error: self.continue_on_error,
        }
    }
}

/// Copies a bucket, through an ETL if there is one. The destination is created if it does not exist.
pub(crate) fn copy(from: &BucketRef, to: &BucketRef, params: &CopyParams) -> Result<Request> {
    params.check()?;
    if from == to && !params.dry_run && !from.is_remote() {
        return Err(invalid(format!("{from} cannot be copied to itself")));
    }
    let (action, operation) = match params.etl {
        Some(_) => ("etl-bck", "aistore.bucket.transform"),
        None => ("copy-bck", "aistore.bucket.copy"),
    };
    on_bucket(Method::POST, from, operation, NotIdempotent)
        .query("bck_to", &to.uname())
        .query_if(params.remote_too, "presence", Presence::Exists.as_str())
        .action(action, "", &params.message())
}

pub(crate) fn make_copies(bucket: &BucketRef, copies: u32) -> Result<Request> {
    if copies == 0 {
        return Err(invalid("an object has one copy at least"));
    }
    on_bucket(Method::POST, bucket, "aistore.bucket.make_copies", NotIdempotent).action(
        "make-n-copies",
        "",
        &copies,
    )
}

/// The value is JSON inside a string.
pub(crate) fn ec_encode(bucket: &BucketRef, data: u32, parity: u32, recover: bool) -> Result<Request> {
    if data == 0 || parity == 0 {
        return Err(invalid("erasure coding needs data slices and parity slices"));
    }
    let value = json!({"data_slices": data, "parity_slices": parity, "enabled": true}).to_string();
    let name = if recover { "recover" } else { "" };
    on_bucket(Method::POST, bucket, "aistore.bucket.ec_encode", NotIdempotent).action(
        "ec-encode",
        name,
        &value,
    )
}

pub(crate) fn rechunk(bucket: &BucketRef, over: u64, chunk: u64, prefix: &str) -> Result<Request> {
    check_prefix(prefix)?;
    let value = json!({"objsize-limit": over, "chunk-size": chunk, "prefix": prefix});
    on_bucket(Method::POST, bucket, "aistore.bucket.rechunk", NotIdempotent).action("rechunk", "", &value)
}

pub(crate) fn index_shards(bucket: &BucketRef, prefix: &str) -> Result<Request> {
    check_prefix(prefix)?;
    let value = if prefix.is_empty() { json!({}) } else { json!({"prefix": prefix}) };
    on_bucket(Method::POST, bucket, "aistore.bucket.index_shards", NotIdempotent).action(
        "index-shard",
        "",
        &value,
    )
}

/// Which part of a bucket to sum up.
#[derive(Clone, Debug, Default)]
pub(crate) struct SummaryParams {
    pub(crate) prefix: String,
    /// Count only what the cluster holds.
    pub(crate) cached: bool,
    /// Only if the cluster knows the bucket.
    pub(crate) present: bool,
}

/// Starts a summary, or with its id asks for the result.
pub(crate) fn summary(bucket: &BucketRef, params: &SummaryParams, id: &str) -> Result<Request> {
    check_prefix(&params.prefix)?;
    let value =
        json!({"uuid": id, "prefix": params.prefix, "cached": params.cached, "present": params.present});
    on_bucket(Method::GET, bucket, "aistore.bucket.summary", Idempotent).action("summary-bck", "", &value)
}

#[derive(Deserialize)]
struct WireSummary {
    #[serde(flatten)]
    bucket: WireBucket,
    #[serde(rename = "ObjCount", default)]
    count: Count,
    #[serde(rename = "ObjSize", default)]
    size: Size,
    #[serde(rename = "TotalSize", default)]
    total: Total,
    #[serde(default)]
    used_pct: u64,
    #[serde(default)]
    is_present: bool,
}

#[derive(Default, Deserialize)]
struct Count {
    #[serde(default, deserialize_with = "loose_u64")]
    obj_count_present: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    obj_count_remote: u64,
}

#[derive(Default, Deserialize)]
struct Size {
    #[serde(default, rename = "obj_min_size")]
    min: i64,
    #[serde(default, rename = "obj_avg_size")]
    average: i64,
    #[serde(default, rename = "obj_max_size")]
    max: i64,
}

#[derive(Default, Deserialize)]
struct Total {
    #[serde(default, deserialize_with = "loose_u64")]
    size_on_disk: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    size_all_present_objs: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    size_all_remote_objs: u64,
    #[serde(default, rename = "total_disks_size", deserialize_with = "loose_u64")]
    disks: u64,
}

impl WireSummary {
    fn into_summary(self) -> Option<BucketSummary> {
        // The smallest of no objects is the largest number.
        let none = self.count.obj_count_present + self.count.obj_count_remote == 0;
        let size = |size: i64| if none { 0 } else { u64::try_from(size).unwrap_or_default() };
        Some(BucketSummary {
            bucket: self.bucket.to_ref()?,
            objects_present: self.count.obj_count_present,
            objects_remote: self.count.obj_count_remote,
            smallest: size(self.size.min),
            average: size(self.size.average),
            largest: size(self.size.max),
            bytes_on_disk: self.total.size_on_disk,
            bytes_present: self.total.size_all_present_objs,
            bytes_remote: self.total.size_all_remote_objs,
            disk_capacity: self.total.disks,
            used_percent: self.used_pct,
            present: self.is_present,
        })
    }
}

pub(crate) fn parse_summaries(body: &[u8]) -> Result<Vec<BucketSummary>> {
    let all: Option<Vec<WireSummary>> = from_json(body, "a summary of buckets")?;
    Ok(all.unwrap_or_default().into_iter().filter_map(WireSummary::into_summary).collect())
}

/// HEAD with a summary; the prefix stands in the path, of the first request only.
pub(crate) fn info(
    bucket: &BucketRef,
    prefix: &str,
    presence: Presence,
    count_remote: bool,
    id: &str,
) -> Result<Request> {
    check_prefix(prefix)?;
    let mut request = on_bucket(Method::HEAD, bucket, "aistore.bucket.info", Idempotent)
        .query("presence", presence.as_str())
        .query("bsumm_remote", if count_remote { "true" } else { "false" });
    if id.is_empty() {
        if !prefix.is_empty() {
            request.path = format!("{}/{}", request.path, longshore_transport::encode_path(prefix));
        }
        return Ok(request);
    }
    Ok(request.query("uuid", id))
}

/// Job id and, if it is there yet, the summary.
pub(crate) fn parse_info(parts: &Parts) -> Result<(Option<String>, Option<BucketSummary>)> {
    let id = headers::text(&parts.headers, &headers::XACTION_ID);
    let Some(text) = headers::text(&parts.headers, &headers::BUCKET_SUMMARY) else { return Ok((id, None)) };
    let summary: WireSummary = from_json(text.as_bytes(), "a summary of a bucket")?;
    let summary = summary.into_summary();
    if summary.is_none() {
        return Err(Error::new(ErrorKind::Protocol, "the summary names no bucket"));
    }
    Ok((id, summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_harm_is_refused() {
        let bucket: BucketRef = "b".parse().unwrap();
        let cloud: BucketRef = "aws://b".parse().unwrap();
        assert!(rename(&bucket, &bucket).is_err());
        assert!(rename(&bucket, &cloud).is_err());
        assert!(evict(&bucket, true).is_err());
        assert!(evict(&cloud, true).is_ok());
        assert!(copy(&bucket, &bucket, &CopyParams::default()).is_err());
        assert!(copy(&bucket, &bucket, &CopyParams { dry_run: true, ..CopyParams::default() }).is_ok());
        let other: BucketRef = "c".parse().unwrap();
        let refused = |params: CopyParams| copy(&bucket, &other, &params).is_err();
        assert!(refused(CopyParams { sync: true, prepend: "x/".into(), ..CopyParams::default() }));
        assert!(refused(CopyParams { prefix: "../x".into(), ..CopyParams::default() }));
        let extensions = BTreeMap::from([(".jpg".to_owned(), "png".to_owned())]);
        assert!(refused(CopyParams { extensions, ..CopyParams::default() }));
        for prepend in ["/", "a//", "../", "a/./", "a\n", &"p".repeat(255)] {
            assert!(refused(CopyParams { prepend: prepend.into(), ..CopyParams::default() }), "{prepend}");
        }
        assert!(!refused(CopyParams { prepend: "a/b-".into(), ..CopyParams::default() }));
        assert!(make_copies(&bucket, 0).is_err());
        assert!(ec_encode(&bucket, 1, 0, false).is_err());
    }

    #[test]
    fn summaries() {
        let body = br#"[{"name":"b","provider":"ais","namespace":{"uuid":"","name":""},
            "ObjCount":{"obj_count_present":"4","obj_count_remote":"0"},
            "ObjSize":{"obj_min_size":10,"obj_avg_size":10,"obj_max_size":10},
            "TotalSize":{"size_on_disk":"40","size_all_present_objs":"40"},"used_pct":0,"is_present":true}]"#;
        let all = parse_summaries(body).unwrap();
        assert_eq!((all[0].objects_present, all[0].bytes_on_disk, all[0].smallest), (4, 40, 10));
        assert_eq!(all[0].bucket.to_string(), "ais://b");
    }
}

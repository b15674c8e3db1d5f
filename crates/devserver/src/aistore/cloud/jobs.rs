//! Calls on many objects of remote buckets, and the blob downloader.

use std::sync::Arc;

use http::HeaderName;
use serde::Deserialize;

use super::object::{Freshness, evict, fetch_chunks, remove, size, target_of, warm};
use crate::aistore::actmsg::{Action, decode_value};
use crate::aistore::buckets::Bucket;
use crate::aistore::error::{Fail, Result};
use crate::aistore::gojson::{Schema, Struct, parse_size};
use crate::aistore::ids::now;
use crate::aistore::jobs::Report;
use crate::aistore::multi::{Picks, Selection};
use crate::aistore::node::Cx;
use crate::aistore::objects::Object;
use crate::aistore::query::is_true;
use crate::aistore::reply::Reply;

/// Bytes of a chunk unless the caller says otherwise, and the least.
const CHUNK: u64 = 4 << 20;
const MIN_CHUNK: u64 = 32 << 10;

pub(in crate::aistore) static PREFETCH: Struct = Struct {
    name: "apc.PrefetchMsg",
    fields: &[
        ("objnames", "ListRange: ObjNames", Schema::List("[]string")),
        ("template", "ListRange: Template", Schema::Text),
        ("blob-threshold", "BlobThreshold", Schema::Integer),
        ("blob-chunk-size", "BlobChunkSize", Schema::Integer),
        ("blob-num-workers", "BlobNumWorkers", Schema::Integer),
        ("num-workers", "NumWorkers", Schema::Integer),
        ("coer", "ContinueOnError", Schema::Bool),
        ("latest-ver", "LatestVer", Schema::Bool),
        ("non-recurs", "NonRecurs", Schema::Bool),
    ],
    strict: true,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct PrefetchOptions {
    blob_threshold: u64,
    blob_chunk_size: u64,
    coer: bool,
    latest_ver: bool,
}

/// What is done with each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aistore) enum Work {
    Delete,
    Evict,
}

/// Deletes or evicts what was selected.
pub(in crate::aistore) async fn each(
    cx: &Cx,
    bucket: &Arc<Bucket>,
    selection: Selection,
    work: Work,
    report: &mut Report,
) -> Result<()> {
    let mut picks = Picks::new(bucket, selection);
    while let Some(pick) = picks.next(cx)? {
        let object = &pick.object;
        let here = cx.cluster.storage.object(&object.key)?;
        let done = match work {
            Work::Delete => remove(cx, object).await?,
            Work::Evict => evict(cx, object).await?,
        };
        match here {
            Some(record) => report.add(record.size),
            None if done => {}
            None => report.errors.extend(pick.missing(cx)),
        }
    }
    Ok(())
}

/// `prefetch-listrange`.
pub(in crate::aistore) async fn prefetch(
    cx: &Cx,
    bucket: &Arc<Bucket>,
    action: &Action,
    workers: u64,
    selection: Selection,
) -> Result<Reply> {
    let options: PrefetchOptions = decode_value(action, Schema::Struct(&PREFETCH), &cx.node_name())?;
    let started = now();
    let mut report = Report { bucket: Some(bucket.name.clone()), workers, ..Report::default() };
    let mut picks = Picks::new(bucket, selection);
    while let Some(pick) = picks.next(cx)? {
        match prefetch_one(cx, &pick.object, &options).await {
            Ok(size) => report.add(size),
            // One that vanished since it was listed.
            Err(fail) if !pick.named && fail.status == http::StatusCode::NOT_FOUND => {}
            Err(fail) => {
                report.errors.push(fail.message);
                if !options.coer {
                    break;
                }
            }
        }
    }
    Ok(Reply::text(cx.cluster.jobs.record("prefetch-listrange", started, report)))
}

async fn prefetch_one(cx: &Cx, object: &Object, options: &PrefetchOptions) -> Result<u64> {
    let here = cx.cluster.storage.object(&object.key)?;
    if here.is_none()
        && options.blob_threshold > 0
        && let Some((cloud, bucket)) = target_of(cx, object)
        && size(cloud, bucket, &object.key.name).is_ok_and(|size| size >= options.blob_threshold)
    {
        return fetch_blob(cx, object, options.blob_chunk_size).await.map(|(_, size)| size);
    }
    let latest = options.latest_ver || object.bucket.validates_copies();
    warm(cx, object, Freshness::if_latest(latest)).await?;
    Ok(cx.cluster.storage.object(&object.key)?.map_or(0, |record| record.size))
}

/// Fetches an object as a job of its own; returns the job's id and the size.
async fn fetch_blob(cx: &Cx, object: &Object, chunk: u64) -> Result<(String, u64)> {
    let started = now();
    let size = fetch_chunks(cx, object, chunk_size(chunk)).await?;
    let bucket = Some(object.bucket.name.clone());
    let mut report = Report { bucket, only: Some(object.target), ..Report::default() };
    report.add(size);
    Ok((cx.cluster.jobs.record("blob-download", started, report), size))
}

fn chunk_size(asked: u64) -> u64 {
    if asked == 0 { CHUNK } else { asked.max(MIN_CHUNK) }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct BlobOptions {
    chunk_size: u64,
    latest_ver: bool,
}

/// `blob-download`, at the target that the object belongs to.
pub(in crate::aistore) async fn blob_download(cx: &Cx, object: &Object, action: &Action) -> Result<Reply> {
    let options: BlobOptions = serde_json::from_value(action.value.clone())
        .map_err(|e| Fail::bad(format!("{}: failed to unmarshal blob-download, err: {e}", cx.node_name())))?;
    let Some((cloud, bucket)) = target_of(cx, object) else { return Ok(Reply::ok()) };
    if object.key.name.is_empty() {
        return Err(cloud.no_key());
    }
    let bad = |fail: Fail| fail.status(http::StatusCode::BAD_REQUEST);
    if cx.cluster.storage.object(&object.key)?.is_some() {
        if options.latest_ver {
            warm(cx, object, Freshness::Latest).await.map_err(bad)?;
        }
        // Nothing to do, and no job.
        return Ok(Reply::ok());
    }
    size(cloud, bucket, &object.key.name).map_err(bad)?;
    let (id, _) = fetch_blob(cx, object, options.chunk_size).await?;
    Ok(Reply::text(id))
}

/// What a GET says about blob downloads.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::aistore) struct BlobHeaders {
    chunk: u64,
    threshold: u64,
}

/// The headers of a GET that wants its object fetched as a blob.
pub(in crate::aistore) fn blob_headers(cx: &Cx) -> Result<Option<BlobHeaders>> {
    let number = |name: &str, title: &str| -> Result<i64> {
        let Some(text) = cx.header(name) else { return Ok(0) };
        let size = || parse_size(text).and_then(|n| i64::try_from(n).ok());
        text.parse().ok().or_else(size).ok_or_else(|| {
            let upper = text.to_uppercase();
            Fail::bad(format!(
                "blob-downloader: failed to parse {title}={text}: strconv.ParseInt: parsing {upper:?}: invalid syntax"
            ))
        })
    };
    let threshold = number("ais-blob-threshold", "Ais-Blob-Threshold")?;
    if !cx.header("ais-blob-download").is_some_and(is_true) && threshold <= 0 {
        return Ok(None);
    }
    let chunk = number("ais-blob-chunk", "Ais-Blob-Chunk")?;
    let workers = number("ais-blob-workers", "Ais-Blob-Workers")?;
    if !(-1..=128).contains(&workers) {
        return Err(Fail::bad(format!(
            "blob-downloader: invalid Ais-Blob-Workers={workers}: expecting (-1..128) range"
        )));
    }
    let positive = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Some(BlobHeaders { chunk: chunk_size(positive(chunk)), threshold: positive(threshold) }))
}

/// Fetches an object as a blob if a GET with these headers does; true if it did, and the answer is that of a blob.
pub(in crate::aistore) async fn blob_get(cx: &Cx, object: &Object, headers: &BlobHeaders) -> Result<bool> {
    let Some((cloud, bucket)) = target_of(cx, object) else {
        let bucket = &object.bucket.name;
        return Err(Fail::bad(format!("blob-downloader is not supported for local buckets: {bucket}")));
    };
    let cached = cx.cluster.storage.object(&object.key)?.is_some();
    if headers.threshold > 0 {
        if cached || size(cloud, bucket, &object.key.name)? < headers.threshold {
            return Ok(false);
        }
    } else if cached {
        // The original answers 200 without the bytes.
        return Err(Fail::bad(format!(
            "{}: AIStore answers a blob download of a cached object with an empty body; send Ais-Blob-Threshold, or do \
             without",
            object.display()
        )));
    }
    fetch_chunks(cx, object, headers.chunk).await?;
    Ok(true)
}

/// Leaves out what the answer to a blob download does not say.
pub(in crate::aistore) fn strip_blob(reply: &mut Reply) {
    for name in ["ais-checksum-type", "ais-checksum-value"] {
        reply.headers.remove(HeaderName::from_static(name));
    }
}

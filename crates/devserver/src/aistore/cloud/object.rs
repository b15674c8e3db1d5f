//! Single objects of remote buckets: copies that are fetched when they are asked for, and writes that go through.

use std::io;

use http::{HeaderName, StatusCode};

use super::{Cloud, REGION, behind, refused};
use crate::aistore::Cluster;
use crate::aistore::buckets::Bucket;
use crate::aistore::error::{Fail, Result};
use crate::aistore::gotime::{self, http_date};
use crate::aistore::node::Cx;
use crate::aistore::objects::{self, Object, Overwrite};
use crate::aistore::reply::Reply;
use crate::checksum::{Checksum, ChecksumKind, Hasher};
use crate::s3::Found;
use crate::storage::{BodyReader, BodyWriter, ObjectRecord};

/// Names in the metadata of a copy.
const SOURCE: &str = "source";
const ETAG: &str = "ETag";
const MD5: &str = "md5";
const LAST_MODIFIED: &str = "Last-Modified";
const LSO_LAST_MODIFIED: &str = "LastModified";

/// Metadata in which the cluster leaves its checksum with an object that it writes.
const CHECKSUM_TYPE: &str = "ais-cksum-type";
const CHECKSUM_VALUE: &str = "ais-cksum-val";

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// `2006-01-02T15:04:05Z`, as listings of S3 tell the time.
pub(in crate::aistore) fn list_time(nanos: i64) -> String {
    gotime::format(nanos, "2006-01-02T15:04:05Z07:00")
}

/// An entity tag that is the MD5 of the bytes, which one of an upload in parts is not.
fn md5_of(etag: &str) -> Option<&str> {
    (!etag.contains('-')).then_some(etag)
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The metadata that every copy has.
pub(super) fn origin(etag: &str) -> Vec<(String, String)> {
    let mut custom = vec![pair(SOURCE, "aws"), pair(ETAG, etag)];
    custom.extend(md5_of(etag).map(|md5| pair(MD5, md5)));
    custom
}

/// Where an object of a remote bucket lives: the service, and the bucket's name there.
pub(super) fn target_of<'a>(cx: &'a Cx, object: &'a Object) -> Option<(&'a Cloud, &'a str)> {
    behind(cx.cluster.cloud.as_ref(), &object.bucket)
}

/// The metadata of a copy that is made by reading.
fn custom_of_get(found: &Found) -> Vec<(String, String)> {
    let mut custom = origin(&found.etag);
    custom.push(pair(LSO_LAST_MODIFIED, list_time(found.modified)));
    custom.push(pair(LAST_MODIFIED, http_date(found.modified)));
    let own = |name: &str| name == CHECKSUM_TYPE || name == CHECKSUM_VALUE;
    custom.extend(found.metadata.iter().filter(|(name, _)| !own(name)).cloned());
    custom
}

/// The metadata that a look at the object tells.
fn custom_of_head(found: &Found) -> Vec<(String, String)> {
    let mut custom = origin(&found.etag);
    custom.push(pair("Content-Type", found.content_type.as_str()));
    custom.push(pair(LAST_MODIFIED, http_date(found.modified)));
    custom
}

/// The checksum that comes with an object: the cluster's own, or the entity tag.
fn checksum_of(found: &Found) -> Option<Checksum> {
    let find = |name: &str| found.metadata.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let own = find(CHECKSUM_TYPE).and_then(ChecksumKind::parse).zip(find(CHECKSUM_VALUE));
    let md5 = || md5_of(&found.etag).map(|md5| (ChecksumKind::Md5, md5));
    own.or_else(md5).map(|(kind, value)| Checksum { kind, value: value.to_owned() })
}

fn tag<'a>(record: &'a ObjectRecord, name: &str) -> Option<&'a str> {
    record.custom.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// The entity tag of a copy, without quotes.
pub(in crate::aistore) fn etag(record: &ObjectRecord) -> Option<&str> {
    tag(record, SOURCE).and_then(|_| tag(record, ETAG))
}

/// When a copy's original was written, as far as it is known.
pub(in crate::aistore) fn last_modified(record: &ObjectRecord) -> Option<&str> {
    tag(record, SOURCE).and_then(|_| tag(record, LAST_MODIFIED))
}

/// How a copy differs from what there is now; `None` if it does not.
pub(in crate::aistore) fn difference(record: &ObjectRecord, size: u64, etag: &str) -> Option<String> {
    if record.size != size {
        return Some(format!("size {} != {size} remote", record.size));
    }
    let own = tag(record, ETAG)?;
    (own != etag).then(|| format!("ETag {own} != {etag} remote"))
}

/// Whether a copy that is there is compared with the original before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aistore) enum Freshness {
    Any,
    Latest,
    /// As `Latest`; what is gone at the origin goes here too.
    Synchronized,
}

impl Freshness {
    /// What a read of an object asks for, by its query or its bucket's properties.
    pub(in crate::aistore) fn of(cx: &Cx, bucket: &Bucket) -> Self {
        Self::if_latest(cx.query.flag("latest-ver") || bucket.validates_warm_reads())
    }

    pub(in crate::aistore) fn if_latest(latest: bool) -> Self {
        Self::asked(latest, false)
    }

    /// What a copy asks for. Properties of buckets are for reads.
    pub(in crate::aistore) fn asked(latest: bool, synchronize: bool) -> Self {
        match (latest, synchronize) {
            (_, true) => Self::Synchronized,
            (true, false) => Self::Latest,
            (false, false) => Self::Any,
        }
    }
}

/// An object that is open to be read, in the cluster or at its origin.
pub(in crate::aistore) struct Source {
    pub(in crate::aistore) checksum: Option<Checksum>,
    /// The checksum to be computed on the way, because none came with the bytes.
    pub(in crate::aistore) hash: ChecksumKind,
    pub(in crate::aistore) size: u64,
    pub(in crate::aistore) version: Option<u64>,
    pub(in crate::aistore) custom: Vec<(String, String)>,
    pub(in crate::aistore) reader: BodyReader,
}

/// Opens an object for a copy of it. What the cluster lacks, or has an older one of, is read where it comes from, and the
/// cluster's own copy stays as it is.
pub(in crate::aistore) async fn open(cx: &Cx, object: &Object, fresh: Freshness) -> Result<Source> {
    let origin = target_of(cx, object);
    let here = match origin {
        Some((cloud, bucket)) => usable(cx, object, cloud, bucket, fresh).await?,
        None => true,
    };
    if here {
        let opened = cx.cluster.storage.open_object(&object.key, |record| Ok::<_, Fail>((0, record.size)))?;
        if let Some(opened) = opened {
            let (record, reader) = opened?;
            let ObjectRecord { checksum, size, version, custom, .. } = record;
            return Ok(Source { checksum, hash: ChecksumKind::None, size, version, custom, reader });
        }
    }
    let (cloud, bucket) = origin.ok_or_else(|| object.missing(cx))?;
    open_origin(object, cloud, bucket)
}

fn open_origin(object: &Object, cloud: &Cloud, bucket: &str) -> Result<Source> {
    let got = cloud.s3.get(bucket, &object.key.name);
    let (found, reader) = got.map_err(|e| refused(&e, Some(&object.display())))?;
    let checksum = checksum_of(&found);
    let hash = if checksum.is_some() { ChecksumKind::None } else { object.bucket.checksum() };
    Ok(Source { checksum, hash, size: found.size, version: None, custom: custom_of_get(&found), reader })
}

/// True if the cluster has a copy that is as fresh as asked; 404 if what it has a copy of is gone.
async fn usable(cx: &Cx, object: &Object, cloud: &Cloud, bucket: &str, fresh: Freshness) -> Result<bool> {
    let Some(here) = cx.cluster.storage.object(&object.key)? else { return Ok(false) };
    if fresh == Freshness::Any {
        return Ok(true);
    }
    match cloud.s3.head(bucket, &object.key.name) {
        Ok(found) => Ok(difference(&here, found.size, &found.etag).is_none()),
        Err(error) if error.status_code() == Some(StatusCode::NOT_FOUND) => {
            if fresh == Freshness::Synchronized || object.bucket.synchronized() {
                remove_copy(cx, object).await?;
            }
            Err(object.missing(cx))
        }
        Err(error) => Err(refused(&error, Some(&object.display()))),
    }
}

/// Makes sure that an object of a remote bucket is in the cluster. For other buckets there is nothing to do.
pub(in crate::aistore) async fn warm(cx: &Cx, object: &Object, fresh: Freshness) -> Result<()> {
    let Some((cloud, bucket)) = target_of(cx, object) else { return Ok(()) };
    if usable(cx, object, cloud, bucket, fresh).await? {
        return Ok(());
    }
    let source = open_origin(object, cloud, bucket)?;
    let mut body = cx.cluster.storage.create_body()?;
    body.fail_at(cx.plan.no_space_at());
    let (mut body, hasher) = objects::copy_body(source.reader, body, Hasher::new(source.hash)).await?;
    body.fail_at(None);
    let overwrite = Overwrite { custom: source.custom, fresh: true, ..Overwrite::default() };
    let checksum = source.checksum.or_else(|| hasher.finish());
    objects::keep(&cx.cluster.storage, object, vec![body], checksum, overwrite, false).await?;
    Ok(())
}

/// Whether there is such an object where it comes from, which for most buckets is the cluster.
pub(in crate::aistore) fn exists(cx: &Cx, object: &Object) -> Result<bool> {
    let Some((cloud, bucket)) = target_of(cx, object) else {
        return Ok(cx.cluster.storage.object(&object.key)?.is_some());
    };
    match cloud.s3.head(bucket, &object.key.name) {
        Ok(_) => Ok(true),
        Err(error) if error.status_code() == Some(StatusCode::NOT_FOUND) => Ok(false),
        Err(error) => Err(refused(&error, Some(&object.display()))),
    }
}

/// Fetches an object in chunks of `size` bytes, as the blob downloader stores it; returns its size.
pub(super) async fn fetch_chunks(cx: &Cx, object: &Object, size: u64) -> Result<u64> {
    let Some((cloud, bucket)) = target_of(cx, object) else { return Ok(0) };
    let got = cloud.s3.get(bucket, &object.key.name);
    let (found, mut reader) = got.map_err(|e| refused(&e, Some(&object.display())))?;
    let kind = object.bucket.checksum();
    let mut hasher = Hasher::new(kind);
    let mut bodies = Vec::new();
    while reader.left() > 0 {
        let body = cx.cluster.storage.create_body()?;
        let (body, back) = fetch_chunk((reader, hasher), body, size).await?;
        bodies.push(body);
        (reader, hasher) = back;
    }
    let overwrite = Overwrite { custom: custom_of_head(&found), fresh: true, ..Overwrite::default() };
    objects::keep(&cx.cluster.storage, object, bodies, hasher.finish(), overwrite, true).await?;
    Ok(found.size)
}

async fn fetch_chunk(
    (mut from, mut hasher): (BodyReader, Hasher),
    mut body: BodyWriter,
    size: u64,
) -> Result<(BodyWriter, (BodyReader, Hasher))> {
    let copy = move || -> io::Result<_> {
        let mut left = size;
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let Some(bytes) = from.read(limit)? else { break };
            hasher.update(&bytes);
            body.write(&bytes)?;
            left -= bytes.len() as u64;
        }
        body.finish()?;
        Ok((body, (from, hasher)))
    };
    Ok(tokio::task::spawn_blocking(copy).await.map_err(io::Error::other)??)
}

/// The size of an object at its origin.
pub(super) fn size(cloud: &Cloud, bucket: &str, name: &str) -> Result<u64> {
    match cloud.s3.head(bucket, name) {
        Ok(found) => Ok(found.size),
        Err(error) if error.code().as_str() == "NoSuchKey" => Err(cloud.not_found()),
        Err(error) => Err(refused(&error, None)),
    }
}

/// Writes a body to where a remote bucket's objects live, before the cluster keeps its copy; returns what the copy has to
/// tell of it. For other buckets there is nothing to do.
pub(in crate::aistore) async fn write_through(
    cluster: &Cluster,
    object: &Object,
    body: BodyReader,
    checksum: Option<&Checksum>,
) -> Result<Overwrite> {
    let Some((cloud, bucket)) = behind(cluster.cloud.as_ref(), &object.bucket) else {
        return Ok(Overwrite::default());
    };
    let mut metadata = Vec::new();
    if let Some(checksum) = checksum {
        metadata.push(pair(CHECKSUM_TYPE, checksum.kind.as_str()));
        metadata.push(pair(CHECKSUM_VALUE, checksum.value.as_str()));
    }
    let etag = cloud.s3.put(bucket, &object.key.name, body, metadata).await;
    let custom = origin(&etag.map_err(|e| refused(&e, Some(&object.display())))?);
    Ok(Overwrite { custom, forget: &[LSO_LAST_MODIFIED, LAST_MODIFIED], ..Overwrite::default() })
}

async fn remove_copy(cx: &Cx, object: &Object) -> Result<bool> {
    let key = object.key.clone();
    Ok(cx.cluster.storage.write(move |t| t.remove_object(&key)).await?)
}

/// Removes an object at its origin and the cluster's copy. True if the cluster had one, or if nobody asks for it.
pub(in crate::aistore) async fn remove(cx: &Cx, object: &Object) -> Result<bool> {
    let Some((cloud, bucket)) = target_of(cx, object) else {
        return remove_copy(cx, object).await;
    };
    let deleted = cloud.s3.delete(bucket, &object.key.name).await;
    deleted.map_err(|e| refused(&e, Some(&object.display())))?;
    remove_copy(cx, object).await?;
    Ok(true)
}

/// Removes the cluster's copy; false if it has none.
pub(in crate::aistore) async fn evict(cx: &Cx, object: &Object) -> Result<bool> {
    remove_copy(cx, object).await
}

/// Answers HEAD for an object that the cluster has no copy of.
pub(in crate::aistore) fn head_cold(cx: &Cx, object: &Object) -> Result<Reply> {
    let present = |fail: Fail| fail.header("ais-present", "false");
    let Some((cloud, bucket)) = target_of(cx, object) else {
        return Err(object.missing(cx));
    };
    let presence = cx.query.value("presence");
    if matches!(presence, "2" | "3" | "4") {
        return Err(object.missing(cx));
    }
    let found = match cloud.s3.head(bucket, &object.key.name) {
        Ok(found) => found,
        Err(error) if error.code().as_str() == "NoSuchKey" => return Err(present(cloud.not_found())),
        Err(error) => return Err(present(refused(&error, Some(&object.display())))),
    };
    let mut reply = Reply::ok().with(HeaderName::from_static("ais-present"), "false");
    if presence == "1" {
        return Ok(reply);
    }
    let record = seen(&found);
    let props = cx.query.value("props");
    if props.is_empty() {
        reply = objects::describe(reply, object, &record);
        reply.set(HeaderName::from_static("ais-mirror-copies"), "0");
        reply.set(HeaderName::from_static("ais-mirror-paths"), "[]");
    } else if props.split(',').any(|prop| prop.trim() == "custom") {
        reply.custom(&record);
    }
    Ok(reply.length(found.size))
}

/// What there is elsewhere, in the form of a copy.
fn seen(found: &Found) -> ObjectRecord {
    ObjectRecord {
        size: found.size,
        checksum: None,
        version: None,
        atime: 0,
        mtime: found.modified,
        custom: custom_of_head(found),
        pieces: Vec::new(),
        chunked: false,
    }
}

/// Refuses a copy that is not what its origin has now, for HEAD with `latest-ver`.
pub(in crate::aistore) fn check_latest(cx: &Cx, object: &Object, record: &ObjectRecord) -> Result<()> {
    let Some((cloud, bucket)) = target_of(cx, object) else {
        // The original closes the connection.
        return Err(Fail::bad(format!("{}: latest-ver needs a remote bucket", object.display())));
    };
    let present = |fail: Fail| fail.header("ais-present", "true");
    match cloud.s3.head(bucket, &object.key.name) {
        Ok(found) => match difference(record, found.size, &found.etag) {
            None => Ok(()),
            Some(what) => {
                let text = format!("metadata mismatch: {what}");
                Err(present(Fail::new(StatusCode::CONFLICT, text).tcode("ErrRemoteMetadataMismatch")))
            }
        },
        Err(error) if error.code().as_str() == "NoSuchKey" => {
            Err(present(cloud.not_found().status(StatusCode::GONE)))
        }
        Err(error) => Err(present(refused(&error, Some(&object.display())))),
    }
}

/// Properties of a bucket that the cluster learns of.
pub(in crate::aistore) fn bucket_props(mut defaults: serde_json::Value) -> serde_json::Value {
    defaults["provider"] = "aws".into();
    defaults["extra"]["aws"] = serde_json::json!({"cloud_region": REGION});
    defaults["versioning"]["enabled"] = false.into();
    defaults
}

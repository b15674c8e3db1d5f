//! Calls that change an object without new bytes: delete, metadata, rename, copy.

use serde_json::Value;

use super::put::{keep, store};
use super::{Object, Overwrite, copy_body, custom};
use crate::aistore::actmsg::Action;
use crate::aistore::buckets;
use crate::aistore::cloud;
use crate::aistore::cloud::object::{Freshness, Source};
use crate::aistore::error::{Fail, Result};
use crate::aistore::gojson::{self, Schema};
use crate::aistore::multipart;
use crate::aistore::names::{BucketName, check_new_name};
use crate::aistore::node::Cx;
use crate::aistore::reply::Reply;
use crate::aistore::target::locate;
use crate::checksum::Hasher;
use crate::storage::ObjectKey;

/// Bytes of one read when a body is copied.
const COPY_CHUNK: usize = 256 * 1024;

/// Answers DELETE. Only one action changes what it does; all others, and unknown ones, delete.
pub(crate) async fn delete(cx: &Cx, object: &Object) -> Result<Reply> {
    let action = Action::decode(&cx.json).unwrap_or_default();
    if action.action == "mpt-abort" {
        return multipart::abort(cx, object).await;
    }
    let remote = object.bucket.remote().is_some();
    let existed = if remote && action.action == "evict-listrange" {
        cloud::object::evict(cx, object).await?
    } else {
        cloud::object::remove(cx, object).await?
    };
    if existed {
        return Ok(Reply::ok());
    }
    Err(Fail::not_found(format!("{} doesn't exist", object.display())).tcode(""))
}

/// Answers PATCH: user metadata.
pub(crate) async fn patch(cx: &Cx, object: &Object) -> Result<Reply> {
    let action = cx.action()?;
    if !action.value.is_null() {
        gojson::check(gojson::encode_sorted(&action.value).as_bytes(), Schema::TextMap).map_err(|e| {
            let node = cx.node_name();
            Fail::bad(format!("{node}: failed to unmarshal set-custom (map[string]interface {{}}), err: {e}"))
        })?;
    }
    let changes: Vec<(String, String)> = match &action.value {
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
        }
        _ => Vec::new(),
    };
    let afresh = cx.query.flag("set-new-custom");
    let (key, display, missing) = (object.key.clone(), object.display(), object.missing(cx));
    let null = action.value.is_null();
    cx.cluster
        .storage
        .write(move |tables| {
            let Some(mut record) = tables.object(&key)? else { return Ok(Err(missing)) };
            if null {
                return Ok(Ok(()));
            }
            if afresh {
                record.custom.clear();
            }
            // The limits apply to what one call brings, as in the original.
            if let Err(fail) = custom::check(&changes, &display) {
                return Ok(Err(fail));
            }
            custom::merge(&mut record.custom, changes);
            tables.put_object(&key, &record)?;
            Ok(Ok(()))
        })
        .await??;
    Ok(Reply::ok())
}

/// Answers `rename-obj`: the object gets another name in its bucket, wherever that belongs.
pub(crate) async fn rename(cx: &Cx, object: &Object, to: &str) -> Result<Reply> {
    check_new_name(to)?;
    let (from, to) = (object.key.clone(), ObjectKey::new(object.bucket.id, 0, to));
    let missing = object.missing(cx);
    cx.cluster
        .storage
        .write(move |tables| {
            if tables.object(&from)?.is_none() {
                return Ok(Err(missing));
            }
            if let Some(record) = tables.take_object(&from)? {
                tables.put_object(&to, &record)?;
            }
            Ok(Ok(()))
        })
        .await??;
    Ok(Reply::ok())
}

/// Answers PUT with `object_to`: a copy, also into another bucket.
pub(crate) async fn copy(cx: &mut Cx, object: &Object) -> Result<Reply> {
    cx.body.discard().await?;
    let text = cx.query.value("object_to").to_owned();
    let (bucket, name) = BucketName::parse_uname(&text)?;
    if name.is_empty() {
        return Err(Fail::bad(format!("parse-uname {text:?}: missing object name in \"{bucket}\"")));
    }
    check_new_name(name)?;
    cloud::admit(cx, &bucket).await?;
    let Some(bucket) = cx.cluster.buckets.find(&bucket) else {
        return Err(buckets::missing(&bucket));
    };
    let target = cx.cluster.place(&bucket, name);
    let destination = locate(cx, bucket, name, target);
    let fresh = Freshness::asked(cx.query.flag("latest-ver"), cx.query.flag("synchronize"));
    copy_object(cx, object, &destination, fresh).await?;
    Ok(Reply::ok())
}

/// Copies an object. Of a remote one that the cluster lacks, or has no copy of that is `fresh` enough, the original is
/// copied, and what the cluster has of it stays as it is.
pub(crate) async fn copy_object(cx: &Cx, from: &Object, to: &Object, fresh: Freshness) -> Result<()> {
    copy_source(cx, cloud::object::open(cx, from, fresh).await?, to).await
}

/// Copies bytes and checksum, and, if there is metadata, that and the version. A destination with the same checksum is left
/// alone.
pub(crate) async fn copy_source(cx: &Cx, source: Source, to: &Object) -> Result<()> {
    let storage = &cx.cluster.storage;
    if let Some(there) = storage.object(&to.key)?
        && there.checksum.is_some()
        && there.checksum == source.checksum
        && there.size == source.size
    {
        return Ok(());
    }
    let mut body = storage.create_body()?;
    body.fail_at(cx.plan.no_space_at());
    let (mut body, hasher) = copy_body(source.reader, body, Hasher::new(source.hash)).await?;
    body.fail_at(None);
    // Without metadata the copy counts as a new write.
    let overwrite = if source.custom.is_empty() {
        Overwrite::default()
    } else {
        Overwrite { custom: source.custom, version: source.version, fresh: true, ..Overwrite::default() }
    };
    let checksum = source.checksum.or_else(|| hasher.finish());
    store(&cx.cluster, to, vec![body], checksum, overwrite, false).await?;
    Ok(())
}

/// Overwrites an object with the complement of its bytes; nothing happens if there is none.
pub(crate) async fn invert(cx: &Cx, object: &Object) -> Result<()> {
    let storage = &cx.cluster.storage;
    let Some(opened) = storage.open_object(&object.key, |record| Ok::<_, Fail>((0, record.size)))? else {
        return Ok(());
    };
    let (_, mut reader) = opened?;
    let mut body = storage.create_body()?;
    let mut hasher = Hasher::new(object.bucket.checksum());
    while let Some(bytes) = reader.read(COPY_CHUNK)? {
        let inverted: Vec<u8> = bytes.iter().map(|b| !b).collect();
        hasher.update(&inverted);
        body.write(&inverted)?;
    }
    keep(storage, object, vec![body], hasher.finish(), Overwrite::default(), false).await?;
    Ok(())
}

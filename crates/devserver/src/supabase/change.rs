//! Move, copy, delete.

use serde_json::Value;

use super::cx::{Cx, NoBody, NoHeader};
use super::error::{Fail, Result};
use super::names;
use super::route::Place;
use super::rows::{Bucket, Object, document};
use super::store::{About, Receiver, Stored, Target};
use super::time::{now, uuid};
use crate::aistore::reply::Reply;
use crate::storage::{BodyReader, BodyWriter, Row, Tables};

/// Names that are deleted in one transaction.
const BATCH: usize = 500;
const CHUNK: usize = 256 * 1024;

/// From where to where.
#[derive(Debug)]
struct Ends {
    from: Place,
    to: Place,
}

impl Ends {
    fn read(fields: &super::schema::Fields) -> Result<Self> {
        fields.require(&["bucketId", "sourceKey", "destinationKey"])?;
        let text = |name: &str| Ok::<_, Fail>(fields.text(name)?.unwrap_or_default());
        let bucket = text("bucketId")?;
        let other = fields.text("destinationBucket")?.filter(|b| !b.is_empty());
        Ok(Self {
            to: Place { bucket: other.unwrap_or_else(|| bucket.clone()), key: text("destinationKey")? },
            from: Place { bucket, key: text("sourceKey")? },
        })
    }
}

/// `POST /object/copy`.
pub(super) async fn copy(cx: &mut Cx) -> Result<Reply> {
    let fields = cx.document().await?;
    let ends = Ends::read(&fields)?;
    let with_metadata = fields.boolean("copyMetadata")?.unwrap_or(true);
    let (mut cache_control, mut mimetype) = (None, None);
    if let Some(metadata) = fields.inner("metadata")? {
        cache_control = metadata.text("cacheControl")?;
        mimetype = metadata.text("mimetype")?;
    }
    let caller = cx.caller(NoHeader::Missing)?;
    names::check_key(&ends.to.key)?;
    let (row, reader) = source(cx, &ends.from, cx.service.frees(&caller))?;
    let bucket = cx.find_bucket(&ends.to.bucket)?.ok_or_else(Fail::no_related)?;
    let target = Target { bucket, key: ends.to.key, upsert: cx.upsert() };
    target.check(&cx.service, &caller)?;
    target.check_key(&cx.service, &uuid())?;
    let old = row.value;
    let about = if with_metadata {
        About {
            mimetype: old.mimetype,
            cache_control: old.cache_control,
            robots: old.robots,
            user_metadata: old.user_metadata,
            owner: caller.sub,
        }
    } else {
        About {
            mimetype: mimetype.unwrap_or(old.mimetype),
            cache_control: cache_control.or(old.cache_control),
            robots: old.robots,
            user_metadata: cx.user_metadata(),
            owner: caller.sub,
        }
    };
    let receiver = Receiver::new(&cx.service, u64::MAX, cx.plan.no_space_at())?;
    let (body, stored) = transfer(reader, receiver).await?;
    let (id, key) = (target.bucket.id.clone(), target.key.clone());
    let object = target.commit(&cx.service, body, stored, about).await?;
    let shown = document(&object.show(&id, &key))?;
    let full = Value::from(format!("{id}/{key}"));
    Ok(Reply::json(format!(r#"{{"Key":{full},"Id":"{}",{}"#, object.id, &shown[1..])))
}

/// The object that is copied or moved, opened; `NoSuchKey` for whatever is not there or not to be seen.
pub(super) fn source(cx: &Cx, from: &Place, free: bool) -> Result<(Row<Object>, BodyReader)> {
    let bucket = Bucket::find(&cx.service.storage.snapshot()?, &from.bucket)?;
    let bucket = bucket.filter(|_| free).ok_or_else(Fail::no_object)?;
    let whole = |row: &Row<Object>| Ok::<_, Fail>((0, row.value.size));
    cx.service.storage.open_row(&bucket.object_key(&from.key), whole)?.ok_or_else(Fail::no_object)?
}

/// Copies bytes off the connection's thread.
pub(super) async fn transfer(mut from: BodyReader, mut to: Receiver) -> Result<(BodyWriter, Stored)> {
    let copy = move || -> Result<_> {
        while let Some(bytes) = from.read(CHUNK)? {
            to.write(&bytes)?;
        }
        to.finish()
    };
    tokio::task::spawn_blocking(copy).await.map_err(std::io::Error::other)?
}

/// `POST /object/move`.
pub(super) async fn rename(cx: &mut Cx) -> Result<Reply> {
    let fields = cx.document().await?;
    let ends = Ends::read(&fields)?;
    let caller = cx.caller(NoHeader::Missing)?;
    names::check_key(&ends.to.key)?;
    let free = cx.service.frees(&caller);
    let done = || Reply::json(r#"{"message":"Successfully moved"}"#);
    let (row, _) = source(cx, &ends.from, free)?;
    if ends.from == ends.to {
        return Ok(done());
    }
    let project = &cx.service.settings.project;
    names::check_segments(project, &ends.to.bucket, &ends.to.key, &row.value.version)?;
    let step = move |tables: &mut Tables<'_>| {
        let find = |tables: &Tables<'_>, id: &str| tables.row::<Bucket>(&Bucket::key(id));
        let Some(from) = find(tables, &ends.from.bucket)? else { return Ok(Err(Fail::no_object())) };
        let (from, bucket) = (from.value.object_key(&ends.from.key), find(tables, &ends.to.bucket)?);
        let Some(row) = tables.row::<Object>(&from)? else { return Ok(Err(Fail::no_object())) };
        let Some(bucket) = bucket else { return Ok(Err(Fail::no_related())) };
        let to = bucket.value.object_key(&ends.to.key);
        if tables.row::<Object>(&to)?.is_some() {
            return Ok(Err(Fail::exists("ResourceAlreadyExists")));
        }
        let object = Object { version: uuid(), updated_at: now(), ..row.value };
        tables.take_row::<Object>(&from)?;
        tables.put_row(&to, &object, &row.pieces)?;
        Ok(Ok(()))
    };
    cx.service.storage.write(step).await??;
    Ok(done())
}

/// `DELETE /object/{bucket}/{key}`.
pub(super) async fn delete(cx: &mut Cx, place: &Place) -> Result<Reply> {
    cx.json(NoBody::Refused).await?;
    let caller = cx.caller(NoHeader::Missing)?;
    let bucket = cx.find_bucket(&place.bucket)?.ok_or_else(Fail::no_object)?;
    if !cx.service.frees(&caller) {
        let exists = bucket.object(&cx.service.storage.snapshot()?, &place.key)?.is_some();
        return Err(if exists { Fail::denied("Access denied") } else { Fail::no_object() });
    }
    let removed = remove(cx, &bucket, vec![place.key.clone()]).await?;
    if removed.is_empty() {
        return Err(Fail::no_object());
    }
    Ok(Reply::json(r#"{"message":"Successfully deleted"}"#))
}

/// Removes objects by name; returns those that were there.
pub(super) async fn remove(cx: &Cx, bucket: &Bucket, names: Vec<String>) -> Result<Vec<(String, Object)>> {
    let bucket = bucket.clone();
    let step = move |tables: &mut Tables<'_>| {
        let mut removed = Vec::new();
        for name in names {
            if let Some(row) = tables.remove_row::<Object>(&bucket.object_key(&name))? {
                removed.push((name, row.value));
            }
        }
        Ok(removed)
    };
    Ok(cx.service.storage.write(step).await?)
}

/// `DELETE /object/{bucket}`: the names are exact, whatever the field is called.
pub(super) async fn delete_many(cx: &mut Cx, bucket: &str) -> Result<Reply> {
    let fields = cx.document().await?;
    fields.require(&["prefixes"])?;
    let names = fields.texts("prefixes", 1, None)?.unwrap_or_default();
    let caller = cx.caller(NoHeader::Missing)?;
    let bucket = cx.find_bucket(bucket)?.filter(|_| cx.service.frees(&caller));
    let mut removed = Vec::new();
    if let Some(bucket) = &bucket {
        for batch in names.chunks(BATCH) {
            removed.extend(remove(cx, bucket, batch.to_vec()).await?);
        }
    }
    removed.sort_by(|a, b| a.0.cmp(&b.0));
    let id = bucket.as_ref().map_or("", |b| b.id.as_str());
    let shown: Vec<_> = removed.iter().map(|(name, object)| object.show(id, name)).collect();
    Ok(Reply::json(document(&shown)?))
}

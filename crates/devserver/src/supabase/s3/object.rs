//! Operations on objects.

use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::xml::Element;
use super::{Call, document, payload, visible};
use crate::aistore::reply::Reply;
use crate::http::Source;
use crate::supabase::change::{self, source, transfer};
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::names::{self, PLACEHOLDER};
use crate::supabase::query::decode;
use crate::supabase::read::{open, unchanged};
use crate::supabase::route::Place;
use crate::supabase::rows::{Bucket, Object};
use crate::supabase::store::{About, Receiver, Target};
use crate::supabase::time::{http_date, iso, uuid};
use crate::supabase::upload::{check_mime, size_limit};

const META: &str = "x-amz-meta-";
const CREATED_AT: HeaderName = HeaderName::from_static("created-at");

/// The user's metadata in headers.
pub(super) fn user_metadata(headers: &HeaderMap) -> Value {
    let pairs = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(META)?;
        Some((name.to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned())))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// What a request says about a new object.
pub(super) fn about(cx: &Cx, owner: Option<String>) -> About {
    About {
        mimetype: cx.text(CONTENT_TYPE.as_str()).unwrap_or_else(|| "application/octet-stream".into()),
        cache_control: cx.text(CACHE_CONTROL.as_str()),
        robots: None,
        user_metadata: Some(user_metadata(&cx.headers)),
        owner,
    }
}

/// Where a new object goes: the place is good, and the caller may write there.
pub(super) fn target(cx: &Cx, call: &Call) -> Result<Target> {
    let bucket = cx.bucket(&call.place.bucket)?;
    names::check_key(&call.place.key)?;
    let target = Target { bucket, key: call.place.key.clone(), upsert: true };
    target.check(&cx.service, &call.caller)?;
    target.check_key(&cx.service, &uuid())?;
    Ok(target)
}

pub(super) async fn put(cx: &mut Cx, mut call: Call) -> Result<Reply> {
    let length = payload::length(cx);
    if call.place.key.ends_with('/') && length == Some(0) {
        call.place.key += PLACEHOLDER;
    }
    let target = target(cx, &call)?;
    let about = about(cx, call.caller.sub.clone());
    check_mime(&target.bucket, &target.key, &about.mimetype)?;
    let limit = size_limit(cx, &target.bucket, &target.key);
    if length.is_some_and(|n| n > limit) {
        return Err(Fail::too_large());
    }
    let mut receiver = Receiver::new(&cx.service, limit, cx.plan.no_space_at())?;
    payload::take(cx, call.chunks, &mut receiver).await?;
    let (body, stored) = receiver.finish()?;
    let object = target.commit(&cx.service, body, stored, about).await?;
    Ok(Reply::ok().with(ETAG, &object.etag))
}

/// What all answers tell of an object.
fn described(object: &Object) -> Reply {
    let mut reply = Reply::ok();
    // A copy with other metadata may have none.
    if !object.cache_control().is_empty() {
        reply.set(CACHE_CONTROL, object.cache_control());
    }
    reply.set(CONTENT_TYPE, &object.mimetype);
    reply.set(ETAG, &object.etag);
    reply.set(LAST_MODIFIED, &http_date(object.last_modified));
    for (name, value) in object.user_metadata.iter().filter_map(Value::as_object).flatten() {
        if let Ok(name) = HeaderName::try_from(format!("{META}{name}")) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            reply.set(name, &text);
        }
    }
    reply
}

fn readable(cx: &Cx, call: &Call) -> Result<Bucket> {
    let bucket = Bucket::find(&cx.service.storage.snapshot()?, &call.place.bucket)?;
    bucket.filter(|_| cx.service.frees(&call.caller)).ok_or_else(Fail::no_object)
}

pub(super) fn get(cx: &Cx, call: &Call) -> Result<Reply> {
    const OVERRIDES: [(&str, HeaderName); 6] = [
        ("response-cache-control", CACHE_CONTROL),
        ("response-content-disposition", CONTENT_DISPOSITION),
        ("response-content-encoding", CONTENT_ENCODING),
        ("response-content-language", CONTENT_LANGUAGE),
        ("response-content-type", CONTENT_TYPE),
        ("response-expires", EXPIRES),
    ];
    let bucket = readable(cx, call)?;
    let (row, asked, reader) = open(cx, &bucket, &call.place.key)?.ok_or_else(Fail::no_object)?;
    let object = row.value;
    let mut reply = described(&object);
    for (parameter, header) in OVERRIDES {
        if let Some(value) = cx.parameter(parameter) {
            reply.headers.remove(&header);
            reply.set(header, value);
        }
    }
    if unchanged(cx, &object) {
        reply.status = StatusCode::NOT_MODIFIED;
        return Ok(reply);
    }
    if let Some(span) = asked? {
        reply.status = StatusCode::PARTIAL_CONTENT;
        reply.set(CONTENT_RANGE, &span.content_range(object.size));
    }
    Ok(reply.source(Source::File(reader)))
}

pub(super) fn head(cx: &Cx, call: &Call) -> Result<Reply> {
    let row = readable(cx, call)?.object(&cx.service.storage.snapshot()?, &call.place.key)?;
    let object = row.ok_or_else(Fail::no_object)?.value;
    let created = Timestamp::from_microsecond(object.created_at).unwrap_or_default();
    let created = created.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)").to_string();
    Ok(described(&object).with(CREATED_AT, &created).with(CONTENT_LENGTH, &object.size.to_string()))
}

pub(super) fn tagging(cx: &Cx, call: &Call) -> Result<Reply> {
    let row = readable(cx, call)?.object(&cx.service.storage.snapshot()?, &call.place.key)?;
    row.ok_or_else(Fail::no_object)?;
    Ok(document(Element::default().child("TagSet", &Element::default()).document("Tagging")))
}

pub(super) async fn delete(cx: &Cx, call: Call) -> Result<Reply> {
    let bucket = visible(cx, &call.caller, &call.place.bucket)?;
    change::remove(cx, &bucket, vec![call.place.key]).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

/// The object that a copy is made of. Unlike the original, which does not decode it, encoded keys are understood.
pub(super) fn copy_source(cx: &Cx) -> Result<Place> {
    let raw = cx.text("x-amz-copy-source").unwrap_or_default();
    let text = decode(&raw).unwrap_or(raw);
    let (bucket, key) = text.trim_start_matches('/').split_once('/').ok_or_else(Fail::no_object)?;
    Ok(Place { bucket: bucket.to_owned(), key: key.to_owned() })
}

pub(super) async fn copy(cx: &Cx, call: Call) -> Result<Reply> {
    let (row, reader) = source(cx, &copy_source(cx)?, cx.service.frees(&call.caller))?;
    let target = target(cx, &call)?;
    let old = row.value;
    let about = if cx.header("x-amz-metadata-directive") == Some("REPLACE") {
        let new = about(cx, call.caller.sub);
        About { cache_control: Some(new.cache_control.unwrap_or_default()), ..new }
    } else {
        About {
            mimetype: old.mimetype,
            cache_control: old.cache_control,
            robots: old.robots,
            user_metadata: old.user_metadata,
            owner: call.caller.sub,
        }
    };
    let receiver = Receiver::new(&cx.service, u64::MAX, cx.plan.no_space_at())?;
    let (body, stored) = transfer(reader, receiver).await?;
    let object = target.commit(&cx.service, body, stored, about).await?;
    let result =
        Element::default().text("ETag", &object.etag).text("LastModified", iso(object.last_modified));
    Ok(document(result.document("CopyObjectResult")))
}

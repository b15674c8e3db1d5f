//! Downloads and what is known about objects.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    EXPIRES, LAST_MODIFIED,
};
use http::{HeaderName, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::cx::{Cx, NoHeader};
use super::error::{Fail, Result};
use super::names;
use super::render::Transform;
use super::route::{Access, Place};
use super::rows::{Bucket, Object, document};
use super::sign;
use super::store::{About, Receiver, Target};
use super::time::{http_date, parse_http_date};
use crate::aistore::reply::Reply;
use crate::fault::FaultKind;
use crate::http::Source;
use crate::storage::{BodyReader, Row};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
pub(super) const X_TRANSFORMATIONS: HeaderName = HeaderName::from_static("x-transformations");

/// What `encodeURIComponent` leaves as it is.
pub(super) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// How long an answer may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// As the object says.
    Stored,
    /// Until its URL expires.
    Until(String),
}

/// The bucket of an object that the caller may read, or that anybody may.
pub(super) fn readable(cx: &Cx, access: Access, absent: NoHeader, place: &Place) -> Result<Bucket> {
    let caller = match access {
        Access::Authenticated => Some(cx.caller(absent)?),
        Access::Tolerant => cx.caller(absent).ok(),
        Access::Public => None,
    };
    let bucket = cx.bucket(&place.bucket)?;
    if caller.is_none() && !bucket.public {
        return Err(Fail::no_bucket());
    }
    names::check_key(&place.key)?;
    let free = bucket.public || caller.is_some_and(|c| cx.service.frees(&c));
    if free { Ok(bucket) } else { Err(Fail::no_object()) }
}

fn find(cx: &Cx, bucket: &Bucket, key: &str) -> Result<Object> {
    let row = bucket.object(&cx.service.storage.snapshot()?, key)?;
    row.map(|row| row.value).ok_or_else(Fail::no_object)
}

/// `GET` and `HEAD` of an object.
pub(super) fn read(cx: &Cx, access: Access, place: &Place) -> Result<Reply> {
    let transform = if cx.method == Method::HEAD { Transform::from_fields(&cx.fields())? } else { None };
    let bucket = readable(cx, access, NoHeader::Missing, place)?;
    if cx.method == Method::HEAD {
        let object = find(cx, &bucket, &place.key)?;
        let mut reply = described(cx, &object, &Keep::Stored, "must-revalidate");
        if let Some(transform) = transform {
            reply.set(X_TRANSFORMATIONS, &transform.steps());
        }
        reply.set(CONTENT_LENGTH, &object.size.to_string());
        return Ok(reply);
    }
    send(cx, &bucket, &place.key, &Keep::Stored)
}

/// `GET /object/sign/{bucket}/{key}`.
pub(super) fn read_signed(cx: &Cx, place: &Place) -> Result<Reply> {
    let permit = sign::download_permit(cx, place)?;
    let bucket = cx.bucket(&place.bucket)?;
    send(cx, &bucket, &place.key, &Keep::Until(permit.expires))
}

/// `GET /object/info/...`.
pub(super) fn info(cx: &Cx, access: Access, place: &Place) -> Result<Reply> {
    let transform = Transform::from_fields(&cx.fields())?;
    let bucket = readable(cx, access, NoHeader::Missing, place)?;
    let object = find(cx, &bucket, &place.key)?;
    let mut reply = Reply::json(document(&object.info(&bucket.id, &place.key))?)
        .with(ETAG, &object.etag)
        .with(LAST_MODIFIED, &http_date(object.last_modified))
        .with(CACHE_CONTROL, object.cache_control());
    if let Some(transform) = transform {
        reply.set(X_TRANSFORMATIONS, &transform.steps());
    }
    Ok(reply)
}

/// The headers that tell of an object; `decoration` joins the cache control if the client's copy is another.
pub(super) fn described(cx: &Cx, object: &Object, keep: &Keep, decoration: &str) -> Reply {
    let mime = &object.mimetype;
    let kind = if mime.contains("text/html") { "text/plain" } else { mime };
    let mut reply = Reply::ok()
        .with(ACCEPT_RANGES, "bytes")
        .with(CONTENT_TYPE, kind)
        .with(ETAG, &object.etag)
        .with(X_ROBOTS_TAG, object.robots.as_deref().unwrap_or("none"))
        .with(LAST_MODIFIED, &http_date(object.last_modified));
    match keep {
        Keep::Until(date) => reply.set(EXPIRES, date),
        Keep::Stored => {
            let other = cx.header("if-none-match").is_some_and(|tag| tag != object.etag);
            let decoration = if other { format!(", {decoration}") } else { String::new() };
            reply.set(CACHE_CONTROL, &format!("{}{decoration}", object.cache_control()));
        }
    }
    if let Some(name) = cx.parameter("download") {
        let encoded = utf8_percent_encode(name, COMPONENT);
        let value = match name {
            "" => "attachment;".to_owned(),
            _ => format!("attachment; filename={encoded}; filename*=UTF-8''{encoded}"),
        };
        reply.set(CONTENT_DISPOSITION, &value);
    }
    reply
}

/// True if the client's copy is good.
pub(super) fn unchanged(cx: &Cx, object: &Object) -> bool {
    if let Some(tag) = cx.header("if-none-match") {
        return tag == object.etag;
    }
    let since = cx.header("if-modified-since").and_then(parse_http_date);
    // Whole seconds: the header that answers carry has no others.
    since.is_some_and(|since| object.last_modified.div_euclid(1_000_000) <= since.div_euclid(1_000_000))
}

/// Sends an object, or a range of it.
fn send(cx: &Cx, bucket: &Bucket, key: &str, keep: &Keep) -> Result<Reply> {
    let Some((row, asked, reader)) = open(cx, bucket, key)? else { return Err(Fail::no_object()) };
    let object = row.value;
    let mut reply = described(cx, &object, keep, "stale-while-revalidate=30");
    if unchanged(cx, &object) {
        reply.status = StatusCode::NOT_MODIFIED;
        return Ok(reply);
    }
    if let Some(span) = asked? {
        let told = match cx.plan.range_shift() {
            Some((_, false)) | None => span,
            Some((shift, true)) => span.displaced(shift, object.size),
        };
        reply.status = StatusCode::PARTIAL_CONTENT;
        reply.set(CONTENT_RANGE, &told.content_range(object.size));
    }
    Ok(reply.source(Source::File(reader)))
}

pub(super) type Opened = (Row<Object>, Result<Option<Span>>, BodyReader);

/// Opens what is asked for; a range that cannot be served is told beside the whole.
pub(super) fn open(cx: &Cx, bucket: &Bucket, key: &str) -> Result<Option<Opened>> {
    let range = if cx.plan.ignores_range() { None } else { cx.header("range") };
    let asked = |object: &Object| range.map(|r| Span::parse(r, object.size)).transpose();
    let served = |row: &Row<Object>| {
        let object = &row.value;
        let span = asked(object).unwrap_or_default();
        let span = match cx.plan.range_shift() {
            Some((shift, _)) => span.map(|s| s.displaced(shift, object.size)),
            None => span,
        };
        Ok::<_, Fail>(span.map_or((0, object.size), |s| (s.start, s.len)))
    };
    let Some(opened) = cx.service.storage.open_row::<Object, _>(&bucket.object_key(key), served)? else {
        return Ok(None);
    };
    let (row, reader) = opened?;
    let asked = asked(&row.value);
    Ok(Some((row, asked, reader)))
}

/// A part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) len: u64,
}

impl Span {
    /// The one range that a header asks for.
    pub(super) fn parse(header: &str, size: u64) -> Result<Self> {
        let number = |text: &str| -> Option<Option<u64>> {
            if text.is_empty() {
                return Some(None);
            }
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())
        };
        let parsed = || -> Option<Self> {
            let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
            let (start, end) = match (number(first)?, number(last)?) {
                (Some(start), Some(end)) => (start, end.saturating_add(1).min(size)),
                (Some(start), None) => (start, size),
                (None, Some(suffix)) => (size.saturating_sub(suffix), size),
                (None, None) => return None,
            };
            (start < end).then(|| Self { start, len: end - start })
        };
        parsed().ok_or_else(Fail::range)
    }

    pub(super) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.start, self.start + self.len - 1)
    }

    /// The range that lies `shift` bytes further, or nearer if there is none.
    fn displaced(self, shift: u64, size: u64) -> Self {
        let start = match self.start.checked_add(shift) {
            Some(start) if start + self.len <= size => start,
            _ => self.start.saturating_sub(shift),
        };
        Self { start, ..self }
    }
}

/// Overwrites the object that a request names, if the fault says so: other bytes, as many as before.
pub(super) async fn replace(cx: &Cx, bucket: &str, key: &str) -> Result<()> {
    if cx.plan.kind() != Some(&FaultKind::Replace) {
        return Ok(());
    }
    let Some(bucket) = cx.find_bucket(bucket)? else { return Ok(()) };
    let opened = cx
        .service
        .storage
        .open_row(&bucket.object_key(key), |row: &Row<Object>| Ok::<_, Fail>((0, row.value.size)))?;
    let Some(opened) = opened else { return Ok(()) };
    let (row, mut old) = opened?;
    let mut receiver = Receiver::new(&cx.service, u64::MAX, None)?;
    while let Some(bytes) = old.read(1 << 18)? {
        let other: Vec<u8> = bytes.iter().map(|b| !b).collect();
        receiver.write(&other)?;
    }
    let object = row.value;
    let about = About {
        mimetype: object.mimetype,
        cache_control: object.cache_control,
        robots: object.robots,
        user_metadata: object.user_metadata,
        owner: object.owner,
    };
    let (body, stored) = receiver.finish()?;
    let target = Target { bucket, key: key.to_owned(), upsert: true };
    target.commit(&cx.service, body, stored, about).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            ("bytes=0-3", Some((0, 4))),
            ("bytes=10-", Some((10, 6))),
            ("bytes=-3", Some((13, 3))),
            ("bytes=-100", Some((0, 16))),
            ("bytes=10-999", Some((10, 6))),
            ("bytes=16-20", None),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=abc", None),
            ("items=0-1", None),
            ("bytes=-0", None),
            ("bytes=-", None),
            ("bytes= 0-1", None),
        ];
        for (header, expected) in cases {
            let span = Span::parse(header, 16).ok().map(|s| (s.start, s.len));
            assert_eq!(span, expected, "{header}");
        }
        assert!(Span::parse("bytes=0-0", 0).is_err());
    }

    #[test]
    fn displaced_spans_stay_inside() {
        let span = Span { start: 4, len: 4 };
        assert_eq!(span.displaced(4, 16).start, 8);
        assert_eq!(span.displaced(10, 16).start, 0);
    }
}

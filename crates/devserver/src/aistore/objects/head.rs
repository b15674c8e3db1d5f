//! HEAD of an object, both generations.

use http::header::{ETAG, HeaderName, LAST_MODIFIED};

use super::{Object, location, mount_path};
use crate::aistore::cloud;
use crate::aistore::error::{Fail, Result};
use crate::aistore::gotime::http_date;
use crate::aistore::ids::base36;
use crate::aistore::node::Cx;
use crate::aistore::reply::Reply;
use crate::checksum::ChecksumKind;
use crate::storage::ObjectRecord;

const PRESENT: HeaderName = HeaderName::from_static("ais-present");
const LOCATION: HeaderName = HeaderName::from_static("ais-location");
const COPIES: HeaderName = HeaderName::from_static("ais-mirror-copies");
const PATHS: HeaderName = HeaderName::from_static("ais-mirror-paths");

/// Answers HEAD: with `props` only what it names, else everything.
pub(crate) fn head(cx: &Cx, object: &Object) -> Result<Reply> {
    let Some(record) = cx.cluster.storage.object(&object.key)? else {
        return cloud::object::head_cold(cx, object);
    };
    match cx.query.value("presence") {
        "1" | "3" => return Ok(Reply::ok()),
        "5" => {
            return Err(Fail::bad(format!(
                "{} is present (vs requested 'flt-outside'(5))",
                object.display()
            )));
        }
        _ => {}
    }
    if cx.query.flag("latest-ver") {
        cloud::object::check_latest(cx, object, &record)?;
    }
    let props = cx.query.value("props");
    if props.is_empty() { Ok(everything(cx, object, &record)) } else { selected(cx, object, &record, props) }
}

fn everything(cx: &Cx, object: &Object, record: &ObjectRecord) -> Reply {
    let target = &cx.cluster.targets[object.target];
    let name = &object.key.name;
    let reply = Reply::ok()
        .with(PRESENT, "true")
        .with(LOCATION, &location(target, name))
        .with(COPIES, "1")
        .with(PATHS, &format!("[{}]", mount_path(target, name)));
    let mut reply = describe(reply, object, record);
    reply.atime(record);
    // The handler leaves the length out for empty objects.
    if record.size > 0 { reply.length(record.size) } else { reply }
}

/// Adds names and metadata, wherever the object is.
pub(crate) fn describe(mut reply: Reply, object: &Object, record: &ObjectRecord) -> Reply {
    let bucket = &object.bucket.name;
    reply.set(HeaderName::from_static("ais-name"), &object.key.name);
    reply.set(HeaderName::from_static("ais-bucket-name"), &bucket.name);
    reply.set(HeaderName::from_static("ais-bucket-provider"), bucket.provider.as_str());
    if !bucket.namespace.name.is_empty() {
        reply.set(HeaderName::from_static("ais-bucket-namespace-name"), &bucket.namespace.name);
    }
    reply.content(record);
    reply
}

fn selected(cx: &Cx, object: &Object, record: &ObjectRecord, props: &str) -> Result<Reply> {
    let target = &cx.cluster.targets[object.target];
    let mut reply = Reply::ok().with(PRESENT, "true").length(record.size);
    for prop in props.split(',').map(str::trim) {
        match prop {
            // Nothing is erasure-coded here.
            "name" | "size" | "ec" | "" => {}
            "checksum" => reply.checksum(record),
            "atime" => reply.atime(record),
            "version" => reply.version(record),
            "custom" => reply.custom(record),
            "location" => reply.set(LOCATION, &location(target, &object.key.name)),
            "copies" => {
                reply.set(COPIES, "1");
                reply.set(PATHS, &mount_path(target, &object.key.name));
            }
            "chunked" => chunks(&mut reply, record),
            "last-modified" => {
                let known = cloud::object::last_modified(record).map(str::to_owned);
                reply.set(LAST_MODIFIED, &known.unwrap_or_else(|| http_date(record.mtime)));
            }
            "etag" => {
                if let Some(etag) = etag(record) {
                    reply.set(ETAG, &etag);
                }
            }
            other => {
                return Err(Fail::bad(format!("invalid property {other:?} in props list"))
                    .header("ais-present", "true"));
            }
        }
    }
    Ok(reply)
}

fn chunks(reply: &mut Reply, record: &ObjectRecord) {
    if record.chunked {
        let largest = record.pieces.iter().map(|p| p.len).max().unwrap_or(0);
        reply.set(HeaderName::from_static("ais-chunks-count"), &record.pieces.len().to_string());
        reply.set(HeaderName::from_static("ais-chunks-max-chunk-size"), &largest.to_string());
    }
}

/// The quoted entity tag: that of the original, or one that AIStore derives from checksum and time; none without a
/// checksum.
pub(crate) fn etag(record: &ObjectRecord) -> Option<String> {
    if let Some(own) = cloud::object::etag(record) {
        return Some(format!("\"{own}\""));
    }
    let checksum = record.checksum.as_ref()?;
    if checksum.kind == ChecksumKind::Md5 && !record.chunked {
        return Some(format!("\"{}\"", checksum.value));
    }
    let time = base36(u64::try_from(record.mtime).unwrap_or_default());
    Some(format!("\"v1-{}-{time}\"", checksum.value))
}

//! Calls on objects, at targets.

use http::header::{CONTENT_LENGTH, ETAG, HeaderName, LAST_MODIFIED};
use http::{Method, StatusCode};
use md5::Digest as _;
use serde_json::{Value, json};

use super::{escape, find, invalid, list, registered, split, texts, xml};
use crate::aistore::actmsg::Action;
use crate::aistore::cloud;
use crate::aistore::cloud::object::Freshness;
use crate::aistore::error::{Fail, Result};
use crate::aistore::gotime::{self, http_date};
use crate::aistore::multipart;
use crate::aistore::node::Cx;
use crate::aistore::objects::{self, Object};
use crate::aistore::query::decode_path;
use crate::aistore::reply::Reply;
use crate::aistore::target::locate;
use crate::storage::ObjectRecord;

const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("x-amz-meta-ais-cksum-type");
const CHECKSUM_VALUE: HeaderName = HeaderName::from_static("x-amz-meta-ais-cksum-val");
/// Name of the metadata that holds the entity tag of what was uploaded in parts.
const STORED_ETAG: &str = "ETag";

pub(super) async fn handle(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let upload = cx.query.value("uploadId").to_owned();
    match (cx.method.clone(), !upload.is_empty()) {
        (Method::GET, true) => list::parts(cx, object),
        (Method::GET, false) => {
            let reply = objects::get(cx, object).await.map_err(no_such_key)?;
            let record = cx.cluster.storage.object(&object.key)?;
            Ok(dressed(reply, record.as_ref()))
        }
        (Method::HEAD, _) => head(cx, object).await,
        (Method::PUT, true) => put_part(cx, object, &upload).await,
        (Method::PUT, false) if cx.header("x-amz-copy-source").is_some() => copy(cx, object).await,
        (Method::PUT, false) => {
            decode_body(cx);
            // Metadata of this dialect is dropped, as in the original.
            objects::put(cx, object).await?;
            let record = cx.cluster.storage.object(&object.key)?;
            Ok(dressed(Reply::ok(), record.as_ref()))
        }
        (Method::POST, true) => complete(cx, object, &upload).await,
        (Method::POST, false) if cx.query.has("uploads") => create(cx, object).await,
        (Method::DELETE, true) => {
            multipart::abort(cx, object).await.map_err(|fail| {
                let (bucket, key) = (&object.bucket.name.name, &object.key.name);
                let hint = format!(" (Use upload ID {upload:?} on s3://{bucket}/{key} to abort)");
                Fail { message: fail.message.clone() + &hint, ..fail }
            })?;
            Ok(Reply::new(StatusCode::NO_CONTENT))
        }
        (Method::DELETE, false) => {
            if cloud::object::remove(cx, object).await? {
                Ok(Reply::ok())
            } else {
                Err(no_such_key(object.missing(cx)))
            }
        }
        _ => Err(invalid()),
    }
}

fn no_such_key(fail: Fail) -> Fail {
    if fail.status == StatusCode::NOT_FOUND { Fail { xml: Some("NoSuchKey"), ..fail } } else { fail }
}

/// Bodies that carry their length and checksums in themselves.
fn decode_body(cx: &mut Cx) {
    let chunked = |value: &str| value.to_ascii_lowercase().contains("aws-chunked");
    let streaming = cx.header("x-amz-content-sha256").is_some_and(|v| v.starts_with("STREAMING-"));
    if streaming || cx.header("content-encoding").is_some_and(chunked) {
        cx.body.decode_aws_chunks();
    }
}

/// The entity tag of what was uploaded in parts, without quotes.
pub(super) fn stored_etag(record: &ObjectRecord) -> Option<&str> {
    record.custom.iter().find(|(name, _)| name == STORED_ETAG).map(|(_, value)| value.as_str())
}

fn etag(record: &ObjectRecord) -> Option<String> {
    stored_etag(record).map(|tag| format!("\"{tag}\"")).or_else(|| objects::etag(record))
}

/// An answer with the headers of this dialect in place of the native ones.
fn dressed(mut reply: Reply, record: Option<&ObjectRecord>) -> Reply {
    let native: Vec<_> = reply.headers.keys().filter(|n| n.as_str().starts_with("ais-")).cloned().collect();
    for name in native {
        reply.headers.remove(name);
    }
    let Some(record) = record else { return reply };
    reply.headers.remove(ETAG);
    if let Some(tag) = etag(record) {
        reply.set(ETAG, &tag);
    }
    let modified = cloud::object::last_modified(record).map(str::to_owned);
    reply.with(LAST_MODIFIED, &modified.unwrap_or_else(|| http_date(record.mtime)))
}

async fn head(cx: &Cx, object: &Object) -> Result<Reply> {
    cloud::object::warm(cx, object, Freshness::Any).await.map_err(no_such_key)?;
    let record = cx.cluster.storage.object(&object.key)?;
    let record = record.ok_or_else(|| no_such_key(object.missing(cx)))?;
    let mut reply = dressed(Reply::ok(), Some(&record)).with(CONTENT_LENGTH, &record.size.to_string());
    if let Some(checksum) = &record.checksum {
        reply.set(CHECKSUM_TYPE, checksum.kind.as_str());
        reply.set(CHECKSUM_VALUE, &checksum.value);
    }
    Ok(reply)
}

async fn copy(cx: &mut Cx, object: &Object) -> Result<Reply> {
    cx.body.discard().await?;
    let source = decode_path(cx.header("x-amz-copy-source").unwrap_or_default());
    let (bucket, key) = split(source.trim_start_matches('/'));
    let bucket = find(cx, &registered(cx, bucket)?)?;
    let place = cx.cluster.place(&bucket, key);
    let from = locate(cx, bucket, key, place);
    objects::copy_object(cx, &from, object, Freshness::Any).await.map_err(|fail| {
        if fail.status == StatusCode::NOT_FOUND { fail.status(StatusCode::BAD_REQUEST) } else { fail }
    })?;
    let record = cx.cluster.storage.object(&object.key)?;
    let modified = gotime::format(record.map_or(0, |r| r.mtime), "2006-01-02T15:04:05.000Z");
    Ok(xml(&format!(
        "<CopyObjectResult><LastModified>{modified}</LastModified><ETag></ETag></CopyObjectResult>"
    )))
}

async fn create(cx: &Cx, object: &Object) -> Result<Reply> {
    let id = multipart::begin(cx, object, multipart::Dialect::S3).await?;
    let (bucket, key) = (&object.bucket.name.name, escape(&object.key.name));
    Ok(xml(&format!(
        "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
         </InitiateMultipartUploadResult>"
    )))
}

fn no_such_upload(object: &Object, id: &str) -> Fail {
    let bucket = &object.bucket.name.name;
    let text = format!("upload {id:?} not found\nList uploads in s3://{bucket} to see available upload IDs");
    Fail { xml: Some("NoSuchUpload"), ..Fail::not_found(text) }
}

fn known(cx: &Cx, object: &Object, id: &str) -> Result<()> {
    let upload = cx.cluster.storage.snapshot()?.upload(id)?;
    if upload.is_some_and(|u| u.key == object.key) { Ok(()) } else { Err(no_such_upload(object, id)) }
}

async fn put_part(cx: &mut Cx, object: &Object, id: &str) -> Result<Reply> {
    known(cx, object, id)?;
    decode_body(cx);
    let number = cx.query.value("partNumber").parse().unwrap_or(0);
    multipart::put_part(cx, object).await?;
    let part = cx.cluster.storage.snapshot()?.part(id, number)?;
    let part = part.ok_or_else(|| no_such_upload(object, id))?;
    Ok(Reply::ok().with(ETAG, &format!("\"{}\"", multipart::part_hex(&part))))
}

async fn complete(cx: &Cx, object: &Object, id: &str) -> Result<Reply> {
    known(cx, object, id)?;
    let document = String::from_utf8_lossy(&cx.json).into_owned();
    let numbers = texts(&document, "PartNumber").into_iter().filter_map(|n| n.trim().parse::<i64>().ok());
    let value: Vec<_> = numbers.map(|number| json!({"part-number": number, "etag": ""})).collect();
    // Wrong entity tags in the list are accepted, as in the original.
    let mut sum = md5::Md5::new();
    let parts = cx.cluster.storage.snapshot()?.parts(id)?;
    for (_, part) in &parts {
        sum.update(part.md5);
    }
    let tag = format!("{}-{}", crate::checksum::hex(&sum.finalize()), parts.len());
    let action = Action { action: "mpt-complete".into(), value: Value::Array(value), ..Action::default() };
    multipart::complete_as(cx, object, &action, vec![(STORED_ETAG.to_owned(), tag.clone())]).await?;
    let record = cx.cluster.storage.object(&object.key)?;
    let (bucket, key) = (&object.bucket.name.name, escape(&object.key.name));
    Ok(dressed(
        xml(&format!(
            "<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>&#34;{tag}&#34;</ETag>\
             </CompleteMultipartUploadResult>"
        )),
        record.as_ref(),
    ))
}

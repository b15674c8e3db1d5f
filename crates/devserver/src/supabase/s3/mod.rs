//! The S3 endpoint: the same buckets and objects over another protocol.
//!
//! Its answers are the real service's own, which differ from those of S3 in many small ways, so that the S3 endpoint of
//! this crate, which is exact, cannot stand in for it.

mod bucket;
mod list;
mod multipart;
mod object;
mod payload;
mod signature;
mod xml;

pub(super) use multipart::uploads_of;

use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::caller::Caller;
use super::cx::{Cx, split};
use super::error::{Fail, Result};
use super::query::decode;
use super::route::Place;
use super::rows::Bucket;
use crate::aistore::reply::Reply;
use signature::{Chunks, Signed};
use xml::Element;

const XML: &str = "application/xml; charset=utf-8";

/// A request for an object.
#[derive(Debug)]
struct Call {
    caller: Caller,
    place: Place,
    chunks: Chunks,
}

/// What a request asks for, to select faults by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    /// The body that counts is the request's.
    pub(super) upload: bool,
}

impl Operation {
    pub(super) fn find(method: &Method, url: &str, headers: &HeaderMap) -> Self {
        let (path, pairs) = split(url);
        let has = |name: &str| pairs.iter().any(|(n, _)| n == name);
        let path = path.strip_prefix("/s3").unwrap_or(path).trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let copies = headers.contains_key("x-amz-copy-source");
        let name = match (method.as_str(), key.is_empty()) {
            ("GET", true) if !bucket.is_empty() && !has("location") && !has("versioning") => "list",
            (_, true) => "bucket",
            ("PUT", false) if has("uploadId") => "mpt-part",
            ("PUT", false) if copies => "copy",
            ("PUT", false) => "put",
            ("HEAD", false) => "head",
            ("DELETE", false) if has("uploadId") => "mpt-abort",
            ("DELETE", false) => "delete",
            ("POST", false) if has("uploads") => "mpt-create",
            ("POST", false) => "mpt-complete",
            (_, false) if has("uploadId") => "mpt-list",
            (_, false) => "get",
        };
        let some = |raw: &str| decode(raw).filter(|text| !text.is_empty());
        let upload = matches!(name, "put" | "mpt-part") && !copies;
        Self { name, bucket: some(bucket), key: some(key), upload }
    }
}

/// `/s3`.
pub(super) async fn handle(cx: &mut Cx) -> Result<Reply> {
    match answer(cx).await {
        Err(fail) if !fail.abort => {
            let mut reply = refusal(cx, &fail);
            // The rest of a body that is refused is not waited for.
            if fail.close || !cx.body.is_read() {
                reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(reply)
        }
        other => other,
    }
}

/// The path below `/s3`, as it was sent.
fn resource(cx: &Cx) -> &str {
    let path = cx.url.split('?').next().unwrap_or_default();
    path.strip_prefix("/s3").unwrap_or(path).trim_start_matches('/')
}

fn document(body: String) -> Reply {
    Reply::ok().with(CONTENT_TYPE, XML).body(body)
}

fn refusal(cx: &Cx, fail: &Fail) -> Reply {
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = Element::default()
        .text("Resource", resource(cx))
        .text("Code", fail.code)
        .text("Message", &fail.message);
    let mut reply = document(error.document("Error"));
    reply.status = status;
    reply
}

/// A number in the query.
fn number(cx: &Cx, name: &str, least: u64, most: Option<u64>) -> Result<Option<u64>> {
    let Some(text) = cx.parameter(name).filter(|t| !t.is_empty()) else { return Ok(None) };
    let bad = |what: String| Fail::request(format!("Querystring, {name} must be {what}"));
    let number: i64 = text.parse().map_err(|_| bad("integer".into()))?;
    let number = u64::try_from(number).ok().filter(|n| *n >= least);
    let number = number.ok_or_else(|| bad(format!(">= {least}")))?;
    match most {
        Some(most) if number > most => Err(bad(format!("<= {most}"))),
        _ => Ok(Some(number)),
    }
}

async fn answer(cx: &mut Cx) -> Result<Reply> {
    let Signed { caller, chunks } = signature::check(cx)?;
    let path = resource(cx).to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let text = |raw: &str| decode(raw).ok_or_else(|| Fail::request("Malformed path"));
    let place = Place { bucket: text(bucket)?, key: text(key)? };
    if place.bucket.is_empty() {
        return if cx.method == Method::GET { bucket::all(cx, &caller) } else { Err(no_operation(cx)) };
    }
    if place.key.is_empty() {
        return on_bucket(cx, &caller, &place.bucket).await;
    }
    on_object(cx, Call { caller, place, chunks }).await
}

fn no_operation(cx: &Cx) -> Fail {
    Fail::new(405, "MethodNotAllowed", format!("{} is not supported here", cx.method), "MethodNotAllowed")
}

async fn on_bucket(cx: &mut Cx, caller: &Caller, id: &str) -> Result<Reply> {
    let asks = |name: &str| cx.query.iter().any(|(n, _)| n == name);
    match cx.method {
        Method::PUT => bucket::create(cx, caller, id).await,
        Method::HEAD => bucket::head(cx, caller, id),
        Method::DELETE => bucket::delete(cx, caller, id).await,
        Method::POST if asks("delete") => bucket::delete_objects(cx, caller, id).await,
        Method::GET if asks("location") => bucket::location(cx, caller, id),
        Method::GET if asks("versioning") => bucket::versioning(cx, caller, id),
        Method::GET if asks("uploads") => multipart::list_uploads(cx, caller, id),
        Method::GET if cx.parameter("list-type") == Some("2") => list::second(cx, caller, id),
        Method::GET => list::first(cx, caller, id),
        _ => Err(no_operation(cx)),
    }
}

async fn on_object(cx: &mut Cx, call: Call) -> Result<Reply> {
    let asks = |name: &str| cx.query.iter().any(|(n, _)| n == name);
    let copies = cx.headers.contains_key("x-amz-copy-source");
    match cx.method {
        Method::PUT if asks("uploadId") => multipart::upload_part(cx, call, copies).await,
        Method::PUT if copies => object::copy(cx, call).await,
        Method::PUT => object::put(cx, call).await,
        Method::POST if asks("uploads") => multipart::create(cx, call).await,
        Method::POST if asks("uploadId") => multipart::complete(cx, call).await,
        Method::GET if asks("uploadId") => multipart::list_parts(cx, &call),
        Method::GET if asks("tagging") => object::tagging(cx, &call),
        Method::GET => object::get(cx, &call),
        Method::HEAD => object::head(cx, &call),
        Method::DELETE if asks("uploadId") => multipart::abort(cx, &call).await,
        Method::DELETE => object::delete(cx, call).await,
        _ => Err(no_operation(cx)),
    }
}

/// A bucket that the caller may see.
fn visible(cx: &Cx, caller: &Caller, id: &str) -> Result<Bucket> {
    let bucket = cx.find_bucket(id)?;
    bucket.filter(|_| cx.service.frees(caller)).ok_or_else(Fail::no_bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        let name = |method: &Method, url: &str| Operation::find(method, url, &HeaderMap::new()).name;
        assert_eq!(name(&Method::GET, "/s3"), "bucket");
        assert_eq!(name(&Method::GET, "/s3/b?list-type=2"), "list");
        assert_eq!(name(&Method::PUT, "/s3/b/k?partNumber=1&uploadId=u"), "mpt-part");
        assert_eq!(name(&Method::POST, "/s3/b/k?uploads="), "mpt-create");
        let get = Operation::find(&Method::GET, "/s3/b/dir/a%20b", &HeaderMap::new());
        assert_eq!((get.name, get.key.as_deref()), ("get", Some("dir/a b")));
    }
}

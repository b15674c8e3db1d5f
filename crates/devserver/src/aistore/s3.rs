//! The S3 endpoint at `/s3`: the listings of multipart uploads and of their parts.

use std::fmt::Write as _;

use http::header::{CONTENT_TYPE, SERVER};
use http::{Method, StatusCode};

use super::error::Result;
use super::gotime;
use super::guard::{self, Form};
use super::multipart;
use super::names::{BucketName, Namespace, Provider};
use super::node::Cx;
use super::objects::Object;
use super::reply::{Html, Reply};
use super::{gateway, redirect, target};
use crate::access::bits;

/// Answers at the gateway; `rest` is what follows `/s3/`.
pub(crate) fn at_gateway(cx: &Cx, rest: &str) -> Result<Reply> {
    let (bucket, key) = split(rest);
    permit(cx, bucket, key)?;
    if cx.method != Method::GET || bucket.is_empty() {
        return Err(cx.invalid_uri());
    }
    let bucket = gateway::bucket(cx, &registered(bucket)?)?;
    if key.is_empty() {
        return if cx.query.has("uploads") {
            uploads(cx, bucket.id, &bucket.name.name)
        } else {
            Err(cx.invalid_uri())
        };
    }
    if !cx.query.has("uploadId") {
        return Err(cx.invalid_uri());
    }
    let target = &cx.cluster.targets[cx.cluster.place(&bucket, key)];
    let url = redirect::url(&cx.cluster, target, &cx.path, &cx.query, &cx.plan);
    let (endpoint, bucket) = (escape(&url), &bucket.name.name);
    Ok(Reply::redirect(StatusCode::TEMPORARY_REDIRECT, &url, Html::None)
        .with(CONTENT_TYPE, "text/xml; charset=utf-8")
        .with(SERVER, "AIStore")
        .body(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>TemporaryRedirect</Code><Message>Redirect\
             </Message><Endpoint>{endpoint}</Endpoint><Bucket>{bucket}</Bucket></Error>"
        )))
}

/// Refuses callers without the bits that a call needs, also where the call itself is not implemented.
fn permit(cx: &Cx, bucket: &str, key: &str) -> Result<()> {
    let find = |name: &str| gateway::bucket(cx, &registered(name)?);
    let bits = match (&cx.method, key.is_empty()) {
        (&Method::GET, true) if bucket.is_empty() => {
            return guard::check(cx, None, bits::LIST_BUCKETS, Form::S3);
        }
        (&Method::PUT, true) if !cx.query.has("versioning") => {
            return guard::check(cx, None, bits::CREATE_BUCKET, Form::S3);
        }
        (&Method::GET, true) if cx.query.has("versioning") => return Ok(()),
        (&Method::GET, true) => bits::OBJ_LIST,
        (&Method::HEAD, true) => bits::BCK_HEAD,
        (&Method::PUT, true) => bits::PATCH,
        (&Method::DELETE, true) => bits::DESTROY_BUCKET,
        (&Method::GET, false) => bits::GET,
        (&Method::HEAD, false) => bits::OBJ_HEAD,
        (&Method::PUT, false) => match cx.header("x-amz-copy-source") {
            // Where the copy goes is not asked for by the original either.
            Some(source) => {
                let source = find(split(source.trim_start_matches('/')).0)?;
                return guard::check(cx, Some(&source), bits::GET, Form::S3);
            }
            None => bits::PUT,
        },
        (&Method::POST, false) => bits::PUT,
        (&Method::POST, true) | (&Method::DELETE, false) => bits::OBJ_DELETE,
        _ => return Ok(()),
    };
    if !cx.cluster.guard.required() {
        return Ok(());
    }
    guard::check(cx, Some(&*find(bucket)?), bits, Form::S3)
}

/// Answers at target number `index`.
pub(crate) fn at_target(cx: &Cx, index: usize, rest: &str) -> Result<Reply> {
    let (bucket, key) = split(rest);
    if cx.method != Method::GET || key.is_empty() || !cx.query.has("uploadId") {
        return Err(cx.invalid_uri());
    }
    let bucket = gateway::bucket(cx, &registered(bucket)?)?;
    parts(cx, &target::locate(cx, bucket, key, index))
}

fn split(rest: &str) -> (&str, &str) {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    (bucket, key.trim_start_matches('/'))
}

/// Buckets come without a provider here.
fn registered(name: &str) -> Result<BucketName> {
    let bucket =
        BucketName { provider: Provider::Ais, namespace: Namespace::default(), name: name.to_owned() };
    bucket.check()?;
    Ok(bucket)
}

fn xml(body: &str) -> Reply {
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    Reply::ok().with(CONTENT_TYPE, "application/xml").body(document)
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

fn uploads(cx: &Cx, bucket: u64, name: &str) -> Result<Reply> {
    let mut list = String::new();
    for (id, upload) in cx.cluster.storage.snapshot()?.uploads()? {
        if upload.key.bucket == bucket {
            let started = gotime::format(upload.started, "2006-01-02T15:04:05.999999999Z07:00");
            let key = escape(&upload.key.name);
            let _ = write!(
                list,
                "<Upload><Initiated>{started}</Initiated><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"
            );
        }
    }
    Ok(xml(&format!(
        "<ListMultipartUploadsResult><Bucket>{name}</Bucket><UploadIdMarker></UploadIdMarker>{list}<MaxUploads>0\
         </MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
    )))
}

fn parts(cx: &Cx, object: &Object) -> Result<Reply> {
    let id = cx.query.value("uploadId");
    let mut list = String::new();
    for number in multipart::part_numbers(cx, object, id)? {
        let _ = write!(list, "<Part><ETag></ETag><PartNumber>{number}</PartNumber></Part>");
    }
    let (bucket, key, id) = (&object.bucket.name.name, escape(&object.key.name), escape(id));
    Ok(xml(&format!(
        "<ListPartsResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>{list}</ListPartsResult>"
    )))
}

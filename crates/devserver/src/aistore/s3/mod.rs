//! The S3 endpoint at `/s3`, which is another dialect for the cluster's buckets.
//!
//! As in the original, signatures are not checked, sub-resources that are not known are ignored, and object calls are
//! redirected to targets.

mod bucket;
mod list;
mod object;

use std::sync::Arc;

use http::header::{CONTENT_TYPE, SERVER};
use http::{Method, StatusCode};

use super::buckets::Bucket;
use super::error::{Fail, Result};
use super::guard::{self, Form};
use super::names::{BucketName, Namespace, Provider, check_new_name, check_object_name};
use super::node::Cx;
use super::reply::{Html, Reply};
use super::{redirect, target};
use crate::access::bits;

/// What the redirect would lose, and the rest of the key with it.
const LOST: [char; 2] = ['#', '?'];

/// Sub-resources that the original does not have.
const ABSENT: [&str; 4] = ["lifecycle", "cors", "policy", "acl"];

/// Answers at the gateway; `rest` is what follows `/s3/`.
pub(crate) async fn at_gateway(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let (bucket, key) = split(rest);
    gateway_call(cx, bucket, key).await.map_err(in_xml)
}

async fn gateway_call(cx: &mut Cx, bucket: &str, key: &str) -> Result<Reply> {
    permit(cx, bucket, key)?;
    if bucket.is_empty() {
        return if cx.method == Method::GET { Ok(list::buckets(cx)) } else { Err(invalid()) };
    }
    if cx.method == Method::GET && ABSENT.iter().any(|name| cx.query.has(name)) {
        return Ok(Reply::new(StatusCode::NOT_IMPLEMENTED));
    }
    let name = registered(cx, bucket)?;
    if key.is_empty() {
        return bucket::handle(cx, &name).await;
    }
    let bucket = find(cx, &name)?;
    if key.contains(LOST) {
        // The original writes another object.
        return Err(Fail::bad(format!(
            "key {key:?}: AIStore's S3 endpoint loses what follows '#' or '?'; use the native API for such names"
        )));
    }
    let writes = matches!(cx.method, Method::PUT | Method::POST);
    if writes {
        check_new_name(key)?;
    } else {
        check_object_name(key)?;
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

fn invalid() -> Fail {
    Fail::bad("invalid s3 request")
}

/// The failure as the endpoint tells it.
fn in_xml(fail: Fail) -> Fail {
    if fail.xml.is_some() {
        return fail;
    }
    let code = match fail.tcode {
        "ErrBckNotFound" => "NoSuchBucket",
        other => other,
    };
    Fail { xml: Some(code), ..fail }
}

/// Refuses callers without the bits that a call needs, also where the call itself is not implemented.
fn permit(cx: &Cx, bucket: &str, key: &str) -> Result<()> {
    let find = |name: &str| find(cx, &registered(cx, name)?);
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
pub(crate) async fn at_target(cx: &mut Cx, index: usize, rest: &str) -> Result<Reply> {
    let (bucket, key) = split(rest);
    let (bucket, key) = (registered(cx, bucket).map_err(in_xml)?, key.to_owned());
    if key.is_empty() {
        return Err(in_xml(invalid()));
    }
    let bucket = find(cx, &bucket).map_err(in_xml)?;
    let object = target::locate(cx, bucket, &key, index);
    object::handle(cx, &object).await.map_err(in_xml)
}

fn split(rest: &str) -> (&str, &str) {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    (bucket, key.trim_start_matches('/'))
}

/// The bucket; here its absence is told without a provider.
fn find(cx: &Cx, name: &BucketName) -> Result<Arc<Bucket>> {
    let missing =
        || Fail::not_found(format!("bucket {:?} does not exist", name.name)).tcode("ErrBckNotFound");
    cx.cluster.buckets.find(name).ok_or_else(missing)
}

/// Buckets come without a provider here: the cluster's own is meant, or the one of the cloud that it knows by this name.
fn registered(cx: &Cx, name: &str) -> Result<BucketName> {
    let named = |provider| BucketName { provider, namespace: Namespace::default(), name: name.to_owned() };
    let own = named(Provider::Ais);
    own.check()?;
    let known = |name: &BucketName| cx.cluster.buckets.find(name).is_some();
    let remote = named(Provider::Aws);
    match (known(&own), known(&remote)) {
        (true, true) => Err(Fail::bad(format!("bucket {name:?} is ambiguous: there are {own} and {remote}"))),
        (false, true) => Ok(remote),
        _ => Ok(own),
    }
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
        .replace('\n', "&#xA;")
}

/// The texts of all elements of this name, in order. Enough for the few documents that clients send.
fn texts<'a>(document: &'a str, element: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut found = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find(&open) {
        rest = &rest[at + open.len()..];
        let Some(end) = rest.find(&close) else { break };
        found.push(&rest[..end]);
        rest = &rest[end + close.len()..];
    }
    found
}

/// The text that an element's content stands for.
fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"");
    plain.replace("&apos;", "'").replace("&#39;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let document = "<Delete><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object></Delete>";
        let keys: Vec<_> = texts(document, "Key").into_iter().map(unescape).collect();
        assert_eq!(keys, ["a&b", "c"]);
        assert!(texts("<Delete", "Key").is_empty());
        assert_eq!(escape("a\n<b>"), "a&#xA;&lt;b&gt;");
    }
}

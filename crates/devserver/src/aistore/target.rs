//! A target: object calls.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::bucket_api::list_buckets;
use super::buckets::{self, Bucket};
use super::error::{Fail, Result};
use super::names::{BucketName, Namespace, Provider};
use super::node::Cx;
use super::objects::{self, Object};
use super::reply::Reply;
use super::{append, archive, batch, cloud, cluster_api, multipart, s3};
use crate::storage::ObjectKey;

/// Answers a request that reached target number `index`.
pub(crate) async fn handle(cx: &mut Cx, index: usize) -> Result<Reply> {
    let path = cx.path.clone();
    refuse_direct(cx, &path)?;
    if let Some(rest) = path.strip_prefix("/s3/") {
        return s3::at_target(cx, index, rest).await;
    }
    let Some(rest) = path.strip_prefix("/v1/") else { return Err(cx.invalid_uri()) };
    let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
    match first {
        "objects" => object_call(cx, index, rest).await,
        "buckets" => bucket_call(cx, rest),
        "ml" => batch::at_target(cx, index, rest).await,
        "daemon" => cluster_api::daemon(cx),
        "health" => cluster_api::health(cx),
        _ => Err(cx.invalid_uri()),
    }
}

/// Where tokens are required, a target serves only what a gateway sent it, by the markers that a redirect adds. Like the
/// original it believes any.
fn refuse_direct(cx: &Cx, path: &str) -> Result<()> {
    let marked = !cx.query.value("pid").is_empty() && !cx.query.value("utm").is_empty();
    if marked || !cx.cluster.guard.required() {
        return Ok(());
    }
    let denied = || Fail::new(StatusCode::FORBIDDEN, "direct target access denied");
    if path.starts_with("/s3") {
        return Err(Fail { xml: Some("AccessDenied"), ..denied() });
    }
    if path.starts_with("/v1/objects") || path.starts_with("/v1/buckets") {
        return Err(denied());
    }
    Ok(())
}

/// What a target says to bucket calls, which are the gateway's.
fn bucket_call(cx: &Cx, rest: &str) -> Result<Reply> {
    let node = cx.node_name();
    match cx.method {
        Method::GET if rest.is_empty() => list_buckets(cx),
        Method::GET => Err(Fail::bad("list-objects: invalid UUID \"\"")),
        // The original closes the connection.
        Method::HEAD => Err(Fail::bad(format!("{node}: HEAD(bucket) requires proxy mediation"))),
        _ => Err(Fail::bad(format!("{node}: {}(bucket) requires proxy mediation", cx.method))),
    }
}

async fn object_call(cx: &mut Cx, index: usize, rest: &str) -> Result<Reply> {
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    let mut object = object.trim_start_matches('/').to_owned();
    let action = if object.is_empty() && cx.method == Method::POST { cx.action().ok() } else { None };
    let blob = action.filter(|action| action.action == "blob-download");
    if let Some(action) = &blob {
        object.clone_from(&action.name);
    } else if object.is_empty() {
        return Err(cx.too_short(4));
    }
    let changes = !matches!(cx.method, Method::GET | Method::HEAD);
    if changes && !(cx.query.has("pid") && cx.query.has("utm")) {
        let (node, method) = (cx.node_name(), &cx.method);
        return Err(Fail::bad(format!("{node}: {method}(obj) is expected to be redirected")));
    }
    let name = cx.bucket_name(bucket)?;
    let bucket = cx
        .cluster
        .buckets
        .find(&name)
        .ok_or_else(|| buckets::missing(&name).status(StatusCode::BAD_REQUEST))?;
    let object = locate(cx, bucket, &object, index);
    if let Some(action) = blob {
        return cloud::jobs::blob_download(cx, &object, &action).await;
    }
    match cx.method {
        Method::GET => objects::get(cx, &object).await,
        Method::HEAD => objects::head(cx, &object),
        Method::PUT if !cx.query.value("object_to").is_empty() => objects::copy(cx, &object).await,
        Method::PUT if cx.query.has("uploadId") => multipart::put_part(cx, &object).await,
        Method::PUT if !cx.query.value("archpath").is_empty() => archive::append(cx, &object).await,
        Method::PUT if cx.query.has("append_type") => append::append(cx, &object).await,
        Method::PUT => objects::put(cx, &object).await,
        Method::PATCH => objects::patch(cx, &object).await,
        Method::DELETE => objects::delete(cx, &object).await,
        Method::POST => post(cx, &object).await,
        _ => Err(cx.invalid_uri()),
    }
}

/// The object as this target holds it: in its place, or astray.
pub(crate) fn locate(cx: &Cx, bucket: Arc<Bucket>, name: &str, index: usize) -> Object {
    let home = cx.cluster.place(&bucket, name) == index;
    let slot = if home { 0 } else { u8::try_from(index + 1).unwrap_or(u8::MAX) };
    Object { key: ObjectKey::new(bucket.id, slot, name), bucket, target: index }
}

async fn post(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let action = cx.action()?;
    match action.action.as_str() {
        "rename-obj" => objects::rename(cx, object, &action.name).await,
        "mpt-upload" => multipart::create(cx, object).await,
        "mpt-complete" => multipart::complete(cx, object, &action).await,
        // Nothing here holds a lock beyond its own request.
        "check-lock" => Ok(Reply::ok()),
        _ => Err(Fail::bad(format!("invalid action {:?}", action.action))),
    }
}

/// Overwrites an object with other bytes of the same length, as if another client had; does nothing without it.
pub(crate) async fn replace(cx: &Cx, bucket: &str, key: &str) -> Result<()> {
    let name = BucketName {
        provider: Provider::Ais,
        namespace: Namespace::parse(cx.query.value("namespace")),
        name: bucket.to_owned(),
    };
    let Some(bucket) = cx.cluster.buckets.find(&name) else { return Ok(()) };
    let index = cx.cluster.place(&bucket, key);
    objects::invert(cx, &locate(cx, bucket, key, index)).await
}

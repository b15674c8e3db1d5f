//! The gateway: bucket and cluster calls, redirects for object calls.

use std::sync::Arc;

use http::header::ALLOW;
use http::{Method, StatusCode};

use super::actmsg::Action;
use super::buckets::{self, Bucket};
use super::error::{Fail, Relayed, Result};
use super::guard::Form;
use super::names::{BucketName, Provider, check_new_name, check_object_name};
use super::node::Cx;
use super::reply::Reply;
use super::{
    absent_api, admin_api, archive, batch, bucket_api, cloud, cluster_api, etl_api, guard, job_api, redirect,
    s3, token_api,
};
use crate::access::bits;

/// Answers a request.
pub(crate) async fn handle(cx: &mut Cx) -> Result<Reply> {
    easy(cx)?;
    let path = cx.path.clone();
    if let Some(rest) = path.strip_prefix("/s3/") {
        return s3::at_gateway(cx, rest).await;
    }
    if path == "/s3" {
        return s3::at_gateway(cx, "").await;
    }
    let Some(rest) = path.strip_prefix("/v1/") else { return Err(cx.invalid_uri()) };
    let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
    match first {
        "buckets" => bucket_api::handle(cx, rest).await,
        "objects" => objects(cx, rest).await,
        "daemon" if cx.method == Method::PUT => admin_api::daemon(cx),
        "daemon" => cluster_api::daemon(cx),
        "cluster" if cx.method == Method::PUT && !rest.is_empty() => admin_api::cluster(cx, rest),
        "cluster" if cx.method == Method::PUT => job_api::control(cx),
        "tokens" => token_api::handle(cx, rest),
        "ml" => batch::at_gateway(cx, rest).await,
        "cluster" => admin_api::other_of_cluster(cx, rest).map_or_else(|| cluster_api::cluster(cx), Err),
        "reverse" => cluster_api::reverse(cx, rest),
        "health" => cluster_api::health(cx),
        "etl" => etl_api::handle(cx, rest),
        "sort" => absent_api::sort(cx),
        "download" => absent_api::download(cx, rest),
        _ => Err(cx.invalid_uri()),
    }
}

/// Turns an easy URL, which begins with a provider, into the one that it stands for.
fn easy(cx: &mut Cx) -> Result<()> {
    let providers = [("ais", "ais"), ("gs", "gcp"), ("az", "azure")];
    let path = cx.path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let Some((_, provider)) = providers.into_iter().find(|(name, _)| *name == first) else { return Ok(()) };
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    if object.contains('/') {
        // The original drops the slash and means another object.
        return Err(Fail::bad(format!(
            "easy URL {:?}: AIStore loses the first '/' of the name {object:?}",
            cx.path
        )));
    }
    if object.is_empty() && cx.method == Method::PUT {
        return Err(Fail::bad("missing destination object name in the \"easy URL\""));
    }
    cx.path = match (bucket, object) {
        ("", _) => "/v1/buckets".into(),
        (bucket, "") => format!("/v1/buckets/{bucket}"),
        (bucket, object) => format!("/v1/objects/{bucket}/{object}"),
    };
    if !cx.query.has("provider") {
        cx.query.add("provider", provider);
    }
    Ok(())
}

/// Answers methods that a path does not know: OPTIONS, the known but refused, the exotic.
pub(crate) fn other_method(method: &Method, allow: &str) -> Reply {
    match *method {
        Method::OPTIONS => Reply::ok().with(ALLOW, allow),
        Method::TRACE
        | Method::CONNECT
        | Method::GET
        | Method::PUT
        | Method::POST
        | Method::DELETE
        | Method::HEAD
        | Method::PATCH => Reply::method_not_allowed(allow),
        _ => Reply::method_not_allowed(""),
    }
}

/// The bucket, registered or not, as the gateway sees it.
pub(crate) fn bucket(cx: &Cx, name: &BucketName) -> Result<Arc<Bucket>> {
    if let Some(bucket) = cx.cluster.buckets.find(name) {
        return Ok(bucket);
    }
    Err(absent(cx, name))
}

/// Why a bucket is not there: missing here, no such backend, no such remote cluster.
pub(crate) fn absent(cx: &Cx, name: &BucketName) -> Fail {
    if let Some(fail) = cloud::absent(cx, name) {
        return fail;
    }
    if name.provider != Provider::Ais {
        let title = name.provider.title();
        let node = cx.node_name();
        return Fail::not_found(format!(
            "{node}: failed to lookup bucket {name}, err: {title} backend is missing in the cluster configuration"
        ))
        .tcode("ErrFailedTo");
    }
    if !name.namespace.uuid.is_empty() {
        // The original asks a target, and relays its answer.
        let target = cx.cluster.targets[0].name();
        let uuid = &name.namespace.uuid;
        return Fail::not_found(format!(
            "{target}: failed to HEAD remote bucket {name}, err: {target}: remote cluster \"{uuid}\" does not exist"
        ))
        .tcode("ErrFailedTo")
        .relayed(Relayed {
            method: "HEAD",
            path: format!("/v1/buckets/{}", name.name),
            caller: cx.node_name(),
            node: target,
        });
    }
    buckets::missing(name)
}

const ALLOW_OBJECTS: &str = "DELETE, GET, HEAD, POST, PUT";

async fn objects(cx: &Cx, rest: &str) -> Result<Reply> {
    let known = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];
    if !known.contains(&cx.method) {
        return Ok(other_method(&cx.method, ALLOW_OBJECTS));
    }
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    let object = object.trim_start_matches('/');
    if object.is_empty() {
        if cx.method == Method::POST && !bucket.is_empty() {
            return bucket_api::object_actions(cx, bucket).await;
        }
        return Err(cx.too_short(4));
    }
    let name = cx.bucket_name(bucket)?;
    cloud::admit(cx, &name).await?;
    let bucket = self::bucket(cx, &name)?;
    let action = if cx.method == Method::POST { Some(cx.action()?) } else { None };
    permit(cx, &bucket, action.as_ref().map(|a| a.action.as_str()))?;
    match cx.method {
        Method::GET => {
            check_object_name(object)?;
            archive::check_query(&cx.query)?;
        }
        // With `object_to` the name in the path is the source's.
        Method::PUT => {
            if cx.query.value("object_to").is_empty() {
                check_new_name(object)?;
            } else {
                check_object_name(object)?;
            }
            archive::check_query(&cx.query)?;
            let append = cx.query.has("append_type");
            bucket.allow(if append { bits::APPEND } else { bits::PUT })?;
            if !cx.query.value("object_to").is_empty() && !cx.query.value("etl_name").is_empty() {
                return Err(Fail::bad("the operation requires Kubernetes"));
            }
        }
        Method::DELETE => {
            check_object_name(object)?;
            bucket.allow(bits::OBJ_DELETE)?;
        }
        Method::PATCH => bucket.allow(bits::OBJ_UPDATE)?,
        Method::POST => check_post(&bucket, object, &action.unwrap_or_default())?,
        _ => {}
    }
    let index = match append_target(cx)? {
        Some(index) => index,
        None => cx.cluster.place(&bucket, object),
    };
    let target = &cx.cluster.targets[index];
    Ok(redirect::to_target(&cx.cluster, target, &cx.method, &cx.path, &cx.query, &cx.plan))
}

/// Refuses callers without the bits that an object call needs.
fn permit(cx: &Cx, bucket: &Bucket, action: Option<&str>) -> Result<()> {
    let object_to = cx.query.value("object_to");
    let bits = match cx.method {
        Method::GET => bits::GET,
        Method::HEAD => bits::OBJ_HEAD,
        Method::PUT if !object_to.is_empty() => {
            // What is wrong with the destination is for the target to tell.
            if let Ok((to, _)) = BucketName::parse_uname(object_to) {
                guard::existing(cx, &to, bits::PUT)?;
            }
            bits::GET
        }
        Method::PUT if cx.query.has("append_type") => bits::APPEND,
        Method::PUT => bits::PUT,
        Method::DELETE => bits::OBJ_DELETE,
        Method::PATCH => bits::OBJ_UPDATE,
        _ => {
            let bits = match action {
                Some("rename-obj") => bits::OBJ_MOVE,
                Some("check-lock") => bits::RO,
                Some("mpt-upload" | "mpt-complete") => bits::RW,
                // Refused whoever asks.
                _ => return Ok(()),
            };
            return guard::check(cx, Some(bucket), bits, Form::Plain);
        }
    };
    guard::check(cx, Some(bucket), bits, Form::Wrapped)
}

fn check_post(bucket: &Bucket, object: &str, action: &Action) -> Result<()> {
    match action.action.as_str() {
        "rename-obj" if bucket.name.provider != Provider::Ais => Err(Fail::new(
            StatusCode::NOT_IMPLEMENTED,
            format!(
                "invalid action \"rename-obj\": not supported for remote buckets ({})",
                bucket.numbered()
            ),
        )
        .tcode("ErrUnsupp")),
        "rename-obj" => {
            bucket.allow(bits::OBJ_MOVE).map_err(|f| f.tcode(""))?;
            check_new_name(&action.name)?;
            if action.name == object {
                let object = bucket.name.object(object);
                return Err(Fail::bad(format!("cannot rename {object} to self, nothing to do")));
            }
            Ok(())
        }
        "mpt-upload" => {
            bucket.allow(bits::PUT)?;
            if object.contains("//") { check_new_name(object) } else { Ok(()) }
        }
        "mpt-complete" => bucket.allow(bits::PUT),
        "check-lock" => Ok(()),
        // The original takes the path for one of another call and stumbles over the bucket's name in it.
        _ => Err(Fail::bad(
            "bucket name is invalid: may only contain letters, numbers, dashes (-), underscores (_), and dots (.)",
        )),
    }
}

/// The target that an append handle names, if there is one.
fn append_target(cx: &Cx) -> Result<Option<usize>> {
    let handle = cx.query.value("append_handle");
    if cx.method != Method::PUT || !cx.query.has("append_type") || handle.is_empty() {
        return Ok(None);
    }
    let items: Vec<_> = handle.split('|').collect();
    let [node, ..] = items.as_slice() else { return Ok(None) };
    if items.len() != 4 {
        return Err(Fail::bad(format!("invalid APPEND handle: {handle:?}")));
    }
    let index = cx.cluster.targets.iter().position(|t| t.id == *node);
    index.map(Some).ok_or_else(|| {
        let me = cx.node_name();
        Fail::bad(format!(
            "{me}: APPEND failure: node {node} not present in Smap v{}",
            cluster_api::SMAP_VERSION
        ))
        .tcode("errNodeNotFound")
    })
}

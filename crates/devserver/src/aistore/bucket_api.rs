//! `/v1/buckets`: create, destroy, list, properties.

use std::sync::Arc;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName};
use serde_json::Value;

use super::actmsg::Action;
use super::buckets::Bucket;
use super::error::{Fail, Relayed, Result};
use super::gateway::{absent, bucket, other_method};
use super::guard::Form;
use super::names::{BucketName, Namespace, Provider};
use super::node::Cx;
use super::props;
use super::reply::Reply;
use super::{archive, bucket_jobs, cloud, guard, list, multi, promote, redirect};
use crate::access::{Bits, bits};

const BUCKET_PROPS: HeaderName = HeaderName::from_static("ais-bucket-props");
const ALLOW: &str = "DELETE, GET, HEAD, PATCH, POST";

/// Answers a call; `rest` is what follows `/v1/buckets/`.
pub(crate) async fn handle(cx: &mut Cx, rest: &str) -> Result<Reply> {
    match cx.method {
        Method::GET => get(cx, rest).await,
        Method::HEAD => head(cx, rest).await,
        Method::POST => post(cx, rest).await,
        Method::PUT => put(cx, rest).await,
        Method::PATCH => patch(cx, rest).await,
        Method::DELETE => delete(cx, rest).await,
        _ => Ok(other_method(&cx.method, ALLOW)),
    }
}

/// The one path item that a call wants.
fn one_item<'a>(cx: &Cx, rest: &'a str) -> Result<&'a str> {
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        return Err(cx.too_short(3));
    }
    if rest.contains('/') {
        return Err(Fail::bad(format!("invalid request URI {:?}", cx.path)));
    }
    Ok(rest)
}

async fn get(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let is_json = cx.header(CONTENT_TYPE.as_str()).is_some_and(|t| t.starts_with("application/json"));
    let action = if cx.json.is_empty() && !is_json {
        Action { action: "list".into(), value: Value::Object(serde_json::Map::new()), ..Action::default() }
    } else {
        cx.action()?
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        return match action.action.as_str() {
            "list" => {
                let system = if cx.query.flag("sys") { bits::ADMIN } else { 0 };
                guard::cluster(cx, bits::LIST_BUCKETS | system)?;
                list_buckets(cx)
            }
            "summary-bck" => {
                guard::cluster(cx, bits::BCK_HEAD)?;
                bucket_jobs::summary(cx, None, &action)
            }
            "show-inventory" => {
                guard::cluster(cx, bits::BCK_HEAD)?;
                cloud::inventory::show(cx, &cx.cluster.buckets.list(None, None), &action.name)
            }
            _ => Err(invalid_action(&action)),
        };
    }
    let name = cx.bucket_name(one_item(cx, rest)?)?;
    match action.action.as_str() {
        "list" if action.value.is_null() => Err(Fail::bad(format!(
            "bad list-buckets request: {:?} vs \"\" ({name}, {})",
            name.name,
            action.display()
        ))),
        "list" => {
            let bucket = list::bucket(cx, &name, &action).await?;
            list::list_objects(cx, bucket, &action).await
        }
        "summary-bck" => {
            cloud::admit(cx, &name).await?;
            guard::existing(cx, &name, bits::BCK_HEAD)?;
            bucket_jobs::summary(cx, Some(&name), &action)
        }
        "summary-shard" => {
            guard::existing(cx, &name, bits::BCK_HEAD | bits::OBJ_LIST)?;
            bucket_jobs::shard_summary(cx, &name)
        }
        "show-inventory" => {
            cloud::admit(cx, &name).await?;
            let bucket = guard::bucket(cx, &name, bits::BCK_HEAD)?;
            cloud::inventory::show(cx, &[bucket], &action.name)
        }
        _ => Err(invalid_action(&action)),
    }
}

pub(crate) fn invalid_action(action: &Action) -> Fail {
    Fail::bad(format!("invalid action {:?}", action.action))
}

/// Lists buckets; also served by targets.
pub(crate) fn list_buckets(cx: &Cx) -> Result<Reply> {
    let text = cx.query.value("provider");
    let provider = if text.is_empty() { None } else { Some(Provider::parse(text)?) };
    let namespace = cx.query.get("namespace").map(Namespace::parse);
    let presence = cx.query.value("presence");
    let present = matches!(presence, "2" | "3" | "4");
    let here = |p: Provider| p == Provider::Ais || (p == Provider::Aws && cx.cluster.cloud.is_some());
    if let Some(provider) = provider.filter(|p| !here(*p) && !present) {
        // The original asks a target, which knows no such backend.
        let target = cx.cluster.targets[0].name();
        return Err(Fail::bad(format!(
            "{} backend is missing in the cluster configuration",
            provider.title()
        ))
        .tcode("ErrMissingBackend")
        .relayed(Relayed {
            method: "GET",
            path: "/v1/buckets".into(),
            caller: cx.node_name(),
            node: target,
        }));
    }
    let known = cx.cluster.buckets.list(provider, namespace.as_ref());
    let mut names: Vec<_> = known.iter().map(|b| b.name.clone()).collect();
    let global = namespace.as_ref().is_none_or(Namespace::is_global);
    if !present && global && provider.is_none_or(|p| p == Provider::Aws) {
        if presence == "5" {
            names.retain(|name| name.provider == Provider::Ais);
        }
        names.extend(cloud::unknown_buckets(cx));
        names.sort();
    }
    let mut buckets: Vec<_> = names.iter().map(BucketName::json).collect();
    if cx.query.flag("sys") {
        let system = [".sys-inventory", ".sys-shardidx"].map(|name| {
            BucketName { provider: Provider::Ais, namespace: Namespace::default(), name: name.into() }.json()
        });
        buckets.splice(0..0, system);
    }
    Ok(Reply::json(format!("{}\n", Value::Array(buckets))))
}

async fn head(cx: &Cx, rest: &str) -> Result<Reply> {
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() {
        return Err(cx.too_short(3));
    }
    let (first, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if !prefix.is_empty() && !cx.query.has("bsumm_remote") {
        return Err(Fail::bad(format!(
            "invalid URL '{}': expecting just the bucket name, got '{first}' and '{prefix}'",
            cx.path
        )));
    }
    let name = cx.bucket_name(first)?;
    let presence = cx.query.value("presence");
    if !presence.is_empty() && presence.parse::<i64>().is_err() {
        let node = cx.node_name();
        return Err(Fail::bad(format!(
            "{node}: parse 'flt-presence': strconv.Atoi: parsing {presence:?}: invalid syntax"
        )));
    }
    let bucket = found_by_head(cx, &name).await?;
    let reply = Reply::ok().with(BUCKET_PROPS, &bucket.props().to_string());
    if cx.query.value("bsumm_remote").is_empty() {
        return Ok(reply);
    }
    bucket_jobs::info(cx, &bucket, prefix, reply)
}

/// The bucket that a HEAD is about; by the first one the cluster gets to know a bucket of the cloud, unless it is not to.
async fn found_by_head(cx: &Cx, name: &BucketName) -> Result<Arc<Bucket>> {
    if cx.cluster.buckets.find(name).is_none() && name.provider != Provider::Ais {
        if matches!(cx.query.value("presence"), "2" | "3" | "4") {
            return Err(cloud::unregistered(name));
        }
        if cx.query.flag("dont_add_remote_bck_md")
            && let Some(bucket) = cloud::peek(cx, name)
        {
            guard::check(cx, Some(&bucket), bits::BCK_HEAD, Form::Wrapped)?;
            return Ok(bucket);
        }
        cloud::admit(cx, name).await?;
    }
    guard::bucket(cx, name, bits::BCK_HEAD)
}

async fn post(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let item = one_item(cx, rest)?.to_owned();
    let action = cx.action()?;
    let name = cx.bucket_name(&item)?;
    if action.action != "create-bck" {
        cloud::admit(cx, &name).await?;
    }
    if let Some(bits) = bits_of_post(&action.action) {
        guard::existing(cx, &name, bits)?;
    }
    match action.action.as_str() {
        "create-bck" => create(cx, &name, &action).await,
        "move-bck" => bucket_jobs::rename(cx, &name).await,
        "copy-bck" => bucket_jobs::copy(cx, &name, &action).await,
        "copy-listrange" => multi::copy(cx, &name, &action).await,
        "etl-bck" | "etl-listrange" => {
            Err(Fail::new(http::StatusCode::NOT_FOUND, "the operation requires Kubernetes"))
        }
        "rechunk" => bucket_jobs::rechunk(cx, &name, &action).await,
        "make-n-copies" => bucket_jobs::make_copies(cx, &name, &action).await,
        "ec-encode" => bucket_jobs::encode(cx, &name, &action).await,
        kind @ "index-shard" => bucket_jobs::record_only(cx, &name, kind),
        "prefetch-listrange" => multi::prefetch(cx, &bucket(cx, &name)?, &action).await,
        "create-inventory" => {
            guard::cluster(cx, bits::ADMIN)?;
            cloud::inventory::create(cx, bucket(cx, &name)?, &action).await
        }
        _ => Err(invalid_action(&action)),
    }
}

/// What a call on a bucket needs; creating one is another matter.
fn bits_of_post(action: &str) -> Option<Bits> {
    Some(match action {
        "move-bck" => bits::MOVE_BUCKET,
        "copy-bck" | "copy-listrange" | "etl-bck" | "etl-listrange" | "rechunk" | "make-n-copies"
        | "ec-encode" | "index-shard" | "prefetch-listrange" => bits::RW,
        _ => return None,
    })
}

async fn create(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    if name.provider != Provider::Ais {
        let provider = name.provider.as_str();
        let message = format!(
            "{provider} bucket \"{name}\" does not exist (further details at \
             https://github.com/NVIDIA/aistore/blob/main/docs/bucket.md#bucket-lifecycle)"
        );
        return Err(Fail::new(http::StatusCode::NOT_IMPLEMENTED, message).tcode("ErrRemoteBckNotFound"));
    }
    if !name.namespace.uuid.is_empty() {
        let (node, uuid) = (cx.node_name(), &name.namespace.uuid);
        return Err(Fail::not_found(format!("{node}: remote UUID/alias {uuid} does not exist")));
    }
    if !action.value.is_null() {
        props::check_form(&action.value).map_err(|e| {
            let node = cx.node_name();
            Fail::bad(format!("{node}: failed to unmarshal create-bck (map[string]interface {{}}), err: {e}"))
        })?;
    }
    guard::cluster(cx, bits::CREATE_BUCKET)?;
    cx.cluster.buckets.create(name, None, &action.value).await?;
    Ok(Reply::ok())
}

async fn put(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let item = one_item(cx, rest)?.to_owned();
    let action = cx.action()?;
    let name = cx.bucket_name(&item)?;
    cloud::admit(cx, &name).await?;
    if action.action == "archive" {
        let bucket = guard::bucket(cx, &name, bits::RW)?;
        return archive::archive(cx, &bucket, &action).await;
    }
    Err(invalid_action(&action))
}

async fn patch(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let item = one_item(cx, rest)?.to_owned();
    let action = cx.action()?;
    let name = cx.bucket_name(&item)?;
    let change = match action.action.as_str() {
        "set-bprops" => {
            if !action.value.is_null() {
                props::check_form(&action.value).map_err(|e| {
                    Fail::bad(format!("invalid set-bucket-props request (msg={}): {e}", action.display()))
                })?;
            }
            Some(&action.value)
        }
        "reset-bprops" => None,
        other => {
            return Err(Fail::bad(format!(
                "invalid action {other:?} (expected one of [set-bprops reset-bprops])"
            )));
        }
    };
    cloud::admit(cx, &name).await?;
    let acl = change.is_some_and(|c| c.get("access").is_some());
    let known = guard::bucket(cx, &name, bits::PATCH | if acl { bits::BCK_SET_ACL } else { 0 })?;
    if let Some(behind) = change.and_then(backend) {
        let behind = behind?;
        cloud::admit(cx, &behind).await?;
        if cx.cluster.buckets.find(&behind).is_none() {
            return Err(absent(cx, &behind));
        }
    }
    if let Some(change) = change {
        bucket_jobs::check_mirror(cx, &known, change)?;
    }
    let (old, new) = cx.cluster.buckets.set_props(&name, change).await?;
    Ok(match props::starts_job(old.settings(), new.settings()) {
        Some(kind) => bucket_jobs::record_only(cx, &name, kind)?,
        None => Reply::ok(),
    })
}

/// The cloud bucket that is to stand behind a bucket of the cluster.
fn backend(change: &Value) -> Option<Result<BucketName>> {
    let backend = &change["backend_bck"];
    let name = backend["name"].as_str().filter(|n| !n.is_empty())?;
    let provider = Provider::parse(backend["provider"].as_str().unwrap_or_default());
    match provider {
        Ok(Provider::Ais) => None,
        Ok(provider) => {
            Some(Ok(BucketName { provider, namespace: Namespace::default(), name: name.to_owned() }))
        }
        Err(e) => Some(Err(e)),
    }
}

async fn delete(cx: &mut Cx, rest: &str) -> Result<Reply> {
    let item = one_item(cx, rest)?.to_owned();
    let action = Action::decode(&cx.json).map_err(|e| {
        // This call decodes on its own, which shows in the text.
        let node = cx.node_name();
        let empty = "readObjectStart: expect { or n, but found \0, error found in #0 byte of ...||..., bigger context \
                     ...||...";
        let e = if e == "EOF" { empty } else { &e };
        Fail::bad(format!("{node}: failed to unmarshal [*apc.ActMsg] (DELETE), err: {e} (proxy.go, #1056)"))
    })?;
    let name = cx.bucket_name(&item)?;
    match action.action.as_str() {
        "destroy-bck" if name.provider != Provider::Ais => Err(Fail::new(
            http::StatusCode::METHOD_NOT_ALLOWED,
            format!("cannot destroy cloud bucket {name} - operation not supported"),
        )
        .tcode("ErrUnsupp")),
        "destroy-bck" => {
            guard::bucket(cx, &name, bits::DESTROY_BUCKET)?.allow(bits::DESTROY_BUCKET)?;
            cx.cluster.buckets.destroy(&name).await?;
            Ok(Reply::ok())
        }
        "evict-remote-bck" if name.provider != Provider::Ais => {
            guard::existing(cx, &name, bits::DESTROY_BUCKET)?;
            cloud::evict_bucket(cx, &name).await?;
            Ok(Reply::ok())
        }
        action @ "evict-remote-bck" => {
            guard::bucket(cx, &name, bits::DESTROY_BUCKET)?;
            Err(not_remote(action, &name))
        }
        "delete-listrange" => {
            cloud::admit(cx, &name).await?;
            let bucket = guard::bucket(cx, &name, bits::OBJ_DELETE)?;
            bucket.allow(bits::OBJ_DELETE)?;
            multi::delete(cx, &bucket, &action).await
        }
        "evict-listrange" => {
            cloud::admit(cx, &name).await?;
            let bucket = guard::bucket(cx, &name, bits::OBJ_DELETE)?;
            if bucket.remote().is_none() {
                return Err(not_remote("evict-remote-bck", &name));
            }
            multi::evict(cx, &bucket, &action).await
        }
        "destroy-inventory" => {
            cloud::admit(cx, &name).await?;
            let bucket = bucket(cx, &name)?;
            guard::cluster(cx, bits::ADMIN)?;
            cloud::inventory::destroy(cx, &bucket, &action.name).await
        }
        _ => Err(invalid_action(&action)),
    }
}

/// 400 for a call that only remote buckets know.
pub(crate) fn not_remote(action: &str, name: &BucketName) -> Fail {
    Fail::bad(format!("{action}: expecting remote bucket (have {name})")).tcode("ErrNotRemoteBck")
}

/// `POST /v1/objects/{bucket}`: actions on objects that name them in the body.
pub(crate) async fn object_actions(cx: &Cx, item: &str) -> Result<Reply> {
    let action = cx.action()?;
    let name = cx.bucket_name(item)?;
    cloud::admit(cx, &name).await?;
    let bucket = bucket(cx, &name)?;
    match action.action.as_str() {
        "blob-download" => {
            guard::check(cx, Some(&bucket), bits::RW, Form::Wrapped)?;
            if bucket.remote().is_none() {
                return Err(not_remote("blob-download", &name));
            }
            let target = &cx.cluster.targets[cx.cluster.place(&bucket, &action.name)];
            Ok(redirect::to_target(&cx.cluster, target, &cx.method, &cx.path, &cx.query, &cx.plan))
        }
        "promote" => {
            guard::check(cx, Some(&bucket), bits::PROMOTE, Form::Wrapped)?;
            bucket.allow(bits::PROMOTE)?;
            promote::promote(cx, &bucket, &action).await
        }
        _ => Err(invalid_action(&action)),
    }
}

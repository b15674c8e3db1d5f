//! Calls on buckets.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{HeaderName, SERVER};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{escape, find, invalid, list, texts, unescape, xml};
use crate::access::bits;
use crate::aistore::cloud;
use crate::aistore::error::{Fail, Result};
use crate::aistore::names::{BucketName, Provider};
use crate::aistore::node::Cx;
use crate::aistore::reply::Reply;
use crate::aistore::target::locate;
use crate::storage::{ObjectKey, Tables};

const REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Most keys of one deletion.
const MAX_KEYS: usize = 1000;

pub(super) async fn handle(cx: &mut Cx, name: &BucketName) -> Result<Reply> {
    match cx.method {
        Method::PUT if cx.query.has("versioning") => set_versioning(cx, name).await,
        Method::PUT => create(cx, name).await,
        Method::HEAD => {
            find(cx, name)?;
            Ok(Reply::ok().with(SERVER, "AIStore").with(REGION, "ais"))
        }
        Method::GET => {
            let bucket = find(cx, name)?;
            if cx.query.has("versioning") {
                let status = if bucket.versioned() { "Enabled" } else { "Suspended" };
                return Ok(xml(&format!(
                    "<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
                )));
            }
            if cx.query.has("uploads") {
                return list::uploads(cx, &bucket);
            }
            list::objects(cx, &bucket)
        }
        Method::DELETE if name.provider != Provider::Ais => Err(Fail::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("cannot destroy cloud bucket {name} - operation not supported"),
        )
        .tcode("ErrUnsupp")),
        Method::DELETE => {
            find(cx, name)?.allow(bits::DESTROY_BUCKET)?;
            cx.cluster.buckets.destroy(name).await?;
            Ok(Reply::ok())
        }
        Method::POST if cx.query.has("delete") => delete(cx, name).await,
        _ => Err(invalid()),
    }
}

async fn create(cx: &mut Cx, name: &BucketName) -> Result<Reply> {
    cx.body.discard().await?;
    if cx.cluster.buckets.find(name).is_some() {
        let text = format!("cannot create bucket {:?} via S3 API: name already in use by {name}", name.name);
        return Err(Fail::new(StatusCode::CONFLICT, text).tcode("BucketAlreadyExists"));
    }
    cx.cluster.buckets.create(name, None, &Value::Null).await?;
    Ok(Reply::ok())
}

async fn set_versioning(cx: &mut Cx, name: &BucketName) -> Result<Reply> {
    const MAX_DOCUMENT: usize = 64 * 1024;
    let document = cx.body.collect(MAX_DOCUMENT).await?.unwrap_or_default();
    let document = String::from_utf8_lossy(&document).into_owned();
    let enabled = texts(&document, "Status").first().is_some_and(|s| *s == "Enabled");
    cx.cluster.buckets.set_props(name, Some(&json!({"versioning": {"enabled": enabled}}))).await?;
    Ok(Reply::ok())
}

/// Deletes the listed objects; those that do not exist count as deleted.
async fn delete(cx: &Cx, name: &BucketName) -> Result<Reply> {
    let bucket = find(cx, name)?;
    bucket.allow(bits::OBJ_DELETE)?;
    let document = String::from_utf8_lossy(&cx.json);
    if !document.contains("</Delete>") {
        return Err(Fail::bad("XML syntax error on line 1: unexpected EOF").tcode("SyntaxError"));
    }
    let keys: Vec<_> = texts(&document, "Key").into_iter().map(unescape).take(MAX_KEYS).collect();
    if bucket.remote().is_some() {
        for key in &keys {
            let place = cx.cluster.place(&bucket, key);
            cloud::object::remove(cx, &locate(cx, Arc::clone(&bucket), key, place)).await?;
        }
    } else {
        let places: Vec<_> = keys.iter().map(|key| ObjectKey::new(bucket.id, 0, key.as_str())).collect();
        let remove = move |tables: &mut Tables<'_>| {
            places.iter().try_for_each(|place| tables.remove_object(place).map(drop))
        };
        cx.cluster.storage.write(remove).await?;
    }
    let mut deleted = String::new();
    for key in keys {
        let _ = write!(deleted, "<Deleted><Key>{}</Key></Deleted>", escape(&key));
    }
    Ok(xml(&format!("<DeleteResult>{deleted}</DeleteResult>")))
}

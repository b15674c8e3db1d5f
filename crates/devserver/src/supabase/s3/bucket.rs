//! Operations on buckets.

use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{HeaderName, LOCATION};

use super::xml::{Element, records, text_document};
use super::{document, visible};
use crate::aistore::reply::Reply;
use crate::http::Source;
use crate::supabase::bucket_api::{make, new_bucket, remove};
use crate::supabase::caller::Caller;
use crate::supabase::change;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::names;
use crate::supabase::rows::Bucket;
use crate::supabase::time::iso;

/// Longest document that is accepted.
const MAX_BODY: usize = 1 << 20;
const REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

pub(super) fn all(cx: &Cx, caller: &Caller) -> Result<Reply> {
    let mut buckets = Bucket::all(&cx.service.storage.snapshot()?)?;
    buckets.retain(|_| cx.service.frees(caller));
    let list = Element::default().each(&buckets, |list, bucket| {
        let shown =
            Element::default().text("Name", &bucket.name).text("CreationDate", iso(bucket.created_at));
        list.child("Bucket", &shown)
    });
    Ok(document(Element::default().child("Buckets", &list).document("ListAllMyBucketsResult")))
}

pub(super) async fn create(cx: &mut Cx, caller: &Caller, id: &str) -> Result<Reply> {
    cx.body.discard().await?;
    names::check_new_bucket(id)?;
    if !cx.service.frees(caller) {
        return Err(Fail::row_security());
    }
    let mut bucket = new_bucket(id.to_owned(), id.to_owned(), caller);
    bucket.public = cx.header("x-amz-acl") == Some("public-read");
    make(cx, bucket).await?.ok_or_else(|| Fail::exists("BucketAlreadyExists"))?;
    Ok(Reply::ok().with(LOCATION, &format!("/{id}")))
}

pub(super) fn head(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    visible(cx, caller, id)?;
    // A bucket has no length.
    let none = Source::stream(None, futures_util::stream::empty().boxed());
    Ok(Reply::ok().with(REGION, &cx.service.settings.s3_region).source(none))
}

pub(super) async fn delete(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    names::check_bucket(id)?;
    remove(cx, id, caller).await?;
    Ok(Reply::new(StatusCode::NO_CONTENT))
}

pub(super) fn location(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    visible(cx, caller, id)?;
    Ok(document(text_document("LocationConstraint", &cx.service.settings.s3_region)))
}

pub(super) fn versioning(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    visible(cx, caller, id)?;
    let state = Element::default().text("Status", "Suspended").text("MfaDelete", "Disabled");
    Ok(document(state.document("VersioningConfiguration")))
}

pub(super) async fn delete_objects(cx: &mut Cx, caller: &Caller, id: &str) -> Result<Reply> {
    let body = cx.body.collect(MAX_BODY).await?.ok_or_else(Fail::too_large)?;
    let names: Vec<String> = records(&String::from_utf8_lossy(&body), "Object")?
        .into_iter()
        .filter_map(|record| record.into_iter().find(|(name, _)| name == "Key").map(|(_, key)| key))
        .collect();
    let bucket = visible(cx, caller, id)?;
    change::remove(cx, &bucket, names.clone()).await?;
    let result = Element::default()
        .each(&names, |list, name| list.child("Deleted", &Element::default().text("Key", name)));
    Ok(document(result.document("DeleteResult")))
}

//! Calls on selected objects of a bucket.

use http::Method;
use longshore_core_types::{Idempotency, ObjectKey, Result};
use serde::Serialize;

use super::{
    Request,
    bucket::{WireBucket, on_bucket},
    bucket_jobs::{CopyMessage, CopyParams},
    object::check_remote,
};
use crate::{
    collection::{Collection, Selection},
    names::{BucketRef, check_length, check_object_name, invalid},
    object::options::ArchiveFormat,
};

use Idempotency::{Idempotent, NotIdempotent};

/// A selection with what applies to it.
#[derive(Serialize)]
struct Of<'a, T> {
    #[serde(flatten)]
    selection: Selection<'a>,
    #[serde(flatten)]
    more: T,
}

/// Options that deleting, evicting and fetching share.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ListRangeParams {
    #[serde(rename = "num-workers", skip_serializing_if = "Option::is_none")]
    pub(crate) workers: Option<i32>,
    #[serde(rename = "coer", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) continue_on_error: bool,
    #[serde(rename = "non-recurs", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not_recursive: bool,
}

pub(crate) fn delete(bucket: &BucketRef, what: &Collection, params: &ListRangeParams) -> Result<Request> {
    on_bucket(Method::DELETE, bucket, "aistore.group.delete", Idempotent).action(
        "delete-listrange",
        "",
        &Of { selection: what.to_wire(), more: params },
    )
}

pub(crate) fn evict(bucket: &BucketRef, what: &Collection, params: &ListRangeParams) -> Result<Request> {
    check_remote(bucket, "evicting")?;
    on_bucket(Method::DELETE, bucket, "aistore.group.evict", Idempotent).action(
        "evict-listrange",
        "",
        &Of { selection: what.to_wire(), more: params },
    )
}

/// Options of fetching remote objects.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PrefetchParams {
    #[serde(flatten)]
    pub(crate) common: ListRangeParams,
    #[serde(rename = "latest-ver")]
    pub(crate) latest: bool,
    #[serde(rename = "blob-threshold", skip_serializing_if = "Option::is_none")]
    pub(crate) blob_threshold: Option<u64>,
    #[serde(rename = "blob-chunk-size", skip_serializing_if = "Option::is_none")]
    pub(crate) blob_chunk_size: Option<u64>,
    #[serde(rename = "blob-num-workers", skip_serializing_if = "Option::is_none")]
    pub(crate) blob_workers: Option<i32>,
}

pub(crate) fn prefetch(bucket: &BucketRef, what: &Collection, params: &PrefetchParams) -> Result<Request> {
    check_remote(bucket, "prefetching")?;
    on_bucket(Method::POST, bucket, "aistore.group.prefetch", NotIdempotent).action(
        "prefetch-listrange",
        "",
        &Of { selection: what.to_wire(), more: params },
    )
}

/// Copies selected objects, through an ETL if there is one.
pub(crate) fn copy(
    from: &BucketRef,
    to: &BucketRef,
    what: &Collection,
    params: &CopyParams,
) -> Result<Request> {
    #[derive(Serialize)]
    struct Message<'a> {
        tobck: WireBucket,
        #[serde(flatten)]
        copy: CopyMessage<'a>,
    }
    params.check()?;
    if from == to && params.prepend.is_empty() && params.extensions.is_empty() && !params.dry_run {
        return Err(invalid(format!("copying objects of {from} to their own names does nothing")));
    }
    let (action, operation) = match params.etl {
        Some(_) => ("etl-listrange", "aistore.group.transform"),
        None => ("copy-listrange", "aistore.group.copy"),
    };
    let more = Message { tobck: to.into(), copy: params.message() };
    on_bucket(Method::POST, from, operation, NotIdempotent).action(
        action,
        "",
        &Of { selection: what.to_wire(), more },
    )
}

/// Options of archiving.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub(crate) struct ArchiveParams {
    pub(crate) format: Option<ArchiveFormat>,
    pub(crate) include_bucket: bool,
    pub(crate) base_names_only: bool,
    pub(crate) append: bool,
    pub(crate) continue_on_error: bool,
    pub(crate) not_recursive: bool,
}

pub(crate) fn archive(
    from: &BucketRef,
    to: &BucketRef,
    name: &ObjectKey,
    what: &Collection,
    params: &ArchiveParams,
) -> Result<Request> {
    #[derive(Serialize)]
    #[expect(clippy::struct_excessive_bools, reason = "the fields of the message")]
    struct Message<'a> {
        tobck: WireBucket,
        archname: &'a str,
        mime: &'static str,
        #[serde(rename = "isbn")]
        include_bucket: bool,
        #[serde(rename = "bnonly", skip_serializing_if = "std::ops::Not::not")]
        base_names_only: bool,
        #[serde(rename = "aate")]
        append: bool,
        #[serde(rename = "coer")]
        continue_on_error: bool,
        #[serde(rename = "non-recurs", skip_serializing_if = "std::ops::Not::not")]
        not_recursive: bool,
    }
    check_object_name(name, false)?;
    check_length(name)?;
    let known = ArchiveFormat::from_name(name.as_str());
    let Some(by_name) = known else {
        return Err(invalid(format!("{name} does not end in .tar, .tgz, .tar.gz, .zip or .tar.lz4")));
    };
    if params.format.is_some_and(|format| format != by_name) {
        return Err(invalid(format!("the name {name} says another format than is asked for")));
    }
    let more = Message {
        tobck: to.into(),
        archname: name.as_str(),
        mime: params.format.map_or("", ArchiveFormat::as_str),
        include_bucket: params.include_bucket,
        base_names_only: params.base_names_only,
        append: params.append,
        continue_on_error: params.continue_on_error,
        not_recursive: params.not_recursive,
    };
    on_bucket(Method::PUT, from, "aistore.group.archive", NotIdempotent).action(
        "archive",
        "",
        &Of { selection: what.to_wire(), more },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_that_mean_something_else_are_refused() {
        let bucket: BucketRef = "b".parse().unwrap();
        let what = Collection::names_of(["a"]).unwrap();
        assert!(evict(&bucket, &what, &ListRangeParams::default()).is_err());
        assert!(prefetch(&bucket, &what, &PrefetchParams::default()).is_err());
        assert!(copy(&bucket, &bucket, &what, &CopyParams::default()).is_err());
        let params = CopyParams { prepend: "x/".into(), ..CopyParams::default() };
        assert!(copy(&bucket, &bucket, &what, &params).is_ok());
        let key = |name: &str| ObjectKey::new(name).unwrap();
        assert!(archive(&bucket, &bucket, &key("a.txt"), &what, &ArchiveParams::default()).is_err());
        let long = key(&format!("{}.tar", "x".repeat(255)));
        assert!(archive(&bucket, &bucket, &long, &what, &ArchiveParams::default()).is_err());
        let zip = ArchiveParams { format: Some(ArchiveFormat::Zip), ..ArchiveParams::default() };
        assert!(archive(&bucket, &bucket, &key("a.tar"), &what, &zip).is_err());
        assert!(archive(&bucket, &bucket, &key("a.zip"), &what, &zip).is_ok());
        // No selection is empty, and none counts without end.
        assert!(Collection::names_of([] as [&str; 0]).is_err());
        assert!("obj-%04d".parse::<Collection>().is_err());
    }
}

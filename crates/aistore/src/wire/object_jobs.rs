//! Calls on objects that run as jobs: promoting files of the targets, downloading large remote objects.

use http::Method;
use longshore_core_types::{Idempotency, ObjectKey, Result};
use serde::Serialize;

use super::{
    Request,
    object::{check_remote, with_bucket},
};
use crate::{
    names::{BucketRef, check_length, check_object_name, invalid},
    object::options::go_duration,
};

use Idempotency::NotIdempotent;

fn on_objects(bucket: &BucketRef, operation: &'static str) -> Request {
    let path = format!("/v1/objects/{}", bucket.name());
    with_bucket(Request::new(Method::POST, path, operation, NotIdempotent), bucket).on(bucket.resource())
}

/// Options of a promotion.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the message")]
pub(crate) struct PromoteParams {
    #[serde(rename = "tid")]
    pub(crate) target: String,
    #[serde(rename = "src")]
    pub(crate) source: String,
    #[serde(rename = "obj")]
    pub(crate) name: String,
    #[serde(rename = "rcr")]
    pub(crate) recursive: bool,
    #[serde(rename = "ovw")]
    pub(crate) overwrite: bool,
    #[serde(rename = "dls")]
    pub(crate) delete_source: bool,
    #[serde(rename = "notshr")]
    pub(crate) not_shared: bool,
}

pub(crate) fn promote(bucket: &BucketRef, params: &PromoteParams) -> Result<Request> {
    let source = params.source.as_str();
    if !source.starts_with('/') {
        return Err(invalid(format!("{source:?} is not an absolute path on the targets")));
    }
    if source.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(invalid(format!("the path {source:?} contains `.` or `..`")));
    }
    if !params.name.is_empty() {
        let name = ObjectKey::new(params.name.strip_suffix('/').unwrap_or(&params.name))?;
        check_object_name(&name, false)?;
        check_length(&name)?;
    }
    on_objects(bucket, "aistore.object.promote").action("promote", source, params)
}

/// Options of a blob download.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlobParams {
    pub(crate) chunk_size: u64,
    pub(crate) workers: u32,
    pub(crate) latest: bool,
    pub(crate) timeout: Option<std::time::Duration>,
}

pub(crate) fn blob_download(bucket: &BucketRef, key: &ObjectKey, params: &BlobParams) -> Result<Request> {
    #[derive(Serialize)]
    struct Message {
        #[serde(rename = "chunk-size", skip_serializing_if = "zero")]
        chunk_size: u64,
        #[serde(rename = "num-workers", skip_serializing_if = "zero")]
        workers: u64,
        #[serde(rename = "latest-ver")]
        latest: bool,
        #[serde(rename = "chunk-read-timeout", skip_serializing_if = "Option::is_none")]
        timeout: Option<String>,
    }
    check_remote(bucket, "the blob downloader")?;
    check_object_name(key, false)?;
    if params.workers > 128 {
        return Err(invalid("the blob downloader has 128 workers at most"));
    }
    let message = Message {
        chunk_size: params.chunk_size,
        workers: params.workers.into(),
        latest: params.latest,
        timeout: params.timeout.map(go_duration),
    };
    on_objects(bucket, "aistore.object.blob_download").on(bucket.object_resource(key)).action(
        "blob-download",
        key.as_str(),
        &message,
    )
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_harm_is_refused() {
        let bucket: BucketRef = "b".parse().unwrap();
        let key = ObjectKey::new("o").unwrap();
        assert!(blob_download(&bucket, &key, &BlobParams::default()).is_err());
        let cloud: BucketRef = "aws://b".parse().unwrap();
        assert!(blob_download(&cloud, &key, &BlobParams::default()).is_ok());
        let many = BlobParams { workers: 129, ..BlobParams::default() };
        assert!(blob_download(&cloud, &key, &many).is_err());
        for source in ["relative", "/var/lib/ais/promote/../x", ""] {
            let params = PromoteParams { source: source.into(), ..PromoteParams::default() };
            assert!(promote(&bucket, &params).is_err(), "{source}");
        }
        let named = |name: &str| {
            let params =
                PromoteParams { source: "/a/b".into(), name: name.into(), ..PromoteParams::default() };
            promote(&bucket, &params)
        };
        assert!(named("dir/").is_ok());
        for name in ["/", "dir//", "a//b", "../x", &"x".repeat(256)] {
            assert!(named(name).is_err(), "{name}");
        }
    }
}

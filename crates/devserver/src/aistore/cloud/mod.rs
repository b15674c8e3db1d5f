//! A cloud behind the cluster: buckets `aws://NAME` are those of this server's own S3 endpoint.
//!
//! The cluster keeps copies of their objects. A copy lies in the storage like an object of any bucket; what makes it a
//! copy is that its bucket is remote. [`object`] fetches and writes through, [`list`] tells what there is on both sides,
//! [`inventory`] keeps lists of names, [`jobs`] moves many objects, [`upload`] passes on uploads in parts.

pub(super) mod inventory;
pub(super) mod jobs;
pub(super) mod list;
pub(super) mod object;
mod origin;
pub(super) mod upload;

use std::sync::Arc;

use http::StatusCode;
use s3s::S3Error;

use super::buckets::Bucket;
use super::error::{Fail, Relayed, Result};
use super::names::{BucketName, Namespace, Provider};
use super::node::Cx;
use crate::s3::{Entry, Page, Query};

pub(crate) use origin::Origin;

/// Where the S3 endpoint pretends to be.
pub(super) const REGION: &str = "us-east-1";

/// The S3 service that holds the buckets.
#[derive(Debug)]
pub(crate) struct Cloud {
    s3: Origin,
    endpoint: String,
}

impl Cloud {
    pub(crate) fn new(s3: Origin, endpoint: String) -> Self {
        Self { s3, endpoint }
    }

    fn buckets(&self) -> Vec<BucketName> {
        let name = |name| BucketName { provider: Provider::Aws, namespace: Namespace::default(), name };
        self.s3.buckets().into_iter().map(name).collect()
    }

    /// True if it has a bucket of this name.
    pub(super) fn has(&self, name: &BucketName) -> bool {
        name.provider == Provider::Aws && name.namespace.is_global() && self.s3.has(&name.name)
    }

    /// What HEAD says of an object that S3 does not have.
    fn not_found(&self) -> Fail {
        let endpoint = &self.endpoint;
        let text = format!("aws-error[NotFound:  (region=\"{REGION}\", endpoint=\"{endpoint}\")]");
        Fail::new(StatusCode::NOT_FOUND, text)
    }

    /// What HEAD says without a key.
    fn no_key(&self) -> Fail {
        let endpoint = &self.endpoint;
        Fail::bad(format!(
            "aws-error[operation error S3: HeadObject, serialization failed: serialization failed: input member Key must \
             not be empty (region=\"{REGION}\", endpoint=\"{endpoint}\")]"
        ))
    }

    /// A page of what there is.
    pub(super) fn list(&self, bucket: &str, query: Query<'_>) -> Result<Page> {
        self.s3.list(bucket, query).map_err(|e| refused(&e, None))
    }

    /// At most `max` objects whose names begin with `prefix` and lie behind `after`.
    pub(super) fn objects(&self, bucket: &str, prefix: &str, after: &str, max: usize) -> Result<Vec<Entry>> {
        Ok(self.list(bucket, Query { prefix, after, max, ..Query::default() })?.entries)
    }
}

/// S3's refusal as the cluster tells it; `object` in the display form where the call was about one.
fn refused(error: &S3Error, object: Option<&str>) -> Fail {
    let status = error.status_code().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code = error.code().as_str();
    let detail = match object.filter(|_| code == "NoSuchKey") {
        Some(object) => object,
        None => error.message().unwrap_or_default().trim_end_matches('.'),
    };
    Fail::new(status, format!("aws-error[{code}: {detail}]"))
}

/// A bucket's other side: the service and the bucket's name there.
pub(super) fn behind<'a>(cloud: Option<&'a Cloud>, bucket: &'a Bucket) -> Option<(&'a Cloud, &'a str)> {
    Some((cloud?, bucket.remote()?))
}

/// Makes a bucket of the cloud known to the cluster, as the first call on it does.
pub(super) async fn admit(cx: &Cx, name: &BucketName) -> Result<()> {
    let known = |cloud: &Cloud| cloud.has(name) && cx.cluster.buckets.find(name).is_none();
    if cx.cluster.cloud.as_ref().is_some_and(known) {
        cx.cluster.buckets.register(name).await?;
    }
    Ok(())
}

/// The bucket, without making it known to the cluster.
pub(super) fn peek(cx: &Cx, name: &BucketName) -> Option<Arc<Bucket>> {
    if let Some(bucket) = cx.cluster.buckets.find(name) {
        return Some(bucket);
    }
    let cloud = cx.cluster.cloud.as_ref()?;
    cloud.has(name).then(|| Arc::new(Bucket::unregistered(name.clone())))
}

/// 404 for a bucket that the cloud does not have; `None` if there is no such cloud.
pub(super) fn absent(cx: &Cx, name: &BucketName) -> Option<Fail> {
    let cloud = cx.cluster.cloud.as_ref().filter(|_| name.provider == Provider::Aws)?;
    let text = format!("aws-error[NotFound:  (endpoint=\"{}\")]", cloud.endpoint);
    let relayed = Relayed {
        method: "HEAD",
        path: format!("/v1/buckets/{}", name.name),
        caller: cx.node_name(),
        node: cx.cluster.targets[0].name(),
    };
    Some(Fail::new(StatusCode::NOT_FOUND, text).relayed(relayed))
}

/// 404 for a bucket that is not known to the cluster where only known ones count.
pub(super) fn unregistered(name: &BucketName) -> Fail {
    let provider = name.provider.as_str();
    Fail::new(StatusCode::NOT_FOUND, format!("{provider} bucket \"{name}\" does not exist"))
        .tcode("ErrRemoteBckNotFound")
}

/// The buckets of the cloud that a listing with this filter shows beside those that the cluster knows.
pub(super) fn unknown_buckets(cx: &Cx) -> Vec<BucketName> {
    let Some(cloud) = &cx.cluster.cloud else { return Vec::new() };
    let mut buckets = cloud.buckets();
    buckets.retain(|name| cx.cluster.buckets.find(name).is_none());
    buckets
}

/// `evict-remote-bck`: the cluster forgets its copies and, unless told to keep it, the bucket.
pub(super) async fn evict_bucket(cx: &Cx, name: &BucketName) -> Result<()> {
    let Some(bucket) = cx.cluster.buckets.find(name) else { return Ok(()) };
    if cx.query.flag("keep_bck_md") {
        return Ok(cx.cluster.storage.purge(bucket.id).await?);
    }
    cx.cluster.buckets.destroy(name).await
}

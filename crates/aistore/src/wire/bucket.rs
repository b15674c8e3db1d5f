//! Calls on buckets that are answered at once: create, destroy, HEAD, list of buckets, properties.

use http::{Method, response::Parts};
use longshore_core_types::{Error, ErrorKind, Idempotency, Namespace, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Request, headers, object::with_bucket};
use crate::{
    bucket::props::{BucketPatch, BucketProps},
    names::{BucketRef, Provider, invalid, namespace_uname},
    object::options::Presence,
};

use Idempotency::{Idempotent, NotIdempotent};

/// Actions on buckets and on selected objects that the client has calls for.
pub(crate) const ACTIONS: [&str; 27] = [
    "archive",
    "blob-download",
    "copy-bck",
    "copy-listrange",
    "create-bck",
    "create-inventory",
    "delete-listrange",
    "destroy-bck",
    "destroy-inventory",
    "ec-encode",
    "etl-bck",
    "etl-listrange",
    "evict-listrange",
    "evict-remote-bck",
    "index-shard",
    "list",
    "make-n-copies",
    "move-bck",
    "prefetch-listrange",
    "promote",
    "rechunk",
    "reset-bprops",
    "set-bprops",
    "show-inventory",
    "start",
    "stop",
    "summary-bck",
];

/// A call on one bucket.
pub(crate) fn on_bucket(
    method: Method,
    bucket: &BucketRef,
    operation: &'static str,
    idempotency: Idempotency,
) -> Request {
    let path = format!("/v1/buckets/{}", bucket.name());
    with_bucket(Request::new(method, path, operation, idempotency), bucket).on(bucket.resource())
}

/// Creates a bucket. A cloud bucket exists or not at its provider: it is never created through the cluster.
pub(crate) fn create(bucket: &BucketRef, props: Option<&BucketPatch>) -> Result<Request> {
    if bucket.provider() != Provider::Ais {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{bucket}: a bucket of a cloud provider is created there, not through the cluster"),
        ));
    }
    let request = on_bucket(Method::POST, bucket, "aistore.bucket.create", NotIdempotent);
    match props {
        Some(props) => request.action("create-bck", "", &props.to_json()),
        None => request.action("create-bck", "", &Value::Null),
    }
}

/// Deletes a bucket with everything in it.
pub(crate) fn destroy(bucket: &BucketRef) -> Result<Request> {
    if bucket.provider() != Provider::Ais {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{bucket}: a bucket of a cloud provider cannot be deleted, only evicted"),
        ));
    }
    on_bucket(Method::DELETE, bucket, "aistore.bucket.delete", Idempotent).action(
        "destroy-bck",
        "",
        &Value::Null,
    )
}

/// Existence and properties.
pub(crate) fn head(bucket: &BucketRef, presence: Option<Presence>, register: bool) -> Request {
    let mut request = on_bucket(Method::HEAD, bucket, "aistore.bucket.head", Idempotent);
    if let Some(presence) = presence {
        request = request.query("presence", presence.as_str());
    }
    request.query_if(!register, "dont_add_remote_bck_md", "true")
}

/// The properties that a HEAD carries in a header.
pub(crate) fn parse_head(parts: &Parts) -> Result<BucketProps> {
    let text = headers::text(&parts.headers, &headers::BUCKET_PROPS).ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the answer has no bucket properties").with_status(parts.status)
    })?;
    BucketProps::from_json(text.as_bytes())
}

/// Changes properties.
pub(crate) fn set_props(bucket: &BucketRef, patch: &BucketPatch) -> Result<Request> {
    if patch.is_empty() {
        return Err(invalid(format!("{bucket}: no property to change")));
    }
    on_bucket(Method::PATCH, bucket, "aistore.bucket.set_props", Idempotent).action(
        "set-bprops",
        "",
        &patch.to_json(),
    )
}

/// Sets all properties back to the cluster's defaults.
pub(crate) fn reset_props(bucket: &BucketRef) -> Result<Request> {
    on_bucket(Method::PATCH, bucket, "aistore.bucket.reset_props", Idempotent).action(
        "reset-bprops",
        "",
        &Value::Null,
    )
}

/// Which buckets to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListBuckets {
    pub(crate) provider: Option<Provider>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) presence: Option<Presence>,
}

/// Lists buckets. The provider is always named: without one, the failure of any backend fails the call.
pub(crate) fn list(params: &ListBuckets) -> Result<Request> {
    let provider = params.provider.unwrap_or_default();
    let mut request = Request::new(Method::GET, "/v1/buckets", "aistore.bucket.list", Idempotent)
        .query("provider", provider.as_str());
    if let Some(namespace) = &params.namespace {
        request = request.query("namespace", &namespace_uname(namespace));
    }
    if let Some(presence) = params.presence {
        request = request.query("presence", presence.as_str());
    }
    request.action("list", "", &Value::Null)
}

/// A bucket as messages write it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct WireBucket {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) provider: String,
    #[serde(default, deserialize_with = "null_default")]
    pub(crate) namespace: WireNamespace,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct WireNamespace {
    #[serde(default)]
    pub(crate) uuid: String,
    #[serde(default)]
    pub(crate) name: String,
}

/// `null` where a value is missing.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<&BucketRef> for WireBucket {
    fn from(bucket: &BucketRef) -> Self {
        let Namespace { uuid, name } = bucket.namespace().clone();
        Self {
            name: bucket.name().to_string(),
            provider: bucket.provider().to_string(),
            namespace: WireNamespace { uuid, name },
        }
    }
}

impl WireBucket {
    /// `None` for an empty one, which means none, and for a name that this client would refuse.
    pub(crate) fn to_ref(&self) -> Option<BucketRef> {
        let provider = match self.provider.as_str() {
            "" => Provider::Ais,
            name => Provider::parse(name).ok()?,
        };
        let WireNamespace { uuid, name } = self.namespace.clone();
        Some(BucketRef::new(provider, &self.name).ok()?.in_namespace(Namespace { uuid, name }))
    }
}

/// The buckets of an answer. An empty cluster may answer `null`.
pub(crate) fn parse_list(body: &[u8]) -> Result<Vec<BucketRef>> {
    let buckets: Option<Vec<WireBucket>> = super::from_json(body, "a list of buckets")?;
    // System buckets, whose names begin with a dot, cannot be used by ordinary callers.
    Ok(buckets.unwrap_or_default().iter().filter_map(WireBucket::to_ref).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_not_created_or_destroyed() {
        let bucket: BucketRef = "aws://b".parse().unwrap();
        assert_eq!(create(&bucket, None).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(destroy(&bucket).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(set_props(&bucket, &BucketPatch::default()).is_err());
    }

    #[test]
    fn lists() {
        assert!(parse_list(b"null\n").unwrap().is_empty());
        let body = br#"[{"name":"b","provider":"ais","namespace":{"uuid":"","name":"n"}},
                       {"name":".sys","provider":"ais","namespace":null}]"#;
        let buckets = parse_list(body).unwrap();
        assert_eq!(buckets.len(), 1);
        assert_eq!(buckets[0].to_string(), "ais://#n/b");
        assert_eq!(parse_list(b"{}").unwrap_err().kind(), ErrorKind::Protocol);
    }
}

//! Calls on buckets: create, get, list, update, empty, delete, and the purge of caches.

use http::Method;
use longshore_core_types::{BucketName, Idempotency, ObjectKey, Result};
use longshore_transport::encode_path;
use serde::Serialize;

use super::Request;
use crate::{
    model::{BucketSettings, SizeLimit},
    names::{bucket_resource, check_new_bucket, object_resource},
};

use Idempotency::{Idempotent, NotIdempotent};

fn on_bucket(method: Method, bucket: &BucketName, operation: &'static str) -> Request {
    let path = format!("/bucket/{}", encode_path(bucket.as_str()));
    Request::new(method, path, operation, Idempotent).on(bucket_resource(bucket))
}

/// The rules of a bucket, as bodies write them. What is not set is left out.
#[derive(Serialize)]
#[expect(clippy::option_option, reason = "a limit, no limit, or nothing said")]
struct Rules<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size_limit: Option<Option<&'a SizeLimit>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_mime_types: Option<Option<&'a [String]>>,
}

fn rules<'a>(id: &'a str, name: &'a str, settings: &'a BucketSettings) -> Rules<'a> {
    Rules {
        id,
        name,
        public: settings.public,
        file_size_limit: settings.file_size_limit.as_ref().map(Option::as_ref),
        allowed_mime_types: settings.allowed_mime_types.as_ref().map(Option::as_deref),
    }
}

pub(crate) fn create(bucket: &BucketName, name: Option<&str>, settings: &BucketSettings) -> Result<Request> {
    check_new_bucket(bucket.as_str())?;
    let name = name.unwrap_or(bucket.as_str());
    check_new_bucket(name)?;
    settings.check()?;
    Request::new(Method::POST, "/bucket", "supabase.bucket.create", NotIdempotent)
        .on(bucket_resource(bucket))
        .json(&rules(bucket.as_str(), name, settings))
}

pub(crate) fn get(bucket: &BucketName) -> Request {
    on_bucket(Method::GET, bucket, "supabase.bucket.get")
}

pub(crate) fn update(bucket: &BucketName, settings: &BucketSettings) -> Result<Request> {
    settings.check()?;
    if *settings == BucketSettings::default() {
        return Err(crate::names::invalid("nothing is to be changed"));
    }
    on_bucket(Method::PUT, bucket, "supabase.bucket.update").json(&rules(
        bucket.as_str(),
        bucket.as_str(),
        settings,
    ))
}

pub(crate) fn empty(bucket: &BucketName) -> Result<Request> {
    let path = format!("/bucket/{}/empty", encode_path(bucket.as_str()));
    Request::new(Method::POST, path, "supabase.bucket.empty", Idempotent)
        .on(bucket_resource(bucket))
        .json(&serde_json::json!({}))
}

pub(crate) fn delete(bucket: &BucketName) -> Result<Request> {
    on_bucket(Method::DELETE, bucket, "supabase.bucket.delete").json(&serde_json::json!({}))
}

/// Options of a list of buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListParams {
    pub(crate) limit: Option<u32>,
    pub(crate) offset: Option<u64>,
    pub(crate) sort: Option<(&'static str, &'static str)>,
    pub(crate) search: Option<String>,
}

impl ListParams {
    pub(crate) fn apply(&self, request: Request) -> Result<Request> {
        if self.limit == Some(0) {
            return Err(crate::names::invalid("a list of zero buckets cannot be asked for"));
        }
        Ok(request
            .query_opt("limit", self.limit)
            .query_opt("offset", self.offset)
            .query_opt("search", self.search.as_deref())
            .query_opt("sortColumn", self.sort.map(|(column, _)| column))
            .query_opt("sortOrder", self.sort.map(|(_, order)| order)))
    }
}

pub(crate) fn list(params: &ListParams) -> Result<Request> {
    params.apply(Request::new(Method::GET, "/bucket", "supabase.bucket.list", Idempotent))
}

/// What is to be forgotten by the caches in front of the service.
pub(crate) fn purge(at: Option<(&BucketName, Option<&ObjectKey>)>, transformed_only: bool) -> Request {
    let (path, resource) = match at {
        None => ("/cdn".to_owned(), None),
        Some((bucket, None)) => {
            (format!("/cdn/{}", encode_path(bucket.as_str())), Some(bucket_resource(bucket)))
        }
        Some((bucket, Some(key))) => (
            format!("/cdn/{}/{}", encode_path(bucket.as_str()), encode_path(key.as_str())),
            Some(object_resource(bucket, key)),
        ),
    };
    let request = Request::new(Method::DELETE, path, "supabase.cache.purge", Idempotent)
        .query_opt("transformations", transformed_only.then_some("true"));
    match resource {
        Some(resource) => request.on(resource),
        None => request,
    }
}

pub(crate) fn health() -> Request {
    Request::new(Method::GET, "/health", "supabase.health", Idempotent)
}

pub(crate) fn version() -> Request {
    Request::new(Method::GET, "/version", "supabase.version", Idempotent)
}

pub(crate) fn status() -> Request {
    Request::new(Method::GET, "/status", "supabase.status", Idempotent)
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ErrorKind;

    use super::*;

    #[test]
    fn what_the_server_would_refuse() {
        let bucket = BucketName::new("b").unwrap();
        let nothing = update(&bucket, &BucketSettings::default());
        let none = list(&ListParams { limit: Some(0), ..ListParams::default() });
        for refused in [nothing, none] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn what_is_purged() {
        let (bucket, key) = (BucketName::new("b").unwrap(), ObjectKey::new("a b").unwrap());
        assert_eq!(purge(None, false).path, "/cdn");
        assert_eq!(purge(Some((&bucket, None)), false).path, "/cdn/b");
        let one = purge(Some((&bucket, Some(&key))), true);
        assert_eq!((one.path.as_str(), one.query.as_str()), ("/cdn/b/a%20b", "transformations=true"));
    }
}

//! S3 over the server's storage: routing, XML and signatures are the `s3s` crate's; buckets and objects are ours.
//!
//! [`Shop`] carries out operations on the buckets of a [`Catalog`], whoever owns them. It is reached over the listener of
//! [`Server`], which checks signatures, or in process by services that have their own ways of asking: with requests, through
//! [`Unsigned`], or with typed calls, through [`Direct`].

mod buckets;
mod catalog;
mod checksum;
mod conditions;
mod copy;
mod direct;
mod keys;
mod list;
mod list_uploads;
mod meta;
mod multipart;
mod objects;
mod operations;
mod server;

use std::sync::Arc;

use http::{Request, Response};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3Result, s3_error};

pub(crate) use buckets::OwnBuckets;
pub(crate) use catalog::{BucketInfo, Catalog, CatalogError};
pub(crate) use direct::{Direct, Entry, Found, Metadata, Page, Query};
pub(crate) use keys::{Grant, Key, Keys};
pub(crate) use server::Server;

use crate::storage::{Storage, StorageError};

/// Carries out S3 operations.
#[derive(Debug)]
pub(crate) struct Shop {
    storage: Arc<Storage>,
    catalog: Arc<dyn Catalog>,
}

impl Shop {
    fn bucket(&self, name: &str) -> S3Result<BucketInfo> {
        self.catalog.find(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

/// Names of any form: services that lend their buckets have rules of their own.
struct AnyName;

impl s3s::validation::NameValidation for AnyName {
    fn validate_bucket_name(&self, name: &str) -> bool {
        !name.is_empty()
    }
}

/// S3 without any check of who asks.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned(S3Service);

impl Unsigned {
    pub(crate) fn new(storage: Arc<Storage>, catalog: Arc<dyn Catalog>) -> Self {
        let mut builder = S3ServiceBuilder::new(Shop { storage, catalog });
        builder.set_validation(AnyName);
        Self(builder.build())
    }

    /// Answers a request whose path is `/BUCKET/KEY`. Headers and parameters of a signature must be gone.
    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        answer(&self.0, request).await
    }
}

async fn answer(service: &S3Service, request: Request<Body>) -> Response<Body> {
    match service.call(request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(?error, "S3 answer not written");
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            let mut full = s3_error!(ServiceUnavailable, "no space left on the server's device");
            full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
            return full;
        }
        Self::internal_error(error)
    }
}

/// Nanoseconds since the epoch.
fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

//! Which buckets there are.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use s3s::{S3Error, s3_error};

use crate::storage::{ObjectRecord, StorageError};

/// A bucket as S3 sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketInfo {
    pub(crate) name: String,
    /// Identity in the storage.
    pub(crate) id: u64,
    /// Nanoseconds since the epoch.
    pub(crate) created: i64,
    /// Anybody may read and list it without a key.
    pub(crate) public: bool,
}

/// Why a bucket was not created or removed.
#[derive(Debug)]
pub(crate) enum CatalogError {
    Exists,
    Missing,
    NotEmpty,
    BadName(String),
    Storage(StorageError),
}

impl From<StorageError> for CatalogError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<CatalogError> for S3Error {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Exists => s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ),
            CatalogError::Missing => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
            CatalogError::NotEmpty => {
                s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")
            }
            CatalogError::BadName(name) => {
                s3_error!(InvalidBucketName, "The specified bucket is not valid: {name:?}")
            }
            CatalogError::Storage(error) => error.into(),
        }
    }
}

/// A set of buckets whose objects lie in the storage under the bucket's id, in slot 0.
pub(crate) trait Catalog: Debug + Send + Sync + 'static {
    /// All buckets, in order of their names.
    fn list(&self) -> Vec<BucketInfo>;

    fn find(&self, name: &str) -> Option<BucketInfo>;

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), CatalogError>>;

    /// Removes an empty bucket.
    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), CatalogError>>;

    /// Completes the record of an object that is about to replace `old`, inside the transaction.
    fn stamp(&self, _bucket: &BucketInfo, _record: &mut ObjectRecord, _old: Option<&ObjectRecord>) {}
}

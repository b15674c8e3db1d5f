//! The buckets that exist for S3 alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, RwLock};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::catalog::{BucketInfo, Catalog, CatalogError};
use super::now;
use crate::storage::{Service, Storage, StorageError};
use crate::sync::{read, write};

/// Buckets kept in the storage.
#[derive(Debug)]
pub(crate) struct OwnBuckets {
    storage: Arc<Storage>,
    map: RwLock<BTreeMap<String, BucketInfo>>,
    /// Changes are made one after another; holds the next identity.
    changing: tokio::sync::Mutex<u64>,
}

/// What the storage keeps of a bucket.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: u64,
    created: i64,
    public: bool,
}

/// Key of a bucket's record.
fn record_key(name: &str) -> String {
    format!("bucket/{name}")
}

impl OwnBuckets {
    /// Loads the buckets, and removes objects of buckets that are gone.
    pub(crate) async fn open(storage: Arc<Storage>) -> Result<Self, StorageError> {
        let mut map = BTreeMap::new();
        for (key, bytes) in storage.snapshot()?.records(Service::S3)? {
            let Some(name) = key.strip_prefix("bucket/") else { continue };
            let stored: Stored = rmp_serde::from_slice(&bytes)
                .map_err(|e| StorageError::Corrupt(format!("S3 bucket {name}: {e}")))?;
            let Stored { id, created, public } = stored;
            map.insert(name.to_owned(), BucketInfo { name: name.to_owned(), id, created, public });
        }
        let known: HashSet<u64> = map.values().map(|b| b.id).collect();
        for stray in storage.stray_buckets(Service::S3, &known)? {
            storage.purge(stray).await?;
        }
        let next = known.iter().max().map_or(Service::S3.ids().start, |id| id + 1);
        Ok(Self { storage, map: RwLock::new(map), changing: tokio::sync::Mutex::new(next) })
    }

    async fn store(&self, bucket: BucketInfo) -> Result<(), StorageError> {
        let stored = Stored { id: bucket.id, created: bucket.created, public: bucket.public };
        let bytes = rmp_serde::to_vec(&stored).map_err(|e| StorageError::Corrupt(e.to_string()))?;
        let key = record_key(&bucket.name);
        self.storage.write(move |t| t.set_record(Service::S3, &key, Some(&bytes))).await?;
        write(&self.map).insert(bucket.name.clone(), bucket);
        Ok(())
    }

    async fn add(&self, name: &str) -> Result<(), CatalogError> {
        if !valid_name(name) {
            return Err(CatalogError::BadName(name.to_owned()));
        }
        let mut next = self.changing.lock().await;
        if self.find(name).is_some() {
            return Err(CatalogError::Exists);
        }
        let bucket = BucketInfo { name: name.to_owned(), id: *next, created: now(), public: false };
        self.store(bucket).await?;
        *next += 1;
        Ok(())
    }

    /// Lets anybody read and list a bucket, or nobody any more.
    pub(crate) async fn set_public(&self, name: &str, public: bool) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        let bucket = self.find(name).ok_or(CatalogError::Missing)?;
        Ok(self.store(BucketInfo { public, ..bucket }).await?)
    }

    async fn drop_empty(&self, name: &str) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        let bucket = self.find(name).ok_or(CatalogError::Missing)?;
        let (key, id) = (record_key(name), bucket.id);
        let removed = self
            .storage
            .write(move |t| {
                if !t.is_empty(id)? {
                    return Ok(false);
                }
                t.set_record(Service::S3, &key, None)?;
                Ok(true)
            })
            .await?;
        if !removed {
            return Err(CatalogError::NotEmpty);
        }
        write(&self.map).remove(name);
        self.abort_uploads(id).await?;
        Ok(())
    }

    async fn abort_uploads(&self, bucket: u64) -> Result<(), StorageError> {
        let uploads = self.storage.snapshot()?.uploads()?;
        for (id, _) in uploads.into_iter().filter(|(_, u)| u.key.bucket == bucket) {
            self.storage.write(move |t| t.remove_upload(&id, false)).await?;
        }
        Ok(())
    }
}

impl Catalog for OwnBuckets {
    fn list(&self) -> Vec<BucketInfo> {
        read(&self.map).values().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<BucketInfo> {
        read(&self.map).get(name).cloned()
    }

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), CatalogError>> {
        Box::pin(self.add(name))
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), CatalogError>> {
        Box::pin(self.drop_empty(name))
    }
}

/// S3's rule for names of buckets.
fn valid_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| inner(b) || b == b'-' || b == b'.')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["abc", "a-b.c", "0123"] {
            assert!(valid_name(good), "{good}");
        }
        for bad in ["ab", "Abc", "a..b", "-ab", "ab-", "a_b", "127.0.0.1", &"a".repeat(64)] {
            assert!(!valid_name(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn buckets_outlive_a_restart_and_leave_when_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        for round in 0..2 {
            let storage = Arc::new(Storage::open(dir.path(), false).expect("storage"));
            let buckets = OwnBuckets::open(Arc::clone(&storage)).await.expect("buckets");
            if round == 0 {
                buckets.create("one").await.expect("created");
                assert!(matches!(buckets.create("one").await, Err(CatalogError::Exists)));
                assert!(matches!(buckets.create("Bad").await, Err(CatalogError::BadName(_))));
                buckets.create("two").await.expect("created");
            } else {
                let names: Vec<_> = buckets.list().into_iter().map(|b| b.name).collect();
                assert_eq!(names, ["one", "two"]);
                buckets.remove("one").await.expect("removed");
                assert!(matches!(buckets.remove("one").await, Err(CatalogError::Missing)));
            }
        }
    }
}

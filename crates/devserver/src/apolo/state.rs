//! Records of buckets and of persistent credentials, kept in the storage.

use std::sync::{Arc, RwLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::storage::{Service, Storage, StorageError};
use crate::sync::{read, write};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) owner: String,
    pub(super) org: String,
    pub(super) project: String,
    pub(super) provider: String,
    /// Microseconds since the epoch.
    pub(super) created: i64,
    pub(super) public: bool,
    /// Its name at the provider.
    pub(super) name_at_provider: String,
    /// What opens an imported bucket, as JSON text; buckets of our own have none.
    pub(super) imported: Option<String>,
}

impl Bucket {
    /// What opens an imported bucket.
    pub(super) fn credentials(&self) -> Map<String, Value> {
        self.imported.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The name, or the id of a bucket without one.
    pub(super) fn name_or_id(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// Credentials that do not expire.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) owner: String,
    pub(super) read_only: bool,
    /// Microseconds since the epoch.
    pub(super) created: i64,
    pub(super) access_key: String,
    pub(super) secret: String,
    /// Ids of the buckets.
    pub(super) buckets: Vec<String>,
}

/// All records, oldest first.
#[derive(Debug, Default)]
struct Records {
    buckets: Vec<Bucket>,
    credentials: Vec<Arc<Credentials>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("id", &self.id)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// The service's records.
#[derive(Debug)]
pub(super) struct State {
    storage: Arc<Storage>,
    records: RwLock<Records>,
    /// Changes are made one after another.
    pub(super) changing: tokio::sync::Mutex<()>,
}

fn unpack<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StorageError> {
    rmp_serde::from_slice(bytes).map_err(|e| StorageError::Corrupt(format!("Apolo record {key}: {e}")))
}

impl State {
    pub(super) fn open(storage: Arc<Storage>) -> Result<Self, StorageError> {
        let mut records = Records::default();
        for (key, bytes) in storage.snapshot()?.records(Service::Apolo)? {
            if key.starts_with("bucket/") {
                records.buckets.push(unpack(&key, &bytes)?);
            } else if key.starts_with("credentials/") {
                records.credentials.push(Arc::new(unpack(&key, &bytes)?));
            }
        }
        records.buckets.sort_by_key(|b| b.created);
        records.credentials.sort_by_key(|c| c.created);
        Ok(Self { storage, records: RwLock::new(records), changing: tokio::sync::Mutex::new(()) })
    }

    pub(super) fn buckets(&self) -> Vec<Bucket> {
        read(&self.records).buckets.clone()
    }

    pub(super) fn bucket(&self, found: impl Fn(&Bucket) -> bool) -> Option<Bucket> {
        read(&self.records).buckets.iter().find(|b| found(b)).cloned()
    }

    pub(super) fn credentials(&self) -> Vec<Arc<Credentials>> {
        read(&self.records).credentials.clone()
    }

    async fn set<T: Serialize>(&self, key: String, value: Option<&T>) -> Result<(), StorageError> {
        let bytes = value.map(rmp_serde::to_vec).transpose();
        let bytes = bytes.map_err(|e| StorageError::Corrupt(e.to_string()))?;
        self.storage.write(move |t| t.set_record(Service::Apolo, &key, bytes.as_deref())).await
    }

    /// Stores a bucket, new or changed.
    pub(super) async fn put_bucket(&self, bucket: Bucket) -> Result<(), StorageError> {
        self.set(format!("bucket/{}", bucket.id), Some(&bucket)).await?;
        let buckets = &mut write(&self.records).buckets;
        match buckets.iter_mut().find(|b| b.id == bucket.id) {
            Some(old) => *old = bucket,
            None => buckets.push(bucket),
        }
        Ok(())
    }

    pub(super) async fn remove_bucket(&self, id: &str) -> Result<(), StorageError> {
        self.set::<Bucket>(format!("bucket/{id}"), None).await?;
        write(&self.records).buckets.retain(|b| b.id != id);
        Ok(())
    }

    /// Stores credentials, new or changed.
    pub(super) async fn put_credentials(&self, credentials: Credentials) -> Result<(), StorageError> {
        self.set(format!("credentials/{}", credentials.id), Some(&credentials)).await?;
        let all = &mut write(&self.records).credentials;
        match all.iter_mut().find(|c| c.id == credentials.id) {
            Some(old) => *old = Arc::new(credentials),
            None => all.push(Arc::new(credentials)),
        }
        Ok(())
    }

    pub(super) async fn remove_credentials(&self, id: &str) -> Result<(), StorageError> {
        self.set::<Credentials>(format!("credentials/{id}"), None).await?;
        write(&self.records).credentials.retain(|c| c.id != id);
        Ok(())
    }
}

/// Microseconds since the epoch.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A moment as the service writes it; whole seconds have no fraction.
pub(super) fn moment(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    let format =
        if micros % 1_000_000 == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(1_795_263_529_000_000), "2026-11-21T12:18:49+00:00");
        assert_eq!(moment(1_795_263_529_000_042), "2026-11-21T12:18:49.000042+00:00");
    }
}

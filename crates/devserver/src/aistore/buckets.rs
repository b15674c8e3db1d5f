//! The bucket map.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, RwLock};

use http::StatusCode;
use serde_json::{Value, json};

use super::cloud;
use super::error::{Fail, Result};
use super::ids::now;
use super::names::{BucketName, Namespace, Provider};
use super::props;
use crate::access::{Bits, bits};
use crate::checksum::ChecksumKind;
use crate::storage::{Service, Storage, StorageError};
use crate::sync::{read, write};

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: BucketName,
    /// Identity in the storage and, with the top bit set, on the wire.
    pub(crate) id: u64,
    created: i64,
    props: Value,
}

impl Bucket {
    pub(crate) fn checksum(&self) -> ChecksumKind {
        self.props["checksum"]["type"].as_str().and_then(ChecksumKind::parse).unwrap_or(ChecksumKind::Xxhash2)
    }

    pub(crate) fn versioned(&self) -> bool {
        self.flag("versioning", "enabled")
    }

    /// Copies are compared with their originals before they are fetched again.
    pub(crate) fn validates_copies(&self) -> bool {
        self.flag("versioning", "validate_warm_get")
    }

    /// Copies are compared with their originals before they are read.
    pub(crate) fn validates_warm_reads(&self) -> bool {
        self.validates_copies() || self.synchronized()
    }

    /// Copies go when a read finds that their originals are gone.
    pub(crate) fn synchronized(&self) -> bool {
        self.flag("versioning", "synchronize")
    }

    /// Name of the cloud bucket whose objects this one's are copies of: itself, or one that stands behind it.
    pub(crate) fn remote(&self) -> Option<&str> {
        let backend = &self.props["backend_bck"];
        match self.name.provider {
            Provider::Aws => Some(&self.name.name),
            _ => backend["name"].as_str().filter(|name| !name.is_empty() && backend["provider"] == "aws"),
        }
    }

    /// A bucket of the cloud that the cluster does not know.
    pub(crate) fn unregistered(name: BucketName) -> Self {
        Self { name, id: 0, created: 0, props: cloud::object::bucket_props(props::defaults()) }
    }

    /// Name and number, as some messages have it.
    pub(crate) fn numbered(&self) -> String {
        format!("{}(0x{:x})", self.name, self.id)
    }

    /// Ranges carry checksums of their own.
    pub(crate) fn range_checksums(&self) -> bool {
        self.flag("checksum", "enable_read_range")
    }

    fn flag(&self, section: &str, name: &str) -> bool {
        self.props[section][name].as_bool().unwrap_or(false)
    }

    /// Properties as clients see them.
    pub(crate) fn props(&self) -> Value {
        let mut props = self.props.clone();
        // The top bit marks the cluster's own.
        let own = if self.name.provider == Provider::Ais { 1 << 63 } else { 0 };
        props["bid"] = json!((self.id | own).to_string());
        props["created"] = json!(self.created.to_string());
        props
    }

    /// The properties that can be changed.
    pub(crate) fn settings(&self) -> &Value {
        &self.props
    }

    /// Refuses what the bucket's access mask does not allow; names the lowest bit that is missing.
    pub(crate) fn allow(&self, wanted: Bits) -> Result<()> {
        let mask = self.props["access"].as_str().and_then(|a| a.parse().ok()).unwrap_or(Bits::MAX);
        let missing = wanted & !mask;
        if missing == 0 {
            return Ok(());
        }
        let message = format!(
            "bucket {}: {} access denied (allowed: {})",
            self.numbered(),
            bits::name(missing),
            bits::list(mask)
        );
        Err(Fail::new(StatusCode::FORBIDDEN, message).tcode("ErrBucketAccessDenied"))
    }

    fn encode(&self) -> Vec<u8> {
        json!({"id": self.id, "created": self.created, "props": self.props}).to_string().into_bytes()
    }

    fn decode(uname: &str, bytes: &[u8]) -> std::result::Result<Self, StorageError> {
        let corrupt = || StorageError::Corrupt(format!("bucket {uname}"));
        let (name, _) = BucketName::parse_uname(uname).map_err(|_| corrupt())?;
        let value: Value = serde_json::from_slice(bytes).map_err(|_| corrupt())?;
        Ok(Self {
            name,
            id: value["id"].as_u64().ok_or_else(corrupt)?,
            created: value["created"].as_i64().ok_or_else(corrupt)?,
            props: value["props"].clone(),
        })
    }
}

/// All buckets, in the order of listings: provider, namespace, name.
#[derive(Debug)]
pub(crate) struct Buckets {
    storage: Arc<Storage>,
    map: RwLock<BTreeMap<BucketName, Arc<Bucket>>>,
    /// Changes are made one after another; holds the next identity.
    changing: tokio::sync::Mutex<u64>,
}

impl Buckets {
    pub(crate) fn load(storage: Arc<Storage>) -> std::result::Result<Self, StorageError> {
        let mut map = BTreeMap::new();
        let mut next = 1;
        for (uname, bytes) in storage.snapshot()?.buckets()? {
            let bucket = Bucket::decode(&uname, &bytes)?;
            next = next.max(bucket.id + 1);
            map.insert(bucket.name.clone(), Arc::new(bucket));
        }
        // Identities of buckets that were destroyed, but not emptied, before the process died stay taken too.
        let known: HashSet<u64> = map.values().map(|b| b.id).collect();
        next = storage.stray_buckets(Service::Aistore, &known)?.into_iter().fold(next, |n, id| n.max(id + 1));
        Ok(Self { storage, map: RwLock::new(map), changing: tokio::sync::Mutex::new(next) })
    }

    /// Removes what buckets left behind whose destruction was cut short.
    pub(crate) async fn purge_strays(&self) -> std::result::Result<(), StorageError> {
        let known = read(&self.map).values().map(|b| b.id).collect();
        for id in self.storage.stray_buckets(Service::Aistore, &known)? {
            self.storage.purge(id).await?;
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &BucketName) -> Option<Arc<Bucket>> {
        read(&self.map).get(name).cloned()
    }

    /// The bucket, or the gateway's 404.
    pub(crate) fn get(&self, name: &BucketName) -> Result<Arc<Bucket>> {
        self.find(name).ok_or_else(|| missing(name))
    }

    /// Buckets of a provider and a namespace, where given.
    pub(crate) fn list(&self, provider: Option<Provider>, namespace: Option<&Namespace>) -> Vec<Arc<Bucket>> {
        let wanted = |b: &&Arc<Bucket>| {
            provider.is_none_or(|p| b.name.provider == p) && namespace.is_none_or(|n| b.name.namespace == *n)
        };
        read(&self.map).values().filter(wanted).cloned().collect()
    }

    /// Creates a bucket; `change` is laid over the default properties, `base` over those if given.
    pub(crate) async fn create(
        &self,
        name: &BucketName,
        base: Option<&Value>,
        change: &Value,
    ) -> Result<Arc<Bucket>> {
        let mut next = self.changing.lock().await;
        if self.find(name).is_some() {
            return Err(Fail::new(StatusCode::CONFLICT, format!("bucket \"{name}\" already exists"))
                .tcode("ErrBucketAlreadyExists"));
        }
        let defaults = props::defaults();
        let props = props::apply(base.unwrap_or(&defaults), change, &name.to_string())?;
        let bucket = Bucket { name: name.clone(), id: *next, created: now(), props };
        *next += 1;
        self.store(bucket).await
    }

    /// Makes a bucket of the cloud known; one that is known stays as it is.
    pub(crate) async fn register(&self, name: &BucketName) -> Result<Arc<Bucket>> {
        let mut next = self.changing.lock().await;
        if let Some(known) = self.find(name) {
            return Ok(known);
        }
        let bucket = Bucket { id: *next, created: now(), ..Bucket::unregistered(name.clone()) };
        *next += 1;
        self.store(bucket).await
    }

    async fn store(&self, bucket: Bucket) -> Result<Arc<Bucket>> {
        let (uname, bytes) = (bucket.name.uname(), bucket.encode());
        self.storage.write(move |t| t.put_bucket(&uname, &bytes)).await?;
        let bucket = Arc::new(bucket);
        write(&self.map).insert(bucket.name.clone(), Arc::clone(&bucket));
        Ok(bucket)
    }

    /// Removes a bucket and everything in it.
    pub(crate) async fn destroy(&self, name: &BucketName) -> Result<()> {
        let changing = self.changing.lock().await;
        let bucket = self.get(name)?;
        let uname = name.uname();
        let removed = self.storage.write(move |t| {
            t.remove_bucket(&uname)?;
            cloud::inventory::forget(t, &uname)
        });
        removed.await?;
        write(&self.map).remove(name);
        drop(changing);
        Ok(self.storage.purge(bucket.id).await?)
    }

    /// Changes properties; `None` returns to the defaults. Gives the bucket before and after.
    pub(crate) async fn set_props(
        &self,
        name: &BucketName,
        change: Option<&Value>,
    ) -> Result<(Arc<Bucket>, Arc<Bucket>)> {
        let _changing = self.changing.lock().await;
        let old = self.get(name)?;
        let mut bucket = Bucket::clone(&old);
        if let Some(change) = change {
            bucket.props = props::apply(&old.props, change, &name.to_string())?;
        } else {
            bucket.props = match name.provider {
                Provider::Ais => props::defaults(),
                _ => cloud::object::bucket_props(props::defaults()),
            };
            // The original forgets the time of creation here.
            bucket.created = 0;
        }
        let new = self.store(bucket).await?;
        Ok((old, new))
    }

    /// Gives a bucket another name; its objects follow.
    pub(crate) async fn rename(&self, from: &BucketName, to: &BucketName) -> Result<()> {
        let _changing = self.changing.lock().await;
        let mut bucket = Bucket::clone(&*self.get(from)?);
        if self.find(to).is_some() {
            return Err(Fail::bad(format!("bucket \"{to}\" already exists")).tcode("ErrBucketAlreadyExists"));
        }
        bucket.name = to.clone();
        let (old, new, bytes) = (from.uname(), to.uname(), bucket.encode());
        self.storage
            .write(move |t| {
                t.remove_bucket(&old)?;
                cloud::inventory::forget(t, &old)?;
                t.put_bucket(&new, &bytes)
            })
            .await?;
        let mut map = write(&self.map);
        map.remove(from);
        map.insert(to.clone(), Arc::new(bucket));
        Ok(())
    }
}

/// The 404 for a bucket of this cluster.
pub(crate) fn missing(name: &BucketName) -> Fail {
    Fail::new(StatusCode::NOT_FOUND, format!("bucket \"{name}\" does not exist")).tcode("ErrBckNotFound")
}

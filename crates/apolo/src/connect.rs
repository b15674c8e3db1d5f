//! The store behind a bucket.

use longshore_core_types::{Error, ErrorKind, Result};

use crate::{
    behind::{self, Way},
    client::Client,
    clock::Clock,
    model::Bucket,
    renewing::Renewing,
    store::Store,
};

/// Whether it is the id of a bucket: `bucket-` and a UUID.
fn is_id(name: &str) -> bool {
    let groups: Option<Vec<_>> = name.strip_prefix("bucket-").map(|id| id.split('-').map(str::len).collect());
    groups.is_some_and(|groups| groups == [8, 4, 4, 4, 12])
}

impl Client {
    /// The bucket of a `blob:` URI, as a store, and the key of the URI as it was written: raw, and empty if the URI
    /// names the bucket alone. See [`BlobUri`](crate::BlobUri) for the keys of the platform's own client.
    ///
    /// [`ErrorKind::InvalidInput`] for a URI that names no bucket, [`ErrorKind::InvalidConfig`] for one of another
    /// cluster, which needs a client of its own.
    pub async fn open(&self, uri: &str) -> Result<(Store, String)> {
        let (bucket, key) = self.bucket_of(uri).await?;
        Ok((self.store(&bucket).await?, key))
    }

    /// The bucket of a `blob:` URI and the key of the URI, as [`open`](Self::open) has them; nothing is opened.
    pub async fn bucket_of(&self, uri: &str) -> Result<(Bucket, String)> {
        const OPERATION: &str = "apolo.bucket.open";
        let refuse = |kind, message: String| Err(Error::new(kind, message).with_operation(OPERATION));
        let uri = self.uri(uri)?;
        if !uri.cluster().eq_ignore_ascii_case(self.cluster()) {
            let message = format!("{uri} is on another cluster than {}, which is asked", self.cluster());
            return refuse(ErrorKind::InvalidConfig, message);
        }
        let (Some(path), Some(key)) = (uri.bucket_path(), uri.key()) else {
            return refuse(ErrorKind::InvalidInput, format!("{uri} names no bucket"));
        };
        // The service finds ids by another call than names.
        let name = path.rsplit('/').next().unwrap_or_default();
        let bucket =
            if is_id(name) { self.buckets().get(name).await? } else { self.buckets().by_path(&path).await? };
        Ok((bucket, key))
    }

    /// The objects of a bucket, as a longshore store. Asks for credentials once; they are renewed before they expire,
    /// also in the middle of a transfer.
    ///
    /// [`ErrorKind::Unsupported`] for buckets on a provider that this version does not know, [`ErrorKind::Protocol`] for
    /// credentials that lack what the provider wants.
    pub async fn store(&self, bucket: &Bucket) -> Result<Store> {
        const OPERATION: &str = "apolo.bucket.store";
        let found = self.buckets().temporary_credentials(&bucket.id).await?;
        let map = found.credentials.clone();
        let keys = Renewing::new(self.clone(), found);
        let clock = Clock::default();
        let way = Way { client: self, clock: &clock };
        let inner = behind::open(way, &bucket.provider, &map, keys.clone());
        // The service signs with what it keeps: of imported buckets, with a key that they came with.
        let key = ["access_key_id", "credential", "key_data"].iter().any(|name| map.get(name).is_some());
        let signs = !bucket.imported || key;
        let inner = inner.map_err(|error| error.with_operation(OPERATION))?;
        Store::new(self.clone(), bucket, (inner, clock), keys, signs)
    }
}

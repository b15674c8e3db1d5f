//! The store behind a bucket.

use longshore_blob_api::AnyStore;
use longshore_core_types::{Error, ErrorKind, Result};
use longshore_object_store::{
    credentials::CredentialSource,
    s3::{AwsCredentials, S3Builder},
};

use crate::{
    client::Client,
    model::{Bucket, CredentialMap},
    renewing::Renewing,
    store::Store,
    uri::BlobUri,
};

fn need<'a>(map: &'a CredentialMap, name: &str) -> Result<&'a str> {
    let lack = || Error::new(ErrorKind::Protocol, format!("the credentials of the bucket lack {name}"));
    map.get(name).ok_or_else(lack)
}

/// Keys of a store with the API of S3.
#[derive(Debug)]
struct S3Keys(Renewing);

impl CredentialSource<AwsCredentials> for S3Keys {
    async fn credentials(&self) -> Result<AwsCredentials> {
        let map = self.0.get().await?;
        let keys = AwsCredentials::new(need(&map, "access_key_id")?, need(&map, "secret_access_key")?);
        Ok(match map.get("session_token") {
            Some(token) => keys.with_session_token(token),
            None => keys,
        })
    }

    fn invalidate(&self) {
        self.0.invalidate();
    }
}

/// Whether it is the id of a bucket: `bucket-` and a UUID.
fn is_id(name: &str) -> bool {
    let groups: Option<Vec<_>> = name.strip_prefix("bucket-").map(|id| id.split('-').map(str::len).collect());
    groups.is_some_and(|groups| groups == [8, 4, 4, 4, 12])
}

impl Client {
    /// The bucket of a `blob:` URI, as a store, and the key of the URI as it was written: raw, and empty if the URI
    /// names the bucket alone. See [`BlobUri`] for the keys of the platform's own client.
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
        let uri = BlobUri::parse(uri, &self.uri_defaults()?)?;
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
    /// [`ErrorKind::Unsupported`] for buckets on Azure and Google Cloud Storage, which this crate does not reach yet.
    pub async fn store(&self, bucket: &Bucket) -> Result<Store> {
        const OPERATION: &str = "apolo.bucket.store";
        if !bucket.provider.is_s3() {
            let message = format!("objects of buckets on {} cannot be reached yet", bucket.provider);
            return Err(Error::new(ErrorKind::Unsupported, message).with_operation(OPERATION));
        }
        let found = self.buckets().temporary_credentials(&bucket.id).await?;
        let map = found.credentials.clone();
        let keys = Renewing::new(self.clone(), found);
        let inner = self.s3(&map, keys.clone()).map_err(|error| error.with_operation(OPERATION))?;
        Store::new(self.clone(), bucket, inner, keys)
    }

    fn s3(&self, map: &CredentialMap, keys: Renewing) -> Result<AnyStore> {
        let mut builder = S3Builder::new(need(map, "bucket_name")?);
        if let Some(region) = map.get("region_name") {
            builder = builder.region(region);
        }
        if let Some(endpoint) = map.get("endpoint_url") {
            builder = builder.endpoint(endpoint);
        }
        // What is missing is said now rather than with the first request.
        need(map, "access_key_id").and_then(|_| need(map, "secret_access_key"))?;
        let config = self.config().clone();
        Ok(AnyStore::new(builder.configure(|_| config).credential_source(S3Keys(keys)).build()?))
    }
}

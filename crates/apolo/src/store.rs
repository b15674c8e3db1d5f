//! The objects of a bucket.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_core_types::{Error, ErrorKind, Result};
use longshore_object_store::{
    credentials::CredentialSource,
    s3::{AwsCredentials, S3Builder, S3Store},
};
use tokio::sync::Mutex;

use crate::{
    client::Client,
    model::{Bucket, BucketCredentials, CredentialMap},
    uri::BlobUri,
};

/// How long before their end credentials are renewed.
const MARGIN: Duration = Duration::from_secs(15 * 60);

/// Credentials of one bucket, asked for once and renewed before they expire.
#[derive(Clone, Debug)]
struct Renewing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    bucket: String,
    current: Mutex<Current>,
    stale: std::sync::atomic::AtomicBool,
}

#[derive(Clone, Debug)]
struct Current {
    keys: AwsCredentials,
    expires: Option<Timestamp>,
}

fn keys(map: &CredentialMap) -> Result<AwsCredentials> {
    let get = |name: &str| {
        map.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, format!("the credentials of the bucket lack {name}"))
        })
    };
    let keys = AwsCredentials::new(get("access_key_id")?, get("secret_access_key")?);
    Ok(match map.get("session_token") {
        Some(token) => keys.with_session_token(token),
        None => keys,
    })
}

impl Current {
    fn of(found: &BucketCredentials) -> Result<Self> {
        let expires = found.credentials.expires_at();
        Ok(Self { keys: keys(&found.credentials)?, expires })
    }

    /// Whether they last for longer than this.
    fn last(&self, time: Duration) -> bool {
        let Some(end) = self.expires else { return true };
        let left = end.duration_since(Timestamp::now());
        left > jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX)
    }
}

impl CredentialSource<AwsCredentials> for Renewing {
    async fn credentials(&self) -> Result<AwsCredentials> {
        use std::sync::atomic::Ordering::SeqCst;
        let mut current = self.0.current.lock().await;
        let stale = self.0.stale.swap(false, SeqCst);
        if !stale && current.last(MARGIN) {
            return Ok(current.keys.clone());
        }
        let renewed = self.0.client.buckets().temporary_credentials(&self.0.bucket).await;
        match renewed.and_then(|found| Current::of(&found)) {
            Ok(found) => *current = found,
            // Those that are still good for a while serve until the service is back.
            Err(_) if !stale && current.last(Duration::ZERO) => {}
            Err(error) => return Err(error),
        }
        Ok(current.keys.clone())
    }

    fn invalidate(&self) {
        self.0.stale.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Client {
    /// The bucket of a `blob:` URI, as a store, and the key of the URI as it was written: raw, and empty if the URI
    /// names the bucket alone. See [`BlobUri`] for the keys of the platform's own client.
    ///
    /// [`ErrorKind::InvalidInput`] for a URI that names no bucket, [`ErrorKind::InvalidConfig`] for one of another
    /// cluster, which needs a client of its own.
    pub async fn open(&self, uri: &str) -> Result<(S3Store, String)> {
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
        let bucket = self.buckets().by_path(&path).await?;
        Ok((self.store(&bucket).await?, key))
    }

    /// The objects of a bucket, as a longshore store. Asks for credentials once; they are renewed before they expire,
    /// also in the middle of a transfer. The store names itself as its provider does, `s3://` and the real bucket.
    ///
    /// [`ErrorKind::Unsupported`] for buckets on Azure and Google Cloud Storage, which this crate does not reach yet.
    pub async fn store(&self, bucket: &Bucket) -> Result<S3Store> {
        if !bucket.provider.is_s3() {
            let message = format!("objects of buckets on {} cannot be reached yet", bucket.provider);
            return Err(Error::new(ErrorKind::Unsupported, message).with_operation("apolo.bucket.store"));
        }
        let found = self.buckets().temporary_credentials(&bucket.id).await?;
        let map = &found.credentials;
        let name = map.bucket_name().ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "the credentials of the bucket do not say its name at the provider",
            )
        })?;
        let mut builder = S3Builder::new(name);
        if let Some(region) = map.get("region_name") {
            builder = builder.region(region);
        }
        if let Some(endpoint) = map.get("endpoint_url") {
            builder = builder.endpoint(endpoint);
        }
        let source = Renewing(Arc::new(Inner {
            client: self.clone(),
            bucket: bucket.id.clone(),
            current: Mutex::new(Current::of(&found)?),
            stale: false.into(),
        }));
        builder.credential_source(source).build()
    }
}

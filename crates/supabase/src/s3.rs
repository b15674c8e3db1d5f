//! Large objects through the S3 endpoint of the service: in parts side by side, which resumable uploads cannot be.

use std::future::Future;

use longshore_blob_api::{
    BlobStore, MultipartId, MultipartLimits, MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt,
    PutOptions, PutResult, UploadPage,
};
use longshore_core_types::{
    BucketName, ChecksumKind, Error, ErrorKind, ObjectKey, Payload, Pressure, Result, checksum::Hasher,
};
use longshore_object_store::{
    credentials::CredentialSource,
    s3::{AwsCredentials, S3Builder, S3Store},
};
use longshore_transport::{BaseUrl, TransportConfig};

use crate::{
    client::Client,
    error::is_token_fault,
    keys::Keys,
    names::{bucket_resource, object_resource},
    wire::object::At,
};

/// How the S3 endpoint is asked.
#[derive(Clone, Debug)]
pub(crate) struct S3Access {
    pub(crate) who: Who,
    /// The service takes `us-east-1` and `auto` whatever its own region is.
    pub(crate) region: Option<String>,
    pub(crate) config: TransportConfig,
}

/// Who asks it.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// The owner of an access key.
    Key(AwsCredentials),
    /// Whoever asks everything else, in a project of this reference.
    Session { project: String },
}

impl S3Access {
    /// A bucket as its S3 endpoint has it. No I/O.
    pub(crate) fn store(
        &self,
        service: &BaseUrl,
        keys: &Keys,
        bucket: &str,
        pressure: Pressure,
    ) -> Result<S3Store> {
        let config = self.config.clone();
        let mut builder = S3Builder::new(bucket)
            .endpoint(format!("{service}/s3"))
            .virtual_hosted(false)
            // It ignores conditions on writes.
            .conditional_writes(false)
            // Both protocols reach the same service.
            .pressure(pressure)
            .configure(|_| config);
        builder = match &self.who {
            Who::Key(key) => builder.credentials(key.clone()),
            Who::Session { project } => {
                builder.credential_source(Session { project: project.clone(), keys: keys.clone() })
            }
        };
        if let Some(region) = &self.region {
            builder = builder.region(region);
        }
        builder.build()
    }
}

/// The access key of a session: the project's reference, its key as secret, and the bearer of all other requests.
#[derive(Debug)]
struct Session {
    project: String,
    keys: Keys,
}

impl CredentialSource<AwsCredentials> for Session {
    async fn credentials(&self) -> Result<AwsCredentials> {
        let (Some(secret), Some(token)) = (self.keys.api_key(), self.keys.bearer().await?) else {
            let text = "the S3 endpoint takes a session only with the project's anon key and a token";
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        };
        Ok(AwsCredentials::new(&self.project, secret).with_session_token(token))
    }
}

/// Stands between the server's id of an upload and the sum of its object's name.
const MARK: char = '~';

fn sum_of(key: &ObjectKey) -> String {
    let mut hasher = Hasher::new(ChecksumKind::Crc32c);
    hasher.update(key.as_str().as_bytes());
    hasher.finish().to_hex()
}

/// An id that says of which object it is.
fn bound(id: &MultipartId, key: &ObjectKey) -> MultipartId {
    MultipartId::new(format!("{}{MARK}{}", id.as_str(), sum_of(key)))
}

/// A bucket whose uploads in parts go through S3.
#[derive(Clone, Debug)]
pub(crate) struct Fast {
    store: S3Store,
    keys: Keys,
    bucket: BucketName,
}

impl Fast {
    /// `None` if the client has no keys for it.
    pub(crate) fn new(client: &Client, bucket: &BucketName) -> Option<Self> {
        let access = client.s3()?;
        let keys = client.keys().clone();
        match access.store(client.service(), &keys, bucket.as_str(), client.pressure()) {
            Ok(store) => Some(Self { store, keys, bucket: bucket.clone() }),
            // The settings were good when the client was built, so it is the name of the bucket.
            Err(error) => {
                tracing::warn!(%bucket, %error, "large objects do not go through S3");
                None
            }
        }
    }

    /// The rules of uploads in parts.
    pub(crate) fn limits(&self) -> Option<MultipartLimits> {
        self.store.capability().multipart
    }

    /// The upload as the service has it. `NotFound` if it is one of another object, over which the service would fail.
    fn at(&self, upload: &MultipartRef, at: At) -> Result<MultipartRef> {
        match upload.id.as_str().rsplit_once(MARK) {
            Some((id, sum)) if sum == sum_of(&at.key) => {
                Ok(MultipartRef { key: at.key, id: MultipartId::new(id) })
            }
            _ => {
                let text = format!("{:?} is not the id of an upload of {}", upload.id.as_str(), at.key);
                Err(self.told(Error::new(ErrorKind::NotFound, text), Some(&at.key)))
            }
        }
    }

    pub(crate) async fn create(&self, at: &At, opts: &PutOptions) -> Result<MultipartId> {
        let id = self.ask(Some(&at.key), || self.store.create_multipart(&at.key, opts.clone())).await?;
        Ok(bound(&id, &at.key))
    }

    pub(crate) async fn upload_part(
        &self,
        upload: &MultipartRef,
        at: At,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        let upload = self.at(upload, at)?;
        let (again, token) = (body.try_clone(), self.keys.generation());
        let sent = self.store.upload_part(&upload, number, body).await;
        let sent = match (sent, again) {
            (Err(error), Some(body)) if self.renewed(&error, token) => {
                self.store.upload_part(&upload, number, body).await
            }
            (sent, _) => sent,
        };
        sent.map_err(|error| self.told(error, Some(&upload.key)))
    }

    pub(crate) async fn list_parts(&self, upload: &MultipartRef, at: At) -> Result<Vec<PartInfo>> {
        let upload = self.at(upload, at)?;
        self.ask(Some(&upload.key), || self.store.list_parts(&upload)).await
    }

    pub(crate) async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        let mut page = self.ask(None, || self.store.list_uploads(prefix, page.clone())).await?;
        for info in &mut page.uploads {
            info.upload.id = bound(&info.upload.id, &info.upload.key);
        }
        Ok(page)
    }

    pub(crate) async fn complete(
        &self,
        upload: &MultipartRef,
        at: At,
        parts: &[PartReceipt],
    ) -> Result<PutResult> {
        let upload = self.at(upload, at)?;
        self.ask(Some(&upload.key), || self.store.complete_multipart(&upload, parts.to_vec())).await
    }

    pub(crate) async fn abort(&self, upload: &MultipartRef, at: At) -> Result<()> {
        // An upload that is none is as good as aborted.
        let Ok(upload) = self.at(upload, at) else { return Ok(()) };
        self.ask(Some(&upload.key), || self.store.abort_multipart(&upload)).await
    }

    /// Calls once more with a new token if the old one was refused.
    async fn ask<T, F>(&self, key: Option<&ObjectKey>, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let token = self.keys.generation();
        let done = match call().await {
            Err(error) if self.renewed(&error, token) => call().await,
            done => done,
        };
        done.map_err(|error| self.told(error, key))
    }

    /// Whether a token was refused, and there may be a newer one.
    fn renewed(&self, error: &Error, token: u64) -> bool {
        is_token_fault(error.message()) && self.keys.renew(token)
    }

    /// The error as one of this service. The endpoint refuses an old token as it does a missing right.
    fn told(&self, error: Error, key: Option<&ObjectKey>) -> Error {
        let refused = is_token_fault(error.message());
        let error = if refused { error.with_kind(ErrorKind::Unauthenticated) } else { error };
        error.with_resource(match key {
            Some(key) => object_resource(&self.bucket, key),
            None => bucket_resource(&self.bucket),
        })
    }
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::PartOrder;

    use super::*;

    #[test]
    fn with_s3_keys_parts_go_side_by_side() {
        let builder = || Client::builder("http://h").key("sesame-anon");
        let order = |client: Client| {
            let store = client.bucket("b").unwrap().store();
            assert!(!format!("{store:?}").contains("sesame"));
            store.capability().multipart.unwrap().part_order
        };
        assert_eq!(order(builder().build().unwrap()), PartOrder::InOrder);
        let keys = AwsCredentials::new("id", "sesame");
        assert_eq!(order(builder().s3(keys).s3_region("local").build().unwrap()), PartOrder::Any);
        let user = builder().user_token("sesame-user").s3_session("ref");
        assert_eq!(order(user.build().unwrap()), PartOrder::Any);
    }

    #[tokio::test]
    async fn a_session_is_the_bearer_of_all_other_requests() {
        let client = Client::builder("http://h").key("anon").user_token("user").s3_session("ref");
        let keys = client.build().unwrap().keys().clone();
        let key = Session { project: "ref".into(), keys }.credentials().await.unwrap();
        let token = key.session_token.as_ref().map(longshore_core_types::Secret::expose);
        assert_eq!((key.access_key.as_str(), key.secret_key.expose(), token), ("ref", "anon", Some("user")));
        let error = Client::builder("http://h").s3_session("ref").build().unwrap_err();
        assert!(error.to_string().contains("s3_session"), "{error}");
    }
}

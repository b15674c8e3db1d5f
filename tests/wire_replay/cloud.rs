//! The S3 endpoint behind the cluster, for what happened there without the cluster.

use longshore_blob_api::{BlobStore as _, DeleteOptions, PutOptions};
use longshore_core_types::{ObjectKey, Payload};
use longshore_devserver::Handle;
use longshore_object_store::s3::{AwsCredentials, S3Builder, S3Store};

/// Changes buckets and objects of a dev server's S3 endpoint.
#[derive(Debug)]
pub(crate) struct Cloud {
    url: String,
    key: (String, String),
    runtime: tokio::runtime::Runtime,
}

impl Cloud {
    /// The endpoint of a server, if it has one.
    pub(crate) fn of(server: &Handle) -> Option<Self> {
        let (url, (access_key, secret)) = (server.s3_url()?.to_owned(), server.s3_key()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let key = (access_key.to_owned(), secret.to_owned());
        Some(Self { url, key, runtime: runtime.expect("a runtime") })
    }

    fn store(&self, bucket: &str) -> S3Store {
        let key = AwsCredentials::new(&*self.key.0, &*self.key.1);
        S3Builder::new(bucket).endpoint(&self.url).credentials(key).build().expect("a store")
    }

    pub(crate) fn create_bucket(&self, name: &str) {
        self.runtime.block_on(self.store(name).create_bucket()).expect("a bucket");
    }

    /// Stores `bucket/object`.
    pub(crate) fn put(&self, path: &str, body: Vec<u8>) {
        let (store, key) = self.object(path);
        let put = store.put(&key, Payload::from(body), PutOptions::default());
        self.runtime.block_on(put).expect("an object");
    }

    /// Removes `bucket/object`.
    pub(crate) fn delete(&self, path: &str) {
        let (store, key) = self.object(path);
        self.runtime.block_on(store.delete(&key, DeleteOptions::default())).expect("removed");
    }

    fn object(&self, path: &str) -> (S3Store, ObjectKey) {
        let (bucket, key) = path.split_once('/').expect("a bucket and an object");
        (self.store(bucket), ObjectKey::new(key).expect("a key"))
    }
}

//! The `object_store` crate's own tests of implementations, over the adapters of both versions: on a store in memory, on
//! an AIStore cluster, and on S3.

#![cfg(all(feature = "s3", feature = "v0_13", feature = "v0_14"))]
#![expect(clippy::expect_used, reason = "a test program")]

use longshore_aistore::Client;
use longshore_blob_api::{AnyStore, BlobStore, MemoryStore};
use longshore_devserver::{DevServer, Handle};
use longshore_object_store::s3::{AwsCredentials, S3Builder};

fn memory() -> AnyStore {
    AnyStore::new(MemoryStore::new("upstream").expect("a store"))
}

async fn aistore() -> (AnyStore, Handle) {
    let server = DevServer::builder().start().await.expect("a server");
    let bucket = Client::builder(server.aistore_url()).build().expect("a client").bucket("upstream");
    let bucket = bucket.expect("a bucket");
    bucket.create().await.expect("created");
    (AnyStore::new(bucket.store()), server)
}

async fn s3() -> (AnyStore, Handle) {
    let server = DevServer::builder().s3("127.0.0.1:0").start().await.expect("a server");
    let (access_key, secret) = server.s3_key().expect("a key");
    let url = server.s3_url().expect("an endpoint");
    let key = AwsCredentials::new(access_key, secret);
    let store = S3Builder::new("upstream").endpoint(url).credentials(key).build().expect("a store");
    store.create_bucket().await.expect("created");
    (AnyStore::new(store), server)
}

macro_rules! suite {
    ($version:ident, $upstream:ident) => {
        mod $version {
            use longshore_object_store::$version::ObjectStoreAdapter;
            use $upstream::integration;

            use super::{AnyStore, BlobStore};

            async fn run(store: AnyStore) {
                let can = store.capability().clone();
                let adapter = ObjectStoreAdapter::new(store);
                integration::put_get_delete_list(&adapter).await;
                integration::put_get_attributes(&adapter).await;
                // Conditions are tested by entity tags, which not all stores have.
                if can.if_none_match {
                    integration::get_opts(&adapter).await;
                }
                integration::list_uses_directories_correctly(&adapter).await;
                integration::list_with_delimiter(&adapter).await;
                integration::list_with_offset_exclusivity(&adapter).await;
                integration::rename_and_copy(&adapter).await;
                integration::get_nonexistent_object(&adapter, None).await.expect_err("there is none");
                integration::stream_get(&adapter).await;
                if can.create_only {
                    integration::put_opts(&adapter, can.if_match).await;
                    integration::copy_if_not_exists(&adapter).await;
                    integration::copy_rename_nonexistent_object(&adapter).await;
                }
                integration::multipart_race_condition(&adapter, true).await;
                integration::multipart_out_of_order(&adapter).await;
            }

            #[tokio::test]
            async fn memory() {
                run(super::memory()).await;
            }

            #[tokio::test]
            async fn aistore() {
                let (store, _server) = super::aistore().await;
                run(store).await;
            }

            #[tokio::test]
            async fn s3() {
                let (store, _server) = super::s3().await;
                run(store).await;
            }
        }
    };
}

suite!(v0_13, object_store_0_13);
suite!(v0_14, object_store_0_14);

//! The `object_store` crate's own tests of implementations, over the adapters of both versions: on a store in memory, on
//! an AIStore cluster, on S3, and on an emulator of Azure.

#![cfg(all(feature = "azure", feature = "s3", feature = "v0_13", feature = "v0_14"))]
#![expect(clippy::expect_used, reason = "a test program")]

use std::time::Duration;

use futures_util::TryStreamExt;
use http::Method;
use longshore_aistore::Client;
use longshore_blob_api::{AnyStore, BlobStore, BlobStoreExt, MemoryStore, SignMethod, SignRequest};
use longshore_core_types::{ObjectKey, Payload};
use longshore_devserver::{DevServer, Handle};
use longshore_object_store::{
    azure::{AzureBuilder, AzureStore},
    s3::{AwsCredentials, S3Builder},
};
use longshore_transport::Transport;

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

/// A new container of the emulator that `cargo xtask test peers azurite` starts.
async fn container(name: &str) -> AzureStore {
    let url = std::env::var("LONGSHORE_AZURITE_URL").expect("an emulator");
    assert!(url.starts_with("http://127.0.0.1:"), "{url} is not on loopback");
    let store = AzureBuilder::new(name).emulator(&url).build().expect("a store");
    store.create_container().await.expect("created");
    store
}

async fn azurite(name: &str) -> AnyStore {
    AnyStore::new(container(name).await)
}

#[tokio::test]
#[ignore = "needs an emulator: `cargo xtask test peers azurite` starts one"]
async fn azurite_lists_its_containers() {
    let names = ["listed-a", "listed-b"];
    let store = container(names[1]).await;
    container(names[0]).await;
    let listed: Vec<_> = store.list_containers().try_collect().await.expect("a list");
    let ours: Vec<_> = listed.iter().filter(|name| name.starts_with("listed-")).collect();
    assert_eq!(ours, names);
    store.delete_container().await.expect("removed");
    let left: Vec<_> = store.list_containers().try_collect().await.expect("a list");
    assert!(left.iter().any(|name| name == names[0]) && !left.iter().any(|name| name == names[1]));
}

#[tokio::test]
#[ignore = "needs an emulator: `cargo xtask test peers azurite` starts one"]
async fn azurite_lets_signed_urls_in() {
    let (store, key) = (azurite("signed").await, ObjectKey::new("dir/a-b").expect("a key"));
    let transport = Transport::builder().build().expect("a transport");
    for (method, signed) in [(Method::PUT, SignMethod::Put), (Method::GET, SignMethod::Get)] {
        let request = SignRequest::new(signed, key.clone(), Duration::from_secs(60));
        let signed = store.sign(request).await.expect("signed");
        let body = if method == Method::PUT { Payload::from("by url") } else { Payload::empty() };
        let mut request = http::Request::builder().method(method).uri(signed.url.expose());
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        let answer = transport.send(request.body(body).expect("a request")).await;
        assert!(answer.expect("an answer").status().is_success());
    }
    assert_eq!(store.read(&key).await.expect("it is there"), "by url");
}

macro_rules! suite {
    ($version:ident, $upstream:ident, $name:ident) => {
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
                // Where uploads end each other, the first to complete wins.
                let last_wins = can.multipart.is_some_and(|limits| limits.tracked);
                integration::multipart_race_condition(&adapter, last_wins).await;
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

            #[tokio::test]
            #[ignore = "needs an emulator: `cargo xtask test peers azurite` starts one"]
            async fn azurite() {
                run(super::azurite(concat!("upstream-", stringify!($name))).await).await;
            }
        }
    };
}

suite!(v0_13, object_store_0_13, old);
suite!(v0_14, object_store_0_14, new);

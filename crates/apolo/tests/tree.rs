//! Buckets as trees, on the dev server.

#![expect(clippy::expect_used, reason = "a test program")]

use futures_util::TryStreamExt;
use longshore_apolo::{Client, Removed, Store};
use longshore_blob_api::BlobStoreExt;
use longshore_core_types::ErrorKind;
use longshore_devserver::{DevServer, Handle};

async fn bucket(keys: &[&str]) -> (Handle, Store) {
    let server = DevServer::builder().apolo("127.0.0.1:0").start().await.expect("a server");
    let token = server.apolo_settings().token("alice");
    let builder = Client::builder().api_url(server.apolo_url().expect("a service")).token(token);
    let client = builder.org("acme").project("proj1").connect().await.expect("a client");
    let bucket = client.buckets().create(Some("data")).await.expect("a bucket");
    let store = client.store(&bucket).await.expect("a store");
    for key in keys {
        store.write(&key.parse().expect("a key"), (*key).to_owned()).await.expect("an object");
    }
    (server, store)
}

async fn glob(store: &Store, pattern: &str) -> Vec<String> {
    let mut names: Vec<_> =
        store.glob(pattern).map_ok(|entry| entry.name().to_owned()).try_collect().await.expect("a listing");
    names.sort();
    names
}

#[tokio::test]
async fn globs() {
    let (_server, store) =
        bucket(&["a/1.txt", "a/2.log", "a/b/3.txt", "c.txt", "it/x/4.txt", "is/x/5.txt"]).await;
    assert_eq!(glob(&store, "*.txt").await, ["c.txt"]);
    assert_eq!(glob(&store, "a/*").await, ["a/1.txt", "a/2.log", "a/b/"]);
    assert_eq!(glob(&store, "**/*.txt").await, ["a/1.txt", "a/b/3.txt", "c.txt", "is/x/5.txt", "it/x/4.txt"]);
    assert_eq!(glob(&store, "a/**").await, ["a/1.txt", "a/2.log", "a/b/3.txt"]);
    assert_eq!(glob(&store, "i?/x/[0-4].txt").await, ["it/x/4.txt"]);
    assert_eq!(glob(&store, "a").await, ["a/"]);
    assert_eq!(glob(&store, "a/").await, ["a/"]);
    assert_eq!(glob(&store, "nothing").await, Vec::<String>::new());
}

#[tokio::test]
async fn folders_and_their_removal() {
    let (_server, store) = bucket(&["both", "both/x", "d/e/f", "d/", "z"]).await;
    for (name, is_dir) in [("", true), ("d", true), ("z", false), ("nothing", false), ("nothing/", true)] {
        assert_eq!(store.is_dir(name).await.expect("an answer"), is_dir, "{name}");
    }
    let mut gone = Vec::new();
    let error = store.remove("d", false, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.remove("nothing", true, |_| {}).await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut note = |removed: Removed<'_>| {
        gone.push(match removed {
            Removed::Object(key) => key.to_string(),
            Removed::Folder(name) => format!("folder {name}"),
            _ => unreachable!(),
        });
    };
    store.remove("d", true, &mut note).await.expect("a removal");
    assert_eq!(gone, ["d/e/f", "folder d/e", "folder d"]);
    store.remove("both", false, |_| {}).await.expect("a removal");
    store.remove("both", true, |_| {}).await.expect("a removal");
    store.remove("z", true, |_| {}).await.expect("a removal");
    assert_eq!(glob(&store, "**").await, Vec::<String>::new());
}

/// Slashes are part of names: a folder without a name of its own is not all that is around it.
#[tokio::test]
async fn folders_of_no_name() {
    let (_server, store) = bucket(&["a/x", "a//y", "/z", "b"]).await;
    let mut gone = Vec::new();
    let mut note = |removed: Removed<'_>| gone.push(format!("{removed:?}"));
    store.remove("a//", true, &mut note).await.expect("a removal");
    store.remove("/", true, &mut note).await.expect("a removal");
    assert_eq!(gone.len(), 4, "{gone:?}");
    assert!(gone[1].contains("\"a/\"") && gone[3].contains("\"\""), "{gone:?}");
    assert_eq!(glob(&store, "**").await, ["a/x", "b"]);
    store.remove("", true, |_| {}).await.expect("a removal");
    assert_eq!(glob(&store, "**").await, Vec::<String>::new());
}

#[tokio::test]
async fn usage_adds_up() {
    let (_server, store) = bucket(&["a", "bb", "d/ccc"]).await;
    let all: Vec<_> = store.usage().try_collect().await.expect("a listing");
    let whole = all.last().expect("an item");
    assert_eq!((whole.objects, whole.bytes), (3, 8));
}

//! Buckets, objects and listings.

use std::collections::BTreeMap;

use longshore_aistore::{HeadProp, Presence, Provider};
use longshore_core_types::{ByteRange, Checksum, ChecksumKind, ErrorKind, checksum::Hasher};
use longshore_devserver::NodeKind;

use crate::support::{pattern, world};

fn checksum(kind: ChecksumKind, bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(kind);
    hasher.update(bytes);
    hasher.finish()
}

#[tokio::test]
async fn buckets() {
    let w = world(|builder| builder).await;
    assert!(w.client.cluster().is_ready().await.unwrap());
    w.client.cluster().health().await.unwrap();
    assert!(w.bucket.exists().await.unwrap());
    let error = w.bucket.create().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    w.bucket.create().exist_ok(true).await.unwrap();
    assert_eq!(w.bucket.head().await.unwrap().checksum_kind(), Some(ChecksumKind::XxHash64));
    let names: Vec<String> = w
        .client
        .cluster()
        .list_buckets(Provider::Ais)
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["ais://data"]);
    w.bucket.delete().await.unwrap();
    assert!(!w.bucket.exists().await.unwrap());
    assert_eq!(w.bucket.delete().await.unwrap_err().kind(), ErrorKind::NotFound);
    w.bucket.delete().missing_ok(true).await.unwrap();
    let error = w.bucket.object("x").unwrap().put("x").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("ErrBckNotFound")));
}

#[tokio::test]
async fn one_object_and_back() {
    let w = world(|builder| builder).await;
    let object = w.bucket.object("dir/a b#1?%.txt").unwrap();
    assert!(!object.exists().await.unwrap());
    let url = format!("{}/v1/objects/data/dir/a%20b%231%3F%25.txt?provider=ais", w.client.endpoint());
    assert_eq!(object.http_url(), url);
    let stored = object.put("hello world").custom("color", "blue, green").await.unwrap();
    assert_eq!(stored.version.as_deref(), Some("1"));
    assert_eq!(stored.custom["color"], "blue, green");
    let head = object.head().await.unwrap();
    assert_eq!((head.size, head.checksum), (11, stored.checksum));
    assert_eq!(head.custom, stored.custom);
    assert_eq!(&object.get().await.unwrap().bytes().await.unwrap()[..], b"hello world");
    let part = object.get().range(ByteRange::Suffix(5)).await.unwrap();
    assert_eq!((part.range(), part.props().size), (Some(6..11), 11));
    assert_eq!(&part.bytes().await.unwrap()[..], b"world");
    let error = object.get().range(ByteRange::From(11)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable);

    object.set_custom(&BTreeMap::from([("shape".into(), "ü=1,2".into())])).await.unwrap();
    let head = object.head_with().props([HeadProp::Custom]).presence(Presence::Present).await.unwrap();
    assert_eq!(head.custom.len(), 2);
    assert_eq!(head.custom["shape"], "ü=1,2");
    let again = object.put("hello").replace_custom(true).await.unwrap();
    assert!(again.custom.is_empty());
    assert!(object.head().await.unwrap().custom.is_empty());

    let copy = w.bucket.object("copy").unwrap();
    object.copy_to(&copy).await.unwrap();
    assert_eq!(copy.head().await.unwrap().size, 5);
    object.delete().await.unwrap();
    assert_eq!(object.get().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(object.delete().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn objects_go_by_redirect_and_tokens_to_the_gateway_only() {
    let w = world(|builder| builder.token("sesame")).await;
    let object = w.bucket.object("o").unwrap();
    object.put("hello").await.unwrap();
    object.get().await.unwrap().bytes().await.unwrap();
    object.put(pattern(300_000)).await.unwrap();
    let entries = w.server.journal().entries();
    assert_eq!(entries.len(), 6);
    for entry in entries {
        assert_eq!(entry.authorized, entry.node == NodeKind::Gateway, "{entry:?}");
    }
}

#[tokio::test]
async fn every_checksum_is_compared() {
    let w = world(|builder| builder).await;
    for kind in ChecksumKind::ALL {
        let bucket = w.client.bucket(format!("sum-{kind}")).unwrap();
        bucket.create().props(longshore_aistore::BucketPatch::new().checksum(kind)).await.unwrap();
        let object = bucket.object("o").unwrap();
        for _ in 0..2 {
            let stored = object.put("hello world").await.unwrap();
            assert_eq!(stored.checksum, Some(checksum(kind, b"hello world")));
        }
        object.get().await.unwrap().bytes().await.unwrap();
    }
    let object = w.bucket.object("o").unwrap();
    object.put("hello world").await.unwrap();
    w.server.faults().add_str("get:wrong-checksum:count=1").unwrap();
    let error = object.get().await.unwrap().bytes().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
    object.get().await.unwrap().bytes().await.unwrap();
}

#[tokio::test]
async fn content_that_is_not_what_was_stated_is_not_stored() {
    let w = world(|builder| builder).await;
    for (name, body) in [("small", pattern(1000)), ("large", pattern(600_000))] {
        let object = w.bucket.object(name).unwrap();
        let right = checksum(ChecksumKind::Sha256, &body);
        let wrong = checksum(ChecksumKind::Sha256, b"other");
        let error = object.put(body.clone()).checksum(wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{error:?}");
        assert!(!object.exists().await.unwrap());
        object.put(body).checksum(right).await.unwrap();
        assert!(object.exists().await.unwrap());
    }
}

#[tokio::test]
async fn listings() {
    let w = world(|builder| builder).await;
    let names = ["0", "a*b", "a/1", "a/2", "a/sub/3", "ab/1", "b", "ü"];
    for name in names {
        w.bucket.object(name).unwrap().put(name).await.unwrap();
    }
    let found = w.bucket.list().page_size(3).all().await.unwrap();
    assert_eq!(found.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(found[7].size, 2);
    let found = w.bucket.list().prefix("a*").all().await.unwrap();
    assert_eq!(found.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a*b"]);
    let page = w.bucket.list().page_size(2).await.unwrap();
    assert_eq!((page.entries.len(), page.token.as_str()), (2, "a*b"));
    let page = w.bucket.list().page_size(2).after(&page).await.unwrap();
    assert_eq!(page.entries[0].name, "a/1");
    let error = w.client.bucket("nope").unwrap().list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

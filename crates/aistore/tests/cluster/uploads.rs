//! Which way bodies go.

use futures_util::{StreamExt, stream};
use longshore_aistore::BucketPatch;
use longshore_blob_api::{BlobStore, GetOptions, HeadOptions, MultipartRef, PartNumber, PutOptions};
use longshore_core_types::{Attributes, ErrorKind, ObjectKey, Payload};
use longshore_devserver::NodeKind;

use crate::support::{pattern, world};

#[tokio::test]
async fn large_bodies_go_straight_to_the_target() {
    let w = world(|builder| builder).await;
    let body = pattern(1_000_000);
    let object = w.bucket.object("big").unwrap();
    object.put(body.clone()).await.unwrap();
    let puts = w.journal("put");
    assert_eq!(puts.len(), 1, "{puts:?}");
    assert_eq!((puts[0].node, puts[0].bytes_in), (NodeKind::Target, 1_000_000));
    // The server finds it where it was put, so the target was the right one.
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), body);
    for number in 0..20 {
        let object = w.bucket.object(format!("many/{number}")).unwrap();
        object.put(pattern(262_144)).await.unwrap();
        assert_eq!(object.head().await.unwrap().size, 262_144);
    }
}

#[tokio::test]
async fn large_bodies_wait_for_the_redirect_where_the_gateway_decides() {
    let w = world(|builder| builder.direct_uploads(false)).await;
    let body = pattern(1_000_000);
    let object = w.bucket.object("big").unwrap();
    object.put(body.clone()).await.unwrap();
    let puts = w.journal("put");
    assert_eq!(puts.len(), 2, "{puts:?}");
    assert!(puts[0].expects_continue);
    assert_eq!((puts[0].node, puts[0].bytes_in), (NodeKind::Gateway, 0));
    assert_eq!((puts[1].node, puts[1].bytes_in), (NodeKind::Target, 1_000_000));
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), body);
}

#[tokio::test]
async fn a_bucket_that_forbids_writing_forbids_large_uploads_too() {
    let w = world(|builder| builder).await;
    // Targets do not look at the mask, so the client must not go there.
    w.bucket.set_props(&BucketPatch::new().access(771)).await.unwrap();
    for length in [3, 1_000_000] {
        let object = w.bucket.object(format!("{length}")).unwrap();
        let error = object.put(pattern(length)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    let puts = w.journal("put");
    assert!(puts.iter().all(|put| put.node == NodeKind::Gateway), "{puts:?}");
}

#[tokio::test]
async fn a_body_that_can_be_read_once_is_sent_once() {
    let w = world(|builder| builder).await;
    for length in [Some(900_000), None] {
        let chunks = pattern(900_000).chunks(70_000).map(|c| Ok(bytes::Bytes::copy_from_slice(c))).collect();
        let chunks: Vec<std::io::Result<bytes::Bytes>> = chunks;
        let object = w.bucket.object(format!("once-{length:?}")).unwrap();
        object.put(Payload::once(length, stream::iter(chunks))).await.unwrap();
        assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), pattern(900_000));
    }
    for length in [Some(1000), None] {
        let object = w.bucket.object(format!("small-{length:?}")).unwrap();
        let chunks = [Ok(bytes::Bytes::from(pattern(1000)))];
        object.put(Payload::once(length, stream::iter(chunks))).await.unwrap();
        assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), pattern(1000));
    }
    let puts = w.server.journal().filter(|e| e.key.as_deref().is_some_and(|key| key.starts_with("once")));
    let puts: Vec<_> = puts.into_iter().filter(|put| put.operation == "put").collect();
    assert!(puts.iter().all(|put| (put.bytes_in == 0) == (put.node == NodeKind::Gateway)), "{puts:?}");
}

#[tokio::test]
async fn parts() {
    let w = world(|builder| builder).await;
    let store = w.bucket.store();
    let key = ObjectKey::new("parts/object").unwrap();
    let attributes = Attributes::default().with_content_type("text/plain").with_metadata("k", "v, w");
    let id = store
        .create_multipart(&key, PutOptions::default().with_attributes(attributes.clone()))
        .await
        .unwrap();
    let upload = MultipartRef { key: key.clone(), id };
    let content = pattern(700_000);
    let mut receipts = Vec::new();
    for (number, part) in (1..).zip(content.chunks(300_000)) {
        let number = PartNumber::new(number).unwrap();
        receipts.push(store.upload_part(&upload, number, Payload::from(part.to_vec())).await.unwrap());
    }
    let listed = store.list_parts(&upload).await.unwrap();
    assert_eq!(listed.iter().map(|part| part.number.get()).collect::<Vec<_>>(), [1, 2, 3]);
    let uploads = store.list_uploads("parts/", None).await.unwrap().uploads;
    assert_eq!(uploads.len(), 1);
    assert_eq!(store.head(&key, HeadOptions::default()).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.complete_multipart(&upload, receipts).await.unwrap();
    let result = store.get(&key, GetOptions::default()).await.unwrap();
    assert_eq!(result.meta.attributes, attributes);
    assert_eq!(result.bytes().await.unwrap(), content);
    store.abort_multipart(&upload).await.unwrap();
    // Large parts went straight to the target, the small one by redirect.
    let parts = w.journal("mpt-part");
    assert_eq!(parts.iter().filter(|part| part.node == NodeKind::Gateway).count(), 1, "{parts:?}");
}

#[tokio::test]
async fn a_part_is_never_sent_twice() {
    let w = world(|builder| builder).await;
    let store = w.bucket.store();
    let key = ObjectKey::new("o").unwrap();
    let id = store.create_multipart(&key, PutOptions::default()).await.unwrap();
    let upload = MultipartRef { key, id };
    let parts_at_targets =
        || w.server.journal().count(|e| e.operation == "mpt-part" && e.node == NodeKind::Target);
    for (index, size) in [(0, 1000), (1, 400_000)] {
        w.server.faults().add_str("mpt-part:node=target:status=503:count=1").unwrap();
        let before = parts_at_targets();
        let send = || store.upload_part(&upload, PartNumber::from_index(index), pattern(size).into());
        let error = send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(parts_at_targets(), before + 1);
        // A large part waits until the target wants it; this one did not.
        assert_eq!(error.body_fully_sent(), (size == 400_000).then_some(false));
        assert_eq!(send().await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(parts_at_targets(), before + 1);
        // A list tells that the large one is not there, and cannot come any more; the small one might.
        assert_eq!(store.list_parts(&upload).await.unwrap(), []);
        assert_eq!(send().await.is_ok(), size == 400_000);
    }
}

#[tokio::test]
async fn a_pinned_read_notices_another_version() {
    let w = world(|builder| builder).await;
    let store = w.bucket.store();
    let key = ObjectKey::new("o").unwrap();
    store.put(&key, pattern(1000).into(), PutOptions::default()).await.unwrap();
    let meta = store.head(&key, HeadOptions::default()).await.unwrap();
    let pinned = || GetOptions::default().with_range(0..100).with_pin((&meta).into());
    assert_eq!(store.get(&key, pinned()).await.unwrap().bytes().await.unwrap().len(), 100);
    store.put(&key, pattern(1000).into(), PutOptions::default()).await.unwrap();
    let error = store.get(&key, pinned()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn delimited_listings_report_each_directory_once() {
    use longshore_blob_api::{BlobStoreExt, Entry, ListOptions};
    let w = world(|builder| builder).await;
    for name in ["a/1", "a/2", "a/sub/3", "ab/1", "abc", "b", "x/1"] {
        w.bucket.object(name).unwrap().put("x").await.unwrap();
    }
    let store = w.bucket.store();
    for (prefix, page, expected) in [
        ("", None, &["a/", "ab/", "abc", "b", "x/"][..]),
        ("a", None, &["a/", "ab/", "abc"]),
        ("a", Some(1), &["a/", "ab/", "abc"]),
        ("a/", None, &["a/1", "a/2", "a/sub/"]),
        ("ab", None, &["ab/", "abc"]),
        ("q", None, &[]),
    ] {
        let mut options = ListOptions::prefix(prefix).with_delimiter();
        options.page_size = page;
        let entries: Vec<Entry> = store.list(options).map(Result::unwrap).collect().await;
        assert_eq!(entries.iter().map(Entry::name).collect::<Vec<_>>(), expected, "{prefix:?} {page:?}");
    }
}

//! What real clusters get wrong is refused before anything is sent.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::{
    collections::BTreeMap,
    future::{Future, IntoFuture},
    pin::Pin,
};

use longshore_aistore::{
    ArchiveFormat, ArchiveMode, BlobRead, BucketPatch, Client, Collection, CopyBucket, DsortSpec, EtlCall,
    JobKind, ListFlags, Presence,
};
use longshore_blob_api::{BlobStore, GetOptions, ListOptions, PartNumber, PartReceipt};
use longshore_core_types::{ByteRange, ErrorKind, ObjectKey, Payload, Result};
use longshore_transport::testing::{Reply, ScriptedService};

type Attempt = Pin<Box<dyn Future<Output = Result<()>>>>;

fn attempt<T, F: Future<Output = Result<T>> + 'static>(call: F) -> Attempt {
    Box::pin(async move { call.await.map(drop) })
}

/// A call that a real cluster breaks on, loses data by, or takes for another one, and what it would do.
///
/// An unknown kind of checksum cannot be said at all, since kinds are an enum. What takes a question first is shown where
/// it is asked: that a part is never sent twice in `store_multipart`, that nothing is added to a padded TAR in
/// `tar::append`, that ranges of a batch lie inside their objects in `batch::sizes`.
#[expect(clippy::too_many_lines, reason = "a table")]
fn attempts(client: &Client) -> Vec<(&'static str, Attempt)> {
    let bucket = client.bucket("b").unwrap();
    let cloud = client.bucket("aws://b").unwrap();
    let object = bucket.object("o").unwrap();
    let zip = bucket.object("s.zip").unwrap();
    let named = |name: &str| {
        let (bucket, name) = (bucket.clone(), name.to_owned());
        attempt(async move { bucket.object(name)?.put("x").await })
    };
    let template = |text: &'static str| {
        let bucket = bucket.clone();
        attempt(async move { bucket.objects(text.parse()?).delete().await })
    };
    let copy = |change: fn(CopyBucket) -> CopyBucket| {
        let (from, to) = (bucket.clone(), "other".parse().unwrap());
        attempt(async move { change(from.copy_to(&to)).await })
    };
    let job = |kind: JobKind| attempt(client.jobs_of(kind).start().into_future());
    let sort =
        || DsortSpec::new("b".parse().unwrap(), "s-{0..1}".parse().unwrap(), "o-{0..1}".parse().unwrap());
    let store = bucket.store();
    let upload = longshore_blob_api::MultipartRef {
        key: ObjectKey::new("o").unwrap(),
        id: longshore_blob_api::MultipartId::new("id"),
    };
    vec![
        (
            "a page of a negative or no size stops all targets",
            attempt(bucket.list().page_size(0).into_future()),
        ),
        ("an empty range locks the object", attempt(object.get().range(4..4).into_future())),
        ("the last zero bytes lock the object", {
            attempt(object.get().range(ByteRange::Suffix(0)).into_future())
        }),
        ("a pattern on a ZIP locks the object", {
            attempt(zip.get().matching(ArchiveMode::Suffix, ".jpg").into_future())
        }),
        ("a pattern on a ZIP that is said to be a TAR", {
            let tar = zip.get().archive_format(ArchiveFormat::Tar);
            attempt(tar.matching(ArchiveMode::Suffix, ".jpg").into_future())
        }),
        ("a ZIP is not read member after member", {
            let zip = zip.clone();
            attempt(async move { zip.open_shard().await })
        }),
        ("an empty pattern is every member", {
            attempt(bucket.object("s.tar").unwrap().get().matching(ArchiveMode::Prefix, "").into_future())
        }),
        ("a range of an archive's member is refused", {
            attempt(bucket.object("s.tar").unwrap().get().archpath("a").range(0..1).into_future())
        }),
        ("HEAD of the latest version breaks the connection", {
            attempt(object.head_with().latest(true).into_future())
        }),
        ("presence outside the cluster is no question about an object", {
            attempt(object.head_with().presence(Presence::Outside).into_future())
        }),
        (
            "a blob download of a bucket of the cluster",
            attempt(object.get().blob(BlobRead::default()).into_future()),
        ),
        ("a blob download job of a bucket of the cluster", attempt(object.blob_download().into_future())),
        ("evicting an object of the cluster deletes it", {
            let object = object.clone();
            attempt(async move { object.evict().await })
        }),
        ("evicting objects of the cluster deletes them", {
            attempt(bucket.objects(Collection::names_of(["a"]).unwrap()).evict().into_future())
        }),
        ("evicting a bucket of the cluster", {
            let bucket = bucket.clone();
            attempt(async move { bucket.evict(false).await })
        }),
        ("an unknown action deletes", {
            let bucket = bucket.clone();
            let null = serde_json::Value::Null;
            attempt(async move { bucket.raw_action(http::Method::DELETE, "no-such", &null).await })
        }),
        ("an inventory of a bucket of the cluster, by hand, stops all targets", {
            let bucket = bucket.clone();
            let null = serde_json::Value::Null;
            attempt(async move { bucket.raw_action(http::Method::POST, "create-inventory", &null).await })
        }),
        ("a prefetch of nothing, by hand, wedges the targets", {
            let bucket = bucket.clone();
            let null = serde_json::Value::Null;
            attempt(async move { bucket.raw_action(http::Method::POST, "prefetch-listrange", &null).await })
        }),
        ("a summary by the id of another job makes targets panic", {
            let bucket = bucket.clone();
            let value = serde_json::json!({"uuid": "abcdefghi"});
            attempt(async move { bucket.raw_action(http::Method::GET, "summary-bck", &value).await })
        }),
        ("a selection of nothing is the whole bucket", {
            let bucket = bucket.clone();
            attempt(async move { bucket.objects(Collection::names_of([] as [&str; 0])?).delete().await })
        }),
        ("an empty prefix is the whole bucket", {
            let bucket = bucket.clone();
            attempt(async move { bucket.objects(Collection::prefix("")?).delete().await })
        }),
        ("a printf template counts without end", template("obj-%04d.txt")),
        ("a gigantic template counts for hours", template("n-{0..99999999}")),
        ("a text without range is a prefix", template("obj")),
        ("a broken template is a prefix", template("n-{1..")),
        ("a prefetch without a bucket wedges the targets", job(JobKind::PrefetchObjects)),
        ("a prefetch of a bucket of the cluster", {
            let start = client.jobs_of(JobKind::PrefetchObjects).on_bucket(bucket.reference()).start();
            attempt(start.into_future())
        }),
        ("resilver without a target", job(JobKind::Resilver)),
        ("a kind that the server does not know meets other jobs", {
            attempt(client.jobs_of("no-such-kind").wait().into_future())
        }),
        ("a job without an id is every job", {
            let job = client.job("");
            attempt(async move { job.abort().await })
        }),
        ("the running jobs of a kind that the server does not know are all of them", {
            let cluster = client.cluster();
            attempt(async move { cluster.running_jobs(Some(&"no-such-kind".into())).await })
        }),
        ("stopping jobs of a kind that the server does not know", {
            let job = client.jobs_of("no-such-kind");
            attempt(async move { job.abort().await })
        }),
        ("no name is all inventories", {
            let cloud = cloud.clone();
            attempt(async move { cloud.delete_inventory("").await })
        }),
        ("an inventory of a bucket of the cluster stops all targets", {
            attempt(bucket.create_inventory().into_future())
        }),
        ("a download from the backend of a bucket of the cluster stops a target", {
            attempt(bucket.download_backend("", "", false).into_future())
        }),
        ("a download of all downloads", {
            let download = client.download("");
            attempt(async move { download.abort().await })
        }),
        ("a printf template of a download counts without end", {
            attempt(bucket.download_range("http://host/f-%04d", "").into_future())
        }),
        ("a download to a name that no listing shows", {
            attempt(bucket.download_as("a//b", "http://host/f").into_future())
        }),
        ("downloads below a folder that no listing shows", {
            attempt(bucket.download_range("http://host/f-{0..1}", "a//b").into_future())
        }),
        ("no archive is all archives", attempt(bucket.list_archive("").into_future())),
        ("a sort of unknown shards breaks the gateway", {
            let client = client.clone();
            let spec = sort();
            attempt(async move { client.start_dsort(&spec).await })
        }),
        ("a change of nothing", {
            let bucket = bucket.clone();
            attempt(async move { bucket.set_props(&BucketPatch::new()).await })
        }),
        ("`//` is stored and never listed", named("a//b")),
        ("a leading `/` is dropped", named("/a")),
        ("a trailing `/` is refused", named("a/")),
        ("`..` is refused", named("a/../b")),
        ("a line break becomes a blank", named("a\nb")),
        ("a name that is longer than listings show", named(&"x".repeat(300))),
        ("a promotion to names that no listing shows", {
            attempt(bucket.promote("/var/lib/ais/promote/x").name("a//").into_future())
        }),
        ("an archive whose name no listing shows", {
            attempt(bucket.objects(Collection::names_of(["a"]).unwrap()).archive("a//b.tar").into_future())
        }),
        ("copies under names that no listing shows", copy(|copy| copy.prepend("a//"))),
        ("copies under names that the server refuses", copy(|copy| copy.prepend("../"))),
        ("copies of selected objects under names that no listing shows", {
            let (group, to) =
                (bucket.objects(Collection::names_of(["a"]).unwrap()), "other".parse().unwrap());
            attempt(group.copy_to(&to).prepend("a//").into_future())
        }),
        ("selected objects whose names no listing shows", {
            let bucket = bucket.clone();
            attempt(async move { bucket.objects(Collection::names_of(["a//b"])?).delete().await })
        }),
        ("a handle of an append that no cluster made", {
            let object = object.clone();
            attempt(async move { object.resume_append("garbage")?.flush().await })
        }),
        ("an upload without an id is a write of the whole object", {
            let (store, id) = (store.clone(), longshore_blob_api::MultipartId::new(""));
            let upload = longshore_blob_api::MultipartRef { id, ..upload.clone() };
            attempt(async move { store.upload_part(&upload, PartNumber::new(1)?, "x".into()).await })
        }),
        ("a part that is completed twice", {
            let (store, upload) = (store.clone(), upload.clone());
            let parts = vec![PartReceipt::new(PartNumber::new(1).unwrap(), 1); 2];
            attempt(async move { store.complete_multipart(&upload, parts).await })
        }),
        ("a name with `#` is another object at the S3 endpoint", {
            let (store, key) = (store.clone(), ObjectKey::new("a#b").unwrap());
            let upload = longshore_blob_api::MultipartRef { key, ..upload.clone() };
            attempt(async move { store.list_parts(&upload).await })
        }),
        ("a part without a length", {
            let (store, upload) = (store.clone(), upload.clone());
            let body = Payload::once(None, futures_util::stream::iter([Ok(bytes::Bytes::from("x"))]));
            attempt(async move { store.upload_part(&upload, PartNumber::new(1)?, body).await })
        }),
        ("an empty part", {
            let (store, upload) = (store.clone(), upload.clone());
            attempt(async move { store.upload_part(&upload, PartNumber::new(1)?, Payload::empty()).await })
        }),
        ("a part behind the last that is allowed", {
            let (store, upload) = (store.clone(), upload.clone());
            attempt(async move { store.upload_part(&upload, PartNumber::new(10_000)?, "x".into()).await })
        }),
        ("an upload without parts", {
            let (store, upload) = (store.clone(), upload);
            attempt(async move { store.complete_multipart(&upload, Vec::new()).await })
        }),
        ("a batch of nothing", attempt(client.batch().into_future())),
        (
            "a batch with a range of no bytes",
            attempt(client.batch().range(&object, 0, Some(0)).into_future()),
        ),
        ("synchronizing from a bucket of the cluster", {
            let to = bucket.object("p").unwrap();
            attempt(object.copy_to(&to).sync(true).into_future())
        }),
        ("synchronizing under other names deletes all", copy(|copy| copy.sync(true).prepend("x/"))),
        ("a prefix that escapes", copy(|copy| copy.prefix("../x"))),
        ("a copy of a bucket onto itself", { attempt(bucket.copy_to(bucket.reference()).into_future()) }),
        ("no copies at all", {
            let bucket = bucket.clone();
            attempt(async move { bucket.make_copies(0).await })
        }),
        ("erasure coding without parity", {
            let bucket = bucket.clone();
            attempt(async move { bucket.ec_encode(1, 0).await })
        }),
        ("creating a cloud bucket", attempt(cloud.create().into_future())),
        ("deleting a cloud bucket", attempt(cloud.delete().into_future())),
        ("comparing with a backend that is not there", {
            attempt(bucket.list().flags(ListFlags::DIFF).into_future())
        }),
        ("an ETL whose name is a list", { attempt(object.get().etl(EtlCall::new("a,b")).into_future()) }),
        ("a conditional read is ignored", {
            let store = store.clone();
            let key = ObjectKey::new("o").unwrap();
            let mut options = GetOptions::default();
            options.if_match = Some("x".into());
            attempt(async move { store.get(&key, options).await })
        }),
        ("a page of no entries", {
            let mut options = ListOptions::prefix("");
            options.page_size = Some(0);
            attempt(async move { store.list_page(&options, None).await })
        }),
        ("custom metadata over the limit", {
            attempt(object.put("x").custom("k", "v".repeat(3000)).into_future())
        }),
        ("custom metadata with a line break", {
            let object = object.clone();
            let custom = BTreeMap::from([("k".to_owned(), "a\nb".to_owned())]);
            attempt(async move { object.set_custom(&custom).await })
        }),
        ("a node without an id is the gateway", {
            let cluster = client.cluster();
            attempt(async move { cluster.node_status("").await })
        }),
    ]
}

#[tokio::test]
async fn nothing_is_sent() {
    let server = ScriptedService::replies([]);
    let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
    for (what, attempt) in attempts(&client) {
        match attempt.await {
            Ok(()) => panic!("{what}: it was not refused"),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported),
                "{what}: {error:?}"
            ),
        }
        assert!(server.requests().is_empty(), "{what}: something was sent");
    }
}

#[tokio::test]
async fn what_has_no_call_can_be_sent_by_hand() {
    let server = ScriptedService::replies([Reply::ok("done")]);
    let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
    let value = serde_json::json!({"depth": 3});
    let answer =
        client.bucket("b").unwrap().raw_action(http::Method::POST, "new-thing", &value).await.unwrap();
    assert_eq!(answer, "done");
    let sent: serde_json::Value =
        serde_json::from_slice(server.requests()[0].body.as_ref().unwrap()).unwrap();
    assert_eq!(sent, serde_json::json!({"action": "new-thing", "name": "", "value": {"depth": 3}}));
}

/// A real cluster closes the connection without a status line where it breaks on a request, so one that starts
/// something is sent once.
#[tokio::test]
async fn what_may_have_begun_is_not_sent_again() {
    let server = ScriptedService::new(|_| Reply::close());
    let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
    let (bucket, cloud) = (client.bucket("b").unwrap(), client.bucket("aws://b").unwrap());
    let to = "other".parse().unwrap();
    let some = || Collection::names_of(["a"]).unwrap();
    let starts = [
        ("job", attempt(client.jobs_of(JobKind::Lru).start().into_future())),
        ("copy", attempt(bucket.copy_to(&to).into_future())),
        ("copy of objects", attempt(bucket.objects(some()).copy_to(&to).into_future())),
        (
            "transformation",
            attempt(bucket.objects(some()).transform_to(&to, EtlCall::new("etl-one")).into_future()),
        ),
        ("archive", attempt(bucket.objects(some()).archive("a.tar").into_future())),
        ("prefetch", attempt(cloud.objects(some()).prefetch().into_future())),
        ("promotion", attempt(bucket.promote("/var/lib/ais/promote/x").into_future())),
        ("blob download", attempt(cloud.object("o").unwrap().blob_download().into_future())),
        ("inventory", attempt(cloud.create_inventory().into_future())),
        ("download", attempt(bucket.download("http://host/f").into_future())),
    ];
    for (count, (what, start)) in (1..).zip(starts) {
        let error = start.await.unwrap_err();
        assert_eq!((error.attempts(), server.requests().len()), (1, count), "{what}: {error:?}");
    }
}

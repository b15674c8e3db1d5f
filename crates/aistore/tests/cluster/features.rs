//! What a cluster has beyond plain objects.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::SeekFrom;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_aistore::{Collection, Sample};
use longshore_core_types::{Error, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::support::{World, pattern, world};

/// Twenty-five samples of two members, in three shards.
async fn dataset(w: &World) -> Vec<String> {
    let samples = (0..25).map(|i| {
        Ok(Sample::new(format!("img/{i:03}"))
            .with("jpg", pattern(1000 + i))
            .with("cls", format!("{}", i % 5)))
    });
    let written = w.bucket.write_dataset("train").samples_per_shard(10).write(stream::iter(samples)).await;
    let written = written.unwrap();
    assert_eq!(written.iter().map(|shard| shard.samples).collect::<Vec<_>>(), [10, 10, 5]);
    for shard in &written {
        let head = w.bucket.object(&shard.name).unwrap().head().await.unwrap();
        assert_eq!(head.size, shard.bytes, "{}", shard.name);
    }
    written.into_iter().map(|shard| shard.name).collect()
}

#[tokio::test]
async fn a_dataset_and_back() {
    let w = world(|builder| builder).await;
    let names = dataset(&w).await;
    assert_eq!(names, ["train-000000.tar", "train-000001.tar", "train-000002.tar"]);
    let shards = || "train-{000000..000002}.tar".parse::<Collection>().unwrap();
    let samples: Vec<Sample> = w.bucket.samples(shards()).stream().unwrap().try_collect().await.unwrap();
    assert_eq!(samples.len(), 25);
    for (i, sample) in samples.iter().enumerate() {
        assert_eq!((sample.key.as_str(), sample.members.len()), (format!("img/{i:03}").as_str(), 2));
        assert_eq!(sample.get("jpg").unwrap(), &pattern(1000 + i));
        assert_eq!(sample.shard, names[i / 10]);
    }
    let mut keys: Vec<String> = Vec::new();
    let mut mixed = w.bucket.samples(shards()).concurrency(3).shuffle(1).stream().unwrap();
    while let Some(sample) = mixed.next().await {
        keys.push(sample.unwrap().key);
    }
    keys.sort_unstable();
    assert_eq!(keys, samples.iter().map(|sample| sample.key.clone()).collect::<Vec<_>>());
    // By prefix, only archives count.
    w.bucket.object("train-readme").unwrap().put("x").await.unwrap();
    let found = w.bucket.samples(Collection::prefix("train-").unwrap()).stream().unwrap();
    assert_eq!(found.try_collect::<Vec<_>>().await.unwrap().len(), 25);

    let more = || w.bucket.samples("train-{000002..000003}.tar".parse().unwrap());
    let error = more().stream().unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let found: Vec<_> = more().missing_ok(true).stream().unwrap().try_collect().await.unwrap();
    assert_eq!(found.len(), 5);
    let error = w.bucket.samples(shards()).largest_sample(100).stream().unwrap().next().await.unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_dataset_that_breaks_off_leaves_whole_shards_only() {
    let w = world(|builder| builder).await;
    let samples = (0..15).map(|i| match i {
        14 => Err(Error::new(ErrorKind::LocalIo, "the camera broke")),
        _ => Ok(Sample::new(format!("{i}")).with("bin", pattern(500))),
    });
    let write = w.bucket.write_dataset("d").samples_per_shard(10).write(stream::iter(samples)).await;
    assert_eq!(write.unwrap_err().message(), "the camera broke");
    let names: Vec<String> = w.bucket.list().all().await.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["d-000000.tar"]);
}

#[tokio::test]
async fn members_of_archives() {
    let w = world(|builder| builder).await;
    dataset(&w).await;
    w.bucket.object("train-000002.tar.txt").unwrap().put("no archive").await.unwrap();
    let members = w.bucket.list_archive("train-000002.tar").await.unwrap();
    assert_eq!(members.len(), 10);
    assert_eq!(members[0].name, "train-000002.tar/img/020.cls");
    let with = w.bucket.list_archive("train-000002.tar").include_archive(true).await.unwrap();
    assert_eq!((with.len(), with[0].name.as_str()), (11, "train-000002.tar"));
    let error = w.bucket.list_archive("train-000002.tar.txt").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = w.bucket.list_archive("nope.tar").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let mut shard = w.bucket.object("train-000000.tar").unwrap().open_shard().await.unwrap();
    let first = shard.next_member().await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.size), ("img/000.jpg", 1000));
    // What is not read is skipped.
    let second = shard.next_member().await.unwrap().unwrap();
    assert_eq!((second.name.as_str(), shard.read(10).await.unwrap()), ("img/000.cls", Bytes::from("0")));

    let shard = w.bucket.object("train-000000.tar").unwrap();
    let url = shard.http_url_with(Some("img/000.cls"), None).unwrap();
    assert!(url.ends_with("/v1/objects/data/train-000000.tar?provider=ais&archpath=img%2F000.cls"), "{url}");
    let urls: Vec<String> = w.bucket.http_urls("train-00000", None).try_collect().await.unwrap();
    assert_eq!(urls.len(), 4);
    assert_eq!(urls[0], shard.http_url());
    let group = w.bucket.objects("a-{1..2}".parse().unwrap());
    let urls: Vec<String> = group.http_urls(None).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(urls[1].contains("/v1/objects/data/a-2?"), "{urls:?}");
}

#[tokio::test]
async fn many_members_in_one_request() {
    let w = world(|builder| builder).await;
    dataset(&w).await;
    let shard = w.bucket.object("train-000000.tar").unwrap();
    let missing = w.bucket.object("nope").unwrap();
    for described in [false, true] {
        let batch = w.client.batch().described(described);
        let batch = batch.member(&shard, "img/003.cls").object(&missing).member(&shard, "img/004.cls");
        let mut items = batch.await.unwrap();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(match item.result {
                Ok(result) => result.bytes().await.unwrap(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
                    Bytes::from("missing")
                }
            });
        }
        assert_eq!(found, ["3", "missing", "4"], "described: {described}");
    }
}

#[tokio::test]
async fn parts_of_many_objects_in_one_request() {
    let w = world(|builder| builder).await;
    let content = Bytes::from(pattern(1000));
    for described in [false, true] {
        let mut batch = w.client.batch().described(described);
        for n in 0..4 {
            let object = w.bucket.object(format!("ranges/{n}")).unwrap();
            object.put(content.clone()).await.unwrap();
            batch = batch.range(&object, 990, None).opaque(n.to_string());
            // Of these the cluster would deliver the whole object, or fail.
            batch = batch.range(&object, 1000, None).range(&object, 1, Some(1000));
        }
        let mut items = batch.await.unwrap();
        for n in 0..12 {
            let item = items.next().await.unwrap();
            assert_eq!(item.index, n);
            if n % 3 == 0 {
                assert_eq!(item.opaque, Some(Bytes::from((n / 3).to_string())));
                assert_eq!(item.result.unwrap().bytes().await.unwrap(), content[990..]);
            } else {
                assert_eq!(item.result.unwrap_err().kind(), ErrorKind::RangeNotSatisfiable);
            }
        }
        assert!(items.next().await.is_none());
    }
}

#[tokio::test]
async fn an_object_like_a_file() {
    let w = world(|builder| builder).await;
    let content = pattern(300_000);
    let object = w.bucket.object("file").unwrap();
    let mut writer = object.writer().part_size(100_000).threshold(100_000).custom("k", "v").open().unwrap();
    writer.write_all(&content).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(object.head().await.unwrap().custom["k"], "v");

    let mut file = object.open().chunk_size(10_000).workers(3).await.unwrap();
    assert!(file.readable() && file.seekable());
    assert_eq!(file.read_bytes(5).await.unwrap(), &content[..5]);
    file.seek(SeekFrom::End(-7)).await.unwrap();
    assert_eq!(file.position(), 299_993);
    let mut end = Vec::new();
    file.read_to_end(&mut end).await.unwrap();
    assert_eq!((end.as_slice(), file.position()), (&content[299_993..], 300_000));
    file.close();
    assert!(!file.readable());
    assert_eq!(file.read_bytes(1).await.unwrap_err().kind(), ErrorKind::InvalidInput);

    w.server.journal().clear();
    let file = object.open().chunk_size(50_000).workers(4).await.unwrap();
    let chunks: Vec<Bytes> = file.into_stream().try_collect().await.unwrap();
    assert_eq!(chunks.concat(), content);
    let file = object.open().chunk_size(50_000).await.unwrap();
    object.put("other").await.unwrap();
    let error = file.into_stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error:?}");
    assert!(object.open().workers(0).await.is_err());
}

#[tokio::test]
async fn a_body_that_breaks_is_taken_up_again() {
    let w = world(|builder| builder).await;
    let object = w.bucket.object("o").unwrap();
    let content = pattern(500_000);
    object.put(content.clone()).await.unwrap();
    w.server.faults().add_str("get:node=target:truncate-at=100000:count=2").unwrap();
    w.server.journal().clear();
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), content);
    assert!(w.server.journal().count(|entry| entry.operation == "get") >= 3);
}

#[tokio::test]
async fn parts_by_hand() {
    let w = world(|builder| builder).await;
    let object = w.bucket.object("parts").unwrap();
    let upload = object.start_upload().custom("k", "v").await.unwrap();
    let content = pattern(700_000);
    let parts = content.chunks(300_000).map(Vec::from).zip(1..);
    for (part, number) in parts {
        upload.part(number, part).await.unwrap();
    }
    let (id, receipts) = (upload.id().to_owned(), upload.receipts());
    drop(upload);
    let upload = object.resume_upload(id, receipts).await.unwrap();
    assert_eq!(upload.parts(), [1, 2, 3]);
    upload.complete().await.unwrap();
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), content);
    let upload = object.start_upload().await.unwrap();
    upload.part(1, "x").await.unwrap();
    upload.abort().await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(upload.complete().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn files_of_a_folder() {
    let w = world(|builder| builder).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), pattern(600_000)).unwrap();
    std::fs::write(folder.path().join("small"), "x").unwrap();
    std::fs::write(folder.path().join("none"), "").unwrap();
    let names = w.bucket.put_files(folder.path()).prepend("up/").await.unwrap();
    assert_eq!(names, ["up/large", "up/none", "up/small"]);
    let object = w.bucket.object("up/large").unwrap();
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), pattern(600_000));
    assert_eq!(w.bucket.object("up/none").unwrap().head().await.unwrap().size, 0);
    let missing = object.put_file(folder.path().join("nowhere")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::LocalIo);
}

#[tokio::test]
async fn what_objects_and_the_cluster_say() {
    let w = world(|builder| builder).await;
    let object = w.bucket.object("o").unwrap();
    object.put("hello").await.unwrap();
    for props in [object.head_v1().await.unwrap(), object.head().await.unwrap()] {
        assert_eq!(props.name.as_deref(), Some("o"));
        assert_eq!(
            (props.bucket_name.as_deref(), props.bucket_provider.as_deref()),
            (Some("data"), Some("ais"))
        );
    }
    let cluster = w.client.cluster();
    assert!(cluster.is_ready().await.unwrap());
    assert!(cluster.stability().await.unwrap().is_settled());
    assert_eq!(w.bucket.query(), [("provider", "ais".to_owned())]);
    assert!(w.client.downloads().await.unwrap().is_empty());
    assert!(w.client.dsorts().await.unwrap().is_empty());
    assert_eq!(w.client.dsort("srt-x").info().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

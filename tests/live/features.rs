//! What a real cluster has beyond plain objects.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use libtest_mimic::{Failed, Trial};
use longshore_aistore::{Collection, DsortAlgorithm, DsortSpec, EtlSpec, Sample};
use longshore_blob_api::{BlobStore, GetManyOptions};
use longshore_core_types::{ErrorKind, ObjectKey, Result};

use super::{
    cluster::{Cluster, trial},
    settings::Missing,
};

type Case = fn(&Cluster) -> std::result::Result<(), Failed>;

const CASES: &[(&str, Case)] = &[
    ("dataset", dataset),
    ("batch", batch),
    ("batch_ranges", batch_ranges),
    ("get_many", get_many),
    ("archives_are_added_to", archives_are_added_to),
    ("parts", parts),
    ("nodes", nodes),
    ("etl", etl),
    ("dsort", dsort),
    ("downloads", downloads),
];

pub(crate) fn trials(cluster: &std::result::Result<Arc<Cluster>, Missing>) -> Vec<Trial> {
    let one = |(name, case): &(&str, Case)| {
        let case = *case;
        trial(format!("aistore::{name}"), cluster, case)
    };
    CASES.iter().map(one).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i ^ (i >> 8)) & 0xff).unwrap_or_default()).collect()
}

fn samples(count: usize) -> impl futures_util::Stream<Item = Result<Sample>> {
    stream::iter((0..count).map(|i| {
        Ok(Sample::new(format!("s{i:03}")).with("jpg", pattern(1000 + i)).with("cls", format!("{}", i % 5)))
    }))
}

fn dataset(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        // Small parts, so that shards are stored in chunks.
        let write = bucket.write_dataset("features/train").samples_per_shard(20).part_size(10_000);
        let shards = write.write(samples(50)).await?;
        assert_eq!(shards.len(), 3);
        let all = || "features/train-{000000..000002}.tar".parse::<Collection>();
        let read: Vec<Sample> = bucket.samples(all()?).stream()?.try_collect().await?;
        assert_eq!(read.len(), 50);
        assert!(read.iter().enumerate().all(|(i, s)| s.get("jpg") == Some(&pattern(1000 + i).into())));
        let mixed: Vec<Sample> =
            bucket.samples(all()?).concurrency(3).shuffle(2).stream()?.try_collect().await?;
        assert_eq!(mixed.len(), 50);
        let shard = bucket.object(&shards[1].name)?;
        let member = shard.get().archpath("s020.cls").await?.bytes().await?;
        assert_eq!(member, "0");
        // The cluster lists members of whole objects only.
        let error = bucket.list_archive(&shards[1].name).await.map(drop);
        assert_eq!(error.err().map(|error| error.kind()), Some(ErrorKind::Unsupported));
        let whole = bucket.write_dataset("features/whole").write(samples(20)).await?;
        assert_eq!(bucket.list_archive(&whole[0].name).await?.len(), 40);
        Ok::<_, longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn batch(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        bucket.write_dataset("batch/d").write(samples(10)).await?;
        let shard = bucket.object("batch/d-000000.tar")?;
        let missing = bucket.object("batch/nope")?;
        for described in [false, true] {
            let batch = cluster.client().batch().described(described).bucket(bucket.reference());
            let batch = batch.member(&shard, "s003.cls").object(&missing).member(&shard, "s004.cls");
            let mut items = batch.await?;
            let mut found = Vec::new();
            while let Some(item) = items.next().await {
                found.push(match item.result {
                    Ok(result) => result.bytes().await?,
                    Err(error) if error.kind() == ErrorKind::NotFound => Bytes::from("missing"),
                    Err(error) => return Err(error),
                });
            }
            assert_eq!(found, ["3", "missing", "4"], "described: {described}");
        }
        Ok(())
    })?;
    Ok(())
}

fn batch_ranges(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    let content = Bytes::from(pattern(1000));
    cluster.wait(async {
        for described in [false, true] {
            let mut batch = cluster.client().batch().described(described).bucket(bucket.reference());
            let mut wanted = Vec::new();
            // On several targets: what a range outside of an object does depends on where it is.
            for n in 0..6 {
                let object = bucket.object(format!("ranges/{n}"))?;
                object.put(content.clone()).await?;
                let ranges = [
                    (0, Some(7)),
                    (990, None),
                    (10, Some(5)),
                    (995, Some(10)),
                    (1000, None),
                    (4000, Some(1000)),
                ];
                for (start, length) in ranges {
                    batch = batch.range(&object, start, length).opaque(format!("{n} from {start}"));
                    let (from, size) = (
                        usize::try_from(start).unwrap_or(usize::MAX),
                        length.unwrap_or(1000 - start.min(1000)),
                    );
                    let to = from.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
                    wanted.push((
                        format!("{n} from {start}"),
                        (to > from && to <= 1000).then(|| content.slice(from..to)),
                    ));
                }
            }
            let mut items = batch.await?;
            for (opaque, bytes) in wanted {
                let item = items.next().await.ok_or_else(|| failed("the batch ended early"))?;
                assert_eq!(item.opaque.as_deref(), Some(opaque.as_bytes()));
                match (item.result, bytes) {
                    (Ok(result), Some(bytes)) => assert_eq!(result.bytes().await?, bytes, "{opaque}"),
                    (Err(error), None) => {
                        assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable, "{opaque}");
                    }
                    (result, _) => return Err(failed(&format!("{opaque}: {result:?}"))),
                }
            }
        }
        Ok::<(), longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn failed(text: &str) -> longshore_core_types::Error {
    longshore_core_types::Error::new(ErrorKind::Other, text.to_owned())
}

fn archives_are_added_to(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        for n in 1..=3 {
            bucket.object(format!("added/{n}"))?.put(pattern(700 * n)).await?;
        }
        let only = |n: u32| Collection::names_of([format!("added/{n}")]);
        for (n, append) in [(1, false), (2, true)] {
            for job in bucket.objects(only(n)?).archive("added/made.tar").append(append).await? {
                job.wait().await?.into_result()?;
            }
        }
        assert_eq!(bucket.list_archive("added/made.tar").await?.len(), 2);
        let made = bucket.object("added/made.tar")?.get().await?.bytes().await?;
        // As most writers leave it: in records of 10,240 bytes.
        let mut padded = made.to_vec();
        padded.resize(made.len().next_multiple_of(10_240), 0);
        let object = bucket.object("added/padded.tar")?;
        object.put(padded.clone()).await?;
        let refused = bucket.objects(only(3)?).archive("added/padded.tar").append(true).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Unsupported));
        assert_eq!(object.get().await?.bytes().await?, padded);
        Ok::<(), longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn get_many(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        let mut keys = Vec::new();
        for i in 0..60 {
            let name = format!("many/{i:02}");
            // A third is missing: more than a cluster puts up with in one request.
            if i % 3 != 0 {
                bucket.object(&name)?.put(name.clone()).await?;
            }
            keys.push(ObjectKey::new(name)?);
        }
        let mut options = GetManyOptions::default();
        options.continue_on_error = true;
        let mut items = bucket.store().get_many(keys.clone(), options).await?;
        let mut seen = 0;
        while let Some(item) = items.try_next().await? {
            assert_eq!(item.key, keys[seen]);
            match item.result {
                Ok(result) => assert_eq!(result.bytes().await?, keys[seen].as_str()),
                Err(error) => assert_eq!((error.kind(), seen % 3), (ErrorKind::NotFound, 0)),
            }
            seen += 1;
        }
        assert_eq!(seen, 60);
        Ok::<_, longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn parts(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        let object = bucket.object("parts/object")?;
        let upload = object.start_upload().custom("k", "v").await?;
        let content = pattern(700_000);
        for (part, number) in content.chunks(300_000).map(Vec::from).zip(1..) {
            upload.part(number, part).await?;
        }
        let again = object.resume_upload(upload.id(), upload.receipts()).await?;
        again.complete().await?;
        assert_eq!(object.get().await?.bytes().await?, content);
        let file = object.open().workers(4).chunk_size(50_000).await?;
        let chunks: Vec<Bytes> = file.into_stream().try_collect().await?;
        assert_eq!(chunks.concat(), content);
        Ok::<_, longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn nodes(cluster: &Cluster) -> std::result::Result<(), Failed> {
    cluster.bucket()?;
    cluster.wait(async {
        let whole = cluster.client().cluster();
        assert!(whole.is_ready().await?);
        let map = whole.map().await?;
        let all = whole.performance().await?;
        assert_eq!(all.len(), map.targets.len());
        assert!(all.values().all(|node| node.capacity.available > 0 && !node.version.is_empty()));
        whole.stability().await?;
        assert_eq!(whole.stats().await?.targets.len(), map.targets.len());
        assert_eq!(whole.system().await?.targets.len(), map.targets.len());
        assert!(whole.config().await?.is_object());
        whole.backends().await?;
        whole.remote_clusters().await?;
        for id in map.targets.keys().chain(map.gateways.keys()) {
            let log: Vec<Bytes> = whole.node_log(id).await?.try_collect().await?;
            assert!(!log.is_empty(), "{id}");
            let archive: Vec<Bytes> = whole.node_log(id).archive().await?.try_collect().await?;
            assert!(archive.concat().starts_with(&[0x1f, 0x8b]), "{id}");
        }
        Ok::<_, longshore_core_types::Error>(())
    })?;
    Ok(())
}

/// Where there is no Kubernetes, the error says so and no name is left behind.
fn etl(cluster: &Cluster) -> std::result::Result<(), Failed> {
    cluster.bucket()?;
    cluster.wait(async {
        let Err(error) = cluster.client().cluster().etls().await else { return Ok(()) };
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        let etl = cluster.client().etl("live-longshore")?;
        let kind = |result: Result<()>| result.err().map(|error| error.kind());
        let made = etl.init(EtlSpec::image("none")).await.map(drop);
        assert_eq!(kind(made), Some(ErrorKind::Unsupported));
        let unknown = kind(etl.details().await.map(drop));
        assert!(matches!(unknown, Some(ErrorKind::NotFound | ErrorKind::Unsupported)), "{unknown:?}");
        Ok::<_, longshore_core_types::Error>(())
    })?;
    Ok(())
}

fn dsort(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        bucket.write_dataset("sort/in").digits(1).samples_per_shard(5).write(samples(20)).await?;
        let spec =
            DsortSpec::new(bucket.reference().clone(), "sort/in-{0..3}".parse()?, "sort/out-{0..9}".parse()?);
        let spec = spec.shard_size(12_000).algorithm(DsortAlgorithm::Shuffle { seed: Some(1) });
        let dsort = match cluster.client().start_dsort(&spec).await {
            Ok(dsort) => dsort,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            Err(error) => return Err(error),
        };
        let outcome = dsort.wait().deadline(Duration::from_mins(1)).await?;
        assert!(outcome.into_result()?.created > 0);
        let sorted = bucket.samples(Collection::prefix("sort/out-")?).stream()?;
        assert_eq!(sorted.try_collect::<Vec<_>>().await?.len(), 20);
        dsort.abort().await?;
        dsort.remove().await
    })?;
    Ok(())
}

/// Targets refuse links to this machine, which is as far as a test without the web can come.
fn downloads(cluster: &Cluster) -> std::result::Result<(), Failed> {
    let bucket = cluster.bucket()?;
    cluster.wait(async {
        let links = bucket.download_range("http://127.0.0.1:9/file-{0..3}", "down/");
        let download = links.description("longshore live").await?;
        let status = download.wait().deadline(Duration::from_mins(1)).await?;
        assert_eq!((status.failed, status.errors.len()), (4, 4), "{status:?}");
        assert!(status.into_result().is_err());
        let listed = cluster.client().downloads().matching("longshore live").await?;
        assert!(listed.iter().any(|one| one.id == download.id()));
        download.remove().await
    })?;
    Ok(())
}

//! The conformance suite, whole transfers and the listing of buckets at the clouds' own services, or at emulators of
//! them. They write below a prefix of their own in a bucket that exists.

use std::{
    future::Future,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::TryStreamExt;
use libtest_mimic::{Failed, Trial};
use longshore_blob_api::{
    AnyStore, BlobStore, BlobStoreExt, ListOptions, PutOptions,
    conformance::{self, Case},
};
use longshore_core_types::{ErrorKind, ObjectKey};
use longshore_object_store::{azure::AzureBuilder, gcs::GcsBuilder, s3::S3Builder};
use longshore_transfer::{PartSize, Transfer};
use tokio::runtime::Runtime;

use super::{
    cluster::{ignored, trial},
    settings::{Missing, Settings},
};

/// The clouds, each with the variable that names a bucket there.
const CLOUDS: [(&str, &str, Open); 3] = [
    ("s3", "LONGSHORE_LIVE_S3_BUCKET", |bucket| Ok(AnyStore::new(S3Builder::from_env(bucket).build()?))),
    ("gs", "LONGSHORE_LIVE_GS_BUCKET", |bucket| Ok(AnyStore::new(GcsBuilder::from_env(bucket).build()?))),
    ("az", "LONGSHORE_LIVE_AZ_CONTAINER", |bucket| {
        Ok(AnyStore::new(AzureBuilder::from_env(bucket).build()?))
    }),
];

type Open = fn(&str) -> longshore_core_types::Result<AnyStore>;

/// A bucket at a cloud, and the names in it that belong to this run.
pub(crate) struct Bucket {
    runtime: Runtime,
    store: AnyStore,
    root: String,
    used: AtomicBool,
}

/// A cloud's name, and its bucket if the environment names one.
pub(crate) type Cloud = (&'static str, Result<Arc<Bucket>, Missing>);

/// What the environment names. No I/O, but for files of credentials.
pub(crate) fn clouds(settings: &Settings) -> Vec<Cloud> {
    let open = |&(name, variable, open): &(&'static str, &str, Open)| {
        (name, settings.cloud(variable).and_then(|bucket| Bucket::new(&bucket, open)).map(Arc::new))
    };
    CLOUDS.iter().map(open).collect()
}

impl Bucket {
    fn new(name: &str, open: Open) -> Result<Self, Missing> {
        let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
        let store = open(name).map_err(|error| format!("no client: {}", error.chain()))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let root = format!("longshore-live-{}-{}/", since.as_secs(), process::id());
        Ok(Self { runtime, store, root, used: AtomicBool::new(false) })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.used.store(true, SeqCst);
        self.runtime.block_on(work)
    }

    fn key(&self, name: &str) -> longshore_core_types::Result<ObjectKey> {
        ObjectKey::new(format!("{}{name}", self.root))
    }

    /// Removes what the tests left below their prefix.
    pub(crate) fn clean(&self) -> Result<(), String> {
        if !self.used.load(SeqCst) {
            return Ok(());
        }
        let clean = async {
            let listed: Vec<_> = self.store.list(ListOptions::prefix(&self.root)).try_collect().await?;
            let keys: Result<Vec<_>, _> = listed.iter().map(|entry| ObjectKey::new(entry.name())).collect();
            for outcome in self.store.delete_many(keys?).await? {
                outcome.result?;
            }
            Ok::<_, longshore_core_types::Error>(())
        };
        self.runtime.block_on(clean).map_err(|error| error.chain())
    }
}

pub(crate) fn trials(clouds: &[Cloud]) -> Vec<Trial> {
    let of = |(name, bucket): &Cloud| {
        let suite = conformance::cases().iter().map(|case| conforms(name, bucket, case));
        let mut trials: Vec<Trial> = suite.collect();
        trials.push(trial(format!("{name}::upload_in_parts_and_back"), bucket, |bucket| {
            bucket.wait(there_and_back(bucket))
        }));
        trials.push(trial(format!("{name}::one_of_many_creates_wins"), bucket, |bucket| {
            bucket.wait(one_wins(bucket))
        }));
        trials
    };
    clouds.iter().flat_map(of).collect()
}

fn conforms(cloud: &str, bucket: &Result<Arc<Bucket>, Missing>, case: &'static Case) -> Trial {
    let name = format!("{cloud}::{}", case.name());
    if let Ok(bucket) = bucket
        && let Err(reason) = case.needs(&bucket.store)
    {
        return ignored(name, &format!("unsupported: {reason}"));
    }
    trial(name, bucket, |bucket| bucket.wait(case.run(&bucket.store, &bucket.root)).map_err(Failed::from))
}

/// 20 MiB in parts of 5 MiB.
async fn there_and_back(bucket: &Bucket) -> Result<(), Failed> {
    let transfer =
        Transfer::builder().multipart_threshold(6 << 20).part_size(PartSize::Fixed(5 << 20)).build()?;
    let content: Vec<u8> =
        (0..20 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let key = bucket.key("large.bin")?;
    let done = transfer.upload(&bucket.store, key.clone(), content.clone()).await?;
    if done.parts < 2 {
        return Err(format!("it went in {} parts", done.parts).into());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("large.bin");
    transfer.download(&bucket.store, key, file.as_path()).await?;
    if std::fs::read(&file)? == content { Ok(()) } else { Err("what came back is something else".into()) }
}

/// Whoever creates a name at the same time as others: one does, and the others are told that it is there.
async fn one_wins(bucket: &Bucket) -> Result<(), Failed> {
    if !bucket.store.capability().create_only {
        return Ok(());
    }
    let key = bucket.key("created")?;
    let opts = PutOptions::default().with_create_only();
    let puts = (0..8).map(|n: u8| bucket.store.put(&key, vec![n; 9].into(), opts.clone()));
    let results = futures_util::future::join_all(puts).await;
    let won: Vec<_> =
        results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(n, _)| n).collect();
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        // Some answer that another write is under way, and do not say how it will end.
        if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Conflict) {
            return Err(error.chain().into());
        }
    }
    let stored = bucket.store.read(&key).await?;
    match won.as_slice() {
        [winner] if stored.iter().all(|byte| usize::from(*byte) == *winner) => Ok(()),
        _ => Err(format!("{won:?} wrote it, and it holds {stored:?}").into()),
    }
}

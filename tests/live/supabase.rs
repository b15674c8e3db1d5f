//! The conformance suite and whole transfers on a bucket of a real Supabase project.

use std::{
    future::Future,
    process,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libtest_mimic::{Failed, Trial};
use longshore_blob_api::{
    AnyStore, BlobStoreExt,
    conformance::{self, Case},
};
use longshore_supabase::{Bucket, Client, ClientBuilder};
use longshore_transfer::Transfer;
use tokio::runtime::Runtime;

use super::{
    cluster::{ignored, trial},
    settings::Missing,
};

/// A real project, and a bucket that the tests share. It is made by the first test that needs it.
pub(crate) struct Project {
    runtime: Runtime,
    bucket: Bucket,
    made: OnceLock<Result<(), String>>,
}

impl Project {
    /// Does no I/O. Where the project is, and with which key, stands in the environment.
    pub(crate) fn new() -> Result<Self, Missing> {
        let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
        let no_client = |error: longshore_core_types::Error| format!("no client: {}", error.chain());
        let client: Client = ClientBuilder::from_env().build().map_err(no_client)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("longshore-live-{}-{}", since.as_secs(), process::id());
        let bucket = client.bucket(name).map_err(no_client)?;
        Ok(Self { runtime, bucket, made: OnceLock::new() })
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The bucket, which exists.
    fn bucket(&self) -> Result<&Bucket, Failed> {
        let buckets = self.bucket.client().buckets();
        let make =
            || self.wait(async { buckets.create(self.bucket.id()).await }).map_err(|error| error.chain());
        match self.made.get_or_init(make) {
            Ok(()) => Ok(&self.bucket),
            Err(error) => Err(format!("cannot make the bucket {}: {error}", self.bucket.id()).into()),
        }
    }

    /// Removes the bucket and what is in it, if there is one.
    pub(crate) fn clean(&self) -> Result<(), String> {
        if !matches!(self.made.get(), Some(Ok(()))) {
            return Ok(());
        }
        let clean = async {
            let left = self.bucket.list_v2().all().await?;
            self.bucket.remove(left.iter().map(|file| &file.name)).await?;
            self.bucket.client().buckets().delete(self.bucket.id()).await
        };
        self.wait(clean).map_err(|error| error.chain())
    }
}

pub(crate) fn trials(project: &Result<Arc<Project>, Missing>) -> Vec<Trial> {
    let mut trials: Vec<Trial> = conformance::cases().iter().map(|case| conforms(project, case)).collect();
    trials.push(trial("supabase::upload_in_parts_and_back", project, |project| {
        let bucket = project.bucket()?;
        project.wait(there_and_back(bucket))
    }));
    trials.push(trial("supabase::signed_urls", project, |project| {
        let bucket = project.bucket()?;
        project.wait(signed(bucket))
    }));
    trials
}

fn conforms(project: &Result<Arc<Project>, Missing>, case: &'static Case) -> Trial {
    let name = format!("supabase::{}", case.name());
    if let Ok(project) = project
        && let Err(reason) = case.needs(&AnyStore::new(project.bucket.store()))
    {
        return ignored(name, &format!("unsupported: {reason}"));
    }
    trial(name, project, |project| {
        let store = AnyStore::new(project.bucket()?.store());
        project.wait(case.run(&store, "suite/")).map_err(Failed::from)
    })
}

/// 20 MiB: three pieces and a bit of a resumable upload.
async fn there_and_back(bucket: &Bucket) -> Result<(), Failed> {
    // Through S3 it would go in one piece.
    let transfer = Transfer::builder().multipart_threshold(6 << 20).build()?;
    let content: Vec<u8> =
        (0..20 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let store = bucket.store();
    let key: longshore_core_types::ObjectKey = "transfer/large.bin".parse()?;
    let done = transfer.upload(&store, key.clone(), content.clone()).await?;
    if done.parts < 2 {
        return Err(format!("it went in {} parts", done.parts).into());
    }
    let folder = std::env::temp_dir().join(format!("longshore-live-{}", process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("large.bin");
    let downloaded = transfer.download(&store, key, file.as_path()).await;
    let back = std::fs::read(&file);
    std::fs::remove_dir_all(&folder)?;
    downloaded?;
    let back = back?;
    if back == content { Ok(()) } else { Err("what came back is something else".into()) }
}

/// By a signed upload, and by what it signed for reading.
async fn signed(bucket: &Bucket) -> Result<(), Failed> {
    let upload = bucket.create_signed_upload_url("signed/a b.txt", false).await?;
    bucket.upload_to_signed_url("signed/a b.txt", upload.token.clone(), "signed").await?;
    let url = bucket.create_signed_url("signed/a b.txt", Duration::from_mins(1)).await?;
    let web = longshore_http_store::HttpStore::builder(url.expose()).build_object()?;
    let (store, key) = web;
    let text = store.probe(&key).await?.read(&key).await?;
    if text == "signed" { Ok(()) } else { Err(format!("{text:?} came back").into()) }
}

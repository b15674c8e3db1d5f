//! Many small objects.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_blob_api::{BlobStore, GetOptions};
use longshore_core_types::ObjectKey;
use tokio::task::JoinSet;

use super::store::BenchStore;
use super::{Common, Through};
use crate::app::{Failure, at};
use crate::content;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// `http://HOST:PORT/BUCKET` with the small set
    url: String,
    /// Directory to write to; without it the bytes are dropped, and no engine is needed
    #[arg(long)]
    to: Option<PathBuf>,
    /// Objects in the set
    #[arg(long)]
    objects: u64,
    /// Requests; the set is gone through as often as needed
    #[arg(long)]
    requests: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug)]
struct Work {
    store: BenchStore,
    to: Option<PathBuf>,
    objects: u64,
    requests: u64,
    next: AtomicU64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = args.common.runtime()?;
    match (args.common.through, &args.to) {
        (Through::Engine, Some(to)) => runtime.block_on(engine(args, to))?,
        _ => runtime.block_on(plain(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole bucket into a directory.
async fn engine(args: &Args, to: &Path) -> Result<(), Failure> {
    let store = BenchStore::new(args.common.transport()?, &args.url, None)?;
    let engine = args.common.engine().build()?;
    let report = engine.download_dir(&store, "", to).await?;
    if let Some(failure) = report.failures.into_iter().next() {
        return Err(failure.into());
    }
    if report.succeeded != args.objects {
        return Err(format!("{} objects came instead of {}", report.succeeded, args.objects).into());
    }
    super::report(&engine);
    Ok(())
}

async fn plain(args: &Args) -> Result<(), Failure> {
    let store = BenchStore::new(args.common.transport()?, &args.url, None)?;
    if let Some(to) = &args.to {
        for dir in content::small_dirs(args.objects) {
            let dir = to.join(dir);
            std::fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
    }
    let (to, next) = (args.to.clone(), AtomicU64::new(0));
    let work = Arc::new(Work { store, to, objects: args.objects, requests: args.requests, next });
    let mut workers = JoinSet::new();
    for _ in 0..args.common.concurrency {
        workers.spawn(fetch(Arc::clone(&work)));
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn fetch(work: Arc<Work>) -> Result<(), Failure> {
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        if number >= work.requests {
            return Ok(());
        }
        let name = content::small_name(number % work.objects);
        let answer = work.store.get(&ObjectKey::new(&name)?, GetOptions::default()).await?;
        let size = answer.meta.size;
        let bytes = answer.bytes().await?;
        if size != bytes.len() as u64 || size != content::SMALL_SIZE {
            return Err(format!("{name}: {} bytes came", bytes.len()).into());
        }
        if let Some(to) = &work.to {
            let path = to.join(&name);
            std::fs::write(&path, &bytes).map_err(at(&path))?;
        }
    }
}

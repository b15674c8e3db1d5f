//! Download of one object.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt;
use longshore_blob_api::{BlobStore, GetOptions, Pin};
use longshore_core_types::{Checksum, ObjectKey};
use longshore_transfer::{PartSize, Sink};
use rustix::fs::FallocateFlags;
use tokio::task::JoinSet;

use super::store::BenchStore;
use super::{Common, Through};
use crate::app::{Failure, at};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// `http://HOST:PORT/BUCKET/KEY`
    url: String,
    /// File to write; without it the bytes are dropped
    file: Option<PathBuf>,
    /// Bytes of one part; the engine decides by itself, the loop takes 8 MiB
    #[arg(long)]
    part_size: Option<u64>,
    /// Checksum that the server states, as `KIND:HEX`
    #[arg(long, value_parser = checksum)]
    checksum: Option<Checksum>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = args.common.runtime()?;
    match args.common.through {
        Through::Engine => runtime.block_on(engine(args))?,
        Through::Loop => runtime.block_on(plain(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn checksum(text: &str) -> Result<Checksum, Failure> {
    let (kind, hex) = text.split_once(':').ok_or("a checksum is written KIND:HEX")?;
    Ok(Checksum::from_hex(kind.parse()?, hex)?)
}

async fn engine(args: &Args) -> Result<(), Failure> {
    let (base, key) = super::split(&args.url)?;
    let store = BenchStore::new(args.common.transport()?, base, args.checksum.clone())?;
    let part_size = args.part_size.map_or(PartSize::Auto, PartSize::Fixed);
    let engine = args.common.engine().part_size(part_size).build()?;
    let sink = match &args.file {
        Some(path) => Sink::file(path),
        None => Sink::writer(tokio::io::sink()),
    };
    let outcome = engine.download(&store, ObjectKey::new(key)?, sink).await?;
    if args.checksum.is_some() && outcome.verified.is_none() {
        return Err("the checksum was not verified".into());
    }
    super::report(&engine);
    Ok(())
}

/// What all workers share.
#[derive(Debug)]
struct Download {
    store: BenchStore,
    key: ObjectKey,
    file: Option<File>,
    pin: Pin,
    part_size: u64,
    next: AtomicU64,
}

/// The least that a parallel download does: a queue of ranges, each frame written where it belongs. What the
/// engine costs more than this buys its safety.
async fn plain(args: &Args) -> Result<(), Failure> {
    let (base, key) = super::split(&args.url)?;
    let store = BenchStore::new(args.common.transport()?, base, None)?;
    let key = ObjectKey::new(key)?;
    let file = args.file.as_ref().map(|path| File::create(path).map_err(at(path))).transpose()?;
    let meta = store.head(&key, longshore_blob_api::HeadOptions::default()).await?;
    if let Some(file) = &file {
        rustix::fs::fallocate(file, FallocateFlags::empty(), 0, meta.size)?;
    }
    let (part_size, next) = (args.part_size.unwrap_or(8 << 20).max(1), AtomicU64::new(0));
    let download = Arc::new(Download { store, key, file, pin: Pin::from(&meta), part_size, next });
    let mut workers = JoinSet::new();
    for _ in 0..args.common.concurrency {
        workers.spawn(work(Arc::clone(&download)));
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn work(download: Arc<Download>) -> Result<(), Failure> {
    loop {
        let start = download.next.fetch_add(download.part_size, Ordering::Relaxed);
        let end = download.pin.size.min(start.saturating_add(download.part_size));
        if start >= end {
            return Ok(());
        }
        let options = GetOptions::default().with_range(start..end).with_pin(download.pin.clone());
        let answer = download.store.get(&download.key, options).await?;
        if answer.range != (start..end) {
            return Err(format!("asked for {start}..{end}, got {:?}", answer.range).into());
        }
        let mut offset = start;
        let mut body = answer.into_stream();
        while let Some(chunk) = body.try_next().await? {
            if let Some(file) = &download.file {
                file.write_all_at(&chunk, offset)?;
            }
            offset += chunk.len() as u64;
        }
        if offset != end {
            return Err(format!("the part {start}..{end} ended at {offset}").into());
        }
    }
}

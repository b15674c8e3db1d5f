//! Work on a bucket of a real AIStore cluster: what is measured, and what comes before and after.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::TryStreamExt;
use longshore_aistore::{Bucket, Client, Store};
use longshore_core_types::ObjectKey;
use longshore_transfer::{Sink, Transfer};

use super::Common;
use crate::app::{Failure, at};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Gateway
    #[arg(long)]
    endpoint: String,
    /// Bucket
    #[arg(long)]
    bucket: String,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

/// A key that is empty or ends in `/` means all objects below it, and its file is a directory.
#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Make the bucket
    Make,
    /// Remove the bucket with all that is in it
    Remove,
    /// Download
    Get { key: String, file: PathBuf },
    /// Upload
    Put { file: PathBuf, key: String },
    /// Remove what is there
    Clear { key: String },
    /// Fail unless the same bytes are there
    Verify { file: PathBuf, key: String },
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.common.runtime()?.block_on(act(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn act(args: &Args) -> Result<(), Failure> {
    let config = args.common.config()?;
    let client = Client::builder(&args.endpoint).transport_config(config).build()?;
    let bucket = client.bucket(&args.bucket)?;
    let (store, engine) = (bucket.store(), args.common.engine().build()?);
    match &args.action {
        Action::Make => bucket.create().await?,
        Action::Remove => bucket.delete().missing_ok(true).await?,
        Action::Get { key, file } => get(&engine, &store, key, file).await?,
        Action::Put { file, key } => put(&engine, &store, file, key).await?,
        Action::Clear { key } => clear(&bucket, key).await?,
        Action::Verify { file, key } => verify(&engine, &store, file, key).await?,
    }
    super::report(&engine);
    Ok(())
}

fn is_tree(key: &str) -> bool {
    key.is_empty() || key.ends_with('/')
}

async fn get(engine: &Transfer, store: &Store, key: &str, file: &Path) -> Result<(), Failure> {
    if !is_tree(key) {
        engine.download(store, ObjectKey::new(key)?, Sink::file(file)).await?;
        return Ok(());
    }
    let report = engine.download_dir(store, key, file).await?;
    report.failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.into()))
}

async fn put(engine: &Transfer, store: &Store, file: &Path, key: &str) -> Result<(), Failure> {
    if !is_tree(key) {
        engine.upload(store, ObjectKey::new(key)?, file).await?;
        return Ok(());
    }
    let report = engine.upload_dir(file, store, key).await?;
    report.failures.into_iter().next().map_or(Ok(()), |failure| Err(failure.into()))
}

async fn clear(bucket: &Bucket, key: &str) -> Result<(), Failure> {
    let mut entries = bucket.list().prefix(key).stream();
    while let Some(entry) = entries.try_next().await? {
        bucket.object(&entry.name)?.delete().await?;
    }
    Ok(())
}

async fn verify(engine: &Transfer, store: &Store, file: &Path, key: &str) -> Result<(), Failure> {
    let mut left = vec![(file.to_owned(), key.to_owned())];
    while let Some((path, key)) = left.pop() {
        if !is_tree(&key) {
            same(engine, store, &path, &key).await?;
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(at(&path))? {
            let entry = entry?;
            let end = if entry.file_type()?.is_dir() { "/" } else { "" };
            left.push((entry.path(), format!("{key}{}{end}", entry.file_name().to_string_lossy())));
        }
    }
    Ok(())
}

/// Compares an object with a file as it comes.
async fn same(engine: &Transfer, store: &Store, path: &Path, key: &str) -> Result<(), Failure> {
    let file = File::open(path).map_err(at(path))?;
    let mut body = engine.read(store, ObjectKey::new(key)?).await?;
    let (mut offset, mut block) = (0, Vec::new());
    while let Some(bytes) = body.chunk().await? {
        block.resize(bytes.len(), 0);
        file.read_exact_at(&mut block, offset).map_err(at(path))?;
        if block != bytes {
            return Err(format!("{key} differs from {} behind byte {offset}", path.display()).into());
        }
        offset += bytes.len() as u64;
    }
    if offset == file.metadata()?.len() { Ok(()) } else { Err(format!("{key} has {offset} bytes").into()) }
}

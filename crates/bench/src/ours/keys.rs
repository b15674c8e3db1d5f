//! Lists the keys of a bucket, or compares two places by their listings.

use std::path::PathBuf;
use std::process::ExitCode;

use futures_util::TryStreamExt;
use longshore_blob_api::{AnyStore, BlobStoreExt, ListOptions};
use longshore_object_store::s3::{S3Builder, S3Store};
use longshore_transfer::{Place, SyncReport};

use super::Common;
use crate::app::Failure;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Service with the API of S3
    #[arg(long)]
    endpoint: String,
    /// What has to be found; anything else is a failure
    #[arg(long)]
    expect: u64,
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List a bucket
    List { bucket: String },
    /// Compare two buckets with the same keys, as a dry run of a sync does
    Compare { from: String, to: String },
    /// Make a bucket like a directory that it equals already
    Sync { from: PathBuf, to: String },
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.common.runtime()?.block_on(act(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn act(args: &Args) -> Result<(), Failure> {
    let engine = args.common.engine().build()?;
    let place = |bucket: &str| Ok::<_, Failure>(Place::store(AnyStore::new(store(args, bucket)?), ""));
    let found = match &args.action {
        Action::List { bucket } => {
            let store = store(args, bucket)?;
            store.list(ListOptions::default()).try_fold(0, |count, _| async move { Ok(count + 1) }).await?
        }
        Action::Compare { from, to } => {
            unchanged(&engine.sync(place(from)?, place(to)?).remove(true).dry_run(true).await?)?
        }
        Action::Sync { from, to } => {
            unchanged(&engine.sync(Place::Local(from.clone()), place(to)?).remove(true).await?)?
        }
    };
    if found != args.expect {
        return Err(format!("{found} keys instead of {}", args.expect).into());
    }
    super::report(&engine);
    Ok(())
}

fn store(args: &Args, bucket: &str) -> Result<S3Store, Failure> {
    let config = args.common.config()?;
    let builder = S3Builder::new(bucket).endpoint(&args.endpoint).anonymous();
    Ok(builder.configure(|_| config).build()?)
}

/// The number of items, all of which must be the same on both sides.
fn unchanged(report: &SyncReport) -> Result<u64, Failure> {
    if report.copied + report.removed + report.extra + report.failed > 0 || report.stopped.is_some() {
        return Err(format!("the places are not the same: {report:?}").into());
    }
    Ok(report.unchanged)
}

//! `longshore rb`: remove a bucket.

use clap::Args;
use futures_util::TryStreamExt;
use longshore::{AnyStore, BlobStore, BlobStoreExt, Entry, Error, ListOptions, Scheme, StoreUrl};

use super::bucket_url;
use crate::{
    app::App,
    failure::{Exit, Failure},
    listing::NOT_WHOLE,
    output::Message,
};

/// Remove buckets
///
/// A bucket that holds objects is refused unless --force is given. The look and the removal are two requests:
/// an object that somebody stores between them goes with the bucket.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Remove an empty bucket
     longshore rb ais://photos
  2. Remove a bucket and all objects in it
     longshore rb --force ais://photos
  3. Remove the objects one by one first, to see them go
     longshore rm -r -v ais://photos && longshore rb ais://photos")]
pub(crate) struct RbArgs {
    /// Store URLs of buckets
    #[arg(required = true, value_name = "BUCKET")]
    buckets: Vec<String>,

    /// Remove the objects in it too
    #[arg(short, long)]
    force: bool,

    /// Remove nothing, and say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) async fn run(app: &App, args: RbArgs) -> Result<(), Failure> {
    let buckets = args.buckets.iter().map(|text| bucket_url(text)).collect::<Result<Vec<_>, _>>()?;
    for url in buckets {
        if !args.force {
            require_empty(app, &url).await?;
        }
        if args.dry_run {
            let source = url.to_string();
            app.out.print(&Message::Would { action: "remove", source, destination: None, bytes: None })?;
            continue;
        }
        remove(app, &url, args.force).await?;
        app.out.print_now(&Message::BucketRemoved { url: url.to_string() })?;
    }
    Ok(())
}

async fn remove(app: &App, url: &StoreUrl, force: bool) -> Result<(), Failure> {
    let failed = |error| Failure::of(format!("cannot remove {url}"), error);
    match url.scheme() {
        Scheme::Blob => {
            if force {
                empty(&app.services.store(url).await?).await.map_err(failed)?;
            }
            let bucket = app.services.apolo_bucket(url).await?;
            app.services.apolo().await?.buckets().remove(&bucket.id).await.map_err(failed)
        }
        Scheme::Supabase => {
            let bucket = app.services.supabase_bucket(url)?;
            if force {
                // The service would empty the bucket some time after it has said so.
                empty(&AnyStore::new(bucket.store())).await.map_err(failed)?;
            }
            bucket.client().buckets().delete(bucket.id()).await.map_err(failed)
        }
        Scheme::S3 => {
            let bucket = app.services.s3_bucket(url)?;
            if force {
                // The service removes no bucket that holds anything.
                empty(&AnyStore::new(bucket.clone())).await.map_err(failed)?;
            }
            bucket.delete_bucket().await.map_err(failed)
        }
        Scheme::Gs => {
            let bucket = app.services.gcs_bucket(url)?;
            if force {
                // The same there.
                empty(&AnyStore::new(bucket.clone())).await.map_err(failed)?;
            }
            bucket.delete_bucket().await.map_err(failed)
        }
        Scheme::Az => app.services.azure_container(url)?.delete_container().await.map_err(failed),
        _ => app.services.bucket(url).await?.delete().await.map_err(failed),
    }
}

/// Removes all objects, a page at a time.
async fn empty(store: &AnyStore) -> Result<(), Error> {
    let mut pages = std::pin::pin!(store.list(ListOptions::default()).pages());
    while let Some(page) = pages.try_next().await? {
        let keys = page.entries.into_iter().filter_map(|entry| match entry {
            Entry::Object(meta) => Some(meta.key),
            _ => None,
        });
        let keys: Vec<_> = keys.collect();
        let all = keys.len().max(1);
        // Without a request for many, the store removes several at a time by itself.
        let most = store.capability().delete_batch.map_or(all, |most| most.max(1) as usize);
        for batch in keys.chunks(most) {
            for outcome in store.delete_many(batch.to_vec()).await? {
                outcome.result?;
            }
        }
    }
    Ok(())
}

async fn require_empty(app: &App, url: &StoreUrl) -> Result<(), Failure> {
    let store = app.services.store(url).await?;
    let mut list = store.list(ListOptions::default().with_page_size(1));
    // An empty page may stand in front of a full one; the stream looks on.
    let first = list.try_next().await;
    match first.map_err(|error| Failure::of(format!("cannot see whether {url} is empty"), error))? {
        None if list.is_incomplete() => {
            let message =
                format!("cannot see whether {url} is empty: the service says that its list may lack objects");
            Err(Failure::new(Exit::Failed, message).hint(NOT_WHOLE))
        }
        None => Ok(()),
        Some(entry) => {
            let message = format!("{url} is not empty: it holds {}", url.with_key(entry.name()));
            Err(Failure::new(Exit::Failed, message).hint("--force removes the bucket with everything in it"))
        }
    }
}

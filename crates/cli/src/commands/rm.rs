//! `longshore rm`: objects, what matches, or whole folders.

use std::time::Instant;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, pin_mut, stream};
use longshore::{
    AnyStore, BlobStore, BlobStoreExt, DeleteOptions, DeleteOutcome, Error, ErrorKind, ObjectKey, StoreUrl,
};

use super::store_url;
use crate::{
    app::App,
    failure::{Exit, Failure, explain},
    listing::{Selection, nothing_found, require_bucket},
    output::{Message, Summary},
    units::count,
};

/// Requests at once unless told otherwise.
const CONCURRENCY: usize = 8;

/// Remove objects
///
/// A folder, the whole content of a bucket, or `**` needs -r. The bucket itself stays; `longshore rb` removes it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[command(after_long_help = "\
Examples:
  1. Remove one object
     longshore rm ais://photos/2024/cat.jpg
  2. Remove what matches
     longshore rm 'ais://photos/2024/*.tmp'
  3. Remove everything below a folder
     longshore rm -r ais://photos/2024/
  4. Remove an object whose name has a star in it
     longshore rm --no-glob 'ais://photos/what*.jpg'
  5. See what would go
     longshore rm --dry-run -r ais://photos/2024/
  6. Empty a bucket, naming every object that goes
     longshore rm -r -v ais://photos")]
pub(crate) struct RmArgs {
    /// Store URLs of objects, wildcards allowed
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// Remove everything below as well
    #[arg(short, long)]
    recursive: bool,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,

    /// Do not mind objects that are not there
    #[arg(short, long)]
    force: bool,

    /// Remove nothing, and say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) async fn run(app: &App, args: RmArgs) -> Result<(), Failure> {
    // All of the command line is checked before anything is removed.
    let mut targets = Vec::new();
    for text in &args.urls {
        let url = store_url(text)?;
        let selection = select(&url, &args)?;
        targets.push((url, selection));
    }
    let mut stores = Vec::new();
    for (url, _) in &targets {
        stores.push(app.services.store(url).await?);
    }
    let mut removal = Removal { app, started: Instant::now(), removed: 0, failed: 0, first: None };
    for ((url, selection), store) in targets.iter().zip(&stores) {
        match removal.target(store, url, selection, &args).await {
            Ok(()) => {}
            // The others are meant all the same.
            Err(failure @ Failure::Told(_)) => removal.fail(failure),
            Err(closed @ Failure::Closed { .. }) => return Err(closed),
        }
    }
    removal.conclude(args.dry_run)
}

fn select(url: &StoreUrl, args: &RmArgs) -> Result<Selection, Failure> {
    require_bucket(url)?;
    if !args.recursive && (url.key().is_empty() || url.key().ends_with('/')) {
        let (what, besides) = match url.key() {
            "" => ("a bucket", "; `longshore rb` removes the bucket itself"),
            _ => ("a folder", ""),
        };
        return Err(Failure::usage(format!("{url} is {what}, not an object"))
            .hint(format!("`longshore rm -r {url}` removes everything in it{besides}")));
    }
    let selection = Selection::of(url, !args.no_glob, args.recursive)?;
    match &selection {
        Selection::Matching { pattern, .. } if pattern.is_deep() && !args.recursive => {
            Err(Failure::usage(format!("`**` in {url} reaches into all folders"))
                .hint("add -r if that is meant, or use `*`, which stays in one folder"))
        }
        _ => Ok(selection),
    }
}

/// Stores take the removal of what is not there for a success; a typing error should be none.
async fn require_object(store: &AnyStore, url: &StoreUrl, key: &ObjectKey) -> Result<(), Failure> {
    let error = match store.exists(key).await {
        Ok(true) => return Ok(()),
        Ok(false) => Error::new(ErrorKind::NotFound, "there is no such object"),
        // Whoever may remove need not be allowed to look.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
        Err(error) => error,
    };
    let folder = url.with_key(Selection::Object(key.clone()).base());
    Err(Failure::of(format!("cannot remove {url}"), error)
        .or_hint(format!("see what is there with `longshore ls {folder}`")))
}

struct Removal<'a> {
    app: &'a App,
    started: Instant,
    removed: u64,
    failed: u64,
    /// Told when a second one comes, or returned if it stays alone.
    first: Option<Failure>,
}

impl Removal<'_> {
    /// Does what one word of the command line asks for.
    async fn target(
        &mut self,
        store: &AnyStore,
        url: &StoreUrl,
        selection: &Selection,
        args: &RmArgs,
    ) -> Result<(), Failure> {
        if let Selection::Object(key) = selection
            && !args.force
        {
            require_object(store, url, key).await?;
        }
        let found = if args.dry_run {
            self.show(store, url, selection).await?
        } else {
            self.remove(store, url, selection).await?
        };
        if found == 0 && !args.force { Err(nothing_found(url, selection)) } else { Ok(()) }
    }

    /// Removes what is selected and returns how many objects that was.
    async fn remove(
        &mut self,
        store: &AnyStore,
        url: &StoreUrl,
        selection: &Selection,
    ) -> Result<u64, Failure> {
        let before = self.removed + self.failed;
        let concurrency = self.app.settings.concurrency.unwrap_or(CONCURRENCY);
        let batch = store.capability().delete_batch.map_or(1, |most| most.clamp(1, 1000));
        let outcomes = selection
            .objects(store)
            .map_ok(|found| found.key().clone())
            .try_chunks(usize::try_from(batch).unwrap_or(1))
            .map_err(|error| Failure::of(format!("cannot list {url}"), error.1))
            .map_ok(|keys| async move { Ok(delete(store, keys).await) })
            .try_buffer_unordered(concurrency)
            .map_ok(|outcomes| stream::iter(outcomes).map(Ok::<_, Failure>))
            .try_flatten();
        pin_mut!(outcomes);
        while let Some(outcome) = outcomes.try_next().await? {
            self.count(url, outcome)?;
        }
        Ok(self.removed + self.failed - before)
    }

    /// Names what is selected and returns how many objects that is.
    async fn show(
        &mut self,
        store: &AnyStore,
        url: &StoreUrl,
        selection: &Selection,
    ) -> Result<u64, Failure> {
        let found =
            selection.objects(store).map_err(|error| Failure::of(format!("cannot list {url}"), error));
        pin_mut!(found);
        let mut count = 0;
        while let Some(found) = found.try_next().await? {
            count += 1;
            let source = url.with_key(found.key().as_str()).to_string();
            self.app.out.print(&Message::Would {
                action: "remove",
                source,
                destination: None,
                bytes: None,
            })?;
        }
        Ok(count)
    }

    fn count(&mut self, url: &StoreUrl, outcome: DeleteOutcome) -> Result<(), Failure> {
        let url = url.with_key(outcome.key.as_str()).to_string();
        let Err(error) = outcome.result else {
            self.removed += 1;
            return if self.app.out.shows_items() {
                self.app.out.print(&Message::Removed { url }).map_err(Failure::unfinished)
            } else {
                Ok(())
            };
        };
        self.fail(Failure::of(format!("cannot remove {url}"), error));
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failed == 1 {
            self.first = Some(failure);
        } else {
            self.tell_first();
            self.tell(failure);
        }
    }

    fn tell_first(&mut self) {
        if let Some(first) = self.first.take() {
            self.tell(first);
        }
    }

    fn tell(&self, failure: Failure) {
        if let Failure::Told(told) = failure {
            self.app.out.tell(&Message::Error((&*told).into()));
        }
    }

    fn conclude(mut self, dry_run: bool) -> Result<(), Failure> {
        if self.removed == 0
            && let Some(only) = self.first.take()
        {
            return Err(only);
        }
        self.tell_first();
        if !dry_run {
            self.app.out.conclude(&Message::Summary(Summary {
                action: "removed",
                noun: "object",
                succeeded: self.removed,
                skipped: 0,
                failed: self.failed,
                seconds: self.started.elapsed().as_secs_f64(),
                ..Summary::default()
            }))?;
        }
        let exit = if self.removed == 0 { Exit::Failed } else { Exit::SomeFailed };
        match self.failed {
            0 => Ok(()),
            failed => Err(Failure::new(exit, format!("{} could not be removed", count(failed, "item")))),
        }
    }
}

async fn delete(store: &AnyStore, keys: Vec<ObjectKey>) -> Vec<DeleteOutcome> {
    if let [key] = &keys[..] {
        let result = store.delete(key, DeleteOptions::default()).await;
        return vec![DeleteOutcome::new(key.clone(), result)];
    }
    match store.delete_many(keys.clone()).await {
        Ok(outcomes) => outcomes,
        // Nothing is known about any of them, so each counts as failed.
        Err(error) => {
            let text = explain(&error);
            let failed = |key| DeleteOutcome::new(key, Err(Error::new(error.kind(), text.clone())));
            keys.into_iter().map(failed).collect()
        }
    }
}

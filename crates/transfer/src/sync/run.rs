//! The run of a [`Sync`]: two listings, items on their way, and removals at the end.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use longshore_blob_api::ListDetail;
use longshore_core_types::{Error, ErrorKind, Result as CoreResult};
use tokio::task::JoinSet;

use super::{
    End, Place, Sync, SyncAction, SyncReport,
    compare::{at_once, is_same},
    extras::Extras,
    item::Moved,
    listing::{Entry, Listed, Reader},
    merge::{Merge, Side, Step},
    names,
    remove::{self, Doubt},
};
use crate::{
    error::{Result, TransferError, cancelled, task_failed},
    progress::{Direction, Item, Reporter, SkipReason},
    report::KEPT_FAILURES,
    tree::{Fold, Taken},
};

/// For each request that may run, so many items are in flight.
const ITEMS_PER_REQUEST: usize = 8;

pub(super) async fn run(sync: Sync, reporter: Reporter) -> Result<SyncReport> {
    let result = Box::pin(Run::run(sync, reporter.clone())).await;
    reporter.finished();
    result
}

/// Objects may be missing from a listing of this place.
fn may_lack(place: &Place) -> String {
    format!("the listing of {place} may be incomplete")
}

/// What became of one item.
enum Outcome {
    Moved { entry: Entry, moved: Moved, replaced: bool },
    Unchanged(Entry),
    Failed(String, TransferError),
}

struct Run {
    sync: Arc<Sync>,
    reporter: Reporter,
    report: SyncReport,
    tasks: JoinSet<Outcome>,
    extras: Extras,
    doubt: Doubt,
    /// Names in the source that were left out; what they may stand for is not removed.
    aside: HashSet<String>,
    /// The names that items have got in the destination, where two can become one.
    taken: Option<Taken>,
    any: bool,
    /// The listing of the source may lack objects.
    incomplete: Option<Error>,
}

impl Run {
    async fn run(sync: Sync, reporter: Reporter) -> Result<SyncReport> {
        sync.check()?;
        names::check(&sync).await?;
        let context = sync.how.context.clone();
        let mut doubt = Doubt::default();
        ask(&sync, &mut doubt).await;
        let detail = if sync.compare.wants_checksums() { ListDetail::Full } else { ListDetail::Basic };
        // Before anybody lists: the look leaves a file in the destination for a moment.
        let fold = match &sync.to {
            Place::Local(root) => context.config().fold_below(root),
            Place::Store { .. } => Fold::default(),
        };
        let taken = (sync.rename.is_some() || !fold.is_none()).then(|| Taken::new(fold));
        let source = Reader::open(&sync.from, &context, sync.links, detail, false)?;
        let destination = if sync.list_destination {
            Reader::open(&sync.to, &context, sync.links, detail, true)?
        } else {
            Reader::nothing()
        };
        let mut run = Self {
            sync: Arc::new(sync),
            reporter,
            report: SyncReport::default(),
            tasks: JoinSet::new(),
            extras: Extras::default(),
            doubt,
            aside: HashSet::new(),
            taken,
            any: false,
            incomplete: None,
        };
        let mut merge = Merge::new(source, destination);
        loop {
            if context.cancel.is_stopped() {
                run.stop(cancelled().into());
                break;
            }
            match merge.next().await {
                Step::End => break,
                Step::Broken(side, error) => {
                    let place = if side == Side::Source { &run.sync.from } else { &run.sync.to };
                    let text = format!("cannot list {place}");
                    run.doubt.because_of(&text, &error);
                    let kind = error.kind();
                    run.stop(Error::new(kind, text).with_source(error).into());
                    break;
                }
                step => run.take(step).await?,
            }
        }
        while run.next().await {}
        if let Some(error) = run.incomplete.take() {
            run.report.stopped.get_or_insert_with(|| error.into());
        }
        if run.report.stopped.is_none() {
            run.reporter.totals_known();
        }
        run.finish().await
    }

    fn stop(&mut self, error: TransferError) {
        self.doubt.because("the listings were not read to their end");
        self.report.stopped.get_or_insert(error);
    }

    async fn take(&mut self, step: Step) -> CoreResult<()> {
        match step {
            Step::New(entry) => {
                self.any = true;
                if self.is_meant(&entry) {
                    self.add(entry, None).await;
                }
            }
            Step::Both(entry, there) => {
                self.any = true;
                if self.is_meant(&entry) {
                    self.add(entry, Some(there)).await;
                }
            }
            Step::Extra(entry) => self.extra(&entry)?,
            Step::Aside(Side::Source, Listed::Skipped { name, reason }) => {
                self.skipped(&name, reason);
                self.aside.insert(name);
            }
            Step::Aside(_, Listed::Failed { name, error }) => {
                self.doubt.because_of("something could not be looked at", &error);
                let error = TransferError::new(&self.item(&name), error);
                self.reporter.failed_early(&error);
                self.failed(&name, error);
            }
            Step::Aside(side, Listed::Incomplete) => {
                let place = if side == Side::Source { &self.sync.from } else { &self.sync.to };
                let text = may_lack(place);
                self.doubt.because(text.clone());
                if side == Side::Source {
                    self.incomplete = Some(Error::new(ErrorKind::Unavailable, text));
                }
            }
            // What is skipped in the destination is in nobody's way.
            Step::Aside(..) | Step::Broken(..) | Step::End => {}
        }
        Ok(())
    }

    fn is_meant(&mut self, entry: &Entry) -> bool {
        if self.sync.only.as_ref().is_some_and(|only| !only(&entry.name)) {
            return false;
        }
        let kept = self.sync.filter.keeps(&entry.name, entry.size, entry.modified);
        if !kept {
            self.skipped(&entry.name, SkipReason::Filtered);
        }
        kept
    }

    fn skipped(&mut self, name: &str, reason: SkipReason) {
        self.report.skipped += 1;
        self.reporter.skipped(self.item(name), reason);
        self.tell(&SyncAction::Skipped { name, reason });
    }

    fn extra(&mut self, entry: &Entry) -> CoreResult<()> {
        let sync = &self.sync;
        let meant = sync.only.as_ref().is_none_or(|only| only(&entry.name))
            && sync.filter.keeps(&entry.name, entry.size, entry.modified);
        // A directory is no item of a local source, so the lack of one says nothing.
        let folder = entry.is_placeholder() && matches!(sync.from, Place::Local(_));
        if !meant || folder || self.is_aside(&entry.name) {
            return Ok(());
        }
        self.report.extra += 1;
        self.tell(&SyncAction::Extra { name: &entry.name, size: entry.size });
        let sync = &self.sync;
        if sync.remove { self.extras.push(&entry.name) } else { Ok(()) }
    }

    /// Whether a name, or that of a folder above it, was left out of the source.
    fn is_aside(&self, name: &str) -> bool {
        let folders = name.match_indices('/').map(|(end, _)| &name[..end]);
        !self.aside.is_empty() && folders.chain([name]).any(|name| self.aside.contains(name))
    }

    async fn add(&mut self, entry: Entry, there: Option<Entry>) {
        if there.as_ref().and_then(|there| self.known(&entry, there)) == Some(true) {
            return self.unchanged(&entry);
        }
        let target = match &self.sync.rename {
            Some(rename) => rename(&entry.name),
            None => entry.name.clone(),
        };
        // Placeholders of one folder may meet.
        let taken = self.taken.as_mut().filter(|_| !target.ends_with('/'));
        if let Some(Err(error)) = taken.map(|taken| taken.take(&target)) {
            let error = TransferError::new(&self.item(&entry.name), error);
            self.reporter.failed_early(&error);
            return self.failed(&entry.name, error);
        }
        let most = self.sync.how.context.config().concurrency.saturating_mul(ITEMS_PER_REQUEST);
        while self.tasks.len() >= most {
            self.next().await;
        }
        let (sync, reporter) = (Arc::clone(&self.sync), self.reporter.clone());
        self.tasks.spawn(Box::pin(treat(sync, reporter, entry, there, target)));
        while let Some(ended) = self.tasks.try_join_next() {
            self.account(ended);
        }
    }

    /// Whether an item is known to be unchanged, or changed, without asking anybody.
    fn known(&self, entry: &Entry, there: &Entry) -> Option<bool> {
        let sync = &self.sync;
        if sync.how.no_clobber
            || (sync.update && entry.modified.zip(there.modified).is_some_and(|(a, b)| a < b))
        {
            return Some(true);
        }
        at_once(sync.compare, entry, there)
    }

    async fn next(&mut self) -> bool {
        match self.tasks.join_next().await {
            Some(ended) => {
                self.account(ended);
                true
            }
            None => false,
        }
    }

    fn account(&mut self, ended: std::result::Result<Outcome, tokio::task::JoinError>) {
        match ended {
            Ok(Outcome::Moved { entry, moved, .. }) if moved.existed => self.unchanged(&entry),
            Ok(Outcome::Moved { entry, moved, replaced }) => {
                self.report.copied += 1;
                self.report.bytes += if self.sync.dry_run { entry.size } else { moved.bytes };
                self.report.lost += moved.lost;
                self.tell(&SyncAction::Copied { name: &entry.name, size: entry.size, replaced });
            }
            Ok(Outcome::Unchanged(entry)) => self.unchanged(&entry),
            Ok(Outcome::Failed(_, error)) if error.kind() == ErrorKind::Cancelled => self.stop(error),
            Ok(Outcome::Failed(name, error)) => self.failed(&name, error),
            Err(error) => self.failed("", task_failed(error).into()),
        }
    }

    fn unchanged(&mut self, entry: &Entry) {
        self.report.unchanged += 1;
        self.tell(&SyncAction::Unchanged { name: &entry.name });
    }

    fn failed(&mut self, name: &str, error: TransferError) {
        self.tell(&SyncAction::Failed { name, error: &error });
        self.doubt.because("an item failed");
        self.report.failed += 1;
        if self.report.failures.len() < KEPT_FAILURES {
            self.report.failures.push(error);
        }
    }

    fn tell(&self, action: &SyncAction<'_>) {
        if let Some(observer) = &self.sync.observer {
            observer(action);
        }
    }

    /// An item that did not get as far as to have its own.
    fn item(&self, name: &str) -> Item {
        item(&self.sync, name)
    }

    /// Removes what is extra, if nothing speaks against it.
    async fn finish(mut self) -> Result<SyncReport> {
        if !self.sync.remove || self.extras.len() == 0 {
            return Ok(self.report);
        }
        if !self.any {
            self.doubt.because(format!("nothing was found in {}", self.sync.from));
        }
        if let Some(most) = self.sync.max_remove.filter(|most| self.extras.len() > *most) {
            self.doubt.because(format!("{} items would be removed, more than {most}", self.extras.len()));
        }
        if self.doubt.is_none() {
            ask(&self.sync, &mut self.doubt).await;
        }
        if !self.doubt.is_none() {
            self.report.kept = std::mem::take(&mut self.doubt).into_reason();
            return Ok(self.report);
        }
        let sync = Arc::clone(&self.sync);
        let context = &sync.how.context;
        let mut names = std::mem::take(&mut self.extras).into_names()?;
        loop {
            if sync.dry_run {
                let some = names.take(1000)?;
                if some.is_empty() {
                    break;
                }
                for name in some {
                    self.report.removed += 1;
                    self.tell(&SyncAction::Removed { name: &name });
                }
                continue;
            }
            if context.cancel.is_stopped() {
                self.report.stopped.get_or_insert_with(|| cancelled().into());
                break;
            }
            let removed = remove::some(&sync.to, context, &mut names).await?;
            if removed.is_empty() {
                break;
            }
            for (name, result) in removed {
                match result {
                    Ok(()) => {
                        self.report.removed += 1;
                        self.tell(&SyncAction::Removed { name: &name });
                    }
                    Err(error) => {
                        self.reporter.failed_early(&error);
                        self.failed(&name, error);
                    }
                }
            }
        }
        Ok(self.report)
    }
}

fn item(sync: &Sync, name: &str) -> Item {
    let path = |root: &Path| Some(root.join(name));
    match (&sync.from, &sync.to) {
        (Place::Local(root), to) => Item::new(Direction::Upload, url(to, name), path(root)),
        (from, Place::Local(root)) => Item::new(Direction::Download, url(from, name), path(root)),
        (from, to) => Item::copy(url(from, name), url(to, name)),
    }
}

fn url(place: &Place, name: &str) -> String {
    let text = place.to_string();
    if matches!(place, Place::Local(_)) || text.ends_with('/') {
        text + name
    } else {
        format!("{text}/{name}")
    }
}

/// Compares an item with what is there, and moves it if need be.
async fn treat(
    sync: Arc<Sync>,
    reporter: Reporter,
    entry: Entry,
    there: Option<Entry>,
    target: String,
) -> Outcome {
    let context = &sync.how.context;
    if let Some(there) = &there {
        let reader = sync.read_contents.then_some(&sync.how.reader);
        let same = is_same(sync.compare, context, reader, (&sync.from, &entry), (&sync.to, there)).await;
        match same {
            Ok(true) => return Outcome::Unchanged(entry),
            Ok(false) => {}
            Err(error) => {
                let error = TransferError::new(&item(&sync, &entry.name), error);
                reporter.failed_early(&error);
                return Outcome::Failed(entry.name, error);
            }
        }
    }
    let replaced = there.is_some();
    let ends = sync.from.end(&entry.name).and_then(|from| Ok((from, sync.to.end(&target)?)));
    let (from, to) = match ends {
        Ok(ends) => ends,
        Err(error) => {
            let error = TransferError::new(&item(&sync, &entry.name), error);
            reporter.failed_early(&error);
            return Outcome::Failed(entry.name, error);
        }
    };
    if let (End::File(path), true) = (&to, entry.name.ends_with('/') || entry.name.is_empty()) {
        return folder(&sync, &reporter, entry, path);
    }
    if sync.dry_run {
        return Outcome::Moved { entry, moved: Moved::default(), replaced };
    }
    match sync.how.one(&from, &to, Some(entry.size), &reporter).await {
        Ok(moved) => Outcome::Moved { entry, moved, replaced },
        Err(error) => Outcome::Failed(entry.name, error),
    }
}

/// A name that ends in `/` is a directory here, if it holds nothing.
fn folder(sync: &Sync, reporter: &Reporter, entry: Entry, path: &Path) -> Outcome {
    let failed = |error| {
        let error = TransferError::new(&item(sync, &entry.name), error);
        reporter.failed_early(&error);
        Outcome::Failed(entry.name.clone(), error)
    };
    if !entry.is_placeholder() {
        let text =
            format!("it ends in `/`, so it can only be a directory, but it holds {} bytes", entry.size);
        return failed(Error::new(ErrorKind::InvalidInput, text));
    }
    if path.is_dir() {
        return Outcome::Unchanged(entry);
    }
    if !sync.dry_run
        && let Err(error) = fs::create_dir_all(path)
    {
        return failed(crate::error::local("create the directory", path, error));
    }
    Outcome::Moved { entry, moved: Moved::default(), replaced: false }
}

/// Asks whether listings can be trusted.
async fn ask(sync: &Sync, doubt: &mut Doubt) {
    let Some(check) = sync.settled.as_ref().filter(|_| sync.remove) else { return };
    match sync.how.context.unless_stopped(check()).await {
        Ok(None) => {}
        Ok(Some(why)) => doubt.because(why),
        Err(error) => doubt.because_of("it is not known whether the listings can be trusted", &error),
    }
}

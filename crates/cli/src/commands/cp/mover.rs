//! Carries out the steps: some at once, all within one budget, each with an outcome.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures_util::{StreamExt, stream};
use longshore::{
    AnyStore, Attributes, BlobStore, BlobStoreExt, ErrorKind, ObjectKey, StoreUrl,
    transfer::{
        BatchReport, CancelToken, Direction, Item, Transfer, TransferError, TransferEvent, TransferHandle,
    },
};

use super::{CpArgs, attributes::Wanted, plan::Step};
use crate::{
    app::App,
    commands::cat,
    failure::{Exit, Failure},
    interrupt::GRACE,
    listing::{Selection, nothing_found, object_of},
    output::{Message, Output, Summary},
    progress::{Board, Extent},
    units::{count, show_size},
};

/// Steps at once. Requests are limited elsewhere; a step that waits for them costs next to nothing.
const STEPS: usize = 16;

/// What became of the items of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) succeeded: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    /// Pieces of metadata that the destination could not hold.
    pub(super) lost: u64,
}

impl Tally {
    pub(super) fn one(bytes: u64) -> Self {
        Self { succeeded: 1, bytes, ..Self::default() }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.lost += other.lost;
    }
}

/// One run of the command.
pub(super) struct Mover<'a> {
    pub(super) app: &'a App,
    pub(super) transfer: Transfer,
    /// Reads what goes from store to store. Apart from `transfer`, so that neither waits for what the other holds.
    pub(super) reader: Transfer,
    pub(super) board: Board,
    pub(super) cancel: CancelToken,
    pub(super) wanted: Arc<Wanted>,
    /// Whether there is one step, so that its failure is the command's own.
    alone: bool,
    /// Whether standard output gets bytes of objects, and so nothing else.
    to_stdout: bool,
    /// Items that were stopped on the way, which is no failure of theirs.
    cancelled: Arc<AtomicU64>,
    started: Instant,
}

impl<'a> Mover<'a> {
    pub(super) fn new(app: &'a App, args: &CpArgs, steps: &[Step]) -> Result<Self, Failure> {
        let between_stores = |step: &Step| matches!(step, Step::Copy { .. } | Step::CopyTree { .. });
        let shares = if steps.iter().any(between_stores) { 2 } else { 1 };
        Ok(Self {
            app,
            transfer: app.transfer(shares)?,
            reader: app.transfer(shares)?,
            board: Board::new(&app.out, app.settings.progress),
            cancel: CancelToken::new(),
            wanted: Arc::new(args.wanted()),
            alone: steps.len() == 1,
            to_stdout: steps.iter().any(is_to_stdout),
            cancelled: Arc::default(),
            started: Instant::now(),
        })
    }

    /// Does all steps. An interrupt lets what runs go on for a while and starts nothing more.
    pub(super) async fn run(self, steps: Vec<Step>) -> Result<(), Failure> {
        let result = tokio::select! {
            result = self.all(steps) => result,
            failure = self.stop() => Err(failure),
        };
        match (result, self.app.interrupt.asked()) {
            (Ok(tally), _) => self.conclude(tally),
            (Err(failure), Some(_)) if failure.is_cancelled() => self.conclude(Tally::default()),
            (Err(failure), _) => Err(failure),
        }
    }

    /// Waits for an interrupt and stops everything; returns only if something does not stop in time.
    async fn stop(&self) -> Failure {
        let signal = self.app.interrupt.wait().await;
        self.cancel.stop();
        let grace = GRACE.as_secs();
        self.app
            .out
            .notice_text(format!("{signal}: what runs gets {grace} s to end; once more ends at once"));
        tokio::time::sleep(GRACE * 2).await;
        Failure::interrupted(signal)
    }

    async fn all(&self, steps: Vec<Step>) -> Result<Tally, Failure> {
        // What is written to a pipe has an order.
        let at_once = if self.to_stdout { 1 } else { STEPS };
        let mut tally = Tally::default();
        let last = steps.len().saturating_sub(1);
        let mut done = stream::iter(steps.into_iter().enumerate())
            .take_while(|_| std::future::ready(!self.cancel.is_stopped()))
            .map(|(index, step)| async move {
                self.board.more_to_come(index < last);
                self.step(step).await
            })
            .buffer_unordered(at_once);
        while let Some(result) = done.next().await {
            match result {
                Ok(one) => tally.add(one),
                Err(closed @ Failure::Closed { .. }) => return Err(closed),
                Err(failure) if self.alone => return Err(failure),
                Err(failure) if failure.is_cancelled() => {}
                Err(failure) => {
                    tally.failed += 1;
                    self.tell(failure);
                }
            }
        }
        Ok(tally)
    }

    async fn step(&self, step: Step) -> Result<Tally, Failure> {
        match step {
            Step::Upload { from, to } => self.upload(&from, &to).await,
            Step::UploadStdin { to } => self.upload_stdin(&to).await,
            Step::UploadTree { from, to } => self.upload_tree(&from, &to).await,
            Step::Download { from, to } => self.download(&from, &to).await,
            Step::DownloadStdout { from, selection } => {
                let print = cat::print_all(self.app, &self.transfer, &from, &selection, None);
                let (succeeded, bytes) = self.app.until_interrupted(print).await?;
                Ok(Tally { succeeded, bytes, ..Tally::default() })
            }
            Step::DownloadTree { from, selection, to } => self.download_tree(&from, &selection, &to).await,
            Step::Copy { from, to } => self.copy(&from, &to).await,
            Step::CopyTree { from, selection, to } => self.copy_tree(&from, &selection, &to).await,
        }
    }

    async fn upload(&self, from: &Path, to: &StoreUrl) -> Result<Tally, Failure> {
        let store = self.app.services.store(to).await?;
        let upload = self.transfer.upload(&store, key(to)?, from);
        let upload = upload.attributes(self.attributes_of(from).await).keep_modified(true);
        let upload = upload.cancel(self.cancel.clone());
        let outcome = self.watch(upload.progress(self.single_sink()).start(), Extent::Object).await?;
        Ok(Tally::one(outcome.bytes))
    }

    async fn upload_stdin(&self, to: &StoreUrl) -> Result<Tally, Failure> {
        let store = self.app.services.store(to).await?;
        let source = longshore::transfer::Source::reader(tokio::io::stdin());
        let upload = self.transfer.upload(&store, key(to)?, source);
        let upload = upload.attributes(self.wanted.of_name(to.key())).cancel(self.cancel.clone());
        let outcome = self.watch(upload.progress(self.single_sink()).start(), Extent::Object).await?;
        Ok(Tally::one(outcome.bytes))
    }

    async fn upload_tree(&self, from: &Path, to: &StoreUrl) -> Result<Tally, Failure> {
        let store = self.app.services.store(to).await?;
        let wanted = Arc::clone(&self.wanted);
        let upload = self
            .transfer
            .upload_dir(from, &store, to.key())
            .attributes(move |path| wanted.of_file(path))
            .keep_modified(true)
            .cancel(self.cancel.clone());
        let report = self.watch(upload.progress(self.tree_sink()).start(), Extent::Tree).await?;
        self.tree_outcome(report)
    }

    async fn download(&self, from: &StoreUrl, to: &Path) -> Result<Tally, Failure> {
        let store = self.app.services.store(from).await?;
        let folders = NewFolders::down_to(to.parent());
        let download = self.transfer.download(&store, key(from)?, to).create_parents(true);
        let download = download.keep_modified(true).cancel(self.cancel.clone());
        let result = self.watch(download.progress(self.single_sink()).start(), Extent::Object).await;
        if result.is_err() {
            folders.remove_empty();
        }
        Ok(Tally::one(result?.bytes))
    }

    async fn download_tree(
        &self,
        from: &StoreUrl,
        selection: &Selection,
        to: &Path,
    ) -> Result<Tally, Failure> {
        let store = self.app.services.store(from).await?;
        let folders = NewFolders::down_to(Some(to));
        let base = selection.base().to_owned();
        let mut download = self.transfer.download_dir(&store, base, to);
        download = download.keep_modified(true).cancel(self.cancel.clone());
        if let Selection::Matching { .. } = selection {
            let selection = selection.clone();
            download = download.filter(move |_, meta| selection.contains(meta.key.as_str()));
        }
        let result = self.watch(download.progress(self.tree_sink()).start(), Extent::Tree).await;
        let arrived = result.as_ref().map_or(0, |report| report.succeeded);
        if arrived == 0 {
            folders.remove_empty();
        }
        let report = result?;
        let empty = report.succeeded + report.failed == 0 && report.stopped.is_none();
        // What does not match was never meant, so it was not skipped either.
        let tally = Tally { skipped: 0, ..self.tree_outcome(report)? };
        if empty { self.one_object_instead(from, selection, to).await } else { Ok(tally) }
    }

    /// `-r` on an object is no mistake, as it is none on a file.
    async fn one_object_instead(
        &self,
        from: &StoreUrl,
        selection: &Selection,
        to: &Path,
    ) -> Result<Tally, Failure> {
        let name = match selection {
            Selection::Tree(_) if !from.key().is_empty() && !from.key().ends_with('/') => {
                key(from)?.file_name().map(str::to_owned)
            }
            _ => None,
        };
        let missing = nothing_found(from, selection);
        let Some(name) = name else { return Err(missing) };
        let store = self.app.services.store(from).await?;
        if !is_there(&store, &key(from)?).await? {
            return Err(missing);
        }
        self.download(from, &to.join(name)).await
    }

    /// Reading the start of a file may block.
    async fn attributes_of(&self, path: &Path) -> Attributes {
        let (wanted, path) = (Arc::clone(&self.wanted), path.to_owned());
        let found = tokio::task::spawn_blocking(move || wanted.of_file(&path)).await;
        found.unwrap_or_else(|_| self.wanted.said.clone())
    }

    /// Counts a transfer on the board and waits for it.
    pub(super) async fn watch<T: Send + 'static>(
        &self,
        handle: TransferHandle<T>,
        extent: Extent,
    ) -> Result<T, Failure> {
        self.board.add(handle.progress(), extent);
        handle.join().await.map_err(Failure::transfer)
    }

    fn tree_outcome(&self, report: BatchReport) -> Result<Tally, Failure> {
        let BatchReport { succeeded, skipped, failed, bytes, stopped, .. } = report;
        let failed = failed.saturating_sub(self.cancelled.swap(0, Ordering::Relaxed));
        let tally = Tally { succeeded, skipped, failed, bytes, lost: 0 };
        match stopped {
            Some(error) if error.kind() == ErrorKind::Cancelled => Ok(tally),
            // Nothing was reached at all, so the reason is the command's own.
            Some(error) if tally.succeeded + tally.failed == 0 => Err(Failure::transfer(error)),
            Some(error) => {
                self.tell(Failure::transfer(error));
                Ok(Tally { failed: tally.failed + 1, ..tally })
            }
            None => Ok(tally),
        }
    }

    /// Says what happens to a file whose failure is said elsewhere.
    pub(super) fn single_sink(&self) -> impl Fn(&TransferEvent) + Send + Sync + 'static {
        let out = self.app.out.clone();
        move |event| tell_event(&out, event)
    }

    /// Says what happens to the files of a tree, failures included.
    fn tree_sink(&self) -> impl Fn(&TransferEvent) + Send + Sync + 'static {
        let (out, cancelled) = (self.app.out.clone(), Arc::clone(&self.cancelled));
        move |event| match event {
            TransferEvent::ItemFailed { error } if error.kind() == ErrorKind::Cancelled => {
                cancelled.fetch_add(1, Ordering::Relaxed);
            }
            TransferEvent::ItemFailed { error } => tell_failure(&out, error.clone()),
            event => tell_event(&out, event),
        }
    }

    pub(super) fn tell(&self, failure: Failure) {
        if let Failure::Told(told) = failure {
            self.app.out.tell(&Message::Error((&*told).into()));
        }
    }

    fn conclude(self, tally: Tally) -> Result<(), Failure> {
        let Self { app, board, started, to_stdout, .. } = self;
        drop(board);
        let summary = Summary {
            action: "copied",
            noun: "file",
            succeeded: tally.succeeded,
            skipped: tally.skipped,
            failed: tally.failed,
            lost: tally.lost,
            bytes: Some(tally.bytes),
            seconds: started.elapsed().as_secs_f64(),
            ..Summary::default()
        };
        if to_stdout {
            app.out.notice(&Message::Summary(summary));
        } else {
            app.out.conclude(&Message::Summary(summary))?;
        }
        if let Some(signal) = app.interrupt.asked() {
            let done = count(tally.succeeded, "file");
            return Err(Failure::interrupted(signal)
                .hint(format!("{done} arrived whole; run the same command again for the rest")));
        }
        match (tally.succeeded, tally.failed) {
            (_, 0) => Ok(()),
            (0, failed) => {
                Err(Failure::new(Exit::Failed, format!("none of {} arrived", count(failed, "file"))))
            }
            (_, failed) => {
                Err(Failure::new(Exit::SomeFailed, format!("{} did not arrive", count(failed, "file")))
                    .hint("the reasons are above; run the same command again to try them once more"))
            }
        }
    }
}

fn is_to_stdout(step: &Step) -> bool {
    matches!(step, Step::DownloadStdout { .. })
}

/// Folders that a download may make, to take them away again if nothing arrives.
struct NewFolders {
    /// The lowest, and the highest that was not there.
    range: Option<(PathBuf, PathBuf)>,
}

impl NewFolders {
    fn down_to(lowest: Option<&Path>) -> Self {
        let Some(lowest) = lowest else { return Self { range: None } };
        let missing = lowest.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        Self { range: missing.last().map(|highest| (lowest.to_owned(), highest.to_owned())) }
    }

    /// Removes those that are empty. What cannot be removed holds something.
    fn remove_empty(self) {
        let Some((lowest, highest)) = self.range else { return };
        for folder in lowest.ancestors() {
            if fs::remove_dir(folder).is_err() || folder == highest {
                return;
            }
        }
    }
}

/// Whether a store has an object.
pub(super) async fn is_there(store: &AnyStore, key: &ObjectKey) -> Result<bool, Failure> {
    let url = store.url().with_key(key.as_str());
    store.exists(key).await.map_err(|error| Failure::of(format!("cannot look at {url}"), error))
}

/// The object that a URL names.
pub(super) fn key(url: &StoreUrl) -> Result<ObjectKey, Failure> {
    object_of(url)
}

pub(crate) fn tell_event(out: &Output, event: &TransferEvent) {
    match event {
        TransferEvent::ItemDone { item, bytes } if out.shows_items() => {
            let (source, destination) = ends(item);
            // A closed pipe ends the command when the next result is due; what moves goes on until then.
            let _ = out.print_now(&Message::Copied { source, destination, bytes: *bytes });
        }
        TransferEvent::ItemSkipped { item, reason } if out.shows_items() => {
            out.notice_text(format!("skipped {}: {reason}", ends(item).0));
        }
        TransferEvent::Resumed { item, offset } => {
            out.notice_text(format!("{item} goes on: {} need not move again", show_size(*offset)));
        }
        TransferEvent::NotResumable { item, error } => {
            out.notice_text(format!("{item} could not go on after an interruption: {}", error.chain()));
        }
        TransferEvent::Restarted { item, error } => {
            out.notice_text(format!("{item} starts again: {}", error.chain()));
        }
        _ => {}
    }
}

fn tell_failure(out: &Output, error: TransferError) {
    if let Failure::Told(told) = Failure::transfer(error) {
        out.tell(&Message::Error((&*told).into()));
    }
}

/// Where an item comes from and where it goes.
fn ends(item: &Item) -> (String, String) {
    if let Some(source) = item.source() {
        return (source.to_owned(), item.url().to_owned());
    }
    let path = item.path().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
    match item.direction() {
        Direction::Download => (item.url().to_owned(), path),
        _ => (path, item.url().to_owned()),
    }
}

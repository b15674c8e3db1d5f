//! Trees and single items from place to place, as `cp`, `mv`, `sync` and `diff` need them.

mod args;
mod ignored;
mod report;

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use longshore::{
    AnyStore, Attributes, BlobStore, ErrorKind, HeadOptions, StoreUrl,
    aistore::Cluster,
    transfer::{
        CancelToken, Compare, End, Filter, Place, Sync, SyncAction, SyncReport, Transfer, TransferEvent,
    },
};

use self::ignored::Ignored;
pub(crate) use self::{
    args::{FilterArgs, IgnoreArgs, ProfileArgs},
    report::Report,
};
use super::cp::{attributes::Wanted, mover::tell_event, plan::Step};
use crate::{
    app::App,
    failure::{Exit, Failure},
    interrupt::GRACE,
    listing::{Selection, nothing_found, object_of},
    output::{Message, Summary},
    progress::{Board, Extent},
    services::Services,
    units::count,
};

/// What a command does with what it finds.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct Task {
    /// The past tense for the summary.
    pub(crate) done: &'static str,
    pub(crate) remove_source: bool,
    pub(crate) dry_run: bool,
    pub(crate) no_clobber: bool,
    pub(crate) update: bool,
    pub(crate) flatten: bool,
    /// Looks at the destination before it copies.
    pub(crate) compare: Option<Compare>,
    pub(crate) remove_extra: bool,
    pub(crate) max_remove: Option<u64>,
    pub(crate) filter: Filter,
    /// Names of files in a local source that say what is left out.
    pub(crate) ignore_files: Vec<String>,
    pub(crate) wanted: Wanted,
    pub(crate) report: Option<Report>,
}

/// The services of one side.
pub(crate) enum Side<'a> {
    Common(&'a Services),
    Own(Box<Services>),
}

impl Deref for Side<'_> {
    type Target = Services;

    fn deref(&self) -> &Services {
        match self {
            Self::Common(services) => services,
            Self::Own(services) => services,
        }
    }
}

impl<'a> Side<'a> {
    pub(crate) fn of(app: &'a App, profile: Option<&str>) -> Result<Self, Failure> {
        match profile {
            None => Ok(Self::Common(&app.services)),
            Some(name) => {
                let settings = app.settings.with_profile(name)?;
                Ok(Self::Own(Box::new(Services::new(&settings, &app.out))))
            }
        }
    }

    /// Whether no profile was named, so that one URL means one thing on both sides.
    pub(crate) fn is_common(&self) -> bool {
        matches!(self, Self::Common(_))
    }
}

/// One run of a command.
pub(crate) struct Trees<'a> {
    app: &'a App,
    from: Side<'a>,
    to: Side<'a>,
    writer: Transfer,
    reader: Transfer,
    board: Board,
    cancel: CancelToken,
    task: Arc<Task>,
    started: Instant,
    total: SyncReport,
}

impl<'a> Trees<'a> {
    pub(crate) fn new(app: &'a App, profiles: &ProfileArgs, task: Task) -> Result<Self, Failure> {
        Ok(Self {
            app,
            from: Side::of(app, profiles.source.as_deref())?,
            to: Side::of(app, profiles.destination.as_deref())?,
            writer: app.transfer(2)?,
            reader: app.transfer(2)?,
            board: Board::new(&app.out, app.settings.progress),
            cancel: CancelToken::new(),
            task: Arc::new(task),
            started: Instant::now(),
            total: SyncReport::default(),
        })
    }

    /// Whether the sides are the same services, so that one URL means one thing.
    fn is_common(&self) -> bool {
        self.from.is_common() && self.to.is_common()
    }

    /// Carries out the steps one after the other, and says how it went.
    pub(crate) async fn run(mut self, steps: Vec<Step>) -> Result<(), Failure> {
        let (cancel, app) = (self.cancel.clone(), self.app);
        let result = tokio::select! {
            result = self.all(steps) => result,
            failure = stopped(app, &cancel) => Err(failure),
        };
        match result {
            Err(failure) if !failure.is_cancelled() => return Err(failure),
            _ => {}
        }
        self.conclude()
    }

    async fn all(&mut self, steps: Vec<Step>) -> Result<(), Failure> {
        let alone = steps.len() == 1;
        for step in steps {
            if self.cancel.is_stopped() {
                break;
            }
            match self.step(step).await {
                Ok(report) => self.add(report),
                Err(failure) if alone || failure.exit_code() == 2 => return Err(failure),
                Err(Failure::Told(told)) => {
                    self.total.failed += 1;
                    self.app.out.tell(&Message::Error((&*told).into()));
                }
                Err(closed @ Failure::Closed { .. }) => return Err(closed),
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<SyncReport, Failure> {
        match step {
            Step::Upload { from, to } => {
                let end = self.object(&to, false).await?;
                self.one(End::File(from), end).await
            }
            Step::Download { from, to } => {
                let end = self.object(&from, true).await?;
                self.one(end, End::File(to)).await
            }
            Step::Copy { from, to } => {
                let ends = (self.object(&from, true).await?, self.object(&to, false).await?);
                self.one(ends.0, ends.1).await
            }
            Step::UploadTree { from, to } => {
                let place = Place::store(self.to.store(&to).await?, to.key());
                self.tree(Place::local(from), place, None, Vec::new()).await
            }
            Step::DownloadTree { from, selection, to } => {
                let place = Place::store(self.from.store(&from).await?, selection.base());
                self.tree(place, Place::local(to), Some((&from, selection)), Vec::new()).await
            }
            Step::CopyTree { from, selection, to } => {
                let source = Place::store(self.from.store(&from).await?, selection.base());
                let target = Place::store(self.to.store(&to).await?, to.key());
                self.tree(source, target, Some((&from, selection)), Vec::new()).await
            }
            Step::UploadStdin { .. } | Step::DownloadStdout { .. } => {
                Err(Failure::usage("these options have no meaning for standard input and output"))
            }
        }
    }

    async fn object(&self, url: &StoreUrl, source: bool) -> Result<End, Failure> {
        let side = if source { &self.from } else { &self.to };
        Ok(End::Object(side.store(url).await?, object_of(url)?))
    }

    /// A sync with the settings of the command.
    fn prepare(&self, from: Place, to: Place) -> Sync {
        let task = Arc::clone(&self.task);
        let (of_file, of_copy) = (task.wanted.clone(), task.wanted.clone());
        let mut sync = self
            .writer
            .sync(from, to)
            .reader(&self.reader)
            .attributes(move |path| of_file.of_file(path))
            .server_side(self.is_common())
            .remove_source(task.remove_source)
            .no_clobber(task.no_clobber)
            .update(task.update)
            .dry_run(task.dry_run)
            .filter(task.filter.clone())
            .cancel(self.cancel.clone());
        if !task.wanted.said.is_empty() {
            sync = sync.copied_attributes(move |source: &Attributes| of_copy.of_copy(source));
        }
        sync = match task.compare {
            Some(compare) => sync.compare(compare),
            None => sync.copy_all(),
        };
        if task.flatten {
            sync = sync.rename(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
        }
        sync
    }

    /// One file or object.
    async fn one(&self, from: End, to: End) -> Result<SyncReport, Failure> {
        let (source, target) = (show(&from), show(&to));
        let name = source.rsplit('/').next().unwrap_or(&source).to_owned();
        let size = size_of(&from).await?;
        let mut report = SyncReport::default();
        let skip = self.task.update && is_newer(&to, &from).await?;
        if skip || !self.task.filter.keeps(&name, size.0, size.1) {
            let action = SyncAction::Unchanged { name: &name };
            self.note(&action);
            report.unchanged = 1;
            return Ok(report);
        }
        let sink = self.app.out.clone();
        let sync =
            self.prepare(Place::local("."), Place::local(".")).progress(move |event: &TransferEvent| {
                tell_event(&sink, event);
            });
        let moved = sync.only(from, to).await;
        let moved = match moved {
            Ok(moved) => moved,
            Err(error) => {
                self.note(&SyncAction::Failed { name: &name, error: &error });
                return Err(Failure::transfer(error));
            }
        };
        if moved.existed {
            report.unchanged = 1;
            self.note(&SyncAction::Unchanged { name: &name });
            return Ok(report);
        }
        (report.copied, report.lost) = (1, moved.lost);
        report.bytes = if self.task.dry_run { size.0 } else { moved.bytes };
        self.note(&SyncAction::Copied { name: &name, size: size.0, replaced: false });
        if self.task.dry_run {
            self.say_would(&self.task, &source, Some(&target), size.0)?;
        }
        Ok(report)
    }

    fn note(&self, action: &SyncAction<'_>) {
        if let Some(report) = &self.task.report {
            report.add(action);
        }
    }

    fn say_would(
        &self,
        task: &Task,
        source: &str,
        destination: Option<&str>,
        bytes: u64,
    ) -> Result<(), Failure> {
        self.app.out.print(&Message::Would {
            action: if task.remove_source { "move" } else { "copy" },
            source: source.to_owned(),
            destination: destination.map(str::to_owned),
            bytes: Some(bytes),
        })
    }

    /// A whole tree. Listings of these clusters can only be trusted while they are settled.
    async fn tree(
        &self,
        from: Place,
        to: Place,
        selected: Option<(&StoreUrl, Selection)>,
        clusters: Vec<Cluster>,
    ) -> Result<SyncReport, Failure> {
        let mut sync = self.prepare(from.clone(), to.clone());
        if let Some((_, selection @ Selection::Matching { .. })) = &selected {
            let (selection, base) = (selection.clone(), selection.base().to_owned());
            sync = sync.matching(move |name| selection.contains(&format!("{base}{name}")));
        }
        let ignored = match &from {
            Place::Local(root) if !self.task.ignore_files.is_empty() => {
                Some(Arc::new(Ignored::new(root, &self.task.ignore_files, &self.app.out)?))
            }
            _ => None,
        };
        if let Some(ignored) = ignored.clone() {
            sync = sync.matching(move |name| !ignored.leaves_out(name));
        }
        sync = sync.remove(self.task.remove_extra).max_remove(self.task.max_remove);
        if !clusters.is_empty() || ignored.is_some() {
            let ignored = ignored.clone();
            sync = sync.settled(move || may_remove(clusters.clone(), ignored.clone()).boxed());
        }
        let handle = self.observe(sync, &from, &to).start();
        self.board.add(handle.progress(), Extent::Tree);
        let mut report = handle.join().await.map_err(Failure::transfer)?;
        report.failed += ignored.map_or(0, |ignored| ignored.faults());
        if let Some((url, selection)) = &selected
            && is_empty(&report)
            && report.stopped.is_none()
            && !matches!(self.task.compare, Some(Compare::SizeAndTime) if self.task.remove_extra)
        {
            return Err(nothing_found(url, selection));
        }
        Ok(report)
    }

    /// Says and reports what is done, or would be.
    fn observe(&self, sync: Sync, from: &Place, to: &Place) -> Sync {
        let (out, task) = (self.app.out.clone(), Arc::clone(&self.task));
        let (source, target) = (base_of(from), base_of(to));
        let sink = out.clone();
        let sync = sync.progress(move |event: &TransferEvent| match event {
            // What was stopped on the way did not fail.
            TransferEvent::ItemFailed { error } if error.kind() == ErrorKind::Cancelled => {}
            TransferEvent::ItemFailed { error } => {
                if let Failure::Told(told) = Failure::transfer(error.clone()) {
                    sink.tell(&Message::Error((&*told).into()));
                }
            }
            // Told by name below.
            TransferEvent::ItemSkipped { .. } => {}
            event => tell_event(&sink, event),
        });
        sync.observe(move |action| {
            if let Some(report) = &task.report {
                report.add(action);
            }
            let message = match *action {
                SyncAction::Copied { name, size, .. } if task.dry_run => Message::Would {
                    action: if task.remove_source { "move" } else { "copy" },
                    source: format!("{source}{name}"),
                    destination: Some(format!("{target}{name}")),
                    bytes: Some(size),
                },
                SyncAction::Removed { name } if task.dry_run => Message::Would {
                    action: "remove",
                    source: format!("{target}{name}"),
                    destination: None,
                    bytes: None,
                },
                SyncAction::Removed { name } if out.shows_items() => {
                    Message::Removed { url: format!("{target}{name}") }
                }
                SyncAction::Skipped { name, reason } if out.shows_items() => {
                    return out.notice_text(format!("skipped {source}{name}: {reason}"));
                }
                _ => return,
            };
            // A closed pipe ends the command when the next result is due.
            let _ = out.print(&message);
        })
    }

    /// Makes the destination like the source.
    pub(crate) async fn sync(
        mut self,
        from: &super::sync::Root,
        to: &super::sync::Root,
    ) -> Result<(), Failure> {
        let (cancel, app) = (self.cancel.clone(), self.app);
        let source = from.place(&self.from).await?;
        let target = to.place(&self.to).await?;
        let clusters = self.clusters(from, to).await?;
        let result = tokio::select! {
            result = self.tree(source, target, None, clusters) => result,
            failure = stopped(app, &cancel) => Err(failure),
        };
        match result {
            Ok(report) => self.add(report),
            Err(failure) if failure.is_cancelled() => {}
            Err(failure) => return Err(failure),
        }
        self.conclude()
    }

    /// The clusters of both sides; one if they are the same.
    async fn clusters(
        &self,
        from: &super::sync::Root,
        to: &super::sync::Root,
    ) -> Result<Vec<Cluster>, Failure> {
        let mut found = Vec::new();
        for (root, services) in [(from, &self.from), (to, &self.to)] {
            if let Some(url) = root.url()
                && (found.is_empty() || !self.is_common())
                && let Some(cluster) = services.cluster(url).await?
            {
                found.push(cluster);
            }
        }
        Ok(found)
    }

    fn add(&mut self, report: SyncReport) {
        let total = &mut self.total;
        total.copied += report.copied;
        total.unchanged += report.unchanged;
        total.skipped += report.skipped;
        total.failed += report.failed;
        total.bytes += report.bytes;
        total.removed += report.removed;
        total.extra += report.extra;
        total.lost += report.lost;
        total.kept = total.kept.take().or(report.kept);
        if let Some(error) = report.stopped
            && error.kind() != ErrorKind::Cancelled
        {
            total.failed += 1;
            if let Failure::Told(told) = Failure::transfer(error) {
                self.app.out.tell(&Message::Error((&*told).into()));
            }
        }
    }

    fn conclude(self) -> Result<(), Failure> {
        let Self { app, board, task, total, started, .. } = self;
        drop(board);
        if let Some(report) = &task.report {
            report.finish()?;
        }
        app.out.conclude(&Message::Summary(Summary {
            action: if task.dry_run { would(task.done) } else { task.done },
            noun: "file",
            succeeded: total.copied,
            skipped: total.skipped,
            failed: total.failed,
            unchanged: total.unchanged,
            removed: total.removed,
            lost: total.lost,
            bytes: Some(total.bytes),
            seconds: started.elapsed().as_secs_f64(),
        }))?;
        if let Some(signal) = app.interrupt.asked() {
            let done = count(total.copied, "file");
            return Err(Failure::interrupted(signal)
                .hint(format!("{done} arrived whole; run the same command again for the rest")));
        }
        let any = total.copied + total.unchanged + total.skipped > 0;
        let exit = if any { Exit::SomeFailed } else { Exit::Failed };
        if total.failed > 0 {
            let text = format!("{} did not arrive", count(total.failed, "item"));
            let hint = "the reasons are above; run the same command again to try them once more";
            let text = match &total.kept {
                Some(why) => format!("{text}; nothing was removed: {why}"),
                None => text,
            };
            return Err(Failure::new(exit, text).hint(hint));
        }
        match total.kept {
            Some(why) => Err(Failure::new(exit, format!("nothing was removed: {why}")).hint(
                "what only the destination has is removed only if it is certain that the source lacks it",
            )),
            None => Ok(()),
        }
    }
}

fn would(done: &'static str) -> &'static str {
    match done {
        "moved" => "would move",
        "synchronized" => "would copy",
        _ => "would have copied",
    }
}

fn is_empty(report: &SyncReport) -> bool {
    report.copied + report.unchanged + report.failed + report.skipped == 0
}

/// Waits for an interrupt and stops everything; returns only if something does not stop in time.
async fn stopped(app: &App, cancel: &CancelToken) -> Failure {
    let signal = app.interrupt.wait().await;
    cancel.stop();
    let grace = GRACE.as_secs();
    app.out.notice_text(format!("{signal}: what runs gets {grace} s to end; once more ends at once"));
    tokio::time::sleep(GRACE * 2).await;
    Failure::interrupted(signal)
}

/// Why it is not certain what the source has.
async fn may_remove(
    clusters: Vec<Cluster>,
    ignored: Option<Arc<Ignored>>,
) -> longshore::Result<Option<String>> {
    if ignored.is_some_and(|ignored| ignored.faults() > 0) {
        return Ok(Some("a file that says what is left out could not be read".to_owned()));
    }
    unsettled(clusters).await
}

/// Why listings of clusters cannot be trusted.
async fn unsettled(clusters: Vec<Cluster>) -> longshore::Result<Option<String>> {
    let mut why = Vec::new();
    for cluster in clusters {
        let found = cluster.stability().await?;
        for (what, nodes) in [
            ("is rebalancing", &found.rebalancing),
            ("has an interrupted rebalance", &found.interrupted),
            ("is under maintenance", &found.out_of_service),
        ] {
            why.extend(nodes.iter().map(|node| format!("node {node} of the cluster {what}")));
        }
    }
    Ok((!why.is_empty()).then(|| why.join(", ")))
}

fn show(end: &End) -> String {
    match end {
        End::File(path) => path.display().to_string(),
        End::Object(store, key) => store.url().with_key(key.as_str()).to_string(),
    }
}

/// What names are appended to.
fn base_of(place: &Place) -> String {
    let text = place.to_string();
    if text.ends_with('/') { text } else { text + "/" }
}

type Known = (u64, Option<std::time::SystemTime>);

/// Size and time of what is to be copied.
async fn size_of(end: &End) -> Result<Known, Failure> {
    match end {
        End::File(path) => {
            let meta = std::fs::metadata(path)
                .map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))?;
            if meta.is_dir() {
                return Err(
                    Failure::usage(format!("{} is a folder", path.display())).hint("-r takes what is in it")
                );
            }
            Ok((meta.len(), meta.modified().ok()))
        }
        End::Object(store, key) => head(store, key).await,
    }
}

async fn head(store: &AnyStore, key: &longshore::ObjectKey) -> Result<Known, Failure> {
    let url = store.url().with_key(key.as_str());
    let meta = store.head(key, HeadOptions::default()).await;
    let meta = meta.map_err(|error| Failure::of(format!("cannot look at {url}"), error))?;
    Ok((meta.size, meta.last_modified))
}

/// Whether the destination is there and not older.
async fn is_newer(to: &End, from: &End) -> Result<bool, Failure> {
    let there = match to {
        End::File(path) => std::fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok())),
        End::Object(store, key) => match store.head(key, HeadOptions::default()).await {
            Ok(meta) => Some((meta.size, meta.last_modified)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let url = store.url().with_key(key.as_str());
                return Err(Failure::of(format!("cannot look at {url}"), error));
            }
        },
    };
    let Some((size, time)) = there else { return Ok(false) };
    let source = size_of(from).await?;
    Ok(match source.1.zip(time) {
        // Servers tell whole seconds.
        Some((source, there)) => source <= there + Duration::from_secs(1),
        None => source.0 == size,
    })
}

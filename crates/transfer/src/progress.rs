//! What happens while it happens.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_core_types::Error;
use tokio::{sync::watch, time::Instant};

use crate::error::TransferError;

/// Which way an item moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Direction {
    /// To the store.
    Upload,
    /// From the store.
    Download,
    /// From one store to another, or within one.
    Copy,
}

/// One object on its way. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item(Arc<ItemData>);

#[derive(Debug, PartialEq, Eq)]
struct ItemData {
    direction: Direction,
    url: String,
    path: Option<PathBuf>,
    /// What is copied.
    source: Option<String>,
}

impl Item {
    pub(crate) fn new(direction: Direction, url: String, path: Option<PathBuf>) -> Self {
        Self(Arc::new(ItemData { direction, url, path, source: None }))
    }

    pub(crate) fn copy(source: String, url: String) -> Self {
        Self(Arc::new(ItemData { direction: Direction::Copy, url, path: None, source: Some(source) }))
    }

    /// Which way it moves.
    pub fn direction(&self) -> Direction {
        self.0.direction
    }

    /// The object that is copied, as a store URL; `None` unless this is a copy.
    pub fn source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// The object, as a store URL; of a copy the new one.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The local file; `None` for streams and memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

/// `upload of PATH to URL`, `download of URL to PATH` or `copy of URL to URL`.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        match (self.0.direction, self.path()) {
            (Direction::Upload, Some(path)) => write!(f, "upload of {} to {url}", path.display()),
            (Direction::Upload, None) => write!(f, "upload to {url}"),
            (Direction::Download, Some(path)) => write!(f, "download of {url} to {}", path.display()),
            (Direction::Download, None) => write!(f, "download of {url}"),
            (Direction::Copy, _) => write!(f, "copy of {} to {url}", self.source().unwrap_or_default()),
        }
    }
}

/// Something that happened during a transfer.
///
/// Each item has one `Started` and then exactly one of `ItemDone`, `ItemSkipped` and `ItemFailed`, except that
/// an item which is skipped, or fails before it moves, has no `Started`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TransferEvent {
    /// An item begins.
    Started {
        /// Which one.
        item: Item,
        /// Its size in bytes, if it is known already.
        size: Option<u64>,
    },
    /// It is known in how many requests an item moves. Again if it starts over.
    Planned {
        /// Which one.
        item: Item,
        /// Its size in bytes.
        size: u64,
        /// Number of parts.
        parts: u64,
        /// Size of a part in bytes.
        part_size: u64,
    },
    /// Bytes moved; told a few times a second at most.
    Moved {
        /// Which item.
        item: Item,
        /// Bytes of it that have moved by now. Falls when a part is sent anew.
        done: u64,
    },
    /// A part has arrived.
    PartDone {
        /// Which item.
        item: Item,
        /// Number of the part, from 1.
        part: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// Something failed and is tried again.
    Retried {
        /// Which item.
        item: Item,
        /// Number of the part, from 1.
        part: u64,
        /// How often this part has been tried.
        attempt: u32,
        /// What went wrong.
        error: Arc<Error>,
        /// How long to wait before the next try.
        wait: Duration,
    },
    /// An item begins again from its first byte: the object was replaced, or what arrived was wrong.
    Restarted {
        /// Which item.
        item: Item,
        /// Why.
        error: Arc<Error>,
    },
    /// An item continues where an earlier transfer stopped.
    Resumed {
        /// Which item.
        item: Item,
        /// Bytes that need not move again.
        offset: u64,
    },
    /// An item moves, but could not go on if it were interrupted: its checkpoint cannot be written.
    NotResumable {
        /// Which item.
        item: Item,
        /// Why.
        error: Arc<Error>,
    },
    /// An item has arrived: whole, and verified where the store states a checksum.
    ItemDone {
        /// Which one.
        item: Item,
        /// Its size in bytes.
        bytes: u64,
    },
    /// An item of a tree was left out.
    ItemSkipped {
        /// Which one.
        item: Item,
        /// Why.
        reason: SkipReason,
    },
    /// An item did not arrive.
    ItemFailed {
        /// Which one, and why.
        error: TransferError,
    },
    /// Nothing more follows.
    Finished {
        /// How it ended.
        progress: Progress,
    },
}

/// Why an item of a tree was left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// A symbolic link, and the policy is not to follow it.
    Symlink,
    /// Neither a file nor a directory: a socket, pipe or device.
    SpecialFile,
    /// A temporary file of a download that has not ended.
    UnfinishedDownload,
    /// The filter excludes it.
    Filtered,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "a symbolic link that is not followed",
            Self::SpecialFile => "neither a file nor a directory",
            Self::UnfinishedDownload => "a temporary file of an unfinished download",
            Self::Filtered => "excluded by the filter",
        })
    }
}

/// Takes events. Called from the tasks that move bytes, so it must be quick and must not block.
pub trait ProgressSink: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: &TransferEvent);
}

impl<F: Fn(&TransferEvent) + Send + Sync + 'static> ProgressSink for F {
    fn event(&self, event: &TransferEvent) {
        self(event);
    }
}

/// Totals of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that have moved.
    pub bytes: u64,
    /// Bytes of all items that are known so far.
    pub bytes_total: u64,
    /// Items that are known so far.
    pub items_total: u64,
    /// Items that have arrived.
    pub succeeded: u64,
    /// Items that were left out.
    pub skipped: u64,
    /// Items that did not arrive.
    pub failed: u64,
    /// `bytes_total` and `items_total` will not grow any more.
    pub totals_final: bool,
    /// It has ended.
    pub finished: bool,
}

/// Totals of one call and where to report them; shared by all items of a tree.
#[derive(Clone)]
pub(crate) struct Reporter(Arc<Shared>);

struct Shared {
    sink: Option<Arc<dyn ProgressSink>>,
    totals: watch::Sender<Progress>,
    moved: AtomicU64,
    begin: Instant,
    interval: Duration,
    /// Milliseconds from `begin` to the last publication of the totals.
    published: AtomicU64,
}

impl Reporter {
    pub(crate) fn new(sink: Option<Arc<dyn ProgressSink>>, interval: Duration) -> Self {
        Self(Arc::new(Shared {
            sink,
            totals: watch::Sender::default(),
            moved: AtomicU64::new(0),
            begin: Instant::now(),
            interval,
            published: AtomicU64::new(0),
        }))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Progress> {
        self.0.totals.subscribe()
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> TransferEvent) {
        if let Some(sink) = &self.0.sink {
            sink.event(&event());
        }
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let bytes = self.0.moved.load(Ordering::Relaxed);
        // Telling nobody costs as much as telling somebody.
        let heard = self.0.totals.receiver_count() > 0;
        self.0.totals.send_if_modified(|progress| {
            progress.bytes = bytes;
            change(progress);
            heard
        });
    }

    /// Begins to count an item.
    pub(crate) fn item(&self, item: Item, size: Option<u64>) -> ItemReporter {
        self.update(|progress| {
            progress.items_total += 1;
            progress.bytes_total += size.unwrap_or(0);
        });
        let started = item.clone();
        self.emit(|| TransferEvent::Started { item: started, size });
        ItemReporter(Arc::new(ItemShared {
            reporter: self.clone(),
            item,
            done: AtomicU64::new(0),
            expected: AtomicU64::new(size.unwrap_or(0)),
            told: AtomicU64::new(0),
        }))
    }

    /// An item of a tree that is left out.
    pub(crate) fn skipped(&self, item: Item, reason: SkipReason) {
        self.update(|progress| {
            progress.items_total += 1;
            progress.skipped += 1;
        });
        self.emit(|| TransferEvent::ItemSkipped { item, reason });
    }

    /// An item that failed before it could begin.
    pub(crate) fn failed_early(&self, error: &TransferError) {
        self.update(|progress| {
            progress.items_total += 1;
            progress.failed += 1;
        });
        self.emit(|| TransferEvent::ItemFailed { error: error.clone() });
    }

    /// An item that needed no bytes, such as a directory.
    pub(crate) fn done_at_once(&self, item: Item) {
        self.update(|progress| {
            progress.items_total += 1;
            progress.succeeded += 1;
        });
        self.emit(|| TransferEvent::ItemDone { item, bytes: 0 });
    }

    pub(crate) fn totals_known(&self) {
        self.update(|progress| progress.totals_final = true);
    }

    pub(crate) fn finished(&self) {
        self.update(|progress| {
            progress.totals_final = true;
            progress.finished = true;
        });
        self.emit(|| TransferEvent::Finished { progress: *self.0.totals.borrow() });
    }

    /// Milliseconds since the beginning, if `last` is long enough ago; whoever gets them publishes.
    fn due(&self, last: &AtomicU64) -> bool {
        let now = u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let then = last.load(Ordering::Relaxed);
        let interval = u64::try_from(self.0.interval.as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(then) >= interval
            && last.compare_exchange(then, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What one item reports. Cloning shares it.
#[derive(Clone)]
pub(crate) struct ItemReporter(Arc<ItemShared>);

impl fmt::Debug for ItemReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemReporter").field(&self.0.item).finish()
    }
}

struct ItemShared {
    reporter: Reporter,
    item: Item,
    done: AtomicU64,
    expected: AtomicU64,
    told: AtomicU64,
}

impl ItemReporter {
    pub(crate) fn item(&self) -> &Item {
        &self.0.item
    }

    pub(crate) fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    pub(crate) fn planned(&self, size: u64, parts: u64, part_size: u64) {
        let before = self.0.expected.swap(size, Ordering::Relaxed);
        if before != size {
            self.0.reporter.update(|progress| {
                progress.bytes_total = (progress.bytes_total + size).saturating_sub(before);
            });
        }
        self.0.reporter.emit(|| TransferEvent::Planned { item: self.0.item.clone(), size, parts, part_size });
    }

    pub(crate) fn moved(&self, bytes: u64) {
        let shared = &*self.0;
        let done = shared.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let reporter = &shared.reporter;
        reporter.0.moved.fetch_add(bytes, Ordering::Relaxed);
        if reporter.due(&reporter.0.published) {
            reporter.update(|_| {});
        }
        if reporter.0.sink.is_some() && reporter.due(&shared.told) {
            reporter.emit(|| TransferEvent::Moved { item: shared.item.clone(), done });
        }
    }

    /// Bytes that were counted will move again.
    pub(crate) fn moved_back(&self, bytes: u64) {
        self.0.done.fetch_sub(bytes, Ordering::Relaxed);
        self.0.reporter.0.moved.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn part_done(&self, index: u64, size: u64) {
        let part = index + 1;
        self.0.reporter.emit(|| TransferEvent::PartDone { item: self.0.item.clone(), part, size });
    }

    pub(crate) fn retried(&self, index: u64, attempt: u32, error: &Arc<Error>, wait: Duration) {
        self.0.reporter.emit(|| TransferEvent::Retried {
            item: self.0.item.clone(),
            part: index + 1,
            attempt,
            error: Arc::clone(error),
            wait,
        });
    }

    pub(crate) fn restarted(&self, error: Error) {
        self.moved_back(self.done());
        self.0
            .reporter
            .emit(|| TransferEvent::Restarted { item: self.0.item.clone(), error: Arc::new(error) });
    }

    /// So many bytes need not move again; they count as moved.
    pub(crate) fn resumed(&self, offset: u64) {
        self.moved(offset);
        self.0.reporter.emit(|| TransferEvent::Resumed { item: self.0.item.clone(), offset });
    }

    pub(crate) fn not_resumable(&self, error: Error) {
        self.0
            .reporter
            .emit(|| TransferEvent::NotResumable { item: self.0.item.clone(), error: Arc::new(error) });
    }

    /// The item has ended, one way or the other.
    pub(crate) fn ended<T>(&self, result: &Result<T, TransferError>) {
        let bytes = self.done();
        let before = self.0.expected.swap(bytes, Ordering::Relaxed);
        self.0.reporter.update(|progress| match result {
            Ok(_) => {
                progress.succeeded += 1;
                progress.bytes_total = (progress.bytes_total + bytes).saturating_sub(before);
            }
            Err(_) => progress.failed += 1,
        });
        self.0.reporter.emit(|| match result {
            Ok(_) => TransferEvent::ItemDone { item: self.0.item.clone(), bytes },
            Err(error) => TransferEvent::ItemFailed { error: error.clone() },
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn item() -> Item {
        Item::new(Direction::Download, "mem://b/k".into(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_told_at_intervals_and_totals_add_up() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let events = Arc::clone(&events);
            move |event: &TransferEvent| events.lock().unwrap().push(event.clone())
        };
        let reporter = Reporter::new(Some(Arc::new(sink)), Duration::from_millis(100));
        let one = reporter.item(item(), None);
        one.planned(100, 1, 100);
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(30)).await;
            one.moved(10);
        }
        one.moved_back(10);
        one.moved(10);
        one.ended(&Ok(()));
        reporter.skipped(item(), SkipReason::Symlink);
        reporter.finished();
        let progress = *reporter.watch().borrow();
        assert_eq!((progress.bytes, progress.bytes_total, progress.items_total), (100, 100, 2));
        assert_eq!((progress.succeeded, progress.skipped, progress.finished), (1, 1, true));
        let events = events.lock().unwrap();
        let moved: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                TransferEvent::Moved { done, .. } => Some(*done),
                _ => None,
            })
            .collect();
        assert_eq!(moved, [40, 80]);
        assert!(matches!(events.last(), Some(TransferEvent::Finished { .. })));
    }
}

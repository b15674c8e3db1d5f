//! Trees from place to place: copied, moved, or made the same.

mod compare;
mod extras;
mod item;
mod listing;
mod merge;
mod names;
mod remove;
mod run;
mod sorted;

use std::{
    fmt,
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use longshore_blob_api::{AnyStore, BlobStore};
use longshore_core_types::{Attributes, Error, ErrorKind, ObjectKey, Result as CoreResult};

use self::item::How;
pub use self::{
    compare::Compare,
    item::{End, Moved},
    listing::Entry,
};
use crate::{
    Transfer,
    cancel::CancelToken,
    context::Context,
    error::{Result, TransferError},
    handle::TransferHandle,
    progress::{Direction, ProgressSink, Reporter, SkipReason},
    tree::{Filter, SymlinkPolicy, as_prefix, path_below},
};

/// Where a tree is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place {
    /// A local directory.
    Local(PathBuf),
    /// The objects of a store below a prefix, which is empty or ends in `/`.
    Store {
        /// The store.
        store: AnyStore,
        /// The prefix.
        prefix: String,
    },
}

impl Place {
    /// A local directory.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self::Local(path.into())
    }

    /// The objects of a store below a prefix. One that is not empty gets a final `/` if it has none.
    pub fn store(store: AnyStore, prefix: impl Into<String>) -> Self {
        Self::Store { store, prefix: as_prefix(prefix.into()) }
    }

    /// The file or object of this name.
    fn end(&self, name: &str) -> CoreResult<End> {
        match self {
            Self::Local(root) => Ok(End::File(root.join(path_below(name)?))),
            Self::Store { store, prefix } => {
                Ok(End::Object(store.clone(), ObjectKey::new(format!("{prefix}{name}"))?))
            }
        }
    }
}

/// As a path, or as a store URL.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Store { store, prefix } => store.url().with_key(&**prefix).fmt(f),
        }
    }
}

/// Something that was done, or that would be done in a dry run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SyncAction<'a> {
    /// An item was copied.
    Copied {
        /// Its name below the source.
        name: &'a str,
        /// Its size in bytes.
        size: u64,
        /// The destination had another one of this name.
        replaced: bool,
    },
    /// An item did not arrive, or could not be looked at or removed.
    Failed {
        /// Its name below the source or the destination.
        name: &'a str,
        /// Why.
        error: &'a TransferError,
    },
    /// Only the destination has this.
    Extra {
        /// Its name below the destination.
        name: &'a str,
        /// Its size in bytes.
        size: u64,
    },
    /// An item is the same in both places, or newer in the destination, or was not to be replaced.
    Unchanged {
        /// Its name below the source.
        name: &'a str,
    },
    /// An item was left out on purpose.
    Skipped {
        /// Its name below the source.
        name: &'a str,
        /// Why.
        reason: SkipReason,
    },
    /// An item of the destination was removed.
    Removed {
        /// Its name below the destination.
        name: &'a str,
    },
}

/// What became of every item of a [`Sync`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// Items that were copied.
    pub copied: u64,
    /// Items that needed no copy.
    pub unchanged: u64,
    /// Items that were left out on purpose.
    pub skipped: u64,
    /// Items that did not arrive, or could not be looked at or removed.
    pub failed: u64,
    /// Bytes of the items that were copied.
    pub bytes: u64,
    /// Items of the destination that were removed.
    pub removed: u64,
    /// Items that only the destination has.
    pub extra: u64,
    /// Why none of them was removed although that was asked for.
    pub kept: Option<String>,
    /// Headers and keys of metadata that the destination could not hold.
    pub lost: u64,
    /// The first 1,000 failures.
    pub failures: Vec<TransferError>,
    /// Why the items are not all: a listing of the source that broke off or may lack objects, or a stop from outside.
    pub stopped: Option<TransferError>,
}

impl SyncReport {
    /// Whether everything was done.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.stopped.is_none() && self.kept.is_none()
    }
}

type Observer = dyn Fn(&SyncAction<'_>) + Send + std::marker::Sync;
type Check = dyn Fn() -> BoxFuture<'static, CoreResult<Option<String>>> + Send + std::marker::Sync;
type Only = dyn Fn(&str) -> bool + Send + std::marker::Sync;
type Rename = dyn Fn(&str) -> String + Send + std::marker::Sync;

/// A tree that is copied, moved, or made the same in another place; it has not started. Await it, or
/// [`start`](Self::start) it in the background.
///
/// Both places are listed in the order of their names, side by side, with a few entries in memory; the listing of a store
/// that has no order is sorted first, in temporary files if it is large. Every item ends in
/// the [`SyncReport`].
///
/// With [`remove`](Self::remove) what only the destination has is removed at the very end, and only if it is certain
/// that the source does not have it: if a listing breaks off, repeats itself, may be incomplete, or shows nothing at
/// all, if anything fails or cannot be looked at, or if [`settled`](Self::settled) says no before or after, nothing is
/// removed and [`SyncReport::kept`] says why.
///
/// Fails as a whole only if a place cannot be read at all, or if the destination says which names it takes
/// ([`Capability::names`](longshore_blob_api::Capability)) and items have others: these are listed before anything is sent.
#[must_use = "nothing happens until it is awaited or started"]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub struct Sync {
    how: How,
    from: Place,
    to: Place,
    compare: Compare,
    read_contents: bool,
    list_destination: bool,
    update: bool,
    remove: bool,
    max_remove: Option<u64>,
    dry_run: bool,
    filter: Filter,
    only: Option<Arc<Only>>,
    links: SymlinkPolicy,
    rename: Option<Arc<Rename>>,
    settled: Option<Arc<Check>>,
    observer: Option<Arc<Observer>>,
    sink: Option<Arc<dyn ProgressSink>>,
}

impl Sync {
    pub(crate) fn new(transfer: &Transfer, from: Place, to: Place) -> Self {
        let context = match (&from, &to) {
            (_, Place::Store { store, .. }) => Context::new(&transfer.0, store, Direction::Upload),
            (Place::Store { store, .. }, Place::Local(_)) => {
                Context::new(&transfer.0, store, Direction::Download)
            }
            (Place::Local(_), Place::Local(_)) => Context::local(&transfer.0),
        };
        Self {
            how: How {
                reader: transfer.clone(),
                writer: transfer.clone(),
                context,
                of_file: None,
                of_copy: None,
                server_side: true,
                remove_source: false,
                no_clobber: false,
                time_as_listed: true,
            },
            from,
            to,
            compare: Compare::default(),
            read_contents: false,
            list_destination: true,
            update: false,
            remove: false,
            max_remove: None,
            dry_run: false,
            filter: Filter::default(),
            only: None,
            links: SymlinkPolicy::default(),
            rename: None,
            settled: None,
            observer: None,
            sink: None,
        }
    }

    /// What reads where a store is copied to a store through this process. It needs limits of its own, so that neither
    /// side waits for what the other holds. Default: the same transfer, which is right for all other directions.
    pub fn reader(mut self, reader: &Transfer) -> Self {
        self.how.reader = reader.clone();
        self
    }

    /// What makes two items the same. Default [`Compare::SizeAndTime`].
    pub fn compare(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Reads objects where checksums are to be compared and both sides do not state one of the same kind. Default off:
    /// they are not the same then, since to copy them costs no more than to read them.
    pub fn read_contents(mut self, on: bool) -> Self {
        self.read_contents = on;
        self
    }

    /// Copies everything without looking at the destination, which then is not listed.
    pub fn copy_all(mut self) -> Self {
        (self.list_destination, self.compare) = (false, Compare::Never);
        self.how.time_as_listed = false;
        self
    }

    /// Leaves alone what is newer in the destination, whatever its size. Default off.
    pub fn update(mut self, on: bool) -> Self {
        self.update = on;
        self
    }

    /// Replaces nothing that exists: with a condition that the server checks where the store has such
    /// (`Capability::create_only`), else by looking first. Default off.
    pub fn no_clobber(mut self, on: bool) -> Self {
        self.how.no_clobber = on;
        self
    }

    /// Removes what only the destination has. Default off.
    pub fn remove(mut self, on: bool) -> Self {
        self.remove = on;
        self
    }

    /// If more than so many items would be removed, none is. Default no limit.
    pub fn max_remove(mut self, items: Option<u64>) -> Self {
        self.max_remove = items;
        self
    }

    /// Removes each item of the source once the destination has it for sure; files are forced to the disk before that.
    /// Default off.
    pub fn remove_source(mut self, on: bool) -> Self {
        self.how.remove_source = on;
        self
    }

    /// Changes nothing and says what would be done. Default off.
    pub fn dry_run(mut self, on: bool) -> Self {
        self.dry_run = on;
        self
    }

    /// Which items are meant, in both places: what the filter leaves out is neither copied nor removed.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Which names are meant at all. The others are not even counted.
    pub fn matching(mut self, only: impl Fn(&str) -> bool + Send + std::marker::Sync + 'static) -> Self {
        self.only = Some(Arc::new(only));
        self
    }

    /// What to do about symbolic links of a local source. Default [`SymlinkPolicy::FollowFiles`].
    pub fn symlinks(mut self, policy: SymlinkPolicy) -> Self {
        self.links = policy;
        self
    }

    /// Gives items other names in the destination. Two that would get the same one fail, all but the first. Needs
    /// [`copy_all`](Self::copy_all).
    pub fn rename(mut self, to: impl Fn(&str) -> String + Send + std::marker::Sync + 'static) -> Self {
        self.rename = Some(Arc::new(to));
        self
    }

    /// Asked before the listings and before the first removal whether listings can be trusted; a text says why not.
    pub fn settled(
        mut self,
        check: impl Fn() -> BoxFuture<'static, CoreResult<Option<String>>> + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.settled = Some(Arc::new(check));
        self
    }

    /// What is stored beside each file, such as the content type that its name suggests.
    pub fn attributes(
        mut self,
        of: impl Fn(&std::path::Path) -> Attributes + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.how.of_file = Some(Arc::new(of));
        self
    }

    /// What is stored beside each copy of an object, made of what stands beside the object.
    pub fn copied_attributes(
        mut self,
        of: impl Fn(&Attributes) -> Attributes + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.how.of_copy = Some(Arc::new(of));
        self
    }

    /// Whether a server may copy by itself. Off where equal URLs mean different services. Default on.
    pub fn server_side(mut self, on: bool) -> Self {
        self.how.server_side = on;
        self
    }

    /// Tells what is done with each item, or would be.
    pub fn observe(
        mut self,
        observer: impl Fn(&SyncAction<'_>) + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Tells what happens while items move.
    pub fn progress(mut self, sink: impl ProgressSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Obeys this token.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.how.context.cancel = token;
        self
    }

    /// Runs in the background of the current runtime; see [`TransferHandle`].
    pub fn start(mut self) -> TransferHandle<SyncReport> {
        let reporter = Reporter::new(self.sink.take(), self.how.context.config().progress_interval);
        let (progress, cancel) = (reporter.watch(), self.how.context.cancel.clone());
        TransferHandle::start(Box::pin(run::run(self, reporter)), progress, cancel)
    }

    /// Moves a single file or object between two ends instead, with the same settings. Comparing, filtering and
    /// removing what is extra have no meaning then.
    pub async fn only(mut self, from: End, to: End) -> Result<Moved> {
        let reporter = Reporter::new(self.sink.take(), self.how.context.config().progress_interval);
        let moved = if self.dry_run {
            Ok(Moved::default())
        } else {
            Box::pin(self.how.one(&from, &to, None, &reporter)).await
        };
        reporter.finished();
        moved
    }

    /// One place must not be the other, nor lie in it.
    fn check(&self) -> CoreResult<()> {
        let wrong = |text: String| Err(Error::new(ErrorKind::InvalidInput, text));
        match (&self.from, &self.to) {
            (Place::Local(_), Place::Local(_)) => {
                wrong(format!("{} and {} are both local", self.from, self.to))
            }
            (Place::Store { store: a, prefix: p }, Place::Store { store: b, prefix: q })
                if self.how.server_side
                    && a.url() == b.url()
                    && (p.starts_with(q.as_str()) || q.starts_with(p.as_str())) =>
            {
                wrong(format!("{} and {} lie in one another", self.from, self.to))
            }
            _ if self.rename.is_some() && self.list_destination => {
                wrong("items that get other names cannot be compared with the destination".into())
            }
            _ => Ok(()),
        }
    }
}

impl IntoFuture for Sync {
    type Output = Result<SyncReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.how.context.config().progress_interval);
        Box::pin(run::run(self, reporter))
    }
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("compare", &self.compare)
            .finish_non_exhaustive()
    }
}

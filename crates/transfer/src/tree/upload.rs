//! Upload of the files below a directory.

use std::{
    fmt,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use longshore_blob_api::{BlobStore, PutOptions};
use longshore_core_types::{Attributes, ObjectKey, Result as CoreResult};

use super::{
    names::{as_prefix, key_of},
    offenders::Offenders,
    running::Running,
    walk::{Found, SymlinkPolicy, walk},
};
use crate::{
    cancel::CancelToken,
    config::Engine,
    error::{Result, TransferError, local_fault},
    handle::TransferHandle,
    progress::{Direction, Item, ProgressSink, Reporter, SkipReason},
    report::{BatchReport, FailurePolicy},
    source::Source,
    upload::Upload,
};

type AttributesOf = dyn Fn(&Path) -> Attributes + Send + Sync;
type Filter = dyn Fn(&Path, u64) -> bool + Send + Sync;

/// An upload of a tree that has not started. Await it, or [`start`](Self::start) it in the background.
///
/// Files are found while others are on their way; nothing is listed first. Every file that is found ends in the
/// [`BatchReport`]: arrived, skipped or failed. Empty directories leave no trace in a store.
///
/// Fails as a whole only if the directory itself cannot be read, or if the store says which names it takes
/// ([`Capability::names`](longshore_blob_api::Capability)) and files have others: these are listed before anything is sent.
#[must_use = "an upload does nothing until it is awaited or started"]
pub struct UploadDir<S> {
    engine: Arc<Engine>,
    from: PathBuf,
    store: S,
    prefix: String,
    links: SymlinkPolicy,
    policy: FailurePolicy,
    options: PutOptions,
    keep_modified: bool,
    attributes: Option<Arc<AttributesOf>>,
    filter: Option<Arc<Filter>>,
    sink: Option<Arc<dyn ProgressSink>>,
    cancel: CancelToken,
}

impl<S: BlobStore + Clone> UploadDir<S> {
    pub(crate) fn new(engine: &Arc<Engine>, from: &Path, store: S, prefix: String) -> Self {
        Self {
            engine: Arc::clone(engine),
            from: from.to_owned(),
            store,
            prefix: as_prefix(prefix),
            links: SymlinkPolicy::default(),
            policy: FailurePolicy::default(),
            options: PutOptions::default(),
            keep_modified: false,
            attributes: None,
            filter: None,
            sink: None,
            cancel: CancelToken::new(),
        }
    }

    /// What to do about symbolic links. Default [`SymlinkPolicy::FollowFiles`].
    pub fn symlinks(mut self, policy: SymlinkPolicy) -> Self {
        self.links = policy;
        self
    }

    /// What to do when a file fails. Default [`FailurePolicy::Continue`].
    pub fn on_item_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Options of every request.
    pub fn options(mut self, options: PutOptions) -> Self {
        self.options = options;
        self
    }

    /// Stores when each file changed last beside it; see [`Upload::keep_modified`]. Default off.
    pub fn keep_modified(mut self, on: bool) -> Self {
        self.keep_modified = on;
        self
    }

    /// What is stored beside each file, such as the content type that its name suggests.
    pub fn attributes(mut self, of: impl Fn(&Path) -> Attributes + Send + Sync + 'static) -> Self {
        self.attributes = Some(Arc::new(of));
        self
    }

    /// Which files to upload, by path below the directory and size. The others count as skipped.
    pub fn filter(mut self, keep: impl Fn(&Path, u64) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(keep));
        self
    }

    /// Tells what happens.
    pub fn progress(mut self, sink: impl ProgressSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Obeys this token.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Runs in the background of the current runtime; see [`TransferHandle`].
    pub fn start(mut self) -> TransferHandle<BatchReport> {
        let reporter = Reporter::new(self.sink.take(), self.engine.config.progress_interval);
        let (progress, cancel) = (reporter.watch(), self.cancel.clone());
        TransferHandle::start(self.run(reporter), progress, cancel)
    }

    async fn run(self, reporter: Reporter) -> Result<BatchReport> {
        let found = match self.check_names().await {
            Ok(()) => walk(self.from.clone(), self.links),
            Err(error) => Err(error),
        };
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                reporter.finished();
                return Err(error.into());
            }
        };
        let concurrency = self.engine.config.concurrency;
        let mut running = Running::new(concurrency, self.policy, self.cancel.clone(), reporter);
        let whole = loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.stopped() => None,
                next = found.recv() => next,
            };
            match next {
                Some(Found::End) => break true,
                Some(found) if !running.is_stopped() => self.take(found, &mut running).await,
                _ => break false,
            }
        };
        if running.is_stopped() {
            // Why is said already.
        } else if whole {
            running.reporter.totals_known();
        } else {
            let text = format!("not all of {} was seen: the walk broke off", self.from.display());
            running.stop(local_fault(text).into());
        }
        // The walker ends when nobody listens to it.
        drop(found);
        Ok(running.finish().await)
    }

    /// Looks at all names before the first byte is sent, where the store says which it takes.
    async fn check_names(&self) -> CoreResult<()> {
        let Some(mut offenders) = Offenders::of(&self.store) else { return Ok(()) };
        let mut found = walk(self.from.clone(), self.links)?;
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.stopped() => None,
                next = found.recv() => next,
            };
            let Some(found) = next else { break };
            let Found::File { path, size, .. } = found else { continue };
            let relative = path.strip_prefix(&self.from).unwrap_or(&path);
            if self.filter.as_ref().is_some_and(|keep| !keep(relative, size)) {
                continue;
            }
            // A name that is no text fails on its own, as it does everywhere.
            if let Ok(key) = key_of(&self.prefix, relative) {
                offenders.look(relative.display(), &key);
            }
        }
        offenders.verdict()
    }

    async fn take(&self, found: Found, running: &mut Running) {
        match found {
            Found::File { path, size, .. } => {
                let relative = path.strip_prefix(&self.from).unwrap_or(&path);
                if self.filter.as_ref().is_some_and(|keep| !keep(relative, size)) {
                    let item = self.item(&path);
                    running.skip(item, SkipReason::Filtered);
                    return;
                }
                match self.key(relative) {
                    Ok(key) => self.add(key, path, running).await,
                    Err(error) => running.fail(TransferError::new(&self.item(&path), error)),
                }
            }
            Found::Skipped { path, reason } => running.skip(self.item(&path), reason),
            Found::Failed { path, error } => running.fail(TransferError::new(&self.item(&path), error)),
            // Who reads the walk ends with it.
            Found::End => {}
        }
    }

    async fn add(&self, key: ObjectKey, path: PathBuf, running: &mut Running) {
        let mut options = self.options.clone();
        if let Some(of) = &self.attributes {
            options.attributes = of(&path);
        }
        let reporter = running.reporter.clone();
        let upload = Upload::new(&self.engine, self.store.clone(), key, Source::file(path))
            .options(options)
            .keep_modified(self.keep_modified)
            .cancel(self.cancel.clone());
        running.add(async move { Ok(upload.run(&reporter).await?.bytes) }).await;
    }

    fn key(&self, relative: &Path) -> CoreResult<ObjectKey> {
        ObjectKey::new(key_of(&self.prefix, relative)?)
    }

    /// An item that has no key, or needs none.
    fn item(&self, path: &Path) -> Item {
        let relative = path.strip_prefix(&self.from).unwrap_or(path);
        let key = format!("{}{}", self.prefix, relative.display());
        Item::new(Direction::Upload, self.store.url().with_key(key).to_string(), Some(path.to_owned()))
    }
}

impl<S: BlobStore + Clone> IntoFuture for UploadDir<S> {
    type Output = Result<BatchReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.engine.config.progress_interval);
        Box::pin(self.run(reporter))
    }
}

impl<S: BlobStore> fmt::Debug for UploadDir<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadDir")
            .field("from", &self.from)
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

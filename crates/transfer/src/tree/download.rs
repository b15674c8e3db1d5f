//! Download of the objects below a prefix.

use std::{
    fmt, fs,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use longshore_blob_api::{BlobStore, Entry, ListOptions, PageToken};
use longshore_core_types::{Error, ErrorKind, ObjectMeta, Result as CoreResult};

use super::{
    batch::{Batch, Pending, Wanted},
    clash::Taken,
    names::{Directories, Place, as_prefix, place},
    running::Running,
};
use crate::{
    cancel::CancelToken,
    config::Engine,
    context::Context,
    download::{Download, item},
    error::{Result, TransferError, local},
    handle::TransferHandle,
    progress::{Direction, ProgressSink, Reporter, SkipReason},
    report::{BatchReport, FailurePolicy},
    sink::Sink,
};

type Filter = dyn Fn(&str, &ObjectMeta) -> bool + Send + Sync;

/// A download of a tree that has not started. Await it, or [`start`](Self::start) it in the background.
///
/// Objects are listed page by page while others are on their way. Every object that is listed ends in the
/// [`BatchReport`]: arrived, skipped or failed. A name that would lead out of the destination, or that is no path
/// (`..`, an empty part, a leading `/`, a NUL byte), fails; one that ends in `/` and holds nothing becomes a
/// directory.
///
/// Fails as a whole only if the destination cannot be created.
#[must_use = "a download does nothing until it is awaited or started"]
pub struct DownloadDir<S> {
    context: Context,
    store: S,
    prefix: String,
    to: PathBuf,
    policy: FailurePolicy,
    keep_modified: bool,
    filter: Option<Arc<Filter>>,
    sink: Option<Arc<dyn ProgressSink>>,
}

impl<S: BlobStore + Clone> DownloadDir<S> {
    pub(crate) fn new(engine: &Arc<Engine>, store: S, prefix: String, to: &Path) -> Self {
        Self {
            context: Context::new(engine, &store, Direction::Download),
            store,
            prefix: as_prefix(prefix),
            to: to.to_owned(),
            policy: FailurePolicy::default(),
            keep_modified: false,
            filter: None,
            sink: None,
        }
    }

    /// What to do when an object fails. Default [`FailurePolicy::Continue`].
    pub fn on_item_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Gives files the time at which their object changed last, if the store says it. Default off.
    pub fn keep_modified(mut self, on: bool) -> Self {
        self.keep_modified = on;
        self
    }

    /// Which objects to download, by name below the prefix and what the listing says. The others count as skipped.
    pub fn filter(mut self, keep: impl Fn(&str, &ObjectMeta) -> bool + Send + Sync + 'static) -> Self {
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
        self.context.cancel = token;
        self
    }

    /// Runs in the background of the current runtime; see [`TransferHandle`].
    pub fn start(mut self) -> TransferHandle<BatchReport> {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        let (progress, cancel) = (reporter.watch(), self.context.cancel.clone());
        TransferHandle::start(self.run(reporter), progress, cancel)
    }

    async fn run(self, reporter: Reporter) -> Result<BatchReport> {
        if let Err(error) = fs::create_dir_all(&self.to) {
            reporter.finished();
            return Err(local("create the directory", &self.to, error).into());
        }
        let config = self.context.config();
        let mut running =
            Running::new(config.concurrency, self.policy, self.context.cancel.clone(), reporter);
        let fold = config.fold_below(&self.to);
        let mut named = (!fold.is_none()).then(|| Taken::new(fold));
        let mut directories = Directories::default();
        let mut pending = Pending::default();
        let options = ListOptions::prefix(&*self.prefix);
        let mut token = None;
        let mut broken = None;
        let mut incomplete = false;
        loop {
            let page = match self.page(&options, token.take()).await {
                Ok(page) => page,
                Err(error) if error.kind() == ErrorKind::Cancelled => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            incomplete |= page.incomplete;
            for entry in page.entries {
                if running.is_stopped() {
                    break;
                }
                let Entry::Object(meta) = entry else { continue };
                match self.name(&meta, named.as_mut()) {
                    Ok(Some(name)) => {
                        let path = self.prepare(&name, &meta, &mut directories);
                        self.take(meta, path, &mut directories, &mut pending, &mut running).await;
                    }
                    Ok(None) => running.skip(item(&self.store, &meta.key, None), SkipReason::Filtered),
                    Err(error) => {
                        running.fail(TransferError::new(&item(&self.store, &meta.key, None), error));
                    }
                }
            }
            match page.next {
                Some(next) if !running.is_stopped() => token = Some(next),
                _ => break,
            }
        }
        let (rest, batch) = pending.rest();
        if batch {
            self.add_batch(rest, &mut running).await;
        } else {
            for wanted in rest {
                self.add(wanted, &mut directories, &mut running).await;
            }
        }
        if let Some(error) = broken {
            running.stop(error.into());
        }
        if incomplete {
            let text =
                format!("the listing of {} may be incomplete", self.store.url().with_key(&*self.prefix));
            running.stop(Error::new(ErrorKind::Unavailable, text).into());
        }
        if !running.is_stopped() {
            running.reporter.totals_known();
        }
        Ok(running.finish().await)
    }

    /// One page of the listing, which must go on somewhere else than where it is.
    async fn page(
        &self,
        options: &ListOptions,
        token: Option<PageToken>,
    ) -> CoreResult<longshore_blob_api::ListPage> {
        let page = self.context.ask(self.store.list_page(options, token.clone())).await?;
        if page.next.is_some() && page.next == token {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the listing of {} repeats itself", self.store.url().with_key(&*self.prefix)),
            ));
        }
        Ok(page)
    }

    /// The name of an object below the destination, which nothing else has got; `None` if it is filtered out.
    fn name(&self, meta: &ObjectMeta, taken: Option<&mut Taken>) -> CoreResult<Option<String>> {
        let Some(name) = meta.key.as_str().strip_prefix(&*self.prefix) else {
            let text = format!("the listing holds a name that does not start with {:?}", self.prefix);
            return Err(Error::new(ErrorKind::Protocol, text));
        };
        if self.filter.as_ref().is_some_and(|keep| !keep(name, meta)) {
            return Ok(None);
        }
        // Placeholders of one directory may meet.
        if let Some(taken) = taken.filter(|_| !name.ends_with('/')) {
            taken.take(name)?;
        }
        Ok(Some(name.to_owned()))
    }

    async fn take(
        &self,
        meta: ObjectMeta,
        path: CoreResult<Option<PathBuf>>,
        directories: &mut Directories,
        pending: &mut Pending,
        running: &mut Running,
    ) {
        match path {
            Ok(Some(path)) if self.batches() && Pending::takes(&meta) => {
                if let Some(batch) = pending.push(Wanted { meta, path }) {
                    self.add_batch(batch, running).await;
                }
            }
            Ok(Some(path)) => self.add(Wanted { meta, path }, directories, running).await,
            Ok(None) => running.succeed(item(&self.store, &meta.key, None)),
            Err(error) => running.fail(TransferError::new(&item(&self.store, &meta.key, None), error)),
        }
    }

    /// Whether small objects share requests. A batch ends as a whole, so it cannot stop at the first failure.
    fn batches(&self) -> bool {
        self.store.capability().get_many && self.policy == FailurePolicy::Continue
    }

    async fn add(&self, wanted: Wanted, directories: &mut Directories, running: &mut Running) {
        let reporter = running.reporter.clone();
        let dir = directories.for_small(&wanted.path, wanted.meta.size);
        let Wanted { meta, path } = wanted;
        let (engine, store, cancel) = (&self.context.engine, self.store.clone(), self.context.cancel.clone());
        let download = Download::new(engine, store, meta.key, Sink::file(path)).size_hint(meta.size);
        let download = download.keep_modified(self.keep_modified).within(dir).cancel(cancel);
        // Boxed, since it is large and moves several times before it runs.
        running.add(Box::pin(async move { Ok(download.run(&reporter).await?.bytes) })).await;
    }

    async fn add_batch(&self, objects: Vec<Wanted>, running: &mut Running) {
        let batch = Batch {
            context: self.context.clone(),
            store: self.store.clone(),
            keep_modified: self.keep_modified,
            reporter: running.reporter.clone(),
        };
        running.add_many(batch.fetch(objects)).await;
    }

    /// Where the object goes, with the directories above it; `None` if it was a directory itself.
    fn prepare(
        &self,
        name: &str,
        meta: &ObjectMeta,
        directories: &mut Directories,
    ) -> CoreResult<Option<PathBuf>> {
        match place(name)? {
            Place::Directory(_) if meta.size > 0 => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{name:?} ends in `/`, so it can only be a directory, but it holds {} bytes",
                    meta.size
                ),
            )),
            Place::Directory(path) => directories.create(&self.to.join(path)).map(|()| None),
            Place::File(path) => {
                let path = self.to.join(path);
                if let Some(parent) = path.parent() {
                    directories.create(parent)?;
                }
                Ok(Some(path))
            }
        }
    }
}

impl<S: BlobStore + Clone> IntoFuture for DownloadDir<S> {
    type Output = Result<BatchReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        Box::pin(self.run(reporter))
    }
}

impl<S: BlobStore> fmt::Debug for DownloadDir<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadDir")
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

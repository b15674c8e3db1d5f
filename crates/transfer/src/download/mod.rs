//! Downloads of one object.

mod at_once;
mod file;
mod follow;
mod ranged;
mod small;
mod source;
mod window;

use std::{
    fmt, fs,
    future::{Future, IntoFuture},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
};

use longshore_blob_api::{BlobStore, GetResult};
use longshore_core_types::{
    ByteRange, ChecksumKind, Error, ErrorKind, ObjectKey, ObjectMeta, Result as CoreResult,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

pub use self::window::Body;
use self::{
    file::{FileOptions, to_file},
    small::to_small_file,
    source::Subject,
    window::Window,
};
pub(crate) use self::{ranged::MEMORY, source::Cut};
use crate::{
    cancel::CancelToken,
    config::Engine,
    context::{Context, SMALL},
    dir::Dir,
    error::{Result, TransferError, attach, local},
    handle::TransferHandle,
    part_file::{Target, check_name},
    progress::{Direction, Item, ItemReporter, ProgressSink, Reporter},
    sink::{Kind, Sink},
};

/// A download that has not started. Await it, or [`start`](Self::start) it in the background.
///
/// The first request asks for the beginning of the object and learns its size from the answer; what is left is
/// fetched in parts, all of the same version. A file grows beside its target as `.NAME.longshore-part` and gets
/// its name when it is whole and its checksum right; on failure it is removed, unless another download could go on
/// with it ([`TransferBuilder::checkpoints`](crate::TransferBuilder::checkpoints)).
///
/// Retries as the store does, and bodies that break off by [`RetryPolicy`](crate::RetryPolicy), from the last byte
/// that arrived. An object that is replaced meanwhile is fetched anew.
#[must_use = "a download does nothing until it is awaited or started"]
pub struct Download<S> {
    context: Context,
    store: S,
    key: ObjectKey,
    to: Sink,
    range: Option<ByteRange>,
    create_parents: bool,
    /// Where the file is, if many are written there.
    dir: Option<Arc<Dir>>,
    file: FileOptions,
    size_hint: Option<u64>,
    given: Option<GetResult>,
    sink: Option<Arc<dyn ProgressSink>>,
}

/// Handle of a download in the background.
pub type DownloadHandle = TransferHandle<DownloadOutcome>;

/// What a download did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOutcome {
    /// The object as the store described it.
    pub meta: ObjectMeta,
    /// Bytes that were downloaded.
    pub bytes: u64,
    /// Number of parts.
    pub parts: u64,
    /// Of the bytes, those that an earlier download had fetched.
    pub resumed: u64,
    /// The checksum that was compared; `None` if the store stated none or verification is off.
    pub verified: Option<ChecksumKind>,
}

impl<S: BlobStore + Clone> Download<S> {
    pub(crate) fn new(engine: &Arc<Engine>, store: S, key: ObjectKey, to: Sink) -> Self {
        Self {
            context: Context::new(engine, &store, Direction::Download),
            store,
            key,
            to,
            range: None,
            create_parents: false,
            dir: None,
            file: FileOptions::default(),
            size_hint: None,
            given: None,
            sink: None,
        }
    }

    /// Only these bytes. Their checksum cannot be compared.
    pub fn range(mut self, range: impl Into<ByteRange>) -> Self {
        self.range = Some(range.into());
        self
    }

    /// Creates directories that are missing above the target file. Default off: they are an error.
    pub fn create_parents(mut self, on: bool) -> Self {
        self.create_parents = on;
        self
    }

    /// Gives the file the time at which the object changed last: what its metadata says ([`MODIFIED_KEY`]), else when
    /// it was stored, if the store says that. Default off.
    ///
    /// [`MODIFIED_KEY`]: crate::MODIFIED_KEY
    pub fn keep_modified(mut self, on: bool) -> Self {
        self.file.keep_modified = on;
        self
    }

    /// The file is forced to the disk before it gets its name, also where the settings leave that out.
    pub(crate) fn durable(mut self, on: bool) -> Self {
        self.file.durable = on;
        self
    }

    /// The time is the one that listings show, so that later comparisons with them find it.
    pub(crate) fn time_as_listed(mut self, on: bool) -> Self {
        self.file.as_listed = on;
        self
    }

    /// Takes a file that is there, and is shorter than the object, for its beginning, and fetches the rest alone. It is
    /// copied first, so it stays what it is until the whole has its name. If the store states a checksum which the whole
    /// does not have, the object is fetched from its first byte. Default off: what is there is replaced.
    ///
    /// Where no checksum is stated nobody looks whether the file is the beginning of this object: the caller has to know.
    pub fn continue_file(mut self, on: bool) -> Self {
        self.file.go_on = on;
        self
    }

    /// The object has so many bytes, as a listing says: a small one is then fetched without a range. A wrong
    /// size costs time, nothing else.
    pub fn size_hint(mut self, bytes: u64) -> Self {
        self.size_hint = Some(bytes);
        self
    }

    /// The directory of the file, where many are written.
    pub(crate) fn within(mut self, dir: Option<Arc<Dir>>) -> Self {
        self.dir = dir;
        self
    }

    /// Whether it is worth its memory to have the whole object before the file is begun.
    fn is_small(&self) -> bool {
        let config = self.context.config();
        let most = SMALL.min(config.serial_download);
        self.range.is_none()
            && !config.durable
            && !self.file.durable
            && !self.file.go_on
            && self.size_hint.is_some_and(|size| size <= most)
    }

    /// The first answer is here already, as part of a request that somebody else was admitted for.
    pub(crate) fn given(mut self, answer: GetResult) -> Self {
        self.given = Some(answer);
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
    pub fn start(mut self) -> DownloadHandle {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        let (progress, cancel) = (reporter.watch(), self.context.cancel.clone());
        TransferHandle::start(self.run_alone(reporter), progress, cancel)
    }

    async fn run_alone(self, reporter: Reporter) -> Result<DownloadOutcome> {
        let result = self.run(&reporter).await;
        reporter.finished();
        result
    }

    /// Downloads as one item of `reporter`, which says how it ended.
    pub(crate) async fn run(self, reporter: &Reporter) -> Result<DownloadOutcome> {
        let path = match &self.to.0 {
            Kind::File(path) => Some(path.clone()),
            Kind::Writer(_) => None,
        };
        let item = item(&self.store, &self.key, path.as_deref());
        let reporter = reporter.item(item, self.size_hint.filter(|_| self.range.is_none()));
        let dir = if self.is_small() { self.dir } else { None };
        let subject = Subject {
            context: self.context,
            store: self.store,
            key: self.key,
            only: self.range,
            size_hint: self.size_hint,
            admitted: self.given.is_some(),
            given: Mutex::new(self.given),
        };
        let (to, create, options) = (self.to, self.create_parents, self.file);
        let work = Box::pin(async {
            let subject = Arc::new(subject);
            match to.0 {
                Kind::Writer(writer) => Box::pin(to_writer(&subject, writer, &reporter)).await,
                Kind::File(path) => {
                    attach(check_name(&path), reporter.item())?;
                    if let Some(dir) = dir {
                        let done = to_small_file(&subject, &dir, &path, options, &reporter).await?;
                        if let Some(outcome) = done {
                            return Ok(outcome);
                        }
                        reporter.moved_back(reporter.done());
                    }
                    attach(prepare(&path, create), reporter.item())?;
                    if let Some(target) = attach(Target::inspect(&path), reporter.item())? {
                        return Box::pin(to_file(&subject, target, options, &reporter)).await;
                    }
                    let device = tokio::fs::OpenOptions::new().write(true).open(&path).await;
                    let device = device.map_err(|error| local("write", &path, error));
                    let device = attach(device, reporter.item())?;
                    Box::pin(to_writer(&subject, device, &reporter)).await
                }
            }
        });
        let result = work.await.map_err(|error: TransferError| error.on(reporter.item()));
        reporter.ended(&result);
        result
    }

    /// The bytes in order, as they are wanted; the sink is not used.
    ///
    /// Resolves when the first answer is there. What follows is fetched ahead of the reader, in parts and up to
    /// half of the memory budget. A checksum of the whole is compared before the last bytes are handed out.
    pub async fn body(self) -> Result<Body<S>> {
        let reporter = Reporter::new(self.sink, self.context.config().progress_interval);
        let item = item(&self.store, &self.key, None);
        let reporter = reporter.item(item.clone(), self.size_hint);
        let subject = Arc::new(Subject {
            context: self.context,
            store: self.store,
            key: self.key,
            only: self.range,
            size_hint: self.size_hint,
            admitted: false,
            given: Mutex::default(),
        });
        let window = Window::open(&subject, &reporter).await;
        let window = window.map_err(|failure| failure.into_error().on(&item))?;
        Ok(Body::new(window, reporter))
    }
}

impl<S: BlobStore + Clone> IntoFuture for Download<S> {
    type Output = Result<DownloadOutcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        Box::pin(self.run_alone(reporter))
    }
}

impl<S: BlobStore> fmt::Debug for Download<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("store", &self.store)
            .field("key", &self.key)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

pub(crate) fn item<S: BlobStore>(store: &S, key: &ObjectKey, path: Option<&Path>) -> Item {
    let url = store.url().with_key(key.as_str()).to_string();
    Item::new(Direction::Download, url, path.map(Path::to_owned))
}

/// Makes the directory above the target, if that was asked for.
fn prepare(target: &Path, create: bool) -> CoreResult<()> {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    match parent {
        Some(parent) if create => {
            fs::create_dir_all(parent).map_err(|error| local("create the directory", parent, error))
        }
        _ => Ok(()),
    }
}

async fn to_writer<S: BlobStore + Clone>(
    subject: &Arc<Subject<S>>,
    mut writer: impl AsyncWrite + Send + Unpin,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome> {
    let failed = |error: std::io::Error| {
        let text = match reporter.item().path() {
            Some(path) => local("write", path, error),
            None => Error::new(ErrorKind::LocalIo, "cannot write the bytes").with_source(error),
        };
        TransferError::from(text).after(reporter.done())
    };
    let opened = Window::open(subject, reporter).await;
    let mut window = opened.map_err(source::Failure::into_error)?;
    while let Some(bytes) =
        window.next(reporter).await.map_err(|failure| failure.into_error().after(reporter.done()))?
    {
        writer.write_all(&bytes).await.map_err(failed)?;
    }
    writer.flush().await.map_err(failed)?;
    Ok(window.outcome())
}

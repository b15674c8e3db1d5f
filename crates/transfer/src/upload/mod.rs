//! Uploads of one object.

mod answers;
mod multipart;
mod parts;
mod resume;
mod single;
mod stream;

pub(crate) use parts::crc32c;

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use longshore_blob_api::{
    BlobStore, Capability, HeadOptions, MultipartLimits, PartOrder, PutOptions, PutResult,
};
use longshore_core_types::{
    Attributes, Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, Result as CoreResult,
};

use crate::{
    body::Origin,
    cancel::CancelToken,
    config::{Engine, MultipartFailure, Verify},
    context::Context,
    copy::{MODIFIED_KEY, show_time},
    error::{Result, TransferError, attach, local},
    handle::TransferHandle,
    progress::{Direction, Item, ItemReporter, ProgressSink, Reporter},
    source::{Kind, OneShot, Source},
    source_file::{Opened, SourceFile},
};

/// An upload that has not started. Await it, or [`start`](Self::start) it in the background.
///
/// Small objects and streams are one request, larger ones go in parts
/// ([`TransferBuilder::multipart_threshold`](crate::TransferBuilder::multipart_threshold)). A file must stay as it
/// is until its upload has ended: one that changes is an error, never a mixture.
///
/// Retries as the store does, and parts beyond that by [`RetryPolicy`](crate::RetryPolicy).
#[must_use = "an upload does nothing until it is awaited or started"]
pub struct Upload<S> {
    context: Context,
    store: S,
    key: ObjectKey,
    source: Source,
    options: PutOptions,
    on_failure: MultipartFailure,
    keep_modified: bool,
    sink: Option<Arc<dyn ProgressSink>>,
}

/// Handle of an upload in the background.
pub type UploadHandle = TransferHandle<UploadOutcome>;

/// What an upload did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadOutcome {
    /// What the store answered.
    pub result: PutResult,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// Number of parts; 0 if it was a single request.
    pub parts: u64,
    /// Checksum of what was sent, as computed here; `None` if checksums are off or the store knows none.
    pub checksum: Option<Checksum>,
    /// The store stated the same checksum.
    pub verified: bool,
    /// Of the bytes, those that an earlier upload had sent.
    pub resumed: u64,
}

impl<S: BlobStore + Clone> Upload<S> {
    pub(crate) fn new(engine: &Arc<Engine>, store: S, key: ObjectKey, source: Source) -> Self {
        Self {
            context: Context::new(engine, &store, Direction::Upload),
            store,
            key,
            source,
            options: PutOptions::default(),
            on_failure: engine.config.on_failure,
            keep_modified: false,
            sink: None,
        }
    }

    /// Sets the content type. A store that cannot hold it answers `Unsupported`.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.options.attributes.content_type = Some(value.into());
        self
    }

    /// Adds a pair of the user's own metadata. A store that cannot hold it answers `Unsupported`.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.attributes.metadata.insert(key.into(), value.into());
        self
    }

    /// Replaces everything that is stored beside the bytes.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.options.attributes = attributes;
        self
    }

    /// Replaces all options of the request, conditions such as `create_only` included.
    pub fn options(mut self, options: PutOptions) -> Self {
        self.options = options;
        self
    }

    /// Stores when a file changed last beside it ([`MODIFIED_KEY`]), where the store keeps metadata and nothing else is said
    /// under that key. Default off.
    ///
    /// [`MODIFIED_KEY`]: crate::MODIFIED_KEY
    pub fn keep_modified(mut self, on: bool) -> Self {
        self.keep_modified = on;
        self
    }

    /// What becomes of stored parts on failure, instead of what the `Transfer` says.
    pub fn on_failure(mut self, policy: MultipartFailure) -> Self {
        self.on_failure = policy;
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
    pub fn start(mut self) -> UploadHandle {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        let (progress, cancel) = (reporter.watch(), self.context.cancel.clone());
        TransferHandle::start(self.run_alone(reporter), progress, cancel)
    }

    async fn run_alone(self, reporter: Reporter) -> Result<UploadOutcome> {
        let result = self.run(&reporter).await;
        reporter.finished();
        result
    }

    /// Uploads as one item of `reporter`, which says how it ended.
    pub(crate) async fn run(self, reporter: &Reporter) -> Result<UploadOutcome> {
        let path = match &self.source.0 {
            Kind::File(path) => Some(path.clone()),
            Kind::Bytes(_) | Kind::Stream(_) | Kind::Sized(..) => None,
        };
        let url = self.store.url().with_key(self.key.as_str()).to_string();
        let item = Item::new(Direction::Upload, url, path);
        let size = match &self.source.0 {
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::Sized(_, size) => Some(*size),
            Kind::File(_) | Kind::Stream(_) => None,
        };
        let reporter = reporter.item(item, size);
        let result = self.run_as(&reporter).await;
        reporter.ended(&result);
        result
    }

    /// Uploads as part of an item that somebody else accounts for.
    pub(crate) async fn run_as(self, reporter: &ItemReporter) -> Result<UploadOutcome> {
        let job = Job {
            context: self.context,
            store: self.store,
            key: self.key,
            options: self.options,
            on_failure: self.on_failure,
            reporter: reporter.clone(),
        };
        let result = Box::pin(job.upload(self.source, self.keep_modified)).await;
        result.map_err(|error| error.on(reporter.item()))
    }
}

impl<S: BlobStore + Clone> IntoFuture for Upload<S> {
    type Output = Result<UploadOutcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.context.config().progress_interval);
        Box::pin(self.run_alone(reporter))
    }
}

impl<S: BlobStore> fmt::Debug for Upload<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("store", &self.store)
            .field("key", &self.key)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// One upload, as the tasks that do it see it.
struct Job<S> {
    context: Context,
    store: S,
    key: ObjectKey,
    options: PutOptions,
    on_failure: MultipartFailure,
    reporter: ItemReporter,
}

impl<S: BlobStore + Clone> Job<S> {
    async fn upload(mut self, source: Source, keep_modified: bool) -> Result<UploadOutcome> {
        match source.0 {
            Kind::Bytes(bytes) => Arc::new(self).sized(bytes.into()).await,
            Kind::File(path) => {
                match attach(SourceFile::open(&path, self.context.config().slow_io), self.reporter.item())? {
                    Opened::File(file) => {
                        if let Some(time) = file.modified().and_then(show_time)
                            && keep_modified
                            && self.store.capability().user_metadata
                        {
                            let metadata = &mut self.options.attributes.metadata;
                            metadata.entry(MODIFIED_KEY.to_owned()).or_insert(time);
                        }
                        Arc::new(self).sized(Origin::File(file)).await
                    }
                    Opened::Stream => {
                        let opened = tokio::fs::File::open(&path).await;
                        let opened = opened.map_err(|error| local("read", &path, error));
                        let file = attach(opened, self.reporter.item())?;
                        Arc::new(self).stream(OneShot::Reader(Box::new(file)), None).await
                    }
                }
            }
            Kind::Stream(stream) => Arc::new(self).stream(stream, None).await,
            Kind::Sized(stream, size) => Arc::new(self).stream(stream, Some(size)).await,
        }
    }

    async fn sized(self: Arc<Self>, origin: Origin) -> Result<UploadOutcome> {
        let size = origin.size();
        attach(self.check_size(size), self.reporter.item())?;
        match self.parts_above(size) {
            Some(limits) => self.multipart(origin, limits).await,
            None => attach(self.single(origin).await, self.reporter.item()),
        }
    }

    /// Refuses what no request could store, before one is sent.
    fn check_size(&self, size: u64) -> CoreResult<()> {
        let capability = self.store.capability();
        let most_put = if capability.multipart.is_some() { None } else { capability.max_put };
        let most = capability.max_object.into_iter().chain(most_put).min();
        match most {
            Some(most) if size > most => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{size} bytes are more than the {most} that {} takes", self.store.url()),
            )),
            _ => Ok(()),
        }
    }

    /// The rules of the store's uploads in parts, if this size goes in parts.
    fn parts_above(&self, size: u64) -> Option<MultipartLimits> {
        let capability = self.store.capability();
        let limits = capability.multipart?;
        let mut threshold = self.context.config().multipart_threshold;
        if limits.part_order == PartOrder::InOrder {
            // Such an upload can continue where it broke off, which a single request cannot.
            threshold = threshold.min(limits.max_part);
        }
        threshold = threshold.min(capability.max_put.unwrap_or(u64::MAX));
        (size > threshold).then_some(limits)
    }

    /// What to compute over a body of one request, so that the answer can be compared.
    fn checksum_kind(&self) -> Option<ChecksumKind> {
        comparable(self.store.capability(), self.context.config().verify)
    }

    /// Compares what was sent with what the store says it has; `Ok(false)` if it says nothing.
    async fn verify(&self, result: &PutResult, ours: Option<&Checksum>, ask: bool) -> CoreResult<bool> {
        let verify = self.context.config().verify;
        let Some(ours) = ours.filter(|_| verify != Verify::Never) else {
            return match verify {
                Verify::Always => Err(self.unverifiable()),
                Verify::Auto | Verify::Never => Ok(false),
            };
        };
        let stated = |sums: &[Checksum]| sums.iter().find(|sum| sum.kind() == ours.kind()).cloned();
        let mut theirs = stated(&result.checksums);
        if theirs.is_none() && (ask || verify == Verify::Always) {
            // Somebody else's object may have taken the place of this one already; it proves nothing.
            let same = |ours: &Option<String>, theirs: &Option<String>| ours.is_none() || ours == theirs;
            match self.store.head(&self.key, HeadOptions::default()).await {
                Ok(head) if same(&result.etag, &head.etag) && same(&result.version, &head.version) => {
                    theirs = stated(&head.checksums);
                }
                Ok(_) => {}
                // Who may only write is told nothing.
                Err(error) if error.kind() == ErrorKind::PermissionDenied && verify != Verify::Always => {}
                Err(error) => return Err(error),
            }
        }
        match theirs {
            Some(theirs) if theirs == *ours => Ok(true),
            Some(theirs) => Err(Error::new(
                ErrorKind::ChecksumMismatch,
                format!("the store has {theirs}, but {ours} was sent: the object there is damaged"),
            )),
            None if verify == Verify::Always => Err(self.unverifiable()),
            None => Ok(false),
        }
    }

    fn unverifiable(&self) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!("{} states no checksum that the upload could be compared with", self.store.url()),
        )
    }

    /// A change of the source explains whatever else was reported.
    fn blame_source(origin: &Origin, error: Error) -> Error {
        match origin {
            Origin::File(file) if file.has_changed() => file.changed_error(),
            _ => error,
        }
    }

    fn fail(&self, error: Error) -> TransferError {
        TransferError::new(self.reporter.item(), error).after(self.reporter.done())
    }
}

/// The checksum of the store's that is worth its time: cheap ones always, others only on demand.
fn comparable(capability: &Capability, verify: Verify) -> Option<ChecksumKind> {
    let cheap = |kind: &ChecksumKind| matches!(kind, ChecksumKind::Crc32c | ChecksumKind::XxHash64);
    let known = &capability.checksums;
    match verify {
        Verify::Never => None,
        Verify::Auto => known.iter().copied().find(cheap),
        Verify::Always => known.iter().copied().find(cheap).or(known.first().copied()),
    }
}

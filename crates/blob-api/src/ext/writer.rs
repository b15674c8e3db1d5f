//! An object as a writer.

use std::{
    fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use futures_util::{
    StreamExt,
    future::{self, BoxFuture},
    stream::FuturesUnordered,
};
use longshore_core_types::{Error, ErrorKind, ObjectKey, Payload, Result};
use tokio::io::AsyncWrite;

use super::{io_error, resource};
use crate::{
    BlobStore, MultipartId, MultipartLimits, MultipartRef, PartNumber, PartOrder, PartReceipt, PutOptions,
    PutResult,
};

/// Settings of a [`Writer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterOptions {
    /// Options of the object, as for [`put`](BlobStore::put).
    pub put: PutOptions,
    /// Largest object that is sent with a single `put`, in bytes; 8 MiB by default.
    pub threshold: u64,
    /// Size of a part, in bytes; 8 MiB by default, raised or lowered to what the store's rules allow.
    pub part_size: u64,
    /// Most parts under way at once; 4 by default. A store that takes parts in order gets one at a time.
    pub concurrency: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { put: PutOptions::default(), threshold: 8 << 20, part_size: 8 << 20, concurrency: 4 }
    }
}

impl WriterOptions {
    /// Sets the options of the object.
    #[must_use]
    pub fn with_put(mut self, put: PutOptions) -> Self {
        self.put = put;
        self
    }

    /// Sets the largest object that is sent with a single `put`, in bytes.
    #[must_use]
    pub fn with_threshold(mut self, bytes: u64) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets the size of a part, in bytes.
    #[must_use]
    pub fn with_part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Bounds the parts that are under way at once.
    #[must_use]
    pub fn with_concurrency(mut self, parts: usize) -> Self {
        self.concurrency = parts;
        self
    }
}

/// An object as [`AsyncWrite`], made by [`BlobStoreExt::writer`](crate::BlobStoreExt::writer).
///
/// - Nothing is visible until [`finish`](Self::finish) or `shutdown` succeeds; then the object is, whole.
/// - Up to the threshold, bytes wait in memory and go out with a single `put`. Above it they go out in parts, and
///   the memory is bounded by `part_size * (concurrency + 1)`, or the threshold if that is more.
/// - An object can have the store's most parts times `part_size` bytes (78 GiB with the defaults and the rules of
///   S3); set a larger `part_size` for more. A store without multipart holds objects up to the threshold.
/// - After an error the upload is aborted and every further call fails. An abort that fails too is
///   [`related`](Error::related) to the error. Nothing is visible then, unless it was the answer to the very last
///   request that got lost.
/// - Dropping it sends nothing and aborts nothing: parts that were sent stay at the store, invisible, until the
///   upload is aborted. Call [`abort`](Self::abort) to give up. Parts make progress while it is polled.
/// - Whether a call is retried is the store's affair; the writer itself sends every part once.
#[must_use = "nothing is stored until the writer is finished"]
pub struct Writer<S> {
    store: S,
    key: ObjectKey,
    opts: WriterOptions,
    limits: Option<MultipartLimits>,
    buffer: BytesMut,
    state: State,
}

enum State {
    /// Everything is in the buffer.
    Small,
    Creating(BoxFuture<'static, Result<MultipartId>>),
    Parts(Parts),
    Finishing(Option<MultipartRef>, BoxFuture<'static, Result<PutResult>>),
    /// Cleaning up behind an error, which is returned at the end.
    Failing(BoxFuture<'static, Error>),
    Failed,
    Done(PutResult),
}

struct Parts {
    upload: MultipartRef,
    running: FuturesUnordered<BoxFuture<'static, Result<PartReceipt>>>,
    begun: u32,
    receipts: Vec<PartReceipt>,
}

impl<S: BlobStore + Clone> Writer<S> {
    pub(super) fn new(store: S, key: &ObjectKey, mut opts: WriterOptions) -> Result<Self> {
        let limits = store.capability().multipart;
        let checked = store.capability().check_put(&Payload::empty(), &opts.put);
        checked.map_err(|error| error.with_resource(resource(&store, key)))?;
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if opts.concurrency == 0 {
            return invalid("a writer needs at least one part at a time".into());
        }
        if let Some(limits) = &limits {
            opts.part_size = opts.part_size.max(limits.min_part).min(limits.max_part);
            if opts.part_size == 0 {
                return invalid("a writer needs parts of at least one byte".into());
            }
            if limits.part_order == PartOrder::InOrder {
                opts.concurrency = 1;
            }
        }
        if let Some(most) = store.capability().max_put {
            opts.threshold = opts.threshold.min(most);
        }
        Ok(Self { store, key: key.clone(), opts, limits, buffer: BytesMut::new(), state: State::Small })
    }

    /// Sends what is left and makes the object visible. What the store says about it.
    pub async fn finish(mut self) -> Result<PutResult> {
        future::poll_fn(|cx| self.poll_finish(cx)).await
    }

    /// Gives up: nothing becomes visible, and parts that were sent are freed.
    ///
    /// `Ok` if there is nothing to free, also after an error, or when the object is visible already.
    pub async fn abort(mut self) -> Result<()> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Small | State::Failed | State::Done(_) => Ok(()),
            // Whether the upload was begun is only known when the answer is there.
            State::Creating(id) => {
                let upload = MultipartRef { key: self.key.clone(), id: id.await? };
                self.store.abort_multipart(&upload).await
            }
            State::Parts(parts) => {
                drop(parts.running);
                self.store.abort_multipart(&parts.upload).await
            }
            State::Finishing(Some(upload), finish) => {
                drop(finish);
                self.store.abort_multipart(&upload).await
            }
            State::Finishing(None, put) => {
                drop(put);
                Ok(())
            }
            State::Failing(cleanup) => {
                cleanup.await;
                Ok(())
            }
        }
    }

    /// What the store said about the object, once it is finished.
    pub fn result(&self) -> Option<&PutResult> {
        match &self.state {
            State::Done(result) => Some(result),
            _ => None,
        }
    }

    /// Most bytes that wait in the buffer.
    fn capacity(&self) -> u64 {
        match &self.state {
            State::Small => self.opts.threshold,
            _ => self.opts.part_size,
        }
    }

    fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Makes room in a full buffer. `Pending` while all parts that may be under way are.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            self.poll_running(cx)?;
            if self.buffered() < self.capacity() {
                return Poll::Ready(Ok(()));
            }
            match &self.state {
                State::Small => self.begin()?,
                State::Creating(_) => ready!(self.poll_created(cx))?,
                State::Parts(parts) if parts.running.len() < self.opts.concurrency => {
                    self.send_part()?;
                }
                State::Parts(_) => return Poll::Pending,
                _ => return Poll::Ready(Err(self.misuse())),
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        if self.limits.is_none() {
            let message = format!(
                "this store does not support uploading in parts, and the object is over the {} bytes that are \
                 sent at once",
                self.opts.threshold
            );
            return Err(self.error(ErrorKind::Unsupported, message));
        }
        let (store, key, put) = (self.store.clone(), self.key.clone(), self.opts.put.clone());
        self.state = State::Creating(Box::pin(async move { store.create_multipart(&key, put).await }));
        Ok(())
    }

    fn poll_created(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let State::Creating(id) = &mut self.state {
            let id = ready!(id.as_mut().poll(cx))?;
            self.state = State::Parts(Parts {
                upload: MultipartRef { key: self.key.clone(), id },
                running: FuturesUnordered::new(),
                begun: 0,
                receipts: Vec::new(),
            });
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the parts under way go on, and keeps the receipts of those that are stored.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let State::Parts(parts) = &mut self.state else { return Ok(()) };
        while let Poll::Ready(Some(receipt)) = parts.running.poll_next_unpin(cx) {
            parts.receipts.push(receipt?);
        }
        Ok(())
    }

    /// Sends one part of the buffer: a full one, or the last.
    fn send_part(&mut self) -> Result<()> {
        let most = self.limits.map_or(0, |limits| limits.max_parts);
        let State::Parts(parts) = &mut self.state else { return Ok(()) };
        if parts.begun >= most {
            let size = self.opts.part_size;
            let message =
                format!("the object needs more than {most} parts of {size} bytes: set a larger part size");
            return Err(self.error(ErrorKind::InvalidInput, message));
        }
        let number = PartNumber::from_index(parts.begun);
        parts.begun += 1;
        let length = usize::try_from(self.opts.part_size).unwrap_or(usize::MAX).min(self.buffer.len());
        let body = self.buffer.split_to(length).freeze();
        let (store, upload) = (self.store.clone(), parts.upload.clone());
        let send = async move { store.upload_part(&upload, number, body.into()).await };
        parts.running.push(Box::pin(send));
        Ok(())
    }

    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_created(cx))?;
        self.poll_running(cx)?;
        match &self.state {
            State::Parts(parts) if !parts.running.is_empty() => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<PutResult>> {
        let result = ready!(self.poll_finish_inner(cx));
        match result {
            Ok(result) => Poll::Ready(Ok(result)),
            Err(error) => self.poll_fail(Some(error), cx),
        }
    }

    fn poll_finish_inner(&mut self, cx: &mut Context<'_>) -> Poll<Result<PutResult>> {
        loop {
            match &mut self.state {
                State::Small => {
                    let (store, key, put) = (self.store.clone(), self.key.clone(), self.opts.put.clone());
                    let body = self.buffer.split().freeze();
                    let send = async move { store.put(&key, body.into(), put).await };
                    self.state = State::Finishing(None, Box::pin(send));
                }
                State::Creating(_) => ready!(self.poll_created(cx))?,
                State::Parts(_) => {
                    if !self.buffer.is_empty() {
                        self.poll_running(cx)?;
                        let State::Parts(parts) = &self.state else { continue };
                        if parts.running.len() >= self.opts.concurrency {
                            return Poll::Pending;
                        }
                        self.send_part()?;
                        continue;
                    }
                    ready!(self.poll_flushed(cx))?;
                    let State::Parts(parts) = &mut self.state else { continue };
                    let mut receipts = mem::take(&mut parts.receipts);
                    receipts.sort_unstable_by_key(|receipt| receipt.number);
                    let (store, upload) = (self.store.clone(), parts.upload.clone());
                    let reference = upload.clone();
                    let complete = async move { store.complete_multipart(&upload, receipts).await };
                    self.state = State::Finishing(Some(reference), Box::pin(complete));
                }
                State::Finishing(_, finish) => {
                    let result = ready!(finish.as_mut().poll(cx))?;
                    self.state = State::Done(result);
                }
                State::Done(result) => return Poll::Ready(Ok(result.clone())),
                State::Failing(_) => return self.poll_fail(None, cx),
                State::Failed => return Poll::Ready(Err(self.misuse())),
            }
        }
    }

    /// Aborts the upload behind an error, then returns the error.
    fn poll_fail<T>(&mut self, error: Option<Error>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if let Some(error) = error {
            self.buffer.clear();
            self.state = match mem::replace(&mut self.state, State::Failed) {
                State::Parts(Parts { upload, .. }) | State::Finishing(Some(upload), _) => {
                    let store = self.store.clone();
                    State::Failing(Box::pin(async move {
                        match store.abort_multipart(&upload).await {
                            Ok(()) => error,
                            Err(abort) => error.with_related(abort),
                        }
                    }))
                }
                State::Failing(cleanup) => State::Failing(cleanup),
                _ => return Poll::Ready(Err(error)),
            };
        }
        let State::Failing(cleanup) = &mut self.state else { return Poll::Ready(Err(self.misuse())) };
        let error = ready!(cleanup.as_mut().poll(cx));
        self.state = State::Failed;
        Poll::Ready(Err(error))
    }

    fn misuse(&self) -> Error {
        let message = match &self.state {
            State::Done(_) | State::Finishing(..) => "the writer was finished before",
            _ => "writing failed before",
        };
        self.error(ErrorKind::InvalidInput, message)
    }

    fn error(&self, kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, message).with_resource(resource(&self.store, &self.key))
    }
}

// The store is only called, never pinned.
impl<S> Unpin for Writer<S> {}

impl<S: BlobStore + Clone> AsyncWrite for Writer<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = match this.state {
            State::Failing(_) | State::Failed => this.poll_fail(None, cx),
            State::Finishing(..) | State::Done(_) => Poll::Ready(Err(this.misuse())),
            _ => match ready!(this.poll_room(cx)) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(error) => this.poll_fail(Some(error), cx),
            },
        };
        ready!(room).map_err(io_error)?;
        let room = usize::try_from(this.capacity() - this.buffered()).unwrap_or(usize::MAX);
        let taken = room.min(bytes.len());
        this.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Waits for the parts under way. What waits in memory stays there, and nothing becomes visible.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match this.state {
            State::Failing(_) | State::Failed => this.poll_fail(None, cx),
            _ => match ready!(this.poll_flushed(cx)) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(error) => this.poll_fail(Some(error), cx),
            },
        };
        flushed.map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_finish(cx).map_ok(drop).map_err(io_error)
    }
}

impl<S> fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("key", &self.key)
            .field("opts", &self.opts)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

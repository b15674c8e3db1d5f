//! An object as a reader.

use std::{
    collections::VecDeque,
    fmt, io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use longshore_core_types::{Error, ErrorKind, ObjectKey, ObjectMeta, Result};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::{fetch::Fetch, io_error};
use crate::{BlobStore, HeadOptions, options::Pin as Version};

/// Settings of a [`Reader`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderOptions {
    /// Most bytes held in memory and asked for ahead, in bytes; 8 MiB by default.
    pub read_ahead: u64,
    /// Size of one request, in bytes; 1 MiB by default. At most `read_ahead`.
    pub chunk: u64,
    /// How often each request is taken up again behind its last byte when its body breaks; 3 by default.
    pub resumes: u32,
    /// The version to read; the current one by default.
    pub pin: Option<Version>,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self { read_ahead: 8 << 20, chunk: 1 << 20, resumes: 3, pin: None }
    }
}

impl ReaderOptions {
    /// Bounds the memory, in bytes.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: u64) -> Self {
        self.read_ahead = bytes;
        self
    }

    /// Sets the size of one request, in bytes.
    #[must_use]
    pub fn with_chunk(mut self, bytes: u64) -> Self {
        self.chunk = bytes;
        self
    }

    /// Sets how often a broken body is taken up again.
    #[must_use]
    pub fn with_resumes(mut self, times: u32) -> Self {
        self.resumes = times;
        self
    }

    /// Reads this version.
    #[must_use]
    pub fn with_pin(mut self, pin: Version) -> Self {
        self.pin = Some(pin);
        self
    }
}

/// An object as [`AsyncRead`] and [`AsyncSeek`], made by [`BlobStoreExt::reader`](crate::BlobStoreExt::reader).
///
/// - All bytes are of the version that was current when it was opened, as far as the store's answers tell versions
///   apart; if the object changes, reading fails with `PreconditionFailed`.
/// - It asks for one chunk, and for more ahead the longer it is read in sequence. Requests make progress while
///   it is polled.
/// - A body that breaks is taken up again behind its last byte. Other errors are those of the store, as
///   [`io::Error`]s around [`longshore_core_types::Error`], and end the reading.
/// - At a store without ranged reads it reads one body from the beginning, cannot take it up again, and cannot
///   seek (`Unsupported`).
/// - Dropping it drops its requests.
pub struct Reader<S> {
    store: S,
    key: ObjectKey,
    meta: ObjectMeta,
    opts: ReaderOptions,
    version: Version,
    ranged: bool,
    position: u64,
    /// Consecutive chunks from `position` on.
    chunks: VecDeque<Chunk<S>>,
    /// How many chunks may be asked for now; grows as the object is read in sequence.
    window: u64,
    failed: bool,
}

struct Chunk<S> {
    /// What has not been read of it.
    range: Range<u64>,
    fetch: Fetch<S>,
    /// Whether `arrived` is to be filled while chunks in front are read.
    ahead: bool,
    arrived: VecDeque<Bytes>,
    failure: Option<Error>,
    ended: bool,
}

impl<S: BlobStore + Clone> Reader<S> {
    pub(super) async fn open(store: S, key: &ObjectKey, opts: ReaderOptions) -> Result<Self> {
        if opts.chunk == 0 || opts.chunk > opts.read_ahead {
            let message = format!(
                "a reader needs chunks of 1 to {} bytes (its read-ahead), not {}",
                opts.read_ahead, opts.chunk
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let meta = store.head(key, HeadOptions::default()).await?;
        let version = opts.pin.clone().unwrap_or_else(|| Version::from(&meta));
        if !version.matches(&meta) {
            let message = format!("{key:?} is no longer the version that was asked for");
            return Err(Error::new(ErrorKind::PreconditionFailed, message));
        }
        Ok(Self {
            ranged: store.capability().ranged_get,
            store,
            key: key.clone(),
            meta,
            opts,
            version,
            position: 0,
            chunks: VecDeque::new(),
            window: 1,
            failed: false,
        })
    }

    /// What the object is.
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// Asks for as many chunks behind the position as the window allows.
    fn request(&mut self) {
        if !self.ranged {
            if self.chunks.is_empty() && self.position == 0 {
                let size = self.meta.size;
                let fetch =
                    Fetch::whole(self.store.clone(), self.key.clone(), size, Some(self.version.clone()));
                self.chunks.push_back(Chunk::new(0..size, fetch, false));
            }
            return;
        }
        while (self.chunks.len() as u64) < self.window {
            let start = self.chunks.back().map_or(self.position, |chunk| chunk.range.end);
            let end = start.saturating_add(self.opts.chunk).min(self.meta.size);
            if start >= end {
                return;
            }
            let fetch = Fetch::range(
                self.store.clone(),
                self.key.clone(),
                start..end,
                Some(self.version.clone()),
                self.opts.resumes,
            );
            self.chunks.push_back(Chunk::new(start..end, fetch, true));
        }
    }

    /// Goes to a position, keeping the chunks that it lies in or before.
    fn go_to(&mut self, position: u64) {
        let kept = self.chunks.iter().any(|chunk| chunk.range.contains(&position))
            && self.chunks.front().is_some_and(|chunk| chunk.range.start <= position);
        if kept {
            while self.chunks.front().is_some_and(|chunk| chunk.range.end <= position) {
                self.chunks.pop_front();
            }
            // The bytes in between are dropped as they arrive.
        } else {
            self.chunks.clear();
            self.window = 1;
        }
        self.position = position;
    }
}

impl<S: BlobStore + Clone> Reader<S> {
    fn poll_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        loop {
            let at_end = self.position >= self.meta.size;
            if buf.remaining() == 0 || (at_end && self.chunks.is_empty()) {
                return Poll::Ready(Ok(()));
            }
            if !at_end {
                self.request();
            }
            let Some(front) = self.chunks.front_mut() else { return Poll::Ready(Ok(())) };
            let next = front.poll_bytes(cx);
            for chunk in self.chunks.iter_mut().skip(1) {
                chunk.poll_ahead(cx);
            }
            let Some(bytes) = ready!(next)? else {
                // Read to its end, where a checksum of the body may have failed. The next window is larger.
                self.chunks.pop_front();
                self.window = (self.window * 2).min(self.opts.read_ahead / self.opts.chunk);
                continue;
            };
            let Some(front) = self.chunks.front_mut() else { return Poll::Ready(Ok(())) };
            // After a seek forward inside the chunk, the front of it is passed over.
            let skip = (self.position - front.range.start).min(bytes.len() as u64);
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX);
            let length = (bytes.len() - skipped).min(buf.remaining());
            buf.put_slice(&bytes[skipped..skipped + length]);
            front.consume(skipped + length);
            self.position += length as u64;
            if length > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: BlobStore + Clone> Chunk<S> {
    fn new(range: Range<u64>, fetch: Fetch<S>, ahead: bool) -> Self {
        Self { range, fetch, ahead, arrived: VecDeque::new(), failure: None, ended: false }
    }

    fn consume(&mut self, length: usize) {
        self.range.start += length as u64;
        if let Some(bytes) = self.arrived.front_mut() {
            bytes.advance(length);
            if bytes.is_empty() {
                self.arrived.pop_front();
            }
        }
    }
}

impl<S: BlobStore + Clone> Chunk<S> {
    /// Takes what has arrived; how much that can be is bounded by the size of the chunk.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        while self.ahead && !self.ended {
            match Pin::new(&mut self.fetch).poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(bytes))) => self.arrived.push_back(bytes),
                Poll::Ready(Some(Err(error))) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
                Poll::Ready(None) => self.ended = true,
            }
        }
    }

    /// The next bytes, which stay until they are consumed; `None` at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if self.arrived.is_empty() && !self.ended {
            match ready!(Pin::new(&mut self.fetch).poll_next(cx)) {
                Some(bytes) => self.arrived.push_back(bytes?),
                None => self.ended = true,
            }
        }
        match self.arrived.front() {
            Some(bytes) => Poll::Ready(Ok(Some(bytes.clone()))),
            None => Poll::Ready(self.failure.take().map_or(Ok(None), Err)),
        }
    }
}

// The store is only called, never pinned.
impl<S> Unpin for Reader<S> {}

impl<S: BlobStore + Clone> AsyncRead for Reader<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(Err(io::Error::other("reading failed before")));
        }
        let result = ready!(this.poll_some(cx, buf));
        if result.is_err() {
            this.failed = true;
            this.chunks.clear();
        }
        Poll::Ready(result.map_err(io_error))
    }
}

impl<S: BlobStore + Clone> AsyncSeek for Reader<S> {
    fn start_seek(self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        let this = self.get_mut();
        let (base, offset) = match position {
            io::SeekFrom::Start(position) => (position, 0),
            io::SeekFrom::Current(offset) => (this.position, offset),
            io::SeekFrom::End(offset) => (this.meta.size, offset),
        };
        let target = base.checked_add_signed(offset).ok_or_else(|| {
            let message = format!("{offset} bytes from {base} is no position");
            io_error(Error::new(ErrorKind::InvalidInput, message))
        })?;
        if target == this.position {
            return Ok(());
        }
        if !this.ranged {
            let message = "this store does not support ranged reads, so its readers cannot seek";
            return Err(io_error(Error::new(ErrorKind::Unsupported, message)));
        }
        this.go_to(target);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

impl<S> fmt::Debug for Reader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("key", &self.key)
            .field("size", &self.meta.size)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

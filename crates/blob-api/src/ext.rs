//! Conveniences that every store has.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::stream::BoxStream;
use longshore_core_types::{ErrorKind, ObjectKey, Payload, Result};
use tokio::io::{AsyncRead, ReadBuf};

use crate::{BlobStore, GetOptions, HeadOptions, ListOptions, Lister, PutOptions, PutResult};

/// What can be said in terms of [`BlobStore`], for every store.
pub trait BlobStoreExt: BlobStore {
    /// Lists objects, a page at a time behind the scenes.
    ///
    /// Retries as the store does; an error ends the stream.
    fn list(&self, opts: ListOptions) -> Lister<'_, Self> {
        Lister::new(self, opts)
    }

    /// The whole object in memory. For objects that surely fit.
    fn read(&self, key: &ObjectKey) -> impl Future<Output = Result<Bytes>> + Send {
        async move { self.get(key, GetOptions::default()).await?.bytes().await }
    }

    /// Whether there is such an object.
    fn exists(&self, key: &ObjectKey) -> impl Future<Output = Result<bool>> + Send {
        async move {
            match self.head(key, HeadOptions::default()).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        }
    }

    /// Stores an object without options.
    fn write(
        &self,
        key: &ObjectKey,
        body: impl Into<Payload> + Send,
    ) -> impl Future<Output = Result<PutResult>> + Send {
        let body = body.into();
        async move { self.put(key, body, PutOptions::default()).await }
    }
}

impl<T: BlobStore + ?Sized> BlobStoreExt for T {}

/// A stream of chunks as a reader.
pub(crate) struct StreamReader {
    stream: BoxStream<'static, io::Result<Bytes>>,
    chunk: Bytes,
}

impl StreamReader {
    pub(crate) fn new(stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self { stream, chunk: Bytes::new() }
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(this.stream.as_mut().poll_next(cx)).transpose()? {
                Some(chunk) => this.chunk = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.chunk.len().min(buf.remaining());
        buf.put_slice(&this.chunk[..length]);
        this.chunk.advance(length);
        Poll::Ready(Ok(()))
    }
}

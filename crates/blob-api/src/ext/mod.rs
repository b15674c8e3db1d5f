//! Conveniences that every store has.

mod fetch;
mod ranges;
mod reader;
mod stream;
#[cfg(test)]
#[cfg(feature = "memory")]
mod tests;
mod writer;

use std::{io, ops::Range};

use bytes::Bytes;
use longshore_core_types::{Error, ErrorKind, ObjectKey, Payload, Resource, Result};

pub(crate) use self::stream::StreamReader;
pub use self::{
    ranges::RangesOptions,
    reader::{Reader, ReaderOptions},
    writer::{Writer, WriterOptions},
};
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

    /// The object as [`AsyncRead`](tokio::io::AsyncRead) and [`AsyncSeek`](tokio::io::AsyncSeek), pinned to one
    /// version.
    ///
    /// Asks what the object is (`NotFound` if there is none) and reads nothing yet. `InvalidInput` if the options
    /// make no sense.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// use longshore_blob_api::{BlobStoreExt, MemoryStore, ReaderOptions};
    /// use longshore_core_types::ObjectKey;
    /// use tokio::io::{AsyncReadExt, AsyncSeekExt};
    ///
    /// let store = MemoryStore::new("scratch")?;
    /// let key = ObjectKey::new("alphabet")?;
    /// store.write(&key, "abcdefgh").await?;
    ///
    /// let mut reader = store.reader(&key, ReaderOptions::default()).await?;
    /// reader.seek(std::io::SeekFrom::End(-3)).await?;
    /// let mut text = String::new();
    /// reader.read_to_string(&mut text).await?;
    /// assert_eq!(text, "fgh");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap().unwrap();
    /// ```
    fn reader(
        &self,
        key: &ObjectKey,
        opts: ReaderOptions,
    ) -> impl Future<Output = Result<Reader<Self>>> + Send
    where
        Self: Clone,
    {
        Reader::open(self.clone(), key, opts)
    }

    /// The object as [`AsyncWrite`](tokio::io::AsyncWrite): a single `put` for a small one, an upload in parts for
    /// a large one.
    ///
    /// Sends nothing yet. `Unsupported` or `InvalidInput` if the options cannot be honoured.
    ///
    /// ```
    /// # #[cfg(feature = "memory")]
    /// # futures_util::future::FutureExt::now_or_never(async {
    /// use longshore_blob_api::{BlobStoreExt, MemoryStore, WriterOptions};
    /// use longshore_core_types::ObjectKey;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let store = MemoryStore::new("scratch")?;
    /// let key = ObjectKey::new("log")?;
    /// let mut writer = store.writer(&key, WriterOptions::default())?;
    /// writer.write_all(b"one line\n").await?;
    /// writer.finish().await?;
    /// assert_eq!(store.read(&key).await?, "one line\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap().unwrap();
    /// ```
    fn writer(&self, key: &ObjectKey, opts: WriterOptions) -> Result<Writer<Self>>
    where
        Self: Clone,
    {
        Writer::new(self.clone(), key, opts)
    }

    /// Several ranges of one object, in the order asked for. Near ones share a request, requests run in parallel.
    ///
    /// A range is cut at the end of the object; one that starts behind it is `RangeNotSatisfiable`, an empty one
    /// `InvalidInput`. All bytes are of one version, else `PreconditionFailed`. Ranges of one request share its
    /// memory, gaps between them included.
    fn get_ranges(
        &self,
        key: &ObjectKey,
        ranges: &[Range<u64>],
        opts: RangesOptions,
    ) -> impl Future<Output = Result<Vec<Bytes>>> + Send
    where
        Self: Clone,
    {
        ranges::get_ranges(self, key, ranges, opts)
    }
}

impl<T: BlobStore + ?Sized> BlobStoreExt for T {}

/// An error for callers that know only I/O. The original is inside.
fn io_error(error: Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => io::ErrorKind::PermissionDenied,
        ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
        ErrorKind::Unsupported => io::ErrorKind::Unsupported,
        ErrorKind::Timeout => io::ErrorKind::TimedOut,
        ErrorKind::ChecksumMismatch | ErrorKind::Protocol => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// What an error about an object names.
fn resource(store: &impl BlobStore, key: &ObjectKey) -> Resource {
    let (url, key) = (store.url(), key.clone());
    match url.bucket() {
        Some(bucket) => Resource::Object { scheme: url.scheme(), bucket: bucket.clone(), key },
        None => Resource::Named { kind: "object", name: format!("{key} of {url}").into() },
    }
}

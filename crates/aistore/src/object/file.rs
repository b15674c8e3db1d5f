//! An object as a file.

use std::{
    future::IntoFuture,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_blob_api::{BlobStoreExt, ByteStream, Reader, ReaderOptions};
use longshore_core_types::{Error, ErrorKind, ObjectMeta, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, ReadBuf};

use super::{HeadProp, Object};
use crate::{names::invalid, store::Store};

impl Object {
    /// Opens it like a file: asynchronous reads at any position, of one version, resumed when a body breaks.
    #[doc(alias = "as_file")]
    pub fn open(&self) -> OpenObject {
        OpenObject { object: self.clone(), workers: 4, chunk: None, resumes: 5 }
    }
}

/// The opening of an object; see [`Object::open`]. Awaiting it asks for the object's properties.
///
/// Read in sequence, it keeps `workers` requests of one chunk each under way: a parallel read whose memory is bounded
/// by `workers * chunk`.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until it is awaited"]
pub struct OpenObject {
    object: Object,
    workers: u32,
    chunk: Option<u64>,
    resumes: u32,
}

impl OpenObject {
    /// Most requests under way at once, when it is read in sequence; 4 by default.
    #[doc(alias = "num_workers")]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Bytes of one request; by default the size of the object's chunks, if it is stored in chunks of up to 64 MiB,
    /// else 8 MiB.
    pub fn chunk_size(mut self, bytes: u64) -> Self {
        self.chunk = Some(bytes);
        self
    }

    /// How often each request is taken up again behind its last byte when its body breaks; 5 by default.
    #[doc(alias = "max_resume")]
    pub fn resumes(mut self, times: u32) -> Self {
        self.resumes = times;
        self
    }

    async fn run(self) -> Result<ObjectFile> {
        const LARGEST: u64 = 64 << 20;
        const DEFAULT: u64 = 8 << 20;
        let Self { object, workers, chunk, resumes } = self;
        if workers == 0 || chunk == Some(0) {
            return Err(invalid("an object is read by one request of one byte at least"));
        }
        let chunk = if let Some(chunk) = chunk {
            chunk
        } else {
            let props = object.head_with().props([HeadProp::Chunked]).await?;
            let stored = props.chunks.map(|chunks| chunks.max_chunk_size);
            stored.filter(|size| (1..=LARGEST).contains(size)).unwrap_or(DEFAULT)
        };
        let window = chunk.saturating_mul(u64::from(workers));
        let options =
            ReaderOptions::default().with_chunk(chunk).with_read_ahead(window).with_resumes(resumes);
        let store = object.client().bucket_ref(object.bucket().clone()).store();
        let reader = store.reader(object.key(), options).await?;
        Ok(ObjectFile { reader: Some(reader), position: 0 })
    }
}

impl IntoFuture for OpenObject {
    type Output = Result<ObjectFile>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// An object that is read like a file; see [`Object::open`].
///
/// All bytes are of the version that was current when it was opened; if the object changes, reads fail with
/// `PreconditionFailed`. A body that breaks is taken up again behind its last byte.
#[doc(alias = "ObjectFileReader")]
#[derive(Debug)]
pub struct ObjectFile {
    /// `None` once it is closed.
    reader: Option<Reader<Store>>,
    position: u64,
}

impl ObjectFile {
    /// What the object is; `None` once it is closed.
    pub fn meta(&self) -> Option<&ObjectMeta> {
        self.reader.as_ref().map(Reader::meta)
    }

    /// The position of the next byte that is read.
    #[doc(alias = "tell")]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether it can be read: as long as it is not closed.
    pub fn readable(&self) -> bool {
        self.reader.is_some()
    }

    /// Whether any position can be gone to: as long as it is not closed.
    pub fn seekable(&self) -> bool {
        self.reader.is_some()
    }

    /// Reads up to this many bytes, fewer only at the end of the object. For sizes that fit into memory.
    pub async fn read_bytes(&mut self, size: usize) -> Result<Bytes> {
        let mut bytes = BytesMut::with_capacity(size.min(1 << 20));
        let mut part = self.take(size as u64);
        loop {
            match part.read_buf(&mut bytes).await {
                Ok(0) => return Ok(bytes.freeze()),
                Ok(_) => {}
                Err(error) => return Err(into_error(error)),
            }
        }
    }

    /// Everything from the position on, in order, as it arrives.
    pub fn into_stream(self) -> ByteStream {
        stream::try_unfold(self, |mut file| async move {
            let chunk = file.read_bytes(256 << 10).await?;
            Ok((!chunk.is_empty()).then_some((chunk, file)))
        })
        .boxed()
    }

    /// Drops what is under way; further reads fail.
    pub fn close(&mut self) {
        self.reader = None;
    }

    fn open_reader(&mut self) -> io::Result<&mut Reader<Store>> {
        let closed = || io::Error::new(io::ErrorKind::InvalidInput, "the object was closed");
        self.reader.as_mut().ok_or_else(closed)
    }
}

/// The library's own error inside of one for callers that know only I/O.
fn into_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(ErrorKind::InvalidInput, "the object cannot be read").with_source(error),
    }
}

impl AsyncRead for ObjectFile {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let poll = Pin::new(this.open_reader()?).poll_read(cx, buf);
        this.position += (buf.filled().len() - before) as u64;
        poll
    }
}

impl AsyncSeek for ObjectFile {
    fn start_seek(self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(self.get_mut().open_reader()?).start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let poll = Pin::new(this.open_reader()?).poll_complete(cx);
        if let Poll::Ready(Ok(position)) = poll {
            this.position = position;
        }
        poll
    }
}

/// Bytes that have arrived and were not read yet, in front of a stream: for parsers that want so many bytes at a time.
#[doc(alias = "SimpleBuffer")]
pub struct ReadBuffer {
    stream: ByteStream,
    bytes: BytesMut,
    ended: bool,
}

impl ReadBuffer {
    /// Nothing has been read of the stream yet.
    pub fn new(stream: ByteStream) -> Self {
        Self { stream, bytes: BytesMut::new(), ended: false }
    }

    /// How many bytes are there to be read at once.
    #[doc(alias = "__len__")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is there to be read at once.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Waits until so many bytes are there, or the stream has ended. Answers how many there are.
    pub async fn fill(&mut self, size: usize) -> Result<usize> {
        while !self.ended && self.bytes.len() < size {
            match self.stream.try_next().await? {
                Some(chunk) => self.bytes.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
        Ok(self.bytes.len())
    }

    /// Takes so many bytes out, fewer only at the end of the stream.
    pub async fn read(&mut self, size: usize) -> Result<Bytes> {
        let there = self.fill(size).await?;
        Ok(self.bytes.split_to(size.min(there)).freeze())
    }

    /// Drops the bytes that are there; answers how many they were.
    #[doc(alias = "empty")]
    pub fn clear(&mut self) -> usize {
        let there = self.bytes.len();
        self.bytes.clear();
        there
    }
}

impl std::fmt::Debug for ReadBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadBuffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn buffers_give_as_much_as_was_asked_for() {
        let chunks = ["ab", "", "cde", "f"].map(|chunk| Ok(Bytes::from(chunk)));
        let mut buffer = ReadBuffer::new(stream::iter(chunks).boxed());
        assert_eq!(buffer.fill(3).await.unwrap(), 5);
        assert_eq!(buffer.read(4).await.unwrap(), "abcd");
        assert_eq!((buffer.len(), buffer.is_empty()), (1, false));
        assert_eq!(buffer.clear(), 1);
        assert_eq!(buffer.read(9).await.unwrap(), "f");
        assert_eq!(buffer.read(9).await.unwrap(), "");
    }
}

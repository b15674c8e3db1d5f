//! What is uploaded.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes};
use futures_core::{Stream, stream::BoxStream};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::slab::Slab;

/// What is uploaded: a file, bytes in memory, or a stream that can be read once.
///
/// A [`Path`] or [`PathBuf`] becomes a file; [`Bytes`] and a `Vec<u8>` are what is stored. Text is neither, since it
/// could be meant as both: write [`Source::file`] or [`Source::bytes`].
pub struct Source(pub(crate) Kind);

pub(crate) enum Kind {
    File(PathBuf),
    Bytes(Bytes),
    Stream(OneShot),
    /// A stream of so many bytes.
    Sized(OneShot, u64),
}

/// A stream that can be read once.
pub(crate) enum OneShot {
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    Chunks { stream: BoxStream<'static, io::Result<Bytes>>, rest: Bytes },
}

impl Source {
    /// A local file. It is opened when the upload starts.
    ///
    /// A pipe or device is read as a stream, and so is a file whose size is zero and which holds something all the same, as
    /// in `/proc`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// A reader of unknown length, such as standard input. Parts of it are held in memory until they are sent.
    ///
    /// Half of the memory budget is the most for a part, so the store's largest number of parts limits how long it may be:
    /// 273 GiB with the default budget and 10,000 parts.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self(Kind::Stream(OneShot::Reader(Box::new(reader))))
    }

    /// A stream of unknown length. Parts of it are held in memory until they are sent, with the limit of
    /// [`reader`](Self::reader).
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Kind::Stream(OneShot::Chunks { stream: stream.boxed(), rest: Bytes::new() }))
    }

    /// A stream of so many bytes, which is planned by its size.
    pub(crate) fn sized(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, size: u64) -> Self {
        Self(Kind::Sized(OneShot::Chunks { stream: stream.boxed(), rest: Bytes::new() }, size))
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<&PathBuf> for Source {
    fn from(path: &PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::bytes(bytes)
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::File(path) => f.debug_tuple("File").field(path).finish(),
            Kind::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Kind::Stream(_) | Kind::Sized(..) => f.write_str("Stream"),
        }
    }
}

impl OneShot {
    /// Appends to `slab` until it holds `most` bytes, is full, or the stream ends; says whether it ended.
    pub(crate) async fn fill(&mut self, slab: &mut Slab, most: usize) -> io::Result<bool> {
        while slab.len() < most && slab.room() > 0 {
            let wanted = most - slab.len();
            match self {
                Self::Reader(reader) => {
                    let read = reader.read(slab.spare(wanted)).await?;
                    slab.filled(read);
                    if read == 0 {
                        return Ok(true);
                    }
                }
                Self::Chunks { stream, rest } => {
                    if rest.is_empty() {
                        match stream.next().await {
                            Some(chunk) => *rest = chunk?,
                            None => return Ok(true),
                        }
                    }
                    let taken = slab.append(&rest[..rest.len().min(wanted)]);
                    rest.advance(taken);
                }
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::slab::SlabPool;

    #[tokio::test]
    async fn chunks_of_any_size_fill_buffers() {
        let chunks = stream::iter(["abc", "", "defgh", "i"].map(|text| Ok(Bytes::from(text))));
        let sources = [Source::stream(chunks), Source::reader(io::Cursor::new(b"abcdefghi"))];
        for source in sources {
            let Kind::Stream(mut stream) = source.0 else { panic!("a stream") };
            let pool = SlabPool::new(1);
            let mut found = Vec::new();
            loop {
                let mut slab = pool.take();
                let ended = stream.fill(&mut slab, 4).await.unwrap();
                found.push(slab.as_ref().to_vec());
                if ended {
                    break;
                }
            }
            assert_eq!(found, [b"abcd".to_vec(), b"efgh".to_vec(), b"i".to_vec()]);
        }
    }
}

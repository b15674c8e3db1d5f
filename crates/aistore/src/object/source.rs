//! Files that are sent.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{Error, ErrorKind, Payload, Resource, Result};
use tokio::io::AsyncReadExt;

/// Bytes of one read.
const CHUNK: usize = 256 << 10;

/// A file as a body, which can be sent again as long as the file stays as it is.
pub(crate) async fn open(path: PathBuf) -> Result<Payload> {
    let found = tokio::fs::metadata(&path).await.map_err(|error| local(&path, "cannot be read", error))?;
    if !found.is_file() {
        let message = "is not a regular file";
        return Err(Error::new(ErrorKind::InvalidInput, message).with_resource(named(&path)));
    }
    let (length, modified) = (found.len(), found.modified().ok());
    if length == 0 {
        return Ok(Payload::empty());
    }
    let path: Arc<Path> = path.into();
    Ok(Payload::replayable(Some(length), move || {
        let path = Arc::clone(&path);
        stream::once(async move { chunks(&path, length, modified).await }).try_flatten().boxed()
    }))
}

fn named(path: &Path) -> Resource {
    Resource::Named { kind: "file", name: path.display().to_string().into() }
}

fn local(path: &Path, what: &'static str, error: io::Error) -> Error {
    Error::new(ErrorKind::LocalIo, what).with_resource(named(path)).with_source(error)
}

async fn chunks(
    path: &Path,
    length: u64,
    modified: Option<SystemTime>,
) -> io::Result<impl futures_core::Stream<Item = io::Result<bytes::Bytes>> + Send + use<>> {
    let file = tokio::fs::File::open(path).await?;
    let now = file.metadata().await?;
    if now.len() != length || now.modified().ok() != modified {
        return Err(io::Error::other(format!("{} changed while it was sent", path.display())));
    }
    let path = path.display().to_string();
    Ok(stream::try_unfold((file, length), move |(mut file, left)| {
        let path = path.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let mut chunk = BytesMut::with_capacity(want);
            // Never more than announced, however long the file has grown.
            while chunk.len() < want {
                if (&mut file).take((want - chunk.len()) as u64).read_buf(&mut chunk).await? == 0 {
                    let message = format!("{path} became shorter while it was sent");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
            }
            let left = left - chunk.len() as u64;
            Ok(Some((chunk.freeze(), (file, left))))
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: Payload) -> io::Result<Vec<u8>> {
        let chunks: Vec<bytes::Bytes> = body.into_stream().try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_file_is_read_as_often_as_needed_unless_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let content: Vec<u8> = (0..CHUNK + 7).map(|i| u8::try_from(i % 251).unwrap()).collect();
        std::fs::write(&path, &content).unwrap();
        let body = open(path.clone()).await.unwrap();
        assert_eq!(body.len(), Some(content.len() as u64));
        let again = body.try_clone().unwrap();
        assert_eq!(read(body).await.unwrap(), content);
        std::fs::write(&path, "other").unwrap();
        assert!(read(again).await.unwrap_err().to_string().contains("changed"));
    }

    #[tokio::test]
    async fn what_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path().into()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let error = open(folder.path().join("missing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LocalIo);
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

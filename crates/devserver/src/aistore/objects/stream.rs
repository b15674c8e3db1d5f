//! Moving bodies from file to file, off the connection's thread.

use std::io::{self, Read};

use super::put::keep;
use super::{Object, Overwrite};
use crate::aistore::error::{Fail, Result};
use crate::aistore::node::Cx;
use crate::checksum::Hasher;
use crate::storage::{BodyReader, BodyWriter};

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// Copies what `reader` yields into `body`.
pub(crate) async fn copy_body(
    reader: BodyReader,
    body: BodyWriter,
    hasher: Hasher,
) -> Result<(BodyWriter, Hasher)> {
    copy_from(reader, body, hasher).await
}

/// As [`copy_body`], from any source.
pub(crate) async fn copy_from(
    mut from: impl Read + Send + 'static,
    mut body: BodyWriter,
    mut hasher: Hasher,
) -> Result<(BodyWriter, Hasher)> {
    let copy = move || -> io::Result<_> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = from.read(&mut chunk)?;
            if n == 0 {
                break;
            }
            hasher.update(&chunk[..n]);
            body.write(&chunk[..n])?;
        }
        body.finish()?;
        Ok((body, hasher))
    };
    Ok(tokio::task::spawn_blocking(copy).await.map_err(io::Error::other)??)
}

/// Stores an object again in chunks of `size` bytes.
pub(crate) async fn rechunk(cx: &Cx, object: &Object, size: u64) -> Result<()> {
    let storage = &cx.cluster.storage;
    let Some(opened) = storage.open_object(&object.key, |record| Ok::<_, Fail>((0, record.size)))? else {
        return Ok(());
    };
    let (record, mut reader) = opened?;
    let mut bodies = Vec::new();
    while reader.left() > 0 {
        let (part, rest) = (reader.left().min(size), reader);
        let (body, back) = copy_part(rest, storage.create_body()?, part).await?;
        bodies.push(body);
        reader = back;
    }
    keep(storage, object, bodies, record.checksum, Overwrite::default(), true).await?;
    Ok(())
}

async fn copy_part(mut from: BodyReader, mut body: BodyWriter, len: u64) -> Result<(BodyWriter, BodyReader)> {
    let copy = move || -> io::Result<_> {
        let mut left = len;
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let Some(bytes) = from.read(limit)? else { break };
            body.write(&bytes)?;
            left -= bytes.len() as u64;
        }
        body.finish()?;
        Ok((body, from))
    };
    Ok(tokio::task::spawn_blocking(copy).await.map_err(io::Error::other)??)
}

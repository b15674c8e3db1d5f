//! PUT of a file into an archive: a new archive, or one more member of an existing one.
//!
//! The file is received once. A TAR and a ZIP are then extended in place: the object's files stay, without the end of
//! the archive, and what was received becomes one more. Compressed archives are written anew. Either way the object is
//! exchanged only if nobody else changed it meanwhile; otherwise that step is repeated.

use std::io;
use std::sync::Arc;

use flate2::Crc;

use super::shard::{Format, Shard};
use super::tar;
use super::write::Archiver;
use super::zip;
use super::zip_write::{Entry, ZipWriter};
use crate::aistore::error::{Fail, Result};
use crate::aistore::ids::now;
use crate::aistore::node::Cx;
use crate::aistore::objects::{Object, mount_path, next_version};
use crate::aistore::reply::Reply;
use crate::checksum::{Checksum, Hasher};
use crate::storage::{BodyReader, BodyWriter, ObjectRecord, Piece, Storage};

/// Bits of `Ais-Pine`: append, and append if there is something to append to.
const APPEND: u64 = 1;
const APPEND_IF_EXISTS: u64 = 2;

/// Bytes of one read while a checksum is computed.
const HASH_CHUNK: usize = 256 * 1024;

/// A file on its way into an archive.
#[derive(Debug)]
struct Incoming {
    path: String,
    size: u64,
    time: i64,
    format: Format,
    /// The member as it will lie in a TAR or ZIP; for other formats just its content.
    body: BodyWriter,
    crc: u32,
}

/// What an archive is to become.
#[derive(Debug)]
struct Change {
    /// The files of the archive that was looked at; another's change shows in them.
    seen: Vec<Piece>,
    /// What stays of them.
    kept: Vec<Piece>,
    /// Whether what was received is part of the archive as it is.
    whole: bool,
    /// What else is.
    extra: Option<BodyWriter>,
    checksum: Option<Checksum>,
    file: Incoming,
}

/// Answers PUT with `archpath`.
pub(crate) async fn append(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let display = object.display();
    let refuse = |why: String| Fail::bad(format!("failed to archive {display}: {why} in the request"));
    let flags = cx.header("ais-pine").unwrap_or("0").to_owned();
    let flags: u64 = flags.parse().map_err(|_| refuse(format!("invalid flags {flags:?}")))?;
    let size = cx.body.known_len().filter(|n| *n > 0);
    let size = size.ok_or_else(|| refuse("missing \"Content-Length\"".into()))?;
    let shard = Shard::find(&cx.cluster.storage, &object.key)?;
    if shard.is_none() && flags & (APPEND | APPEND_IF_EXISTS) == APPEND {
        return Err(object.missing(cx));
    }
    let format = format(cx, object, shard.as_ref())?;
    let path = cx.query.value("archpath").trim_start_matches('/').to_owned();
    let mut file = receive(cx, path, size, format).await?;
    loop {
        let (storage, target) = (Arc::clone(&cx.cluster.storage), object.clone());
        let anew = flags & (APPEND | APPEND_IF_EXISTS) == 0;
        // Scans and copies: not for a thread that serves connections.
        let prepared = tokio::task::spawn_blocking(move || prepare(&storage, &target, file, anew));
        let change = prepared.await.map_err(io::Error::other)??;
        match commit(&cx.cluster.storage, object, change).await? {
            None => return Ok(Reply::ok()),
            Some(back) => file = back,
        }
    }
}

fn format(cx: &Cx, object: &Object, shard: Option<&Shard>) -> Result<Format> {
    let (mime, name) = (cx.query.value("archmime"), object.key.name.as_str());
    if !mime.is_empty() {
        return Format::from_request(mime);
    }
    if let Some(format) = Format::by_extension(name) {
        return Ok(format);
    }
    let Some(shard) = shard else {
        let message = format!("[fs-path] {}: object does not exist", object.display());
        return Err(Fail::not_found(message).tcode("PathError"));
    };
    shard.format("", name).map_err(|fail| {
        let disk = mount_path(&cx.cluster.targets[object.target], name);
        let path = format!("{disk}/@ais/{}/%ob/{name}", object.bucket.name.name);
        Fail { message: format!("unrecognized or unsupported file format: {path:?}"), ..fail }
    })
}

/// Receives the file, wrapped as the format wants its members.
async fn receive(cx: &mut Cx, path: String, size: u64, format: Format) -> Result<Incoming> {
    let time = now();
    let entry = Entry::new(&path, size, time);
    let mut body = cx.cluster.storage.create_body()?;
    body.fail_at(cx.plan.no_space_at());
    match format {
        Format::Tar => tar::header(&mut body, &path, size, time)?,
        Format::Zip => body.write(&entry.header())?,
        Format::Tgz | Format::Lz4 => {}
    }
    let mut crc = Crc::new();
    while let Some(bytes) = cx.body.next().await? {
        crc.update(&bytes);
        body.write(&bytes)?;
    }
    let crc = crc.sum();
    match format {
        Format::Tar => {
            tar::pad(&mut body, size)?;
            tar::end(&mut body)?;
        }
        Format::Zip => body.write(&entry.placed(0, crc).descriptor())?,
        Format::Tgz | Format::Lz4 => {}
    }
    body.finish()?;
    Ok(Incoming { path, size, time, format, body, crc })
}

/// Works out what the archive becomes.
fn prepare(storage: &Storage, object: &Object, file: Incoming, anew: bool) -> Result<Change> {
    let opened = storage.open_object(&object.key, |_| Ok::<_, Fail>((0, 0)))?.transpose()?;
    let seen = opened.as_ref().map(|(record, _)| record.pieces.clone()).unwrap_or_default();
    let shard = match opened {
        Some((record, reader)) if !anew => Some(Shard::new(record.size, reader)),
        _ => None,
    };
    let mut change = Change { seen, kept: Vec::new(), whole: true, extra: None, checksum: None, file };
    match change.file.format {
        Format::Tar => {
            if let Some(shard) = &shard {
                change.kept = cut(&change.seen, end_of_tar(shard, object)?);
            }
        }
        Format::Zip => {
            let (at, directory, count) = match &shard {
                Some(shard) => zip::directory(shard).map_err(|e| unreadable(object, &e))?,
                None => (0, Vec::new(), 0),
            };
            change.kept = cut(&change.seen, at);
            let file = &change.file;
            let mut zip = ZipWriter::resume(storage.create_body()?, at + file.body.len(), directory, count);
            zip.list(&Entry::new(&file.path, file.size, file.time).placed(at, file.crc));
            change.extra = Some(zip.finish()?);
        }
        format @ (Format::Tgz | Format::Lz4) => {
            let file = &change.file;
            let mut archive = Archiver::new(format, storage.create_body()?);
            if let Some(shard) = &shard {
                let copied = shard.tar(format).and_then(|mut tar| archive.copy_tar(&mut tar));
                copied.map_err(|e| unreadable(object, &e))?;
            }
            let mut content = storage.read_back(&file.body);
            archive.append(&file.path, file.size, file.time, &mut content)?;
            change.whole = false;
            change.extra = Some(archive.finish()?);
        }
    }
    if let Some(extra) = &mut change.extra {
        extra.finish()?;
    }
    if change.kept.is_empty() {
        let received = change.whole.then_some(&change.file.body);
        let readers = received.into_iter().chain(&change.extra).map(|body| storage.read_back(body));
        change.checksum = checksum(object, readers)?;
    }
    Ok(change)
}

fn unreadable(object: &Object, error: &io::Error) -> Fail {
    Fail::bad(format!("failed to archive {}: {error}", object.display()))
}

/// Where the next member of a TAR goes. The original damages archives with more padding than it writes itself.
fn end_of_tar(shard: &Shard, object: &Object) -> Result<u64> {
    use zip::Ranges as _;
    let end = tar::end_of_members(shard).map_err(|e| unreadable(object, &e))?;
    let padding = shard.len() - end;
    if padding > 2 * tar::BLOCK as u64 {
        return Err(Fail::bad(format!(
            "failed to archive {}: a TAR that ends in {padding} zero bytes cannot be extended in place, only one that \
             ends in {}: write it without padding",
            object.display(),
            2 * tar::BLOCK
        )));
    }
    Ok(end)
}

/// The first `len` bytes of an object.
fn cut(pieces: &[Piece], len: u64) -> Vec<Piece> {
    let mut left = len;
    let first = |piece: &Piece| {
        let len = piece.len.min(left);
        left -= len;
        Piece { len, ..*piece }
    };
    pieces.iter().map(first).filter(|p| p.len > 0).collect()
}

fn checksum(object: &Object, readers: impl Iterator<Item = BodyReader>) -> Result<Option<Checksum>> {
    let mut hasher = Hasher::new(object.bucket.checksum());
    for mut reader in readers {
        while let Some(bytes) = reader.read(HASH_CHUNK)? {
            hasher.update(&bytes);
        }
    }
    Ok(hasher.finish())
}

/// Exchanges the object; gives the file back if somebody else was faster.
async fn commit(storage: &Storage, object: &Object, change: Change) -> Result<Option<Incoming>> {
    let (key, bucket) = (object.key.clone(), Arc::clone(&object.bucket));
    let time = now();
    let outcome = storage.write(move |tables| {
        let old = tables.object(&key)?;
        if old.as_ref().map_or(&[][..], |o| &o.pieces) != change.seen {
            return Ok(Some(change.file));
        }
        let mut pieces = change.kept;
        let received = change.whole.then_some(change.file.body);
        let bodies: Vec<_> = received.into_iter().chain(change.extra).filter(|b| b.len() > 0).collect();
        pieces.extend(bodies.iter().map(BodyWriter::piece));
        let record = ObjectRecord {
            size: pieces.iter().map(|p| p.len).sum(),
            checksum: change.checksum,
            version: old.as_ref().map_or_else(|| next_version(&bucket, None), |o| o.version),
            atime: time,
            mtime: time,
            custom: old.map(|o| o.custom).unwrap_or_default(),
            pieces,
            chunked: false,
        };
        tables.put_object(&key, &record)?;
        for body in bodies {
            body.keep();
        }
        Ok(None)
    });
    Ok(outcome.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_keeps_the_first_bytes() {
        let piece = |id, len| Piece { id, len };
        let all = [piece(1, 10), piece(2, 5), piece(3, 7)];
        assert_eq!(cut(&all, 12), [piece(1, 10), piece(2, 2)]);
        assert_eq!(cut(&all, 10), [piece(1, 10)]);
        assert_eq!(cut(&all, 0), []);
        assert_eq!(cut(&all, 22), all);
    }
}

//! An object on its way to be a larger archive, or a new one.
//!
//! A TAR and a ZIP are extended in place: the object's files stay, without the end of the archive, and what is new
//! becomes one more. Compressed archives are written anew. Either way the object is exchanged only if nobody else
//! changed it meanwhile.

use std::io::{self, Read};
use std::sync::Arc;

use super::shard::{Format, Shard};
use super::tar;
use super::write::Archiver;
use super::zip::{self, Ranges as _};
use super::zip_write::ZipWriter;
use crate::aistore::Cluster;
use crate::aistore::cloud::object::write_through;
use crate::aistore::error::{Fail, Result};
use crate::aistore::ids::now;
use crate::aistore::objects::{Object, next_version};
use crate::checksum::{Checksum, Hasher};
use crate::storage::{BodyWriter, ObjectRecord, Piece, Storage};

/// Bytes of one read while a checksum is computed.
const HASH_CHUNK: usize = 256 * 1024;

/// What becomes of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    /// Members are added to it.
    Grows,
    /// It goes.
    Goes,
}

/// An archive that members are added to.
#[derive(Debug)]
pub(crate) struct Growing {
    object: Object,
    /// The files of the archive that was looked at; another's change shows in them.
    seen: Vec<Piece>,
    /// What stays of them.
    kept: Vec<Piece>,
    archive: Archiver<BodyWriter>,
}

impl Growing {
    /// Looks at what is there. Reads and may copy it.
    pub(crate) fn begin(storage: &Storage, object: Object, format: Format, old: Old) -> Result<Self> {
        let opened = storage.open_object(&object.key, |_| Ok::<_, Fail>((0, 0)))?.transpose()?;
        let seen = opened.as_ref().map(|(record, _)| record.pieces.clone()).unwrap_or_default();
        let shard = opened.map(|(record, reader)| Shard::new(record.size, reader));
        let body = storage.create_body()?;
        let Some(shard) = shard.filter(|_| old == Old::Grows) else {
            return Ok(Self { object, seen, kept: Vec::new(), archive: Archiver::new(format, body) });
        };
        let unreadable = |e: io::Error| Fail::bad(format!("failed to archive {}: {e}", object.display()));
        let (kept, archive) = match format {
            Format::Tar => {
                let end = tar::end_of_members(&shard).map_err(unreadable)?;
                check_padding(&object, shard.len() - end)?;
                (cut(&seen, end), Archiver::Tar(body))
            }
            Format::Zip => {
                let (at, directory, count) = zip::directory(&shard).map_err(unreadable)?;
                (cut(&seen, at), Archiver::Zip(ZipWriter::resume(body, at, directory, count)))
            }
            Format::Tgz | Format::Lz4 => {
                let mut archive = Archiver::new(format, body);
                let copied = shard.tar(format).and_then(|mut tar| archive.copy_tar(&mut tar));
                copied.map_err(unreadable)?;
                (Vec::new(), archive)
            }
        };
        Ok(Self { object, seen, kept, archive })
    }

    /// Adds a member of exactly `size` bytes; `time` is in nanoseconds since the epoch.
    pub(crate) fn append(
        &mut self,
        name: &str,
        size: u64,
        time: i64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.archive.append(name, size, time, content)
    }

    /// Writes the end of the archive. What is extended in place has no checksum any more, as in the original.
    pub(crate) fn finish(self, storage: &Storage) -> Result<Grown> {
        let Self { object, seen, kept, archive } = self;
        let mut body = archive.finish()?;
        body.finish()?;
        let mut checksum = None;
        if kept.is_empty() {
            let mut hasher = Hasher::new(object.bucket.checksum());
            let mut reader = storage.read_back(std::slice::from_ref(&body));
            while let Some(bytes) = reader.read(HASH_CHUNK)? {
                hasher.update(&bytes);
            }
            checksum = hasher.finish();
        }
        Ok(Grown { object, seen, kept, body, checksum })
    }
}

/// An archive that is complete, but not visible yet.
#[derive(Debug)]
pub(crate) struct Grown {
    object: Object,
    seen: Vec<Piece>,
    kept: Vec<Piece>,
    body: BodyWriter,
    checksum: Option<Checksum>,
}

/// Whether an exchanged object gets another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    Keep,
    Next,
}

impl Grown {
    /// Exchanges the object; false if somebody else did so first.
    pub(crate) async fn commit(self, cluster: &Cluster, versions: Versions) -> Result<bool> {
        let Self { object, seen, kept, body, checksum } = self;
        let storage = &cluster.storage;
        let whole = storage.read_pieces(kept.iter().copied().chain([body.piece()]));
        let written = write_through(cluster, &object, whole, checksum.as_ref()).await?;
        let (key, bucket) = (object.key, Arc::clone(&object.bucket));
        let time = now();
        let outcome = storage.write(move |tables| {
            let old = tables.object(&key)?;
            if old.as_ref().map_or(&[][..], |o| &o.pieces) != seen {
                return Ok(false);
            }
            let mut pieces = kept;
            pieces.push(body.piece());
            let version = match &old {
                Some(old) if versions == Versions::Keep => old.version,
                _ => next_version(&bucket, old.as_ref()),
            };
            let record = ObjectRecord {
                size: pieces.iter().map(|p| p.len).sum(),
                checksum,
                version,
                atime: time,
                mtime: time,
                custom: written.custom_over(old.as_ref()),
                pieces,
                chunked: false,
            };
            tables.put_object(&key, &record)?;
            body.keep();
            Ok(true)
        });
        Ok(outcome.await?)
    }
}

/// The original damages archives that have more padding than it writes itself.
fn check_padding(object: &Object, padding: u64) -> Result<()> {
    let own = 2 * tar::BLOCK as u64;
    if padding <= own {
        return Ok(());
    }
    Err(Fail::bad(format!(
        "failed to archive {}: a TAR that ends in {padding} zero bytes cannot be extended in place, only one that ends \
         in {own}: write it without padding",
        object.display(),
    )))
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

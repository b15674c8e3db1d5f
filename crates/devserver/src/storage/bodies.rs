//! Object bodies: one file each, written under its final name before the database refers to it.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::records::{BodyId, Piece};
use crate::sync::lock;

/// Size of the buffers in which bodies are read.
const READ_CHUNK: usize = 256 * 1024;

/// The directory of body files.
///
/// A name is never used twice, so a file needs no temporary name: until a committed record refers to it, it is an
/// orphan that the next start sweeps away.
#[derive(Debug)]
pub(crate) struct BodyDir {
    root: PathBuf,
    durable: bool,
    next: AtomicU64,
    /// Bodies held by readers; the flag says that the body is to be removed with its last reader.
    pinned: Mutex<HashMap<BodyId, (usize, bool)>>,
}

impl BodyDir {
    /// `epoch` must be another number at each start, so that identities never collide.
    pub(super) fn open(root: PathBuf, epoch: u64, durable: bool) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self { root, durable, next: AtomicU64::new(epoch << 36), pinned: Mutex::default() })
    }

    fn path(&self, id: BodyId) -> PathBuf {
        self.root.join(format!("{:02x}", id & 0xff)).join(format!("{id:016x}"))
    }

    /// A new, empty body.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<BodyWriter> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path(id);
        let open = || File::options().read(true).write(true).create_new(true).open(&path);
        let file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                open()?
            }
            other => other?,
        };
        Ok(BodyWriter { dir: Arc::clone(self), id, file, len: 0, kept: false, fail_at: None })
    }

    /// Removes a body now, or when its last reader is gone.
    pub(super) fn remove(&self, id: BodyId) {
        if let Some(pin) = lock(&self.pinned).get_mut(&id) {
            pin.1 = true;
            return;
        }
        self.unlink(id);
    }

    fn unlink(&self, id: BodyId) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::warn!(body = id, %error, "body not removed; the next start will");
        }
    }

    /// Keeps `pieces` on disk while the pin lives, even if their object is replaced meanwhile.
    pub(crate) fn pin(self: &Arc<Self>, pieces: &[Piece]) -> Pin {
        let mut pinned = lock(&self.pinned);
        for piece in pieces {
            pinned.entry(piece.id).or_default().0 += 1;
        }
        Pin { dir: Arc::clone(self), ids: pieces.iter().map(|p| p.id).collect() }
    }

    /// Removes every file that is not in `used`; returns how many there were.
    pub(super) fn sweep(&self, used: &HashSet<BodyId>) -> io::Result<usize> {
        let mut removed = 0;
        for sub in fs::read_dir(&self.root)? {
            let sub = sub?.path();
            if !sub.is_dir() {
                continue;
            }
            for file in fs::read_dir(&sub)? {
                let file = file?.path();
                if !body_id(&file).is_some_and(|id| used.contains(&id)) {
                    fs::remove_file(&file)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

fn body_id(path: &Path) -> Option<BodyId> {
    u64::from_str_radix(path.file_name()?.to_str()?, 16).ok()
}

/// Keeps bodies on disk; see [`BodyDir::pin`].
#[derive(Debug)]
pub(crate) struct Pin {
    dir: Arc<BodyDir>,
    ids: Vec<BodyId>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = lock(&self.dir.pinned);
        for id in &self.ids {
            let Some(pin) = pinned.get_mut(id) else { continue };
            pin.0 -= 1;
            if pin.0 == 0 {
                let doomed = pin.1;
                pinned.remove(id);
                if doomed {
                    self.dir.unlink(*id);
                }
            }
        }
    }
}

/// A body being written. Dropped without [`keep`](Self::keep), the file is removed.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    dir: Arc<BodyDir>,
    id: BodyId,
    file: File,
    len: u64,
    kept: bool,
    fail_at: Option<u64>,
}

impl BodyWriter {
    /// Makes the write that would pass byte `at` fail as if the disk were full.
    pub(crate) fn fail_at(&mut self, at: Option<u64>) {
        self.fail_at = at;
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.fail_at.is_some_and(|at| self.len + bytes.len() as u64 > at) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Makes the bytes as durable as the server was asked to be.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.dir.durable {
            self.file.sync_data()?;
            if let Some(parent) = self.dir.path(self.id).parent() {
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(())
    }

    pub(crate) fn piece(&self) -> Piece {
        Piece { id: self.id, len: self.len }
    }

    /// Leaves what is written so far to the record that now refers to it; writing goes on behind that.
    pub(crate) fn hold(&mut self) -> Piece {
        self.kept = true;
        self.piece()
    }

    /// Leaves the file to the record that now refers to it.
    pub(crate) fn keep(mut self) -> Piece {
        self.kept = true;
        self.piece()
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.kept {
            self.dir.remove(self.id);
        }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a range of an object's pieces in order.
#[derive(Debug)]
pub(crate) struct BodyReader {
    pin: Pin,
    pieces: Vec<Piece>,
    /// Index of the piece that is read next, or now.
    at: usize,
    /// Offset in that piece.
    offset: u64,
    file: Option<File>,
    left: u64,
}

impl BodyReader {
    /// `pin` must cover `pieces`. Reads `len` bytes from `start` on; the caller has checked the bounds.
    pub(super) fn new(pin: Pin, pieces: Vec<Piece>, start: u64, len: u64) -> Self {
        let (mut at, mut offset) = (0, start);
        while at < pieces.len() && offset >= pieces[at].len {
            offset -= pieces[at].len;
            at += 1;
        }
        Self { pin, pieces, at, offset, file: None, left: len }
    }

    /// Another range of the same bytes, whatever became of their object meanwhile.
    pub(crate) fn reopen(&self, start: u64, len: u64) -> Self {
        Self::new(self.pin.dir.pin(&self.pieces), self.pieces.clone(), start, len)
    }

    /// Opens the first file, so that an error shows before the answer's head is sent.
    pub(super) fn open_first(&mut self) -> io::Result<()> {
        if self.left > 0 { self.open().map(drop) } else { Ok(()) }
    }

    /// Bytes still to be read.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    fn open(&mut self) -> io::Result<Option<&mut File>> {
        let Some(piece) = self.pieces.get(self.at) else { return Ok(None) };
        if self.file.is_none() {
            let mut file = File::open(self.pin.dir.path(piece.id))?;
            if self.offset > 0 {
                file.seek(SeekFrom::Start(self.offset))?;
            }
            self.file = Some(file);
        }
        Ok(self.file.as_mut())
    }

    /// The next bytes, at most `limit`; `None` at the end of the range.
    pub(crate) fn read(&mut self, limit: usize) -> io::Result<Option<Bytes>> {
        while self.left > 0 {
            let Some(&piece) = self.pieces.get(self.at) else { break };
            let want = self.left.min(piece.len - self.offset).min(limit.min(READ_CHUNK) as u64);
            if want == 0 {
                self.at += 1;
                self.offset = 0;
                self.file = None;
                continue;
            }
            let Some(file) = self.open()? else { break };
            let mut buf = Vec::with_capacity(usize::try_from(want).unwrap_or(READ_CHUNK));
            let n = file.take(want).read_to_end(&mut buf)? as u64;
            if n < want {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "body file is shorter than recorded",
                ));
            }
            self.offset += n;
            self.left -= n;
            return Ok(Some(Bytes::from(buf)));
        }
        Ok(None)
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(bytes) = Self::read(self, buf.len())? else { return Ok(0) };
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

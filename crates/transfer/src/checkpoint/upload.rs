//! Checkpoints of uploads in parts, in the folder for such things.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use longshore_blob_api::{MultipartId, PutOptions};
use longshore_core_types::{Error, ErrorKind, StoreUrl};
use serde::{Deserialize, Serialize};

use super::{Checkpoints, VERSION, create_private, digest, nanos, read, remove, write};
use crate::{file_io::Identity, progress::ItemReporter, source_file::SourceFile};

/// What tells a file from what it becomes when it is written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    path: PathBuf,
    size: u64,
    modified: u64,
    inode: Option<u64>,
}

impl Source {
    fn of(file: &SourceFile) -> Option<Self> {
        let path = fs::canonicalize(file.path()).ok()?;
        path.to_str()?;
        let identity = file.identity();
        Some(Self {
            path,
            size: identity.size,
            modified: identity.modified().and_then(nanos)?,
            inode: identity.inode(),
        })
    }
}

/// What stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    boot: Option<String>,
    source: Source,
    destination: String,
    /// Of what is stored beside the bytes, and under which conditions.
    options: String,
    upload: String,
    part_size: u64,
    /// The crc32c of each part that the store has acknowledged.
    parts: BTreeMap<u64, u32>,
    /// Parts whose last byte has been handed out and that are not acknowledged: they may be there.
    handed_out: BTreeSet<u64>,
}

impl Document {
    pub(super) fn url(&self) -> &str {
        &self.destination
    }

    pub(super) fn path(&self) -> &Path {
        &self.source.path
    }

    pub(super) fn size(&self) -> u64 {
        self.source.size
    }

    pub(super) fn upload(&self) -> MultipartId {
        MultipartId::new(&*self.upload)
    }

    pub(super) fn done(&self) -> u64 {
        let part = self.part_size;
        self.parts.keys().map(|index| self.source.size.saturating_sub(index * part).min(part)).sum()
    }
}

/// The state in which another process, or another call, left an upload.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) upload: MultipartId,
    pub(crate) part_size: u64,
    /// The crc32c of each part that was acknowledged.
    pub(crate) parts: BTreeMap<u64, u32>,
    /// Parts that the store may have although it did not say so.
    pub(crate) handed_out: BTreeSet<u64>,
    /// File or options are not what they were, so it cannot go on.
    pub(crate) changed: bool,
}

/// Keeps the checkpoint of an upload while it runs. Only one at a time can: others go without.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    boot: Option<String>,
    source: Source,
    destination: String,
    options: String,
    reporter: ItemReporter,
    state: Mutex<State>,
    lock: PathBuf,
    /// Held until the end; the system lets go of it when the process is killed.
    _locked: File,
}

#[derive(Debug, Default)]
struct State {
    document: Option<Document>,
    failed: bool,
}

impl Keeper {
    /// Claims the checkpoint of an upload. `None` where there can be none: another upload of the same is running,
    /// or the folder cannot be written, which is reported.
    pub(crate) fn claim(
        checkpoints: &Checkpoints,
        file: &SourceFile,
        destination: &StoreUrl,
        options: &PutOptions,
        reporter: &ItemReporter,
    ) -> Option<Self> {
        let source = Source::of(file)?;
        let destination = destination.to_string();
        let folder = checkpoints.directory.join("uploads");
        let name = digest(&[source.path.as_os_str().as_encoded_bytes(), destination.as_bytes()]);
        let lock = folder.join(format!("{name}.lock"));
        let locked = match create_private(&folder).and_then(|()| claim(&lock)) {
            Ok(locked) => locked?,
            Err(error) => {
                let text = format!("cannot keep checkpoints in {}", folder.display());
                reporter.not_resumable(Error::new(ErrorKind::LocalIo, text).with_source(error));
                return None;
            }
        };
        Some(Self {
            path: folder.join(format!("{name}.json")),
            boot: checkpoints.boot.clone(),
            source,
            destination,
            // What was begun with other options would keep those.
            options: digest(&[format!("{options:?}").as_bytes()]),
            reporter: reporter.clone(),
            state: Mutex::default(),
            lock,
            _locked: locked,
        })
    }

    /// What an earlier upload of the same file to the same place left.
    pub(crate) fn load(&self) -> Option<Saved> {
        let document: Document = read(&self.path)?;
        if document.source.path != self.source.path || document.destination != self.destination {
            return None;
        }
        let changed = document.source != self.source || document.options != self.options;
        let saved = Saved {
            upload: document.upload(),
            part_size: document.part_size,
            parts: document.parts.clone(),
            handed_out: document.handed_out.clone(),
            changed,
        };
        self.state().document = Some(document);
        Some(saved)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload was begun.
    pub(crate) fn begun(&self, upload: &MultipartId, part_size: u64) {
        let document = Document {
            version: VERSION,
            boot: self.boot.clone(),
            source: self.source.clone(),
            destination: self.destination.clone(),
            options: self.options.clone(),
            upload: upload.as_str().to_owned(),
            part_size,
            parts: BTreeMap::new(),
            handed_out: BTreeSet::new(),
        };
        let mut state = self.state();
        state.document = Some(document);
        self.save(&mut state);
    }

    /// The last byte of a part is about to go out.
    pub(crate) fn handed_out(&self, index: u64) {
        self.change(|document| document.handed_out.insert(index));
    }

    /// The store has a part.
    pub(crate) fn finished(&self, index: u64, sum: u32) {
        self.change(|document| {
            document.handed_out.remove(&index);
            document.parts.insert(index, sum) != Some(sum)
        });
    }

    fn change(&self, change: impl FnOnce(&mut Document) -> bool) {
        let mut state = self.state();
        if state.document.as_mut().is_some_and(change) {
            self.save(&mut state);
        }
    }

    fn save(&self, state: &mut State) {
        let Some(document) = &state.document else { return };
        if state.failed {
            return;
        }
        if let Err(error) = write(&self.path, document) {
            state.failed = true;
            // What it says may not be true any more: a part that must not be sent twice may be under way.
            remove(&self.path);
            let text = format!("cannot write the checkpoint {}", self.path.display());
            self.reporter.not_resumable(Error::new(ErrorKind::LocalIo, text).with_source(error));
        }
    }

    /// Whether another process could go on with what was noted.
    pub(crate) fn holds(&self) -> bool {
        let state = self.state();
        state.document.is_some() && !state.failed
    }

    /// There is nothing to go on with: it has ended, one way or the other.
    pub(crate) fn forget(&self) {
        self.state().document = None;
        remove(&self.path);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // While it is still locked, so that nobody else can hold it.
        let _ = fs::remove_file(&self.lock);
    }
}

/// Locks a file; `None` if somebody else has.
fn claim(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = options.open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        // Whoever held the lock may have removed the file between the two steps.
        let locked = Identity::of(&file.metadata()?);
        if fs::symlink_metadata(path).is_ok_and(|named| Identity::of(&named).same_file(&locked)) {
            return Ok(Some(file));
        }
    }
}

/// Whether somebody is at work on a checkpoint right now.
pub(super) fn is_claimed(json: &Path) -> bool {
    let lock = json.with_extension("lock");
    lock.exists() && matches!(claim(&lock), Ok(None))
}

/// Reads a checkpoint.
pub(super) fn open(json: &Path) -> Option<Document> {
    read(json)
}

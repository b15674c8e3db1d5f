//! Checkpoints of downloads, beside the file that grows.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use longshore_core_types::{ChecksumKind, Error, ErrorKind, ObjectMeta, StoreUrl, checksum::Hasher};
use serde::{Deserialize, Serialize};

use super::{Checkpoints, Object, VERSION, create_private, digest, read, remove, write};
use crate::{
    download::Cut, file_io::Identity, part_file::hash_range, progress::ItemReporter, slab::SLAB,
    upload::crc32c,
};

/// The names under which a download leaves its checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    checkpoints: Checkpoints,
    /// `.NAME.longshore-part.json`, beside the file that grows.
    json: PathBuf,
    /// Says where that is, so that it can be found again.
    pointer: PathBuf,
    target: PathBuf,
}

/// Where a checkpoint is.
#[derive(Serialize, Deserialize)]
pub(super) struct Pointer {
    pub(super) version: u32,
    pub(super) checkpoint: PathBuf,
    /// What the file will be called, if that is text. The name of the file that grows may not tell.
    #[serde(default)]
    pub(super) target: Option<PathBuf>,
}

/// What stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    boot: Option<String>,
    /// Of the file that grows.
    inode: Option<u64>,
    source: Object,
    /// How the wanted bytes are cut.
    cut: Cut,
    /// The crc32c of each finished part.
    parts: BTreeMap<u64, u32>,
}

impl Document {
    pub(super) fn url(&self) -> &str {
        &self.source.url
    }

    pub(super) fn size(&self) -> u64 {
        self.cut.end - self.cut.start
    }

    pub(super) fn done(&self) -> u64 {
        self.parts.keys().map(|index| self.cut.size(*index)).sum()
    }
}

/// The state in which another process, or another call, left a download.
#[derive(Debug)]
pub(crate) struct Saved {
    document: Document,
    /// The finished parts are in the file for sure; otherwise they are looked at first.
    trusted: bool,
}

impl Traces {
    /// Of the download to `target`, which grows in `temp`.
    pub(crate) fn of(checkpoints: &Checkpoints, temp: &Path, target: &Path) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (absolute, target) = (absolute(temp), absolute(target));
        let name = format!("{}.json", digest(&[absolute.as_os_str().as_encoded_bytes()]));
        let mut json = absolute.into_os_string();
        json.push(".json");
        Self {
            checkpoints: checkpoints.clone(),
            json: json.into(),
            pointer: checkpoints.directory.join("downloads").join(name),
            target,
        }
    }

    pub(crate) fn remove(&self) {
        remove(&self.json);
        remove(&self.pointer);
    }

    /// What an earlier download left, if it belongs to this file.
    pub(crate) fn load(&self, file: &File) -> Option<Saved> {
        let document: Document = read(&self.json)?;
        let meta = file.metadata().ok()?;
        let cut = document.cut;
        if !cut.is_sound() || document.parts.is_empty() {
            return None;
        }
        let last = *document.parts.keys().next_back()?;
        let (shortest, longest) = (cut.range(last).end - cut.start, cut.end - cut.start);
        if last >= cut.parts() || !(shortest..=longest).contains(&meta.len()) {
            return None;
        }
        let same_file = document.inode.is_some() && document.inode == Identity::of(&meta).inode();
        let trusted = same_file && self.checkpoints.is_this_boot(document.boot.as_ref());
        Some(Saved { document, trusted })
    }
}

impl Saved {
    /// Whether it was this object, and these bytes of it.
    pub(crate) fn is_of(&self, url: &StoreUrl, meta: &ObjectMeta, wanted: &std::ops::Range<u64>) -> bool {
        let cut = &self.document.cut;
        self.document.source.is(url, meta) && *wanted == (cut.start..cut.end)
    }

    pub(crate) fn cut(&self) -> Cut {
        self.document.cut
    }

    /// The finished parts. Unless they are known to be in the file, they are read and compared.
    pub(crate) fn parts(self, file: &File) -> BTreeMap<u64, u32> {
        let Document { cut, mut parts, .. } = self.document;
        if !self.trusted {
            let mut buffer = vec![0; SLAB];
            parts.retain(|index, sum| {
                let range = cut.range(*index);
                let (at, end) = (range.start - cut.start, range.end - cut.start);
                let mut hasher = Hasher::new(ChecksumKind::Crc32c);
                // A part that cannot be read is fetched again.
                hash_range(file, &mut hasher, at, end, &mut buffer).is_ok_and(|upto| upto == end)
                    && crc32c(&hasher.finish()) == Some(*sum)
            });
        }
        parts
    }
}

/// Keeps the checkpoint of a download while it runs.
#[derive(Debug)]
pub(crate) struct Keeper {
    traces: Traces,
    /// Set once there is something that is worth keeping.
    keep: Arc<AtomicBool>,
    state: Mutex<(Document, bool)>,
}

impl Keeper {
    pub(crate) fn new(
        traces: &Traces,
        keep: &Arc<AtomicBool>,
        file: &File,
        source: (&StoreUrl, &ObjectMeta),
        cut: Cut,
        parts: BTreeMap<u64, u32>,
    ) -> Self {
        let document = Document {
            version: VERSION,
            boot: traces.checkpoints.boot.clone(),
            inode: file.metadata().ok().and_then(|meta| Identity::of(&meta).inode()),
            source: Object::of(source.0, source.1),
            cut,
            parts,
        };
        Self { traces: traces.clone(), keep: Arc::clone(keep), state: Mutex::new((document, false)) }
    }

    /// A part is in the file.
    pub(crate) fn finished(&self, index: u64, sum: u32, reporter: &ItemReporter) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (document, failed) = &mut *state;
        document.parts.insert(index, sum);
        if *failed {
            return;
        }
        let first = !self.keep.load(Ordering::Relaxed);
        let written = write(&self.traces.json, document).and_then(|()| {
            self.keep.store(true, Ordering::Relaxed);
            if first { self.point() } else { Ok(()) }
        });
        if let Err(error) = written {
            *failed = true;
            let text = format!("cannot write the checkpoint {}", self.traces.json.display());
            reporter.not_resumable(Error::new(ErrorKind::LocalIo, text).with_source(error));
        }
    }

    /// Notes where the checkpoint is. A name that is no text is not found again; the checkpoint works all the same.
    fn point(&self) -> std::io::Result<()> {
        if let Some(folder) = self.traces.pointer.parent() {
            create_private(folder)?;
        }
        if self.traces.json.to_str().is_none() {
            return Ok(());
        }
        let Traces { json, pointer, target, .. } = &self.traces;
        let target = target.to_str().map(|_| target.clone());
        write(pointer, &Pointer { version: VERSION, checkpoint: json.clone(), target })
    }
}

/// What a pointer leads to.
pub(super) struct Found {
    pub(super) checkpoint: PathBuf,
    /// The file that grows.
    pub(super) part: PathBuf,
    pub(super) target: Option<PathBuf>,
    pub(super) document: Document,
}

/// Reads the checkpoint that a pointer leads to.
pub(super) fn follow(pointer: &Path) -> Option<Found> {
    let Pointer { checkpoint, target, .. } = read(pointer)?;
    let document = read(&checkpoint)?;
    let part = PathBuf::from(checkpoint.to_str()?.strip_suffix(".json")?);
    fs::metadata(&part).ok()?;
    Some(Found { checkpoint, part, target, document })
}

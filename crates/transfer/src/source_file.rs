//! A local file that is uploaded.

use std::{
    fs::{self, File},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use longshore_core_types::{Checksum, Error, Result, checksum::Hasher};

use crate::{
    disk_speed::DiskSpeed,
    error::{local, local_fault, task_failed},
    file_io::{self, Identity},
    part_file::hash_range,
    slab::{SLAB, Slab},
};

/// A file whose bytes are read at their positions, by as many requests as there are, and which must stay as it is.
#[derive(Debug)]
pub(crate) struct SourceFile {
    file: File,
    path: PathBuf,
    identity: Identity,
    /// Reads leave the runtime's thread while it is slow.
    speed: DiskSpeed,
    changed: AtomicBool,
}

/// What there is under a path that shall be uploaded.
pub(crate) enum Opened {
    File(Arc<SourceFile>),
    /// A pipe or device, or a file that does not say how long it is: it can be read once. To open one may take for ever.
    Stream,
}

impl SourceFile {
    /// When it changed last, where the system tells.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.identity.modified()
    }

    pub(crate) fn open(path: &Path, slow_limit: Duration) -> Result<Opened> {
        // Looked at before it is opened: a pipe waits for its writer then, and notices when it is closed again.
        let meta = fs::metadata(path).map_err(|error| local("read", path, error))?;
        if meta.is_dir() {
            return Err(local_fault(format!(
                "cannot read {}: it is a directory; trees are uploaded as such",
                path.display()
            )));
        }
        if !meta.is_file() {
            return Ok(Opened::Stream);
        }
        let file = File::open(path).map_err(|error| local("read", path, error))?;
        let meta = file.metadata().map_err(|error| local("inspect", path, error))?;
        // Files that a system makes up when they are read, such as those in `/proc`, have no size and yet something in them.
        if meta.len() == 0 && file_io::read_at(&file, &mut [0], 0).is_ok_and(|read| read > 0) {
            return Ok(Opened::Stream);
        }
        Ok(Opened::File(Arc::new(Self {
            file,
            path: path.to_owned(),
            identity: Identity::of(&meta),
            speed: DiskSpeed::new(slow_limit),
            changed: AtomicBool::new(false),
        })))
    }

    pub(crate) fn size(&self) -> u64 {
        self.identity.size
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it was when it was opened.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether reads have been seen to block of late.
    pub(crate) fn is_slow(&self) -> bool {
        self.speed.is_slow()
    }

    /// Tells the system that all of the file is read soon, large files only: it costs a call.
    pub(crate) fn advise(&self) {
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        {
            // Advice: a file system that takes none is read without.
            let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::Sequential);
        }
    }

    /// Fills `slab` with up to `length` bytes from `at`; an error if the file has fewer, which means it changed.
    pub(crate) fn read(&self, slab: &mut Slab, at: u64, length: usize) -> io::Result<()> {
        let spare = slab.spare(length);
        let wanted = spare.len();
        let read = self.speed.time(|| file_io::read_at(&self.file, spare, at))?;
        slab.filled(read);
        if read < wanted {
            self.changed.store(true, Ordering::Relaxed);
            return Err(io::Error::other(self.changed_error()));
        }
        Ok(())
    }

    /// The checksum of some of its bytes, read on a thread of its own.
    pub(crate) async fn checksum(
        self: &Arc<Self>,
        range: Range<u64>,
        mut hasher: Hasher,
    ) -> Result<Checksum> {
        let file = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || {
            let upto = hash_range(&file.file, &mut hasher, range.start, range.end, &mut vec![0; SLAB]);
            match upto {
                Ok(upto) if upto == range.end => Ok(hasher.finish()),
                Ok(_) => Err(file.changed_error()),
                Err(error) => Err(local("read", &file.path, error)),
            }
        });
        task.await.map_err(task_failed)?
    }

    /// An error if the file is not what it was when it was opened: other bytes, or another file under the name.
    pub(crate) fn check(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|error| local("inspect", &self.path, error))?;
        let named = fs::metadata(&self.path);
        let same = Identity::of(&now) == self.identity
            && named.is_ok_and(|named| Identity::of(&named).same_file(&self.identity));
        if same && !self.changed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.changed.store(true, Ordering::Relaxed);
        Err(self.changed_error())
    }

    /// Whether a change was seen, which then is the reason of whatever failed.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    pub(crate) fn changed_error(&self) -> Error {
        local_fault(format!("{} changed while it was read", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use longshore_core_types::ErrorKind;

    use super::*;
    use crate::slab::SlabPool;

    fn open(path: &Path) -> Arc<SourceFile> {
        match SourceFile::open(path, Duration::from_secs(60)).unwrap() {
            Opened::File(file) => file,
            Opened::Stream => panic!("a file"),
        }
    }

    #[test]
    fn every_sort_of_change_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let changes: [fn(&Path); 4] = [
            |path| fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap(),
            |path| {
                let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            },
            |path| fs::remove_file(path).unwrap(),
            |path| {
                fs::write(path.with_extension("new"), b"hello").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
        ];
        for change in changes {
            fs::write(&path, b"hello").unwrap();
            let file = open(&path);
            file.check().unwrap();
            change(&path);
            let error = file.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LocalIo);
            assert!(error.message().contains("changed"), "{error}");
            assert!(file.has_changed());
        }
    }

    #[test]
    fn a_file_that_shrinks_is_no_shorter_object() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"hello").unwrap();
        let file = open(&path);
        fs::write(&path, b"he").unwrap();
        let mut slab = SlabPool::new(1).take();
        assert!(file.read(&mut slab, 0, 5).is_err());
        assert!(file.has_changed());
    }

    #[test]
    fn directories_and_missing_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("missing")] {
            let Err(error) = SourceFile::open(&path, Duration::ZERO) else { panic!("opened") };
            assert_eq!(error.kind(), ErrorKind::LocalIo);
            assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        }
    }
}

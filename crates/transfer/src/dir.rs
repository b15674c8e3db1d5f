//! A directory that many files are written into, or looked at in.

#[cfg(unix)]
use std::time::Duration;
use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Holds its directory open where the system can, so that the way there is walked once and not for every file.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    #[cfg(unix)]
    handle: std::os::fd::OwnedFd,
}

/// What a walk has to know of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A socket, a pipe, a device.
    Special,
}

impl From<&Metadata> for Stat {
    fn from(meta: &Metadata) -> Self {
        let kind = match meta.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Special,
        };
        Self { kind, size: meta.len(), modified: meta.modified().ok() }
    }
}

#[cfg(unix)]
impl From<&rustix::fs::Stat> for Stat {
    fn from(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Special,
        };
        Self { kind, size: u64::try_from(stat.st_size).unwrap_or(0), modified: modified(stat) }
    }
}

#[cfg(unix)]
fn modified(stat: &rustix::fs::Stat) -> Option<SystemTime> {
    let whole = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    #[allow(clippy::useless_conversion, reason = "the type is not the same on all systems")]
    let rest = u64::try_from(stat.st_mtime_nsec).ok()?;
    whole?.checked_add(Duration::from_nanos(rest))
}

#[cfg(unix)]
impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Creates a file, which must not exist, for writing.
    pub(crate) fn create_new(&self, name: &OsStr) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    /// Gives a file another name, whatever has that now.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, from, &self.handle, to)?)
    }

    /// Looks at an entry itself, not at where a link leads.
    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let stat = rustix::fs::statat(&self.handle, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Stat::from(&stat))
    }

    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, rustix::fs::AtFlags::empty())?)
    }
}

#[cfg(not(unix))]
impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned() })
    }

    pub(crate) fn create_new(&self, name: &OsStr) -> io::Result<File> {
        File::options().write(true).create_new(true).open(self.path.join(name))
    }

    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        std::fs::symlink_metadata(self.path.join(name)).map(|meta| Stat::from(&meta))
    }

    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }
}

impl Dir {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives a file a name that nothing has.
    ///
    /// `AlreadyExists` if something has it. Other errors may mean that the file system cannot promise that.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub(crate) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        Ok(rustix::fs::renameat_with(&self.handle, from, &self.handle, to, flags)?)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub(crate) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::hard_link(self.path.join(from), self.path.join(to))?;
        self.remove(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn entries_are_what_the_system_says() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("d")).unwrap();
        std::os::unix::fs::symlink("nowhere", temp.path().join("l")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("s")).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        for (name, seconds) in [("now", None), ("early", Some(1)), ("earlier", Some(-1))] {
            std::fs::write(temp.path().join(name), "12345").unwrap();
            let half = Duration::from_millis(1500);
            let time = seconds.map(|seconds| match seconds {
                1 => SystemTime::UNIX_EPOCH + half,
                _ => SystemTime::UNIX_EPOCH - half,
            });
            if let Some(time) = time {
                let file = File::options().write(true).open(temp.path().join(name)).unwrap();
                file.set_modified(time).unwrap();
                assert_eq!(dir.stat(OsStr::new(name)).unwrap().modified, Some(time));
            }
        }
        for (name, kind) in [
            ("now", Kind::File),
            ("earlier", Kind::File),
            ("d", Kind::Directory),
            ("l", Kind::Link),
            ("s", Kind::Special),
        ] {
            let meta = std::fs::symlink_metadata(temp.path().join(name)).unwrap();
            let stat = dir.stat(OsStr::new(name)).unwrap();
            assert_eq!((stat, stat.kind), (Stat::from(&meta), kind), "{name}");
        }
        assert_eq!(dir.stat(OsStr::new("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_new_name_is_nobodys() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(OsStr::new);
        for name in [a, b] {
            drop(dir.create_new(name).unwrap());
        }
        assert_eq!(dir.create_new(a).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(dir.rename_new(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        dir.rename_new(a, c).unwrap();
        dir.rename(c, b).unwrap();
        dir.remove(b).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Dir::open(&temp.path().join("missing")).is_err());
    }
}

//! A file whose bytes are all in memory.

use std::{ffi::OsStr, io, path::PathBuf, sync::Arc, time::SystemTime};

use bytes::Bytes;
use longshore_core_types::Result;

use crate::{
    dir::Dir,
    error::local,
    file_io,
    part_file::{Target, temporary_name},
};

/// What is to be written, and where to.
#[derive(Debug)]
pub(crate) struct SmallFile {
    pub(crate) dir: Arc<Dir>,
    /// A file in that directory.
    pub(crate) target: PathBuf,
    pub(crate) bytes: Bytes,
    pub(crate) modified: Option<SystemTime>,
    #[cfg(test)]
    pub(crate) disk_limit: Option<u64>,
}

impl SmallFile {
    /// Writes the bytes under a temporary name and then gives them their own, as a
    /// [`PartFile`](crate::part_file::PartFile) does, in as few calls as that takes.
    ///
    /// `false`, and nothing is changed, if this is no plain case: another download has left its temporary file or
    /// is writing to it, or a link or a device has the name.
    pub(crate) fn write(self) -> Result<bool> {
        let Some(name) = self.target.file_name() else { return Ok(false) };
        let temp = &*temporary_name(name);
        let failed = |error| local("write", &self.target, error);
        let file = match self.dir.create_new(temp) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        // Somebody may have taken the file over since it was created.
        if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            return Ok(false);
        }
        // Declared behind the file, so that it is removed while it is still locked.
        let mut named = Unnamed { dir: &self.dir, temp: Some(temp) };
        #[cfg(test)]
        crate::part_file::check_disk(self.disk_limit, self.bytes.len() as u64).map_err(failed)?;
        file_io::write_at(&file, &self.bytes, 0).map_err(failed)?;
        if let Some(time) = self.modified {
            file.set_modified(time).map_err(|error| local("set the time of", &self.target, error))?;
        }
        if self.dir.rename_new(temp, name).is_err() {
            // Something has the name, or the file system has no such call.
            match Target::inspect(&self.target)? {
                Some(target) if target.is_at(&self.target) => {
                    target.hand_down(&file);
                    self.dir.rename(temp, name).map_err(failed)?;
                }
                _ => return Ok(false),
            }
        }
        named.temp = None;
        Ok(true)
    }
}

/// Removes a temporary file unless it got its name.
struct Unnamed<'a> {
    dir: &'a Dir,
    temp: Option<&'a OsStr>,
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if let Some(temp) = self.temp {
            // Nobody is left to tell; the next download to this target takes the file over.
            let _ = self.dir.remove(temp);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn write(path: &Path, bytes: &'static [u8]) -> Result<bool> {
        let dir = Arc::new(Dir::open(path.parent().unwrap()).unwrap());
        let bytes = Bytes::from_static(bytes);
        SmallFile { dir, target: path.to_owned(), bytes, modified: None, disk_limit: Some(5) }.write()
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_new_or_replaces_one_whose_permissions_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert!(write(&path, b"one").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(write(&path, b"two").unwrap());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        }
        assert!(write(&path, b"three").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn what_fails_leaves_everything_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"before").unwrap();
        let error = write(&path, b"more than fits").unwrap_err();
        assert!(error.message().contains("cannot write"), "{error}");
        fs::create_dir(dir.path().join("d")).unwrap();
        let error = write(&dir.path().join("d"), b"x").unwrap_err();
        assert!(error.message().contains("a directory is in the way"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(dir.path()), ["d", "f"]);
    }

    #[test]
    fn a_file_that_another_download_left_or_writes_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let temp = dir.path().join(".f.longshore-part");
        fs::write(&temp, b"half").unwrap();
        assert!(!write(&dir.path().join("f"), b"x").unwrap());
        assert_eq!(fs::read(&temp).unwrap(), b"half");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_left_to_who_follows_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("real"), b"before").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        assert!(!write(&dir.path().join("link"), b"x").unwrap());
        assert_eq!(names(dir.path()), ["link", "real"]);
        assert_eq!(fs::read(dir.path().join("real")).unwrap(), b"before");
    }
}

//! The directory of one invocation: content that is served, output that is written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::GIB;
use super::machine::available_memory;
use super::measure::Check;
use crate::app::{Failure, at};
use crate::content;

const PREFIX: &str = "longshore-bench-";
/// Where files lie in memory, so that no disk is measured.
const MEMORY: &str = "/dev/shm";

/// Bucket and key of the large object, and the bucket of the small ones.
pub(super) const BUCKET: &str = "bench";
pub(super) const KEY: &str = "object";
pub(super) const SMALL: &str = "small";
/// Bucket of the files that are compared.
const TREE: &str = "tree";

#[derive(Debug)]
pub(super) struct Workspace {
    dir: TempDir,
}

impl Workspace {
    /// Makes a directory inside `parent`, or in memory. What killed invocations left there is removed.
    pub(super) fn create(parent: Option<&Path>) -> Result<Self, Failure> {
        let memory = Path::new(MEMORY);
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None if memory.is_dir() => memory.to_owned(),
            None => std::env::temp_dir(),
        };
        remove_stale(&parent)?;
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(at(&parent))?;
        for name in [BUCKET, SMALL] {
            std::fs::create_dir_all(dir.path().join("root").join(name))?;
        }
        std::fs::create_dir(dir.path().join("out"))?;
        Ok(Self { dir })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What is served.
    pub(super) fn root(&self) -> PathBuf {
        self.path().join("root")
    }

    /// Where programs run and write.
    pub(super) fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    /// The large object's file, made if it is not there yet in this size.
    pub(super) fn object(&self, size: u64) -> Result<PathBuf, Failure> {
        let path = self.root().join(BUCKET).join(KEY);
        if path.metadata().is_ok_and(|metadata| metadata.len() == size) {
            return Ok(path);
        }
        // Object, output, and half as much again for whoever else lives here.
        if let Some(available) = available_memory()
            && self.path().starts_with(MEMORY)
            && available < size * 5 / 2
        {
            let gib = available / GIB;
            return Err(format!("{gib} GiB of memory are too little for two files of {size} bytes").into());
        }
        eprintln!("making an object of {size} bytes");
        content::create(&path, 1, size).map_err(at(&path))?;
        Ok(path)
    }

    /// A file of holes, which takes no memory: for objects larger than that. Its key.
    pub(super) fn holes(&self, size: u64) -> Result<String, Failure> {
        let key = format!("holes-{}", size / GIB);
        let path = self.root().join(BUCKET).join(&key);
        let file = File::create(&path).map_err(at(&path))?;
        file.set_len(size).map_err(at(&path))?;
        Ok(key)
    }

    /// The directory with the small objects, made if they are not there yet.
    pub(super) fn small(&self, count: u64) -> Result<PathBuf, Failure> {
        let path = self.root().join(SMALL);
        if !path.join(content::small_name(count - 1)).exists() {
            eprintln!("making {count} small objects");
            content::create_small(&path, count).map_err(at(&path))?;
        }
        Ok(path)
    }

    /// A directory of so many small files that are older than everything the server has. It is a bucket too.
    pub(super) fn tree(&self, count: u64) -> Result<PathBuf, Failure> {
        eprintln!("making {count} small files");
        let path = self.root().join(TREE);
        let (size, modified) = (64, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        for dir in content::small_dirs(count) {
            std::fs::create_dir_all(path.join(dir)).map_err(at(&path))?;
        }
        for number in 0..count {
            let path = path.join(content::small_name(number));
            content::create(&path, number + 1, size).map_err(at(&path))?;
            let file = File::options().write(true).open(&path).map_err(at(&path))?;
            file.set_modified(modified).map_err(at(&path))?;
        }
        Ok(path)
    }

    /// A check that an output file equals the large object, and the file's path.
    pub(super) fn output(&self, object: &Path) -> (PathBuf, Check) {
        let file = self.out().join("output");
        (file.clone(), Check::SameFile(file, object.to_owned()))
    }

    /// Writes to up to `most` bytes of free memory once and frees it: inside a virtual machine the first touch
    /// of a page costs several times more than any later one, and would be charged to whoever comes first.
    pub(super) fn touch_memory(&self, most: u64) -> Result<(), Failure> {
        let Some(available) = available_memory().filter(|_| self.path().starts_with(MEMORY)) else {
            return Ok(());
        };
        let bytes = most.min(available / 10 * 6);
        eprintln!("touching {:.1} GiB of memory", crate::runner::tables::gib(bytes));
        let path = self.path().join("touch");
        let mut file = File::create(&path).map_err(at(&path))?;
        let block = vec![0x5a; 1 << 20];
        for _ in 0..bytes >> 20 {
            file.write_all(&block)?;
        }
        drop(file);
        std::fs::remove_file(&path).map_err(at(&path))
    }
}

/// Removes directories of invocations whose process is gone.
fn remove_stale(parent: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(parent).map_err(at(parent))? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if let Some(process) = process
            && process.bytes().all(|b| b.is_ascii_digit())
            && !Path::new("/proc").join(process).exists()
        {
            std::fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_invocations_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{PREFIX}4294967295-x"));
        let foreign = parent.path().join("other");
        std::fs::create_dir(&dead).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        let first = Workspace::create(Some(parent.path())).unwrap();
        let second = Workspace::create(Some(parent.path())).unwrap();
        assert!(!dead.exists() && foreign.exists());
        assert!(first.root().join(BUCKET).is_dir() && second.out().is_dir());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn content_is_made_once() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(Some(parent.path())).unwrap();
        let object = workspace.object(5000).unwrap();
        assert_eq!(object.metadata().unwrap().len(), 5000);
        assert_eq!(workspace.object(5000).unwrap(), object);
        let small = workspace.small(101).unwrap();
        assert_eq!(small.join("d0001/f000100").metadata().unwrap().len(), content::SMALL_SIZE);
    }
}

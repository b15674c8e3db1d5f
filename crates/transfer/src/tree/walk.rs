//! The files below a directory, as they are found.

use std::{
    ffi::OsString,
    fs::{self, Metadata, ReadDir},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use longshore_core_types::{Error, Result};
use tokio::sync::mpsc;

use crate::{
    error::{local, local_fault},
    part_file,
    progress::SkipReason,
};

/// So many entries are read ahead of those that use them.
const AHEAD: usize = 256;

/// What to do about symbolic links in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymlinkPolicy {
    /// Links to files are uploaded as these files; links to directories are skipped, and reported as such.
    #[default]
    FollowFiles,
    /// All links are skipped, and reported as such.
    Skip,
}

/// Something below the directory.
#[derive(Debug)]
pub(crate) enum Found {
    File {
        path: PathBuf,
        size: u64,
        modified: Option<SystemTime>,
    },
    Skipped {
        path: PathBuf,
        reason: SkipReason,
    },
    Failed {
        path: PathBuf,
        error: Error,
    },
    /// That was all. A walk that ends without it broke off.
    End,
}

/// Walks a directory on a thread of its own, a few entries ahead of the receiver.
///
/// An error if the directory itself cannot be read. The thread ends when the receiver is dropped.
pub(super) fn walk(root: PathBuf, links: SymlinkPolicy) -> Result<mpsc::Receiver<Found>> {
    start(root, links, false)
}

/// The same in the byte order of the names that the files have as objects, with the names of one directory of each
/// level in memory.
pub(crate) fn walk_in_order(root: PathBuf, links: SymlinkPolicy) -> Result<mpsc::Receiver<Found>> {
    start(root, links, true)
}

fn start(root: PathBuf, links: SymlinkPolicy, ordered: bool) -> Result<mpsc::Receiver<Found>> {
    let first = fs::read_dir(&root).map_err(|error| local("read the directory", &root, error))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let walker = Walker { links, ordered, sender };
    std::thread::Builder::new()
        .name("longshore-walk".into())
        .spawn(move || {
            // An error only says that nobody wants to know more.
            let _ = walker.run(root, first);
        })
        .map_err(|error| {
            local_fault("cannot start a thread to read directories".into()).with_source(error)
        })?;
    Ok(receiver)
}

struct Walker {
    links: SymlinkPolicy,
    ordered: bool,
    sender: mpsc::Sender<Found>,
}

/// The receiver is gone.
struct Gone;

/// The entries of a directory.
enum Level {
    AsRead(ReadDir),
    Sorted(std::vec::IntoIter<(OsString, bool)>),
}

impl Level {
    fn next(&mut self, directory: &Path) -> Option<io::Result<PathBuf>> {
        match self {
            Self::AsRead(entries) => entries.next().map(|entry| entry.map(|entry| entry.path())),
            Self::Sorted(names) => names.next().map(|(name, _)| Ok(directory.join(name))),
        }
    }
}

/// What is below a directory has its name and a slash in front.
fn sort_key((name, is_dir): &(OsString, bool)) -> impl Iterator<Item = u8> {
    let slash: &[u8] = if *is_dir { b"/" } else { b"" };
    name.as_encoded_bytes().iter().chain(slash).copied()
}

impl Walker {
    /// Depth first, holding one directory for each level.
    fn run(&self, root: PathBuf, first: ReadDir) -> std::result::Result<(), Gone> {
        let level = self.level(&root, first)?;
        let mut open = vec![(root, level)];
        while let Some((directory, entries)) = open.last_mut() {
            let path = match entries.next(directory) {
                None => {
                    open.pop();
                    continue;
                }
                Some(Ok(path)) => path,
                Some(Err(error)) => {
                    let path = directory.clone();
                    open.pop();
                    self.failed("read the directory", path, error)?;
                    continue;
                }
            };
            if let Some(below) = self.entry(path)? {
                match fs::read_dir(&below) {
                    Ok(entries) => {
                        let level = self.level(&below, entries)?;
                        open.push((below, level));
                    }
                    Err(error) => self.failed("read the directory", below, error)?,
                }
            }
        }
        self.send(Found::End)
    }

    fn level(&self, directory: &Path, entries: ReadDir) -> std::result::Result<Level, Gone> {
        if !self.ordered {
            return Ok(Level::AsRead(entries));
        }
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => {
                    // What cannot be inspected now fails when it is its turn.
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    names.push((entry.file_name(), is_dir));
                }
                Err(error) => {
                    self.failed("read the directory", directory.to_owned(), error)?;
                    break;
                }
            }
        }
        names.sort_unstable_by(|a, b| sort_key(a).cmp(sort_key(b)));
        Ok(Level::Sorted(names.into_iter()))
    }

    /// Reports an entry; a directory is returned instead.
    fn entry(&self, path: PathBuf) -> std::result::Result<Option<PathBuf>, Gone> {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            // A download that got its final name since the directory was read: nothing is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_unfinished(&path) => {
                let found = Found::Skipped { path, reason: SkipReason::UnfinishedDownload };
                return self.send(found).map(|()| None);
            }
            Err(error) => return self.failed("inspect", path, error).map(|()| None),
        };
        if meta.is_dir() {
            return Ok(Some(path));
        }
        let found = if meta.is_symlink() { self.link(path) } else { file(path, &meta) };
        self.send(found)?;
        Ok(None)
    }

    fn link(&self, path: PathBuf) -> Found {
        if self.links == SymlinkPolicy::Skip {
            return Found::Skipped { path, reason: SkipReason::Symlink };
        }
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Found::Skipped { path, reason: SkipReason::Symlink },
            Ok(meta) => file(path, &meta),
            Err(error) => Found::Failed { error: local("follow the link", &path, error), path },
        }
    }

    fn failed(&self, tried: &str, path: PathBuf, error: io::Error) -> std::result::Result<(), Gone> {
        self.send(Found::Failed { error: local(tried, &path, error), path })
    }

    fn send(&self, found: Found) -> std::result::Result<(), Gone> {
        self.sender.blocking_send(found).map_err(|_| Gone)
    }
}

fn file(path: PathBuf, meta: &Metadata) -> Found {
    if !meta.is_file() {
        return Found::Skipped { path, reason: SkipReason::SpecialFile };
    }
    if is_unfinished(&path) {
        return Found::Skipped { path, reason: SkipReason::UnfinishedDownload };
    }
    Found::File { size: meta.len(), modified: meta.modified().ok(), path }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(part_file::is_unfinished)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    async fn all(root: &Path, links: SymlinkPolicy) -> Vec<String> {
        let mut found = walk(root.to_owned(), links).unwrap();
        let mut report = Vec::new();
        while let Some(found) = found.recv().await {
            let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
            report.push(match found {
                Found::File { path, size, .. } => format!("{} {size}", name(&path)),
                Found::End => continue,
                Found::Skipped { path, reason } => format!("{} skipped: {reason}", name(&path)),
                Found::Failed { path, error } => format!("{} failed: {:?}", name(&path), error.kind()),
            });
        }
        report.sort();
        report
    }

    #[tokio::test]
    async fn every_entry_is_accounted_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/e/f"), "12345").unwrap();
        fs::write(root.join("d/.x.longshore-part"), "1").unwrap();
        symlink("d/e/f", root.join("file")).unwrap();
        symlink("d", root.join("loop")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        assert_eq!(
            all(root, SymlinkPolicy::FollowFiles).await,
            [
                "broken failed: LocalIo",
                "d/.x.longshore-part skipped: a temporary file of an unfinished download",
                "d/e/f 5",
                "file 5",
                "loop skipped: a symbolic link that is not followed",
                "socket skipped: neither a file nor a directory",
            ]
        );
        let skipping = all(root, SymlinkPolicy::Skip).await;
        assert_eq!(skipping.iter().filter(|line| line.contains("symbolic link")).count(), 3);
    }

    #[test]
    fn a_download_that_ends_while_the_directory_is_read_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, mut found) = mpsc::channel(2);
        let walker = Walker { links: SymlinkPolicy::Skip, ordered: true, sender };
        for name in [".x.longshore-part", "x"] {
            assert!(walker.entry(dir.path().join(name)).is_ok());
        }
        assert!(matches!(found.try_recv(), Ok(Found::Skipped { .. })));
        assert!(matches!(found.try_recv(), Ok(Found::Failed { .. })));
    }

    #[tokio::test]
    async fn files_come_in_the_order_of_their_keys() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = ["a", "a.b", "a0", "b/c", "b-d", "b0", "b/c.d/e", "b/c0", "é", "z/z/z", "Z"];
        for name in names.iter().filter(|name| **name != "b/c") {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(dir.path().join("b/c"), "").unwrap();
        names.sort_unstable();
        let mut found = walk_in_order(dir.path().to_owned(), SymlinkPolicy::default()).unwrap();
        let mut order = Vec::new();
        while let Some(found) = found.recv().await {
            if let Found::File { path, .. } = found {
                order.push(path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned());
            }
        }
        assert_eq!(order, names);
    }

    #[tokio::test]
    async fn the_root_must_be_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let error = walk(dir.path().join("missing"), SymlinkPolicy::Skip).unwrap_err();
        assert!(error.message().contains("missing"), "{error}");
    }
}

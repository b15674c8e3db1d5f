//! The files below a directory, as they are found.

use std::{
    fs::{self, Metadata, ReadDir},
    io,
    path::{Path, PathBuf},
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
pub(super) enum Found {
    File { path: PathBuf, size: u64 },
    Skipped { path: PathBuf, reason: SkipReason },
    Failed { path: PathBuf, error: Error },
}

/// Walks a directory on a thread of its own, a few entries ahead of the receiver.
///
/// An error if the directory itself cannot be read. The thread ends when the receiver is dropped.
pub(super) fn walk(root: PathBuf, links: SymlinkPolicy) -> Result<mpsc::Receiver<Found>> {
    let first = fs::read_dir(&root).map_err(|error| local("read the directory", &root, error))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let walker = Walker { links, sender };
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
    sender: mpsc::Sender<Found>,
}

/// The receiver is gone.
struct Gone;

impl Walker {
    /// Depth first, holding one open directory for each level.
    fn run(&self, root: PathBuf, first: ReadDir) -> std::result::Result<(), Gone> {
        let mut open = vec![(root, first)];
        while let Some((directory, entries)) = open.last_mut() {
            let path = match entries.next() {
                None => {
                    open.pop();
                    continue;
                }
                Some(Ok(entry)) => entry.path(),
                Some(Err(error)) => {
                    let path = directory.clone();
                    open.pop();
                    self.failed("read the directory", path, error)?;
                    continue;
                }
            };
            if let Some(below) = self.entry(path)? {
                match fs::read_dir(&below) {
                    Ok(entries) => open.push((below, entries)),
                    Err(error) => self.failed("read the directory", below, error)?,
                }
            }
        }
        Ok(())
    }

    /// Reports an entry; a directory is returned instead.
    fn entry(&self, path: PathBuf) -> std::result::Result<Option<PathBuf>, Gone> {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
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
    Found::File { size: meta.len(), path }
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
                Found::File { path, size } => format!("{} {size}", name(&path)),
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

    #[tokio::test]
    async fn the_root_must_be_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let error = walk(dir.path().join("missing"), SymlinkPolicy::Skip).unwrap_err();
        assert!(error.message().contains("missing"), "{error}");
    }
}

//! The files below a directory, as they are found.

use std::{
    cmp::Ordering,
    ffi::OsString,
    fs::{self, ReadDir},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use longshore_core_types::{Error, Result};

use crate::{
    batches::{self, Gone},
    dir::{Dir, Kind, Stat},
    error::{local, local_fault},
    part_file,
    progress::SkipReason,
};

/// So many batches of entries are read ahead of those that use them: more than a page of a listing, with which they may
/// be compared, so that whoever walks goes on while others wait for the next page.
const AHEAD: usize = 8;

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
pub(super) fn walk(root: PathBuf, links: SymlinkPolicy) -> Result<batches::Receiver<Found>> {
    start(root, links, false, |found| found)
}

/// The same in the byte order of the names that the files have as objects, with the names of one directory of each
/// level in memory. What is found becomes something else on that thread.
pub(crate) fn walk_in_order<T: Send + 'static>(
    root: PathBuf,
    links: SymlinkPolicy,
    into: impl Fn(Found) -> T + Send + 'static,
) -> Result<batches::Receiver<T>> {
    start(root, links, true, into)
}

fn start<T: Send + 'static>(
    root: PathBuf,
    links: SymlinkPolicy,
    ordered: bool,
    into: impl Fn(Found) -> T + Send + 'static,
) -> Result<batches::Receiver<T>> {
    let first = fs::read_dir(&root).map_err(|error| local("read the directory", &root, error))?;
    let (sender, receiver) = batches::channel(AHEAD);
    let mut walker = Walker { links, ordered, sender, into };
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

struct Walker<T, F> {
    links: SymlinkPolicy,
    ordered: bool,
    sender: batches::Sender<T>,
    into: F,
}

/// The entries of a directory.
enum Level {
    AsRead(ReadDir),
    Sorted(Dir, std::vec::IntoIter<Name>),
}

/// An entry and what there is to see of it.
struct Seen {
    path: PathBuf,
    stat: io::Result<Stat>,
}

impl Level {
    fn next(&mut self, directory: &Path) -> Option<io::Result<Seen>> {
        match self {
            Self::AsRead(entries) => entries.next().map(|entry| {
                let entry = entry?;
                Ok(Seen { path: entry.path(), stat: entry.metadata().map(|meta| Stat::from(&meta)) })
            }),
            // The way to the directory is not walked for each of its entries.
            Self::Sorted(handle, names) => names
                .next()
                .map(|(name, _)| Ok(Seen { path: directory.join(&name), stat: handle.stat(&name) })),
        }
    }
}

/// Of an entry, and whether it is a directory.
type Name = (OsString, bool);

/// What is below a directory has its name and a slash in front.
fn in_order((a, a_is_dir): &Name, (b, b_is_dir): &Name) -> Ordering {
    let slash = |is_dir| if is_dir { &b"/"[..] } else { b"" };
    let (a, b) = (a.as_encoded_bytes(), b.as_encoded_bytes());
    let both = a.len().min(b.len());
    a[..both]
        .cmp(&b[..both])
        .then_with(|| a[both..].iter().chain(slash(*a_is_dir)).cmp(b[both..].iter().chain(slash(*b_is_dir))))
}

impl<T, F: Fn(Found) -> T> Walker<T, F> {
    /// Depth first, holding one directory for each level.
    fn run(&mut self, root: PathBuf, first: ReadDir) -> std::result::Result<(), Gone> {
        let mut open = Vec::new();
        if let Some(level) = self.level(&root, first)? {
            open.push((root, level));
        }
        while let Some((directory, entries)) = open.last_mut() {
            let seen = match entries.next(directory) {
                None => {
                    open.pop();
                    continue;
                }
                Some(Ok(seen)) => seen,
                Some(Err(error)) => {
                    let path = directory.clone();
                    open.pop();
                    self.failed("read the directory", path, error)?;
                    continue;
                }
            };
            if let Some(below) = self.entry(seen)? {
                match fs::read_dir(&below) {
                    Ok(entries) => {
                        if let Some(level) = self.level(&below, entries)? {
                            open.push((below, level));
                        }
                    }
                    Err(error) => self.failed("read the directory", below, error)?,
                }
            }
        }
        self.send(Found::End)?;
        self.sender.blocking_flush()
    }

    /// `None` for a directory that failed.
    fn level(&mut self, path: &Path, entries: ReadDir) -> std::result::Result<Option<Level>, Gone> {
        if !self.ordered {
            return Ok(Some(Level::AsRead(entries)));
        }
        let handle = match Dir::open(path) {
            Ok(handle) => handle,
            Err(error) => {
                self.failed("read the directory", path.to_owned(), error)?;
                return Ok(None);
            }
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => {
                    // What cannot be inspected now fails when it is its turn.
                    let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    names.push((entry.file_name(), is_dir));
                }
                Err(error) => {
                    self.failed("read the directory", path.to_owned(), error)?;
                    break;
                }
            }
        }
        names.sort_unstable_by(in_order);
        Ok(Some(Level::Sorted(handle, names.into_iter())))
    }

    /// Reports an entry; a directory is returned instead.
    fn entry(&mut self, Seen { path, stat }: Seen) -> std::result::Result<Option<PathBuf>, Gone> {
        let stat = match stat {
            Ok(stat) => stat,
            // A download that got its final name since the directory was read: nothing is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_unfinished(&path) => {
                let found = Found::Skipped { path, reason: SkipReason::UnfinishedDownload };
                return self.send(found).map(|()| None);
            }
            Err(error) => return self.failed("inspect", path, error).map(|()| None),
        };
        let found = match stat.kind {
            Kind::Directory => return Ok(Some(path)),
            Kind::Link => self.link(path),
            Kind::File | Kind::Special => file(path, stat),
        };
        self.send(found)?;
        Ok(None)
    }

    fn link(&self, path: PathBuf) -> Found {
        if self.links == SymlinkPolicy::Skip {
            return Found::Skipped { path, reason: SkipReason::Symlink };
        }
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Found::Skipped { path, reason: SkipReason::Symlink },
            Ok(meta) => file(path, Stat::from(&meta)),
            Err(error) => Found::Failed { error: local("follow the link", &path, error), path },
        }
    }

    fn failed(&mut self, tried: &str, path: PathBuf, error: io::Error) -> std::result::Result<(), Gone> {
        self.send(Found::Failed { error: local(tried, &path, error), path })
    }

    fn send(&mut self, found: Found) -> std::result::Result<(), Gone> {
        self.sender.blocking_send((self.into)(found))
    }
}

fn file(path: PathBuf, stat: Stat) -> Found {
    if stat.kind != Kind::File {
        return Found::Skipped { path, reason: SkipReason::SpecialFile };
    }
    if is_unfinished(&path) {
        return Found::Skipped { path, reason: SkipReason::UnfinishedDownload };
    }
    Found::File { path, size: stat.size, modified: stat.modified }
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

    #[tokio::test]
    async fn a_download_that_ends_while_the_directory_is_read_is_no_fault() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, mut found) = batches::channel(2);
        let root = dir.path().to_owned();
        let thread = std::thread::spawn(move || {
            let mut walker =
                Walker { links: SymlinkPolicy::Skip, ordered: true, sender, into: |found| found };
            for name in [".x.longshore-part", "x"] {
                let path = root.join(name);
                let stat = fs::symlink_metadata(&path).map(|meta| Stat::from(&meta));
                assert!(walker.entry(Seen { path, stat }).is_ok());
            }
            walker.sender.blocking_flush().unwrap();
        });
        assert!(matches!(found.recv().await, Some(Found::Skipped { .. })));
        assert!(matches!(found.recv().await, Some(Found::Failed { .. })));
        thread.join().unwrap();
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
        let mut found =
            walk_in_order(dir.path().to_owned(), SymlinkPolicy::default(), |found| found).unwrap();
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

//! A directory on its way to a bucket.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::TryStreamExt;
use longshore_blob_api::{BlobStore, BlobStoreExt, Entry, ListOptions, PutOptions};
use longshore_core_types::{Error, ErrorKind, ObjectKey, Payload, Result};
use longshore_transfer::{CancelToken, Direction, TransferError, is_unfinished};

use super::{
    Copied, conflict,
    crew::{Crew, Folder},
    decide::{Decision, Remote, Seen, decide},
    event::{FileEvent, Location},
    local,
    rules::{Rules, Scope},
    tree::TreeCopy,
};

/// Something to be done.
enum Work {
    Folder(Directory),
    File(File),
}

struct Directory {
    line: Arc<Line>,
    path: PathBuf,
    /// Below the root of the upload: empty, or with a slash at its end.
    name: String,
    above: Option<Arc<Folder>>,
    scope: Option<Arc<Scope>>,
    /// There is nothing at the destination for sure.
    fresh: bool,
}

struct File {
    path: PathBuf,
    /// Below the root of the upload.
    name: String,
    seen: Seen,
    /// What is at the destination, as far as it was looked at.
    there: Option<Seen>,
    folder: Arc<Folder>,
}

enum Done {
    Found(Vec<Work>, u64),
    Moved(u64),
    Left,
}

/// The directories from the root to one below it, without links. A link to any of them would lead round for ever.
struct Line {
    real: PathBuf,
    above: Option<Arc<Self>>,
}

impl Line {
    fn has(&self, real: &Path) -> bool {
        self.real == real || self.above.as_ref().is_some_and(|above| above.has(real))
    }
}

/// What is in a directory.
enum Child {
    File(Seen),
    /// Without links.
    Directory(PathBuf),
    /// Why it cannot move.
    Neither(String),
}

/// What is where a directory goes.
struct There {
    fresh: bool,
    /// The objects in it, if it was asked for them.
    objects: HashMap<String, Seen>,
}

struct Upload {
    copy: TreeCopy,
    rules: Rules,
}

pub(super) async fn run(copy: TreeCopy) -> Result<Copied, TransferError> {
    let path = copy.path.clone();
    let meta = fs::metadata(&path).map_err(|error| local("upload", &path, error))?;
    if !meta.is_dir() {
        return Err(conflict(format!("{} is no directory", path.display())));
    }
    let rules = copy.rules();
    let (scope, real) = blocking({
        let (rules, path) = (rules.clone(), path.clone());
        move || {
            let real = fs::canonicalize(&path).map_err(|error| local("find", &path, error))?;
            Ok((rules.above(&path)?, real))
        }
    })
    .await?;
    let line = Arc::new(Line { real, above: None });
    let root = Directory { line, path, name: String::new(), above: None, scope, fresh: false };
    let mut crew = Crew::new(copy.cancel.clone());
    let upload = Arc::new(Upload { copy, rules });
    let mut copied = Copied::default();
    // The last ones come first, so that a directory is done before the next one begins.
    let mut waiting = vec![Work::Folder(root)];
    let (transfer, store) = (&upload.copy.files.transfer, &upload.copy.files.store);
    loop {
        while !crew.is_stopped() && crew.has_room(transfer.concurrency(store, Direction::Upload)) {
            let Some(work) = waiting.pop() else { break };
            let (upload, cancel) = (Arc::clone(&upload), crew.cancel.clone());
            crew.start(async move { upload.work(work, &cancel).await });
        }
        match crew.next().await {
            None => break,
            Some(Done::Found(work, failed)) => {
                copied.failed += failed;
                waiting.extend(work);
            }
            Some(Done::Moved(bytes)) => {
                copied.files += 1;
                copied.bytes += bytes;
            }
            Some(Done::Left) => copied.left += 1,
        }
    }
    crew.conclude(copied)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Other, "a task of the copy was lost").with_source(error))
    })
}

impl Upload {
    async fn work(&self, work: Work, cancel: &CancelToken) -> Result<Done, TransferError> {
        match work {
            Work::Folder(directory) => self.folder(directory).await,
            Work::File(file) => self.file(file, cancel).await,
        }
    }

    /// The name in the bucket of something below the root.
    fn target(&self, name: &str) -> String {
        let (root, name) = (&self.copy.name, name.trim_end_matches('/'));
        match (root.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => root.clone(),
            _ => format!("{root}/{name}"),
        }
    }

    async fn file(&self, file: File, cancel: &CancelToken) -> Result<Done, TransferError> {
        let copy = &self.copy;
        let offset = || copy.files.store.clock().offset();
        let decision =
            file.there.map(|there| decide(copy.wish, file.seen, there, Remote::Destination, offset()));
        let done = if decision == Some(Decision::Skip) {
            Done::Left
        } else {
            let (to, how) = (self.target(&file.name), (&copy.events, cancel));
            Done::Moved(copy.files.up(&file.path, &to, file.seen.size, how).await?)
        };
        file.folder.done(&copy.events);
        Ok(done)
    }

    async fn folder(&self, directory: Directory) -> Result<Done, TransferError> {
        let copy = &self.copy;
        let to = self.target(&directory.name);
        let there = self.prepare(&to, directory.fresh).await?;
        let Directory { line, path, name, above, scope, .. } = directory;
        let folder = Folder::enter(&copy.events, above, Location::Local(path.clone()), copy.files.at(&to));
        let (children, scope) = blocking({
            let (rules, line, path, name) =
                (self.rules.clone(), Arc::clone(&line), path.clone(), name.clone());
            move || Ok((children(&path, &line)?, rules.within(&path, &name, scope)?))
        })
        .await?;
        let (mut files, mut work, mut failed) = (Vec::new(), Vec::new(), 0);
        for (child, what) in children {
            let below = path.join(&child);
            let Some(own) = child.to_str().filter(|own| !own.contains('\0')) else {
                let text = format!("Cannot transfer {}, its name is not UTF-8", below.display());
                failed += self.fail(&below, &to, text);
                continue;
            };
            let slash = if matches!(what, Child::Directory(_)) { "/" } else { "" };
            let full = format!("{name}{own}{slash}");
            if is_unfinished(own) || !self.rules.keeps(scope.as_deref(), &full) {
                continue;
            }
            match what {
                Child::Neither(why) => failed += self.fail(&below, &self.target(&full), why),
                Child::File(seen) => {
                    folder.add();
                    let there = there.objects.get(own).copied();
                    files.push(Work::File(File {
                        path: below,
                        name: full,
                        seen,
                        there,
                        folder: Arc::clone(&folder),
                    }));
                }
                Child::Directory(real) => {
                    folder.add();
                    work.push(Work::Folder(Directory {
                        line: Arc::new(Line { real, above: Some(Arc::clone(&line)) }),
                        path: below,
                        name: full,
                        above: Some(Arc::clone(&folder)),
                        scope: scope.clone(),
                        fresh: there.fresh,
                    }));
                }
            }
        }
        folder.done(&copy.events);
        work.extend(files);
        Ok(Done::Found(work, failed))
    }

    fn fail(&self, from: &Path, to: &str, message: String) -> u64 {
        let (from, to) = (Location::Local(from.to_owned()), self.copy.files.at(to));
        self.copy.events.send(|| FileEvent::Fail { from, to, message });
        1
    }

    /// Makes sure that there is a folder of this name, and no object.
    async fn prepare(&self, name: &str, fresh: bool) -> Result<There, TransferError> {
        let store = &self.copy.files.store;
        let prefix = if name.is_empty() { String::new() } else { format!("{name}/") };
        let mut there = There { fresh, objects: HashMap::new() };
        if !fresh {
            there.fresh = true;
            if self.copy.wish.update {
                let mut entries = store.entries(prefix.clone(), false);
                while let Some(entry) = entries.try_next().await? {
                    there.fresh = false;
                    let Entry::Object(meta) = entry else { continue };
                    let own = meta.key.as_str().strip_prefix(&prefix).unwrap_or_default();
                    let seen = Seen { size: meta.size, modified: meta.last_modified };
                    there.objects.insert(own.to_owned(), seen);
                }
            } else {
                let options = ListOptions::prefix(&*prefix).with_page_size(1);
                there.fresh = store.list(options).try_next().await?.is_none();
            }
            if there.fresh && self.copy.files.head(name).await?.is_some() {
                return Err(conflict(format!("{} is an object, not a folder", self.copy.files.at(name))));
            }
        }
        if there.fresh && self.copy.markers && !prefix.is_empty() {
            store.put(&ObjectKey::new(prefix)?, Payload::empty(), PutOptions::default()).await?;
        }
        Ok(there)
    }
}

/// What is in a directory, by name. Links are followed.
fn children(directory: &Path, line: &Line) -> Result<Vec<(std::ffi::OsString, Child)>> {
    let failed = |error| local("read the directory", directory, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match child(&path, is_link, line) {
            Ok(child) => found.push((entry.file_name(), child)),
            // It went away in between, which is no fault.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => {}
            Err(error) => {
                let text = format!("Cannot transfer {}, {error}", path.display());
                found.push((entry.file_name(), Child::Neither(text)));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn child(path: &Path, is_link: bool, line: &Line) -> io::Result<Child> {
    let meta = fs::metadata(path)?;
    if meta.is_file() {
        return Ok(Child::File(Seen { size: meta.len(), modified: meta.modified().ok() }));
    }
    if !meta.is_dir() {
        let text = format!("Cannot transfer {}, not regular file/directory", path.display());
        return Ok(Child::Neither(text));
    }
    let real = match path.file_name() {
        Some(name) if !is_link => line.real.join(name),
        _ => fs::canonicalize(path)?,
    };
    if is_link && line.has(&real) {
        let text = format!("Cannot transfer {}, it leads back to {}", path.display(), real.display());
        return Ok(Child::Neither(text));
    }
    Ok(Child::Directory(real))
}

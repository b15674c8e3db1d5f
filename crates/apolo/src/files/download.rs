//! A folder on its way to this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::TryStreamExt;
use longshore_blob_api::Entry;
use longshore_core_types::{ObjectMeta, Result};
use longshore_transfer::{Direction, TransferError, path_below};

use super::{
    Copied, conflict,
    crew::{Crew, Folder},
    decide::{Decision, Remote, Seen, decide},
    event::{FileEvent, Location},
    local, not_found,
    rules::Rules,
    tree::TreeCopy,
};

/// A folder of the listing that has not ended.
struct Open {
    /// Below the root of the download: empty, or with a slash at its end.
    name: String,
    /// `None` if it is left out.
    folder: Option<Arc<Folder>>,
}

struct Download {
    copy: TreeCopy,
    rules: Rules,
    /// From the root to where the listing is. In a listing what is in a folder is in a row.
    open: Vec<Open>,
    crew: Crew<u64>,
    copied: Copied,
}

pub(super) async fn run(copy: TreeCopy) -> Result<Copied, TransferError> {
    let store = copy.files.store.clone();
    let prefix = if copy.name.is_empty() { String::new() } else { format!("{}/", copy.name) };
    let mut entries = store.entries(prefix.clone(), true);
    let mut next = entries.try_next().await?;
    if next.is_none() && !copy.name.is_empty() {
        let at = copy.files.at(&copy.name);
        return Err(match copy.files.head(&copy.name).await? {
            Some(_) => conflict(format!("{at} is an object, not a folder")),
            None => not_found(format!("folder {at}")),
        });
    }
    directory(&copy.path, true)?;
    let (from, to) = (copy.files.at(&copy.name), Location::Local(copy.path.clone()));
    let root = Folder::enter(&copy.events, None, from, to);
    let rules = copy.rules();
    let crew = Crew::new(copy.cancel.clone());
    let open = vec![Open { name: String::new(), folder: Some(root) }];
    let mut this = Download { copy, rules, open, crew, copied: Copied::default() };
    while let Some(entry) = next {
        if this.crew.is_stopped() {
            break;
        }
        if let Entry::Object(meta) = entry
            && let Err(error) = this.object(&prefix, meta).await
        {
            this.crew.fail(error);
        }
        next = match entries.try_next().await {
            Ok(next) => next,
            Err(error) => {
                this.crew.fail(error.into());
                None
            }
        };
    }
    if !this.crew.is_stopped() {
        this.close(None);
    }
    while let Some(bytes) = this.crew.next().await {
        this.moved(bytes);
    }
    this.crew.conclude(this.copied)
}

/// Makes a directory, with those above it if `parents`.
fn directory(path: &Path, parents: bool) -> Result<(), TransferError> {
    let made = if parents { fs::create_dir_all(path) } else { fs::create_dir(path) };
    match made {
        Ok(()) => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        Err(_) if path.exists() => Err(conflict(format!("{} is no directory", path.display()))),
        Err(error) => Err(local("create the directory", path, error).into()),
    }
}

impl Download {
    fn moved(&mut self, bytes: u64) {
        self.copied.files += 1;
        self.copied.bytes += bytes;
    }

    /// Leaves the folders that the next name is not in; all of them if there is none.
    fn close(&mut self, next: Option<&str>) {
        while let Some(open) = self.open.pop_if(|open| next.is_none_or(|next| !next.starts_with(&open.name)))
        {
            if let Some(folder) = open.folder {
                folder.done(&self.copy.events);
            }
        }
    }

    /// Enters the folders of a name that are not open, and returns the one that it is in unless that is left out.
    fn folder(&mut self, name: &str) -> Result<Option<Arc<Folder>>, TransferError> {
        let entered = self.open.last().map_or(0, |open| open.name.len());
        let further: Vec<usize> =
            name[entered..].match_indices('/').map(|(at, _)| entered + at + 1).collect();
        for end in further {
            let name = &name[..end];
            let above = self.open.last().and_then(|open| open.folder.clone());
            let folder = match above.filter(|_| self.rules.keeps(None, name)) {
                None => None,
                Some(above) => {
                    let path = self.copy.path.join(path_below(name)?);
                    directory(&path, false)?;
                    above.add();
                    let from = self.copy.files.at(self.target(name).trim_end_matches('/'));
                    Some(Folder::enter(&self.copy.events, Some(above), from, Location::Local(path)))
                }
            };
            self.open.push(Open { name: name.to_owned(), folder });
        }
        Ok(self.open.last().and_then(|open| open.folder.clone()))
    }

    /// The name in the bucket of something below the root.
    fn target(&self, name: &str) -> String {
        if self.copy.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.copy.name) }
    }

    fn fail(&mut self, meta: &ObjectMeta, message: String) {
        self.copied.failed += 1;
        let (from, to) = (self.copy.files.at(meta.key.as_str()), Location::Local(self.copy.path.clone()));
        self.copy.events.send(|| FileEvent::Fail { from, to, message });
    }

    async fn object(&mut self, prefix: &str, meta: ObjectMeta) -> Result<(), TransferError> {
        let Some(name) = meta.key.as_str().strip_prefix(prefix).map(str::to_owned) else { return Ok(()) };
        if name.is_empty() {
            return Ok(());
        }
        let path = match path_below(&name) {
            Ok(below) => self.copy.path.join(below),
            Err(error) => {
                self.fail(&meta, format!("Cannot transfer {}, {}", meta.key, error.message()));
                return Ok(());
            }
        };
        self.close(Some(&name));
        let Some(folder) = self.folder(&name)? else { return Ok(()) };
        if name.ends_with('/') {
            // The folder's marker, which is in the listing for the folder alone.
            if meta.size > 0 {
                let text = format!("it ends in / but holds {} bytes", meta.size);
                self.fail(&meta, format!("Cannot transfer {}, {text}", meta.key));
            }
            return Ok(());
        }
        if !self.rules.keeps(None, &name) {
            return Ok(());
        }
        let begun = match self.decide(&meta, &path) {
            Decision::Skip => {
                self.copied.left += 1;
                return Ok(());
            }
            Decision::Continue(begun) => begun,
            Decision::Move => 0,
        };
        folder.add();
        self.start(&meta, path, begun, folder).await;
        Ok(())
    }

    fn decide(&self, meta: &ObjectMeta, path: &Path) -> Decision {
        let copy = &self.copy;
        if !(copy.wish.update || copy.wish.resume) {
            return Decision::Move;
        }
        let Ok(there) = fs::metadata(path) else { return Decision::Move };
        let there = Seen { size: there.len(), modified: there.modified().ok() };
        let source = Seen { size: meta.size, modified: meta.last_modified };
        decide(copy.wish, source, there, Remote::Source, copy.files.store.clock().offset())
    }

    /// Starts a download once there is room for it.
    async fn start(&mut self, meta: &ObjectMeta, path: PathBuf, begun: u64, folder: Arc<Folder>) {
        let files = self.copy.files.clone();
        while !self.crew.has_room(files.transfer.concurrency(&files.store, Direction::Download)) {
            match self.crew.next().await {
                Some(bytes) => self.moved(bytes),
                None => break,
            }
        }
        let (events, cancel) = (self.copy.events.clone(), self.crew.cancel.clone());
        let (key, size) = (meta.key.clone(), meta.size);
        self.crew.start(async move {
            let bytes = files.down(key.as_str(), &path, (size, begun), (&events, &cancel)).await?;
            folder.done(&events);
            Ok(bytes)
        });
    }
}

//! One file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use longshore_transfer::{CancelToken, TransferError};

use super::{
    Copied, Files, absolute,
    builder::{check_upload, copy_settings},
    conflict,
    decide::{Decision, Remote, Seen, Wish, decide},
    event::{Events, FileEvent},
    local, not_found,
};

/// A copy of one file that has not started; await it. See [`Files`].
#[must_use = "nothing happens until it is awaited"]
pub struct FileCopy {
    files: Files,
    path: PathBuf,
    name: String,
    is_upload: bool,
    wish: Wish,
    events: Events,
    cancel: CancelToken,
}

impl FileCopy {
    pub(super) fn up(files: Files, from: PathBuf, to: String) -> Self {
        Self::new(files, from, to, true)
    }

    pub(super) fn down(files: Files, from: String, to: PathBuf) -> Self {
        Self::new(files, to, from, false)
    }

    fn new(files: Files, path: PathBuf, name: String, is_upload: bool) -> Self {
        let (wish, events, cancel) = (Wish::default(), Events::default(), CancelToken::new());
        Self { files, path, name, is_upload, wish, events, cancel }
    }

    async fn run(self) -> Result<Copied, TransferError> {
        let path = absolute(&self.path)?;
        if self.is_upload { self.upload(&path).await } else { self.download(&path).await }
    }

    async fn upload(self, from: &Path) -> Result<Copied, TransferError> {
        check_upload(self.wish)?;
        let meta = fs::metadata(from).map_err(|error| local("upload", from, error))?;
        if meta.is_dir() {
            return Err(conflict(format!("{} is a directory, not a file", from.display())));
        }
        let there = self.files.head(&self.name).await?;
        if self.files.store.is_dir(&self.name).await? {
            return Err(conflict(format!("{} is a folder", self.files.at(&self.name))));
        }
        let source = Seen { size: meta.len(), modified: meta.modified().ok() };
        let there = there.map(|meta| Seen { size: meta.size, modified: meta.last_modified });
        match self.decide(source, there, Remote::Destination) {
            Decision::Skip => Ok(left()),
            Decision::Move | Decision::Continue(_) => {
                let how = (&self.events, &self.cancel);
                self.files.up(from, &self.name, source.size, how).await.map(moved)
            }
        }
    }

    async fn download(self, to: &Path) -> Result<Copied, TransferError> {
        let found = self.files.head(&self.name).await?;
        if self.files.store.is_dir(&self.name).await? {
            return Err(conflict(format!("{} is a folder, not an object", self.files.at(&self.name))));
        }
        let Some(found) = found else {
            return Err(not_found(format!("object {}", self.files.at(&self.name))));
        };
        let there = fs::metadata(to).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(conflict(format!("{} is a directory", to.display())));
        }
        let source = Seen { size: found.size, modified: found.last_modified };
        let there = there.map(|meta| Seen { size: meta.len(), modified: meta.modified().ok() });
        let begun = match self.decide(source, there, Remote::Source) {
            Decision::Skip => return Ok(left()),
            Decision::Continue(begun) => begun,
            Decision::Move => 0,
        };
        let how = (&self.events, &self.cancel);
        self.files.down(&self.name, to, (found.size, begun), how).await.map(moved)
    }

    fn decide(&self, source: Seen, there: Option<Seen>, remote: Remote) -> Decision {
        match there {
            Some(there) => decide(self.wish, source, there, remote, self.files.store.clock().offset()),
            None => Decision::Move,
        }
    }
}

fn moved(bytes: u64) -> Copied {
    Copied { files: 1, bytes, ..Copied::default() }
}

fn left() -> Copied {
    Copied { left: 1, ..Copied::default() }
}

copy_settings!(FileCopy);

//! One file.

use std::{
    fmt, fs,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
};

use longshore_core_types::{Error, ErrorKind};
use longshore_transfer::{CancelToken, TransferError};

use super::{
    Copied, Files, absolute, conflict,
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

    /// Leaves a destination alone that is newer than the source by two seconds or more, as far as the clocks of both sides
    /// allow to say. Default off.
    pub fn update(mut self, on: bool) -> Self {
        self.wish.update = on;
        self
    }

    /// If the destination is newer by two seconds or more: leaves it alone if it is as long as the source, and takes it for
    /// the beginning if it is shorter, so that only the rest is fetched. Downloads alone can do that:
    /// [`ErrorKind::InvalidInput`] for uploads. Default off. [`update`](Self::update) wins.
    #[doc(alias = "continue")]
    pub fn resume(mut self, on: bool) -> Self {
        self.wish.resume = on;
        self
    }

    /// Tells what happens. Calls come one at a time, from the tasks that move bytes, so they must be quick.
    pub fn on_event(mut self, listener: impl FnMut(&FileEvent) + Send + 'static) -> Self {
        self.events = Events::new(listener);
        self
    }

    /// Obeys this token.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    async fn run(self) -> Result<Copied, TransferError> {
        let path = absolute(&self.path)?;
        if self.is_upload { self.upload(&path).await } else { self.download(&path).await }
    }

    async fn upload(self, from: &Path) -> Result<Copied, TransferError> {
        if self.wish.resume {
            let text = "an upload cannot go on in an object: only downloads can resume";
            return Err(Error::new(ErrorKind::InvalidInput, text).into());
        }
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

impl IntoFuture for FileCopy {
    type Output = Result<Copied, TransferError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for FileCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCopy")
            .field("path", &self.path)
            .field("name", &self.name)
            .field("is_upload", &self.is_upload)
            .field("wish", &self.wish)
            .finish_non_exhaustive()
    }
}

//! Whole directories.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use longshore_transfer::{CancelToken, TransferError};

use super::{
    Copied, Files, absolute,
    builder::{check_upload, copy_settings},
    decide::Wish,
    download,
    event::{Events, FileEvent},
    rules::{Keep, Rules},
    upload,
};

/// A copy of a directory that has not started; await it. See [`Files`].
///
/// Files move side by side; what only the destination has stays. The first failure stops the others and is the result: what
/// moved by then stays too. What is no file or directory, and what cannot have its name at the destination, fails
/// alone: [`Copied::failed`] counts it, and [`FileEvent::Fail`] tells of it.
///
/// Links are followed, except for those that lead back to where they are. In memory are the names of the directories that are
/// under way, for each level.
#[must_use = "nothing happens until it is awaited"]
pub struct TreeCopy {
    pub(super) files: Files,
    pub(super) path: PathBuf,
    /// Without a slash at its end.
    pub(super) name: String,
    is_upload: bool,
    pub(super) wish: Wish,
    ignore_files: Vec<OsString>,
    keep: Option<Arc<Keep>>,
    pub(super) markers: bool,
    pub(super) events: Events,
    pub(super) cancel: CancelToken,
}

impl TreeCopy {
    pub(super) fn up(files: Files, from: PathBuf, to: String) -> Self {
        Self::new(files, from, to, true)
    }

    pub(super) fn down(files: Files, from: String, to: PathBuf) -> Self {
        Self::new(files, to, from, false)
    }

    fn new(files: Files, path: PathBuf, name: String, is_upload: bool) -> Self {
        Self {
            files,
            path,
            name,
            is_upload,
            wish: Wish::default(),
            ignore_files: Vec::new(),
            keep: None,
            markers: true,
            events: Events::default(),
            cancel: CancelToken::new(),
        }
    }

    /// What is meant, by its name below the source; names of directories end in `/`, and nothing below one that is left
    /// out is asked about. Asked where no ignore file decides.
    pub fn filter(mut self, keep: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.keep = Some(Arc::new(keep));
        self
    }

    /// Uploads leave out what files of these names say ([`IgnoreFile`](crate::IgnoreFile)), in the directories of the source
    /// and in those above it. The platform's command line has `.apoloignore` and `.neuroignore`. The innermost one that is
    /// about a name decides, of two in one directory the one named last. Default none.
    ///
    /// They are uploaded themselves unless they say otherwise.
    pub fn ignore_files(mut self, names: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.ignore_files = names.into_iter().map(Into::into).collect();
        self
    }

    /// Whether an upload marks each folder, which is new, by an empty object whose name ends in `/`. So the platform's
    /// client does, and so directories that are empty come back. Default on.
    pub fn markers(mut self, on: bool) -> Self {
        self.markers = on;
        self
    }

    pub(super) fn rules(&self) -> Rules {
        Rules::new(self.ignore_files.clone(), self.keep.clone())
    }

    async fn run(mut self) -> Result<Copied, TransferError> {
        self.path = absolute(&self.path)?;
        if !self.is_upload {
            return download::run(self).await;
        }
        check_upload(self.wish)?;
        upload::run(self).await
    }
}

copy_settings!(TreeCopy);

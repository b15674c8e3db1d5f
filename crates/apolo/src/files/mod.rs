//! Files and directories to a bucket and back, as the platform's own client moves them.

mod builder;
mod crew;
mod decide;
mod download;
mod event;
mod one;
mod rules;
mod tree;
mod upload;

use std::path::{Path, PathBuf};

use longshore_blob_api::{BlobStore, HeadOptions};
use longshore_core_types::{Error, ErrorKind, ObjectKey, ObjectMeta, Result};
use longshore_transfer::{CancelToken, Transfer, TransferError};

use self::event::{Events, Track};
pub use self::{
    event::{FileEvent, Location},
    one::FileCopy,
    tree::TreeCopy,
};
use crate::{store::Store, tree::Removed};

/// What a copy of files did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Files that moved.
    pub files: u64,
    /// Files that were left alone because the destination has them.
    pub left: u64,
    /// Names of which [`FileEvent::Fail`] told: what is no file or directory, and what cannot have its name there.
    pub failed: u64,
    /// Bytes of the files that moved.
    pub bytes: u64,
}

/// Moves files and directories between this machine and a bucket, with the rules of the platform's own client: when a file is
/// left alone, which marker a folder has, what ignore files say, and what is told while it happens. Made by
/// [`Store::files`]. Cloning is cheap.
///
/// The bytes are moved by a [`Transfer`]: in parts, side by side, within its limits, going on after an interruption as
/// its settings say, and with local files that have their names only when they are whole. Where nothing of this platform is
/// needed, [`Transfer`] itself moves trees too, and compares them.
///
/// Names are those of the store, without the bucket: `"a/b"`; slashes at the end make no difference, and the empty name is
/// the bucket itself.
#[derive(Clone, Debug)]
pub struct Files {
    store: Store,
    transfer: Transfer,
}

impl Store {
    /// Moves files and directories to and from this bucket, within the limits of `transfer`.
    pub fn files(&self, transfer: &Transfer) -> Files {
        Files { store: self.clone(), transfer: transfer.clone() }
    }
}

impl Files {
    /// Uploads a file to an object of this very name: a slash at its end does not put the file into a folder.
    ///
    /// [`ErrorKind::NotFound`] if there is no such file, [`ErrorKind::Conflict`] if either is a directory.
    pub fn upload_file(&self, from: impl Into<PathBuf>, to: impl Into<String>) -> FileCopy {
        FileCopy::up(self.clone(), from.into(), trimmed(to.into()))
    }

    /// Downloads an object to a file of this very name. The directory must be there.
    ///
    /// [`ErrorKind::NotFound`] if there is no such object, [`ErrorKind::Conflict`] if either is a directory: of an object
    /// and a folder of the same name it is the folder.
    pub fn download_file(&self, from: impl Into<String>, to: impl Into<PathBuf>) -> FileCopy {
        FileCopy::down(self.clone(), trimmed(from.into()), to.into())
    }

    /// Uploads what is in a directory into a folder, which empty directories become too. Nothing is removed there.
    ///
    /// [`ErrorKind::NotFound`] if there is no such directory, [`ErrorKind::Conflict`] if it is a file, or if an object is
    /// where a folder should be.
    pub fn upload_dir(&self, from: impl Into<PathBuf>, to: impl Into<String>) -> TreeCopy {
        TreeCopy::up(self.clone(), from.into(), trimmed(to.into()))
    }

    /// Downloads what is in a folder into a directory, which is made. Nothing is removed there.
    ///
    /// [`ErrorKind::NotFound`] if there is nothing of this name, [`ErrorKind::Conflict`] if it is an object, or if a file is
    /// where a directory should be.
    pub fn download_dir(&self, from: impl Into<String>, to: impl Into<PathBuf>) -> TreeCopy {
        TreeCopy::down(self.clone(), trimmed(from.into()), to.into())
    }

    /// Removes an object, or a folder with everything in it, as [`Store::remove`] does, and tells of it.
    pub async fn remove(&self, name: &str, recursive: bool, mut told: impl FnMut(&FileEvent)) -> Result<()> {
        let removed = |removed: Removed<'_>| {
            let (name, is_dir) = match removed {
                Removed::Object(key) => (key.as_str(), false),
                Removed::Folder(name) => (name, true),
            };
            told(&FileEvent::Delete { at: self.at(name), is_dir });
        };
        self.store.remove(name, recursive, removed).await
    }

    fn at(&self, name: &str) -> Location {
        Location::Bucket(self.store.url().with_key(name))
    }

    /// The object of this name, if there is one.
    async fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        let Ok(key) = ObjectKey::new(name) else { return Ok(None) };
        match self.store.head(&key, HeadOptions::default()).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves one file up. Events are those of this file.
    async fn up(
        &self,
        from: &Path,
        to: &str,
        size: u64,
        (events, cancel): (&Events, &CancelToken),
    ) -> Result<u64, TransferError> {
        let track = Track::new(events, Location::Local(from.to_owned()), self.at(to), size, 0);
        let upload = self.transfer.upload(&self.store, ObjectKey::new(to)?, from);
        Ok(upload.progress(track).cancel(cancel.clone()).await?.bytes)
    }

    /// Moves one object down, behind so many bytes that are there.
    async fn down(
        &self,
        from: &str,
        to: &Path,
        (size, there): (u64, u64),
        (events, cancel): (&Events, &CancelToken),
    ) -> Result<u64, TransferError> {
        let track = Track::new(events, self.at(from), Location::Local(to.to_owned()), size, there);
        let download = self.transfer.download(&self.store, ObjectKey::new(from)?, to);
        let download = download.size_hint(size).continue_file(there > 0);
        Ok(download.progress(track).cancel(cancel.clone()).await?.bytes)
    }
}

fn trimmed(mut name: String) -> String {
    name.truncate(name.trim_end_matches('/').len());
    name
}

/// A local path that stays the same wherever the program goes.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| local("find", path, error))
}

fn local(tried: &str, path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::LocalIo,
    };
    Error::new(kind, format!("cannot {tried} {}", path.display())).with_source(error)
}

fn conflict(text: String) -> TransferError {
    Error::new(ErrorKind::Conflict, text).into()
}

fn not_found(what: impl std::fmt::Display) -> TransferError {
    Error::new(ErrorKind::NotFound, format!("there is no {what}")).into()
}

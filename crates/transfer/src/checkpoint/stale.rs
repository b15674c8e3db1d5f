//! Transfers that were interrupted and not taken up again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use longshore_blob_api::MultipartRef;
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result, StoreUrl};

use super::{download, remove, upload};
use crate::{error::local, part_file, progress::Direction};

/// A transfer that was interrupted. The same transfer would go on with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unfinished {
    /// Which way it went.
    pub direction: Direction,
    /// The object, as a store URL.
    pub url: String,
    /// The local file: the source of an upload, or the target of a download.
    pub path: PathBuf,
    /// Size of the whole in bytes.
    pub size: u64,
    /// Bytes that need not move again.
    pub done: u64,
    /// When it came forward last.
    pub changed: Option<SystemTime>,
    /// Somebody was at work on it when it was listed.
    pub running: bool,
    /// What an upload left at the store, to be aborted before the checkpoint is forgotten.
    pub upload: Option<MultipartRef>,
    /// What there is of it; first the file by which a transfer that is at work is known.
    files: Vec<PathBuf>,
}

impl Unfinished {
    /// Removes the checkpoint, and the bytes of a download. What an upload left at the store is not touched.
    ///
    /// [`ErrorKind::LocalIo`] if something cannot be removed, and if it is running.
    pub fn forget(&self) -> Result<()> {
        // Somebody may have taken it up since it was listed.
        if self.files.first().is_some_and(|file| is_at_work(self.direction, file)) {
            let text = format!("cannot forget the transfer of {}: it is running", self.url);
            return Err(Error::new(ErrorKind::LocalIo, text));
        }
        for file in &self.files {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(local("remove", file, error));
                }
                _ => {}
            }
            remove(file);
        }
        Ok(())
    }
}

/// The transfers that checkpoints in this directory speak of, the latest first.
///
/// What cannot be read or understood is left out, and notes that lead nowhere any more are removed.
///
/// [`ErrorKind::LocalIo`] if the directory is there and cannot be read.
pub fn unfinished(directory: &Path) -> Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for path in documents(&directory.join("uploads"))? {
        found.extend(upload(&path));
    }
    for path in documents(&directory.join("downloads"))? {
        match download(&path) {
            Some(one) => found.push(one),
            None => remove(&path),
        }
    }
    found.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| a.url.cmp(&b.url)));
    Ok(found)
}

fn documents(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| local("read the directory", folder, error))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: io::Result<Vec<PathBuf>> = paths.collect();
    let mut paths = paths.map_err(|error| local("read the directory", folder, error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(paths)
}

fn upload(json: &Path) -> Option<Unfinished> {
    let document = upload::open(json)?;
    let url: StoreUrl = document.url().parse().ok()?;
    let key = ObjectKey::new(url.key()).ok()?;
    Some(Unfinished {
        direction: Direction::Upload,
        url: document.url().to_owned(),
        path: document.path().to_owned(),
        size: document.size(),
        done: document.done(),
        changed: changed(json),
        running: is_at_work(Direction::Upload, json),
        upload: Some(MultipartRef { key, id: document.upload() }),
        files: vec![json.to_owned(), json.with_extension("lock")],
    })
}

fn download(pointer: &Path) -> Option<Unfinished> {
    let download::Found { checkpoint: json, part, target, document } = download::follow(pointer)?;
    Some(Unfinished {
        direction: Direction::Download,
        url: document.url().to_owned(),
        path: target.unwrap_or_else(|| part.clone()),
        size: document.size(),
        done: document.done(),
        changed: changed(&json),
        running: is_at_work(Direction::Download, &part),
        upload: None,
        files: vec![part, json, pointer.to_owned()],
    })
}

/// Whether somebody holds the lock of an upload's checkpoint, or of a file that grows.
fn is_at_work(direction: Direction, file: &Path) -> bool {
    match direction {
        Direction::Upload => upload::is_claimed(file),
        Direction::Download | Direction::Copy => part_file::is_locked(file),
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

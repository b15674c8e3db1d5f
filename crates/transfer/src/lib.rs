//! Moves whole objects and trees in parallel over any [`BlobStore`], within a memory budget.
//!
//! [`Transfer`] holds the limits that everything shares: requests in flight, bytes in memory, bytes per second.
//! From it come [`Upload`] and [`Download`] for one object, [`UploadDir`] and [`DownloadDir`] for trees. Each is a
//! builder: await it, or start it in the background and keep the handle.
#![doc = include_str!("../README.md")]

mod batches;
mod body;
mod budget;
mod cancel;
mod checkpoint;
mod config;
mod context;
mod controller;
mod copy;
mod dir;
mod disk_speed;
mod download;
mod error;
mod file_io;
mod handle;
mod measured;
mod pace;
mod part_file;
mod plan;
mod progress;
mod rate;
mod report;
mod requests;
mod retry;
mod sink;
mod slab;
mod small_file;
mod source;
mod source_file;
mod sync;
#[cfg(test)]
mod tests;
mod tree;
mod upload;

use std::{path::Path, sync::Arc};

use longshore_blob_api::{AnyStore, BlobStore};
use longshore_core_types::ObjectKey;

pub use cancel::CancelToken;
pub use checkpoint::{Unfinished, unfinished};
pub use config::{MultipartFailure, TransferBuilder, Verify};
pub use copy::{CopyObject, CopyOutcome, MODIFIED_KEY};
pub use download::{Body, Download, DownloadHandle, DownloadOutcome};
pub use error::TransferError;
pub use handle::TransferHandle;
pub use part_file::is_unfinished;
pub use plan::PartSize;
pub use progress::{Direction, Item, Progress, ProgressSink, SkipReason, TransferEvent};
pub use report::{BatchReport, FailurePolicy};
pub use retry::RetryPolicy;
pub use sink::Sink;
pub use source::Source;
pub use sync::{Compare, End, Entry, Moved, Place, Sync, SyncAction, SyncReport};
pub use tree::{DownloadDir, Filter, FilterBuilder, SymlinkPolicy, UploadDir, path_below};
pub use upload::{Upload, UploadHandle, UploadOutcome};

/// What all transfers of a program share: limits and settings. Cloning shares them too.
///
/// A program should have one, since the limits hold for all that comes from it.
#[derive(Clone, Debug)]
pub struct Transfer(Arc<config::Engine>);

/// Memory and requests that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes of the memory budget in use.
    pub memory: u64,
    /// The most that were in use at once.
    pub memory_peak: u64,
    /// The budget.
    pub memory_budget: u64,
}

impl Transfer {
    /// Default settings.
    pub fn builder() -> TransferBuilder {
        TransferBuilder::default()
    }

    /// Uploads a file, bytes or a stream as one object.
    pub fn upload<S: BlobStore + Clone>(
        &self,
        to: &S,
        key: impl Into<ObjectKey>,
        from: impl Into<Source>,
    ) -> Upload<S> {
        Upload::new(&self.0, to.clone(), key.into(), from.into())
    }

    /// Downloads one object to a file or a writer.
    pub fn download<S: BlobStore + Clone>(
        &self,
        from: &S,
        key: impl Into<ObjectKey>,
        to: impl Into<Sink>,
    ) -> Download<S> {
        Download::new(&self.0, from.clone(), key.into(), to.into())
    }

    /// One object as a stream of bytes in order, fetched in parts ahead of the reader; see [`Download::body`].
    ///
    /// Fails if there is no such object, or no first answer; what fails later is an item of the stream.
    pub async fn read<S: BlobStore + Clone>(
        &self,
        from: &S,
        key: impl Into<ObjectKey>,
    ) -> Result<Body<S>, TransferError> {
        self.download(from, key, Sink::writer(tokio::io::sink())).body().await
    }

    /// Uploads the files below a directory. Their names, with `/` between the parts, follow `prefix`.
    ///
    /// A prefix that is not empty gets a final `/` if it has none.
    pub fn upload_dir<S: BlobStore + Clone>(
        &self,
        from: impl AsRef<Path>,
        to: &S,
        prefix: impl Into<String>,
    ) -> UploadDir<S> {
        UploadDir::new(&self.0, from.as_ref(), to.clone(), prefix.into())
    }

    /// Downloads the objects below a prefix into a directory, under their names without the prefix.
    ///
    /// A prefix that is not empty gets a final `/` if it has none.
    pub fn download_dir<S: BlobStore + Clone>(
        &self,
        from: &S,
        prefix: impl Into<String>,
        to: impl AsRef<Path>,
    ) -> DownloadDir<S> {
        DownloadDir::new(&self.0, from.clone(), prefix.into(), to.as_ref())
    }

    /// Copies an object to another name or store. `reader` reads what has to pass through this process; it needs
    /// limits of its own, so that neither side waits for what the other holds.
    pub fn copy(
        &self,
        reader: &Self,
        from: &AnyStore,
        source: impl Into<ObjectKey>,
        to: &AnyStore,
        target: impl Into<ObjectKey>,
    ) -> CopyObject {
        CopyObject::new(reader, self, (from.clone(), source.into()), (to.clone(), target.into()))
    }

    /// Copies, moves, or makes the same what is in one place and in another.
    pub fn sync(&self, from: Place, to: Place) -> Sync {
        Sync::new(self, from, to)
    }

    /// How many requests may be in flight right now in one direction at the service behind a store: 8 at first (or the
    /// limit of [`TransferBuilder::concurrency`], if that is less), later what was found to be right.
    pub fn concurrency<S: BlobStore>(&self, store: &S, direction: Direction) -> usize {
        self.0.services.requests(store.pressure().as_ref(), direction).limit()
    }

    /// What is in use right now.
    pub fn usage(&self) -> Usage {
        let memory = &self.0.memory;
        Usage { memory: memory.in_use(), memory_peak: memory.peak(), memory_budget: memory.total() }
    }
}

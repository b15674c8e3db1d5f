//! One file or object on its way to its place, and what becomes of where it was.

use std::{fs, io, path::PathBuf, sync::Arc};

use longshore_blob_api::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, HeadOptions, Pin, PutOptions};
use longshore_core_types::{Attributes, Error, ErrorKind, ObjectKey, ObjectMeta, Result as CoreResult};

use crate::{
    Transfer,
    context::Context,
    copy::{CopyObject, holdable},
    download::Download,
    error::{Result, TransferError, local, local_fault},
    file_io::Identity,
    progress::Reporter,
    sink::Sink,
    source::Source,
    upload::Upload,
};

/// A file or an object.
#[derive(Clone, Debug)]
pub enum End {
    /// A local file.
    File(PathBuf),
    /// An object of a store.
    Object(AnyStore, ObjectKey),
}

/// What becomes of one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Bytes that arrived.
    pub bytes: u64,
    /// What stood beside the source and could not be stored beside the copy.
    pub lost: u64,
    /// Nothing was done: the destination exists, and was not to be replaced.
    pub existed: bool,
}

pub(super) type OfFile = dyn Fn(&std::path::Path) -> Attributes + Send + Sync;
pub(super) type OfCopy = dyn Fn(&Attributes) -> Attributes + Send + Sync;

/// How items move.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub(super) struct How {
    pub(super) reader: Transfer,
    pub(super) writer: Transfer,
    pub(super) context: Context,
    pub(super) of_file: Option<Arc<OfFile>>,
    pub(super) of_copy: Option<Arc<OfCopy>>,
    pub(super) server_side: bool,
    pub(super) remove_source: bool,
    pub(super) no_clobber: bool,
    /// Downloaded files get the times that listings show, with which they are compared.
    pub(super) time_as_listed: bool,
}

impl How {
    /// Moves one item, which reports for itself.
    pub(super) async fn one(
        &self,
        from: &End,
        to: &End,
        size: Option<u64>,
        reporter: &Reporter,
    ) -> Result<Moved> {
        let conditional = match to {
            End::Object(store, _) => store.capability().create_only,
            End::File(_) => false,
        };
        if self.no_clobber && !conditional && exists(&self.context, to).await? {
            return Ok(Moved { existed: true, ..Moved::default() });
        }
        let moved = match (from, to) {
            (End::File(path), End::Object(store, key)) => {
                self.upload(path, store, key, reporter, conditional).await
            }
            (End::Object(store, key), End::File(path)) => {
                self.download(store, key, path, size, reporter).await
            }
            (End::Object(from, source), End::Object(to, target)) => {
                self.copy((from, source), (to, target), reporter, conditional).await
            }
            (End::File(path), End::File(_)) => {
                let text = format!("{} and its destination are both local", path.display());
                Err(Error::new(ErrorKind::InvalidInput, text).into())
            }
        };
        match moved {
            Err(error) if self.no_clobber && conditional && is_refusal(&error) => {
                Ok(Moved { existed: true, ..Moved::default() })
            }
            moved => moved,
        }
    }

    async fn upload(
        &self,
        path: &PathBuf,
        store: &AnyStore,
        key: &ObjectKey,
        reporter: &Reporter,
        conditional: bool,
    ) -> Result<Moved> {
        let before = fs::metadata(path).map_err(|error| local("read", path, error))?;
        let attributes = match &self.of_file {
            Some(of) => {
                let (of, path) = (Arc::clone(of), path.clone());
                let found = tokio::task::spawn_blocking(move || of(&path)).await;
                found.map_err(crate::error::task_failed)?
            }
            None => Attributes::default(),
        };
        let (attributes, lost) = holdable(attributes, store.capability());
        let mut options = PutOptions::default().with_attributes(attributes);
        options.create_only = self.no_clobber && conditional;
        let upload = Upload::new(&self.writer.0, store.clone(), key.clone(), Source::file(path));
        let upload = upload.options(options).keep_modified(true);
        let outcome = upload.cancel(self.context.cancel.clone()).run(reporter).await?;
        if self.remove_source {
            if !outcome.verified {
                self.require_size(store, key, outcome.bytes).await?;
            }
            let now = fs::metadata(path).map_err(|error| local("inspect", path, error))?;
            if Identity::of(&now) != Identity::of(&before) {
                return Err(local_fault(format!(
                    "{} changed while it was moved, so it stays",
                    path.display()
                ))
                .into());
            }
            fs::remove_file(path).map_err(|error| local("remove", path, error))?;
        }
        Ok(Moved { bytes: outcome.bytes, lost, existed: false })
    }

    async fn download(
        &self,
        store: &AnyStore,
        key: &ObjectKey,
        path: &PathBuf,
        size: Option<u64>,
        reporter: &Reporter,
    ) -> Result<Moved> {
        let mut download = Download::new(&self.reader.0, store.clone(), key.clone(), Sink::file(path))
            .create_parents(true)
            .keep_modified(true)
            .time_as_listed(self.time_as_listed)
            // What only this machine's memory holds is not there for sure.
            .durable(self.remove_source)
            .cancel(self.context.cancel.clone());
        if let Some(size) = size {
            download = download.size_hint(size);
        }
        let outcome = download.run(reporter).await?;
        if self.remove_source {
            self.remove(store, key, &outcome.meta).await?;
        }
        Ok(Moved { bytes: outcome.bytes, ..Moved::default() })
    }

    async fn copy(
        &self,
        (from, source): (&AnyStore, &ObjectKey),
        (to, target): (&AnyStore, &ObjectKey),
        reporter: &Reporter,
        conditional: bool,
    ) -> Result<Moved> {
        let before = if self.remove_source {
            Some(self.context.ask(from.head(source, HeadOptions::default())).await?)
        } else {
            None
        };
        if let Some(before) = &before
            && from.url() == to.url()
            && source == target
        {
            self.require_apart(to, target, before).await?;
        }
        let copy = CopyObject::new(
            &self.reader,
            &self.writer,
            (from.clone(), source.clone()),
            (to.clone(), target.clone()),
        );
        let copy = copy
            .change(self.of_copy.clone())
            .server_side(self.server_side)
            .create_only(self.no_clobber && conditional)
            .cancel(self.context.cancel.clone());
        let outcome = copy.run(reporter).await?;
        if let Some(before) = before {
            if !outcome.verified {
                self.require_same(to, target, &before).await?;
            }
            self.remove(from, source, &before).await?;
        }
        Ok(Moved { bytes: outcome.bytes, lost: outcome.lost, existed: false })
    }

    /// Two addresses can lead to one service. An object that is moved onto itself would be gone in the end.
    async fn require_apart(&self, store: &AnyStore, key: &ObjectKey, source: &ObjectMeta) -> CoreResult<()> {
        let there = match self.context.ask(store.head(key, HeadOptions::default())).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            there => there?,
        };
        if Pin::from(source).matches(&there) && source.last_modified == there.last_modified {
            let url = store.url().with_key(key.as_str());
            let text = format!("{url} is source and destination at once, or the same in both");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    async fn require_size(&self, store: &AnyStore, key: &ObjectKey, size: u64) -> CoreResult<()> {
        let head = self.context.ask_in_grace(store.head(key, HeadOptions::default())).await?;
        if head.size == size {
            return Ok(());
        }
        Err(not_the_same(store, key))
    }

    /// The copy has the size of the source, and no checksum that differs.
    async fn require_same(&self, store: &AnyStore, key: &ObjectKey, source: &ObjectMeta) -> CoreResult<()> {
        let head = self.context.ask_in_grace(store.head(key, HeadOptions::default())).await?;
        let differs = |sum: &longshore_core_types::Checksum| {
            head.checksum(sum.kind()).is_some_and(|other| other != sum)
        };
        if head.size == source.size && !source.checksums.iter().any(differs) {
            return Ok(());
        }
        Err(not_the_same(store, key))
    }

    /// Removes an object that still is what was copied.
    async fn remove(&self, store: &AnyStore, key: &ObjectKey, seen: &ObjectMeta) -> CoreResult<()> {
        let mut options = DeleteOptions::default();
        if store.capability().if_match && seen.etag.is_some() {
            options.if_match.clone_from(&seen.etag);
        } else {
            let now = self.context.ask_in_grace(store.head(key, HeadOptions::default())).await?;
            if !Pin::from(seen).matches(&now) {
                let text =
                    format!("{} changed while it was moved, so it stays", store.url().with_key(key.as_str()));
                return Err(Error::new(ErrorKind::PreconditionFailed, text));
            }
        }
        self.context.ask_in_grace(store.delete(key, options)).await
    }
}

fn not_the_same(store: &AnyStore, key: &ObjectKey) -> Error {
    let url = store.url().with_key(key.as_str());
    Error::new(ErrorKind::ChecksumMismatch, format!("{url} is not what was copied, so the source stays"))
}

/// Whether the server refused to replace what is there.
fn is_refusal(error: &TransferError) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::PreconditionFailed)
}

async fn exists(context: &Context, end: &End) -> CoreResult<bool> {
    match end {
        End::File(path) => match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(local("inspect", path, error)),
        },
        End::Object(store, key) => context.ask(store.exists(key)).await,
    }
}

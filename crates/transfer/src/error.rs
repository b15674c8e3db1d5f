//! What a transfer fails with.

use std::{fmt, io, path::Path, sync::Arc};

use longshore_blob_api::MultipartRef;
use longshore_core_types::{Error, ErrorKind, Result as CoreResult};

use crate::progress::Item;

/// Result of a transfer.
pub(crate) type Result<T, E = TransferError> = std::result::Result<T, E>;

/// Which object or file failed, in which part, after how many bytes, and why.
///
/// The reason is a [`longshore_core_types::Error`], in [`reason`](Self::reason) and in `source()`; what the
/// clean-up after it failed with is in its `related()`.
#[derive(Clone)]
pub struct TransferError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    item: Option<Item>,
    part: Option<u64>,
    committed: u64,
    upload: Option<MultipartRef>,
    // Shared, since a failure is reported to a progress sink and returned as well.
    reason: Arc<Error>,
}

impl TransferError {
    pub(crate) fn new(item: &Item, reason: Error) -> Self {
        Self::from(reason).on(item)
    }

    pub(crate) fn on(mut self, item: &Item) -> Self {
        self.0.item.get_or_insert_with(|| item.clone());
        self
    }

    pub(crate) fn in_part(mut self, index: u64) -> Self {
        self.0.part.get_or_insert(index + 1);
        self
    }

    pub(crate) fn after(mut self, bytes: u64) -> Self {
        self.0.committed = bytes;
        self
    }

    pub(crate) fn keeping(mut self, upload: MultipartRef) -> Self {
        self.0.upload = Some(upload);
        self
    }

    /// Adds what failed besides.
    pub(crate) fn with_related(mut self, other: Error) -> Self {
        match Arc::try_unwrap(self.0.reason) {
            Ok(reason) => self.0.reason = Arc::new(reason.with_related(other)),
            Err(shared) => {
                let reason = Error::new(shared.kind(), "failed, and so did the clean-up");
                self.0.reason = Arc::new(reason.with_related(other).with_source(Shared(shared)));
            }
        }
        self
    }

    /// What went wrong, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.reason.kind()
    }

    /// Which object or file; `None` if it concerns none in particular.
    pub fn item(&self) -> Option<&Item> {
        self.0.item.as_ref()
    }

    /// Number of the part that failed, from 1; `None` if the object moved in one piece.
    pub fn part(&self) -> Option<u64> {
        self.0.part
    }

    /// Bytes of the item that had arrived where they belong before it failed.
    ///
    /// They are gone now unless the upload was kept.
    pub fn committed(&self) -> u64 {
        self.0.committed
    }

    /// The upload in parts that was kept at the store, which a later one may continue or abort.
    pub fn upload(&self) -> Option<&MultipartRef> {
        self.0.upload.as_ref()
    }

    /// Why it failed.
    pub fn reason(&self) -> &Error {
        &self.0.reason
    }

    /// This error and its causes in one line, for a log or a terminal.
    pub fn chain(&self) -> String {
        format!("{self}: {}", self.0.reason.chain())
    }
}

impl From<Error> for TransferError {
    fn from(reason: Error) -> Self {
        Self(Box::new(Inner { item: None, part: None, committed: 0, upload: None, reason: Arc::new(reason) }))
    }
}

/// Keeps the kind, the retryability and the whole chain of causes.
impl From<TransferError> for Error {
    fn from(error: TransferError) -> Self {
        Self::new(error.kind(), error.to_string())
            .with_retryability(error.0.reason.retryability())
            .with_source(Shared(error.0.reason))
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.item {
            Some(item) => write!(f, "{item}")?,
            None => f.write_str("the transfer")?,
        }
        if let Some(part) = self.0.part {
            write!(f, ", part {part},")?;
        }
        f.write_str(" failed")?;
        if self.0.committed > 0 {
            write!(f, " after {} bytes", self.0.committed)?;
        }
        if let Some(upload) = &self.0.upload {
            write!(f, ", keeping upload {}", upload.id)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferError")
            .field("text", &self.to_string())
            .field("reason", &self.0.reason)
            .finish()
    }
}

impl std::error::Error for TransferError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0.reason)
    }
}

/// An error with several owners, as a link of a chain.
struct Shared(Arc<Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A failure of the local file system, with what was tried on which path.
pub(crate) fn local(tried: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => ": the disk is full",
        io::ErrorKind::QuotaExceeded => ": the disk quota is used up",
        io::ErrorKind::PermissionDenied => ": permission denied",
        io::ErrorKind::NotFound => ": there is no such file or directory",
        io::ErrorKind::IsADirectory => ": it is a directory",
        io::ErrorKind::NotADirectory => ": a part of the path is not a directory",
        io::ErrorKind::ReadOnlyFilesystem => ": the file system is read-only",
        io::ErrorKind::InvalidFilename => ": the name is too long or not allowed here",
        _ => "",
    };
    local_fault(format!("cannot {tried} {}{hint}", path.display())).with_source(error)
}

/// Something about local files that is wrong without an error of the system.
pub(crate) fn local_fault(message: String) -> Error {
    Error::new(ErrorKind::LocalIo, message)
}

/// The work was stopped from outside.
pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped before it was done")
}

/// A task of the transfer that ended without a result.
pub(crate) fn task_failed(error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        cancelled()
    } else {
        Error::new(ErrorKind::Other, "a task panicked").with_source(error)
    }
}

/// Turns an error into one that several owners can look at.
pub(crate) fn attach<T>(result: CoreResult<T>, item: &Item) -> Result<T> {
    result.map_err(|error| TransferError::new(item, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Direction;

    fn failed() -> TransferError {
        let item = Item::new(Direction::Upload, "mem://b/k".into(), Some("/tmp/f".into()));
        let reason = Error::new(ErrorKind::Unavailable, "no answer").with_source(io::Error::other("reset"));
        TransferError::new(&item, reason).in_part(2).after(10)
    }

    #[test]
    fn one_line_says_what_where_and_why() {
        let text = failed().chain();
        assert_eq!(text, "upload of /tmp/f to mem://b/k, part 3, failed after 10 bytes: no answer: reset");
    }

    #[test]
    fn the_core_error_keeps_kind_and_chain() {
        let chain = failed().chain();
        let core = Error::from(failed());
        assert_eq!(core.kind(), ErrorKind::Unavailable);
        assert_eq!(core.chain(), chain);
    }

    #[test]
    fn the_clean_up_never_replaces_the_cause() {
        let error = failed();
        let shared = error.clone();
        let error = error.with_related(Error::new(ErrorKind::NotFound, "abort failed"));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.reason().related().len(), 1);
        assert!(error.chain().ends_with("no answer: reset"));
        drop(shared);
    }

    #[test]
    fn local_errors_name_the_path() {
        let error = local("write", Path::new("/x/y"), io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(error.message(), "cannot write /x/y: the disk is full");
    }
}

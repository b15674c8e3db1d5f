//! Names and receipts of uploads in parts.

use std::{fmt, num::NonZeroU32, time::SystemTime};

use longshore_core_types::{Checksum, Error, ErrorKind, ObjectKey, Result};

use crate::PageToken;

/// The server's id of an upload in parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultipartId(String);

impl MultipartId {
    /// Wraps the server's id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The server's id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MultipartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An upload that was begun: of which object, under which id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultipartRef {
    /// The object it becomes.
    pub key: ObjectKey,
    /// The server's id.
    pub id: MultipartId,
}

/// Number of a part, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(NonZeroU32);

impl PartNumber {
    /// Any number but zero ([`ErrorKind::InvalidInput`]).
    pub fn new(number: u32) -> Result<Self> {
        NonZeroU32::new(number)
            .map(Self)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "parts are numbered from 1"))
    }

    /// The number of the part at this position, counted from zero.
    pub fn from_index(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Proof of a stored part, which completes the upload later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartReceipt {
    /// Which part.
    pub number: PartNumber,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag, where the store needs it to complete.
    pub etag: Option<String>,
    /// Checksum of its bytes.
    pub checksum: Option<Checksum>,
}

impl PartReceipt {
    /// A part of which only number and size are known.
    pub fn new(number: PartNumber, size: u64) -> Self {
        Self { number, size, etag: None, checksum: None }
    }

    /// Adds the entity tag.
    #[must_use]
    pub fn with_etag(mut self, etag: impl Into<String>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// Adds the checksum.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

/// A part that the server has, as [`list_parts`](crate::BlobStore::list_parts) reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInfo {
    /// Which part.
    pub number: PartNumber,
    /// Its size in bytes, where the server tells.
    pub size: Option<u64>,
    /// Its entity tag, where the server tells.
    pub etag: Option<String>,
}

impl PartInfo {
    /// A part of which only the number is known.
    pub fn new(number: PartNumber) -> Self {
        Self { number, size: None, etag: None }
    }
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadInfo {
    /// Which upload.
    pub upload: MultipartRef,
    /// When it was begun, where the server tells.
    pub started: Option<SystemTime>,
}

impl UploadInfo {
    /// An upload of unknown age.
    pub fn new(upload: MultipartRef) -> Self {
        Self { upload, started: None }
    }
}

/// One piece of the answer of [`list_uploads`](crate::BlobStore::list_uploads).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadPage {
    /// Uploads in the store's order.
    pub uploads: Vec<UploadInfo>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<PageToken>,
}

impl UploadPage {
    /// A page; an empty token means the end.
    pub fn new(uploads: Vec<UploadInfo>, next: Option<PageToken>) -> Self {
        Self { uploads, next: next.filter(|token| !token.as_str().is_empty()) }
    }
}

//! What callers ask for: one struct of options for each call, all optional.

use std::{fmt, time::Duration};

use longshore_core_types::{Attributes, ByteRange, Checksum, ObjectKey, ObjectMeta};

/// Options of [`head`](crate::BlobStore::head).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadOptions {
    /// Only if the entity tag is this one, else `PreconditionFailed`.
    pub if_match: Option<String>,
    /// Only if the entity tag is another one, else `NotModified`.
    pub if_none_match: Option<String>,
}

/// Options of [`get`](crate::BlobStore::get).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// Which bytes; all of them by default.
    pub range: Option<ByteRange>,
    /// Only if it still is the object that an earlier answer described, else `PreconditionFailed`.
    pub pin: Option<Pin>,
    /// Only if the entity tag is this one, else `PreconditionFailed`.
    pub if_match: Option<String>,
    /// Only if the entity tag is another one, else `NotModified`.
    pub if_none_match: Option<String>,
}

impl GetOptions {
    /// Asks for these bytes only.
    #[must_use]
    pub fn with_range(mut self, range: impl Into<ByteRange>) -> Self {
        self.range = Some(range.into());
        self
    }

    /// Insists on the version that `meta` describes.
    #[must_use]
    pub fn with_pin(mut self, pin: Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Insists on this entity tag.
    #[must_use]
    pub fn with_if_match(mut self, etag: impl Into<String>) -> Self {
        self.if_match = Some(etag.into());
        self
    }

    /// Insists on another entity tag than this.
    #[must_use]
    pub fn with_if_none_match(mut self, etag: impl Into<String>) -> Self {
        self.if_none_match = Some(etag.into());
        self
    }
}

/// One version of an object, as an earlier answer described it.
///
/// A store uses what it can check: the entity tag with `If-Match`, or version and size of the answer
/// ([`Capability::pin`](crate::Capability)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// Entity tag.
    pub etag: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Size of the whole object in bytes.
    pub size: u64,
}

impl From<&ObjectMeta> for Pin {
    fn from(meta: &ObjectMeta) -> Self {
        Self { etag: meta.etag.clone(), version: meta.version.clone(), size: meta.size }
    }
}

impl Pin {
    /// Whether `meta` describes the same version, as far as both say.
    pub fn matches(&self, meta: &ObjectMeta) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        self.size == meta.size && same(&self.etag, &meta.etag) && same(&self.version, &meta.version)
    }
}

/// Options of [`get_many`](crate::BlobStore::get_many).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetManyOptions {
    /// Report an object that is missing and go on, instead of ending the stream.
    pub continue_on_error: bool,
}

/// Options of [`put`](crate::BlobStore::put) and
/// [`create_multipart`](crate::BlobStore::create_multipart).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// What is stored beside the bytes. What the store cannot hold is `Unsupported`.
    pub attributes: Attributes,
    /// Fail with `AlreadyExists` if there is such an object.
    pub create_only: bool,
    /// Only if the entity tag of the object there is this one, else `PreconditionFailed`.
    pub if_match: Option<String>,
    /// Checksum of the whole content, which the server or the client verifies.
    pub checksum: Option<Checksum>,
}

impl PutOptions {
    /// Stores these attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Fails if the object exists.
    #[must_use]
    pub fn with_create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// Replaces only the object with this entity tag.
    #[must_use]
    pub fn with_if_match(mut self, etag: impl Into<String>) -> Self {
        self.if_match = Some(etag.into());
        self
    }

    /// States the checksum of the content.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }
}

/// Options of [`delete`](crate::BlobStore::delete).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteOptions {
    /// Only if the entity tag is this one, else `PreconditionFailed`.
    pub if_match: Option<String>,
}

/// Options of [`copy`](crate::BlobStore::copy) and [`copy_from`](crate::BlobStore::copy_from).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Fail with `AlreadyExists` if the destination exists.
    pub create_only: bool,
    /// Stored beside the copy instead of what stands beside the source.
    pub attributes: Option<Attributes>,
}

/// Options of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only names that start with this, literally.
    pub prefix: String,
    /// One level only: names with a `/` behind the prefix are reported as common prefixes.
    pub delimited: bool,
    /// Only names after this one, in byte order.
    pub start_after: Option<String>,
    /// Most entries of a page; the store's own maximum by default.
    pub page_size: Option<u32>,
    /// How much to say about each object.
    pub detail: ListDetail,
}

impl ListOptions {
    /// Lists names that start with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// Lists one level.
    #[must_use]
    pub fn with_delimiter(mut self) -> Self {
        self.delimited = true;
        self
    }

    /// Lists names after this one.
    #[must_use]
    pub fn with_start_after(mut self, name: impl Into<String>) -> Self {
        self.start_after = Some(name.into());
        self
    }

    /// Limits the entries of a page.
    #[must_use]
    pub fn with_page_size(mut self, size: u32) -> Self {
        self.page_size = Some(size);
        self
    }

    /// Asks for more or less about each object.
    #[must_use]
    pub fn with_detail(mut self, detail: ListDetail) -> Self {
        self.detail = detail;
        self
    }
}

/// How much a listing says about each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListDetail {
    /// Name and size, and what else costs the server nothing.
    #[default]
    Basic,
    /// Version, checksum and times too, where listings of the store can hold them.
    Full,
}

/// Where a listing goes on. Opaque; made by a store for itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PageToken(String);

impl PageToken {
    /// Wraps the store's own token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The store's own token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a signed URL shall allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignRequest {
    /// Reading or writing.
    pub method: SignMethod,
    /// Which object.
    pub key: ObjectKey,
    /// For how long.
    pub expires_in: Duration,
}

impl SignRequest {
    /// Allows one method on one object for a time.
    pub fn new(method: SignMethod, key: ObjectKey, expires_in: Duration) -> Self {
        Self { method, key, expires_in }
    }
}

/// What a signed URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignMethod {
    /// Reading.
    Get,
    /// Writing.
    Put,
}

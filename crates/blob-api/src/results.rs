//! What stores answer.

use std::{fmt, ops::Range, time::SystemTime};

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use longshore_core_types::{Checksum, ObjectKey, ObjectMeta, Result, Secret};
use tokio::io::AsyncRead;

use crate::{PageToken, SignMethod};

/// Bytes of an object as they arrive. It ends after the first error.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// Answer of [`get`](crate::BlobStore::get): what the object is, and its bytes.
#[non_exhaustive]
pub struct GetResult {
    /// What the object is; of the whole of it, also when only a range was asked for.
    pub meta: ObjectMeta,
    /// Which bytes the body holds.
    pub range: Range<u64>,
    body: ByteStream,
}

impl GetResult {
    /// An answer whose body holds the bytes `range` of the object.
    pub fn new(meta: ObjectMeta, range: Range<u64>, body: ByteStream) -> Self {
        Self { meta, range, body }
    }

    /// Everything in memory. For objects that surely fit: nothing limits the size.
    pub async fn bytes(mut self) -> Result<Bytes> {
        let first = match self.body.next().await {
            Some(chunk) => chunk?,
            None => return Ok(Bytes::new()),
        };
        let Some(second) = self.body.next().await else { return Ok(first) };
        let length = usize::try_from(self.range.end - self.range.start).unwrap_or_default();
        // The stated length only sizes the first allocation, so a wrong one cannot exhaust memory.
        let mut all = BytesMut::with_capacity(length.clamp(first.len(), 8 << 20));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second?);
        while let Some(chunk) = self.body.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The bytes as they arrive.
    pub fn into_stream(self) -> ByteStream {
        self.body
    }

    /// The bytes as a reader. Errors are [`std::io::Error`]s around [`longshore_core_types::Error`].
    pub fn into_async_read(self) -> impl AsyncRead + Send + Unpin + use<> {
        crate::ext::StreamReader::new(self.body)
    }
}

impl fmt::Debug for GetResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetResult")
            .field("meta", &self.meta)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// One object of [`get_many`](crate::BlobStore::get_many).
#[derive(Debug)]
#[non_exhaustive]
pub struct GetManyItem {
    /// Which one.
    pub key: ObjectKey,
    /// The object, or why there is none.
    pub result: Result<GetResult>,
}

impl GetManyItem {
    /// An object or its absence.
    pub fn new(key: ObjectKey, result: Result<GetResult>) -> Self {
        Self { key, result }
    }
}

/// Objects of one request, in the order asked for.
///
/// They share a connection: read an object's body to its end, or drop it, before asking for the next.
pub type GetManyStream = BoxStream<'static, Result<GetManyItem>>;

/// Answer of [`put`](crate::BlobStore::put) and the other calls that make an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutResult {
    /// Entity tag of the new object.
    pub etag: Option<String>,
    /// Version of the new object.
    pub version: Option<String>,
    /// Checksums of the content that the server states.
    pub checksums: Vec<Checksum>,
    /// When the server says it was stored.
    pub last_modified: Option<SystemTime>,
}

/// What became of one name of [`delete_many`](crate::BlobStore::delete_many).
#[derive(Debug)]
#[non_exhaustive]
pub struct DeleteOutcome {
    /// Which one.
    pub key: ObjectKey,
    /// Deleted, or why not.
    pub result: Result<()>,
}

impl DeleteOutcome {
    /// What became of `key`.
    pub fn new(key: ObjectKey, result: Result<()>) -> Self {
        Self { key, result }
    }
}

/// One piece of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// Entries in the store's order. May be empty although there is a next page.
    pub entries: Vec<Entry>,
    /// Where the listing goes on; `None` at its end.
    pub next: Option<PageToken>,
    /// Objects may be missing between the entries, because the store is moving them about. What is absent from such a
    /// listing must not be taken for deleted.
    pub incomplete: bool,
}

impl ListPage {
    /// A complete page; an empty token means the end.
    pub fn new(entries: Vec<Entry>, next: Option<PageToken>) -> Self {
        Self { entries, next: next.filter(|token| !token.as_str().is_empty()), incomplete: false }
    }

    /// Says whether objects may be missing between the entries.
    #[must_use]
    pub fn with_incomplete(mut self, incomplete: bool) -> Self {
        self.incomplete = incomplete;
        self
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is an object")]
pub enum Entry {
    /// An object.
    Object(ObjectMeta),
    /// A common prefix, with its final `/`: there are objects below it.
    Prefix(String),
}

impl Entry {
    /// The name or prefix.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(meta) => meta.key.as_str(),
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A request that anybody who has it may send until it expires.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedRequest {
    /// Method to use.
    pub method: SignMethod,
    /// The URL; whoever sees it may use it.
    pub url: Secret,
    /// Headers that must be sent as they are.
    pub headers: Vec<(String, String)>,
}

impl SignedRequest {
    /// A signed URL that needs no headers.
    pub fn new(method: SignMethod, url: Secret) -> Self {
        Self { method, url, headers: Vec::new() }
    }
}

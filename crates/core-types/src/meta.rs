//! What a store knows about an object.

use std::{collections::BTreeMap, time::SystemTime};

use crate::{Checksum, ChecksumKind, ObjectKey};

/// One object as a store describes it. Stores fill in what they have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectMeta {
    /// Its name.
    pub key: ObjectKey,
    /// Size in bytes of the whole object.
    pub size: u64,
    /// When its content changed last.
    pub last_modified: Option<SystemTime>,
    /// When it was made, which writing over it may or may not change. Azure and Google Cloud Storage say so.
    pub created: Option<SystemTime>,
    /// Entity tag as the server writes it, quotes included where it sends them.
    pub etag: Option<String>,
    /// Version number or id.
    pub version: Option<String>,
    /// Checksums of the whole content that the server states.
    pub checksums: Vec<Checksum>,
    /// Content type, cache control and the user's own metadata; empty in most listings.
    pub attributes: Attributes,
    /// Size of the pieces that the server stores it in, a good size for ranged reads.
    pub chunk_size: Option<u64>,
}

impl ObjectMeta {
    /// An object of which only name and size are known.
    pub fn new(key: ObjectKey, size: u64) -> Self {
        Self {
            key,
            size,
            last_modified: None,
            created: None,
            etag: None,
            version: None,
            checksums: Vec::new(),
            attributes: Attributes::default(),
            chunk_size: None,
        }
    }

    /// The checksum of this kind, if the server stated one.
    pub fn checksum(&self, kind: ChecksumKind) -> Option<&Checksum> {
        self.checksums.iter().find(|c| c.kind() == kind)
    }
}

/// What is stored beside the bytes of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// The user's own keys and values.
    pub metadata: BTreeMap<String, String>,
}

impl Attributes {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets the content type.
    #[must_use]
    pub fn with_content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Sets the cache control.
    #[must_use]
    pub fn with_cache_control(mut self, value: impl Into<String>) -> Self {
        self.cache_control = Some(value.into());
        self
    }

    /// Adds one of the user's own pairs.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

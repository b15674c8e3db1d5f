//! What the database holds.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;

/// Who owns a bucket: each service numbers its own, so that it can tell its strays from the others' buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Aistore,
    S3,
    #[allow(dead_code, reason = "the numbers are reserved")]
    Supabase,
    Apolo,
}

impl Service {
    /// The bucket ids of the service.
    pub(crate) fn ids(self) -> Range<u64> {
        let start = |n: u64| n << 56;
        match self {
            Self::Aistore => 1..start(1),
            Self::S3 => start(1)..start(2),
            Self::Supabase => start(2)..start(3),
            Self::Apolo => start(3)..start(4),
        }
    }

    /// Prefix of the service's records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aistore => "aistore",
            Self::S3 => "s3",
            Self::Supabase => "supabase",
            Self::Apolo => "apolo",
        }
    }
}

/// Identity of one file in the body directory; never reused.
pub(crate) type BodyId = u64;

/// One file of an object's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) id: BodyId,
    pub(crate) len: u64,
}

/// A stored object. An empty object has no piece; one from a multipart upload has one per part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    pub(crate) size: u64,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) version: Option<u64>,
    /// Nanoseconds since the epoch.
    pub(crate) atime: i64,
    /// Nanoseconds since the epoch.
    pub(crate) mtime: i64,
    /// User metadata in the order it was set.
    pub(crate) custom: Vec<(String, String)>,
    pub(crate) pieces: Vec<Piece>,
    /// True for an object that is stored, and reported, as chunks.
    pub(crate) chunked: bool,
}

/// An unfinished multipart upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) key: ObjectKey,
    /// Nanoseconds since the epoch.
    pub(crate) started: i64,
    /// What the object's `custom` is to begin with.
    #[serde(default)]
    pub(crate) custom: Vec<(String, String)>,
}

/// One part of an unfinished multipart upload.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) piece: Piece,
    pub(crate) crc32c: u32,
    pub(crate) md5: [u8; 16],
    /// A checksum that the client chose: a number for its kind, and its bytes.
    #[serde(default)]
    pub(crate) chosen: Option<(u8, [u8; 32])>,
}

/// Address of an object: bucket id, slot and name.
///
/// Slot 0 is where an object belongs and what listings walk. A copy that was written to the wrong target lies in slot
/// 1 + index of that target: only that target serves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ObjectKey {
    pub(crate) bucket: u64,
    pub(crate) slot: u8,
    pub(crate) name: String,
}

impl ObjectKey {
    pub(crate) fn new(bucket: u64, slot: u8, name: impl Into<String>) -> Self {
        Self { bucket, slot, name: name.into() }
    }

    /// Database key; its byte order is the order of listings.
    pub(super) fn encode(&self) -> Vec<u8> {
        encode_key(self.bucket, self.slot, self.name.as_bytes())
    }
}

pub(super) fn encode_key(bucket: u64, slot: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + name.len());
    key.extend_from_slice(&bucket.to_be_bytes());
    key.push(slot);
    key.extend_from_slice(name);
    key
}

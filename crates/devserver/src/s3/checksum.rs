//! The checksums that clients of S3 choose, beside the MD5 of the entity tag.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, s3_error};

use crate::storage::PartRecord;

/// An algorithm. The numbers are kept in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Crc32 = 1,
    Crc32c = 2,
    Crc64Nvme = 3,
    Sha1 = 4,
    Sha256 = 5,
}

const ALL: [Kind; 5] = [Kind::Crc32, Kind::Crc32c, Kind::Crc64Nvme, Kind::Sha1, Kind::Sha256];

/// Names under which a record's `custom` list keeps them; see the module `meta`.
const KEPT: [&str; 5] = [":crc32", ":crc32c", ":crc64nvme", ":sha1", ":sha256"];
const KEPT_TYPE: &str = ":checksum-type";

pub(super) const FULL_OBJECT: &str = "FULL_OBJECT";
pub(super) const COMPOSITE: &str = "COMPOSITE";

impl Kind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|k| k.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn kept(self) -> &'static str {
        KEPT[self as usize - 1]
    }

    fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    fn combines(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    pub(super) fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    /// The value of this kind in a set of checksums.
    pub(super) fn pick(self, sums: Checksum) -> Option<String> {
        match self {
            Self::Crc32 => sums.checksum_crc32,
            Self::Crc32c => sums.checksum_crc32c,
            Self::Crc64Nvme => sums.checksum_crc64nvme,
            Self::Sha1 => sums.checksum_sha1,
            Self::Sha256 => sums.checksum_sha256,
        }
    }

    /// A set with this value alone.
    pub(super) fn set(self, value: Option<String>) -> Checksum {
        let mut sums = Checksum::default();
        match self {
            Self::Crc32 => sums.checksum_crc32 = value,
            Self::Crc32c => sums.checksum_crc32c = value,
            Self::Crc64Nvme => sums.checksum_crc64nvme = value,
            Self::Sha1 => sums.checksum_sha1 = value,
            Self::Sha256 => sums.checksum_sha256 = value,
        }
        sums
    }
}

/// The algorithm that a request names, by a value or by a promise of one in the trailer.
pub(super) fn asked(headers: &HeaderMap) -> Option<Kind> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(kind) = ALL.into_iter().find(|k| headers.contains_key(k.header())) {
        return Some(kind);
    }
    if let Some(trailer) = text("x-amz-trailer") {
        return ALL.into_iter().find(|k| trailer.trim().eq_ignore_ascii_case(k.header()));
    }
    text("x-amz-sdk-checksum-algorithm").or_else(|| text("x-amz-checksum-algorithm")).and_then(Kind::parse)
}

/// The value that the client computed, from the head or the trailer of the request.
pub(super) fn given(kind: Kind, headers: &HeaderMap, trailer: Option<&HeaderMap>) -> Option<String> {
    let from = |headers: &HeaderMap| Some(headers.get(kind.header())?.to_str().ok()?.trim().to_owned());
    from(headers).or_else(|| trailer.and_then(from))
}

/// Refuses bytes that are not those that the client meant to send.
pub(super) fn compare(kind: Kind, given: Option<&str>, found: &str) -> S3Result<()> {
    match given {
        Some(given) if given != found => Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            kind.name()
        )),
        _ => Ok(()),
    }
}

/// Adds a checksum to what a record keeps.
pub(super) fn keep(custom: &mut Vec<(String, String)>, kind: Kind, value: String, how: &str) {
    custom.push((kind.kept().to_owned(), value));
    custom.push((KEPT_TYPE.to_owned(), how.to_owned()));
}

/// The checksum that a record keeps, and its type.
pub(super) fn kept(custom: &[(String, String)]) -> Option<(Kind, String, String)> {
    let find = |name: &str| super::meta::find(custom, name).map(str::to_owned);
    let (kind, value) = ALL.into_iter().find_map(|k| Some((k, find(k.kept())?)))?;
    Some((kind, value, find(KEPT_TYPE)?))
}

/// As a part's record keeps it.
pub(super) fn pack(kind: Kind, value: &str) -> Option<(u8, [u8; 32])> {
    let bytes = BASE64_STANDARD.decode(value).ok().filter(|b| b.len() == kind.bytes())?;
    let mut padded = [0; 32];
    padded[..bytes.len()].copy_from_slice(&bytes);
    Some((kind as u8, padded))
}

/// The reverse of [`pack`].
pub(super) fn unpack(chosen: Option<(u8, [u8; 32])>) -> Option<(Kind, String)> {
    let (number, padded) = chosen?;
    let kind = ALL.into_iter().find(|k| *k as u8 == number)?;
    Some((kind, BASE64_STANDARD.encode(&padded[..kind.bytes()])))
}

/// The checksum of an object from those of its parts, if all have one of this kind; and its type.
pub(super) fn of_parts(kind: Kind, full: bool, parts: &[PartRecord]) -> Option<(String, &'static str)> {
    let mut values = Vec::new();
    for part in parts {
        let (number, padded) = part.chosen.filter(|(number, _)| *number == kind as u8)?;
        debug_assert_eq!(number, kind as u8);
        values.push((padded, part.piece.len));
    }
    if full || kind == Kind::Crc64Nvme {
        let algorithm = kind.combines()?;
        let number = |padded: &[u8; 32]| {
            padded[..kind.bytes()].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let mut total = None;
        for (padded, len) in &values {
            total = Some(match total {
                None => number(padded),
                Some(sum) => checksum_combine(algorithm, sum, number(padded), *len),
            });
        }
        let bytes = total?.to_be_bytes();
        return Some((BASE64_STANDARD.encode(&bytes[8 - kind.bytes()..]), FULL_OBJECT));
    }
    let mut hasher = kind.hasher();
    for (padded, _) in &values {
        hasher.update(&padded[..kind.bytes()]);
    }
    Some((format!("{}-{}", kind.pick(hasher.finalize())?, parts.len()), COMPOSITE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Piece;

    fn part(kind: Kind, bytes: &[u8]) -> PartRecord {
        let mut hasher = kind.hasher();
        hasher.update(bytes);
        let value = kind.pick(hasher.finalize()).unwrap();
        let piece = Piece { id: 1, len: bytes.len() as u64 };
        PartRecord { piece, crc32c: 0, md5: [0; 16], chosen: pack(kind, &value) }
    }

    #[test]
    fn combined_checksums_are_those_of_the_whole() {
        for kind in [Kind::Crc32, Kind::Crc32c, Kind::Crc64Nvme] {
            let parts = [part(kind, b"hello "), part(kind, b"world")];
            let mut whole = kind.hasher();
            whole.update(b"hello world");
            let expected = kind.pick(whole.finalize()).unwrap();
            assert_eq!(of_parts(kind, true, &parts), Some((expected, FULL_OBJECT)), "{kind:?}");
        }
        let parts = [part(Kind::Sha256, b"a"), part(Kind::Sha256, b"b")];
        assert_eq!(of_parts(Kind::Sha256, true, &parts), None);
        assert!(of_parts(Kind::Sha256, false, &parts).unwrap().0.ends_with("-2"));
        assert_eq!(of_parts(Kind::Sha1, false, &parts), None);
    }

    #[test]
    fn packed_and_back() {
        let sums = part(Kind::Sha1, b"x");
        let (kind, value) = unpack(sums.chosen).unwrap();
        assert_eq!(pack(kind, &value), sums.chosen);
        assert_eq!(pack(Kind::Crc32, "AAAA"), None);
    }

    #[test]
    fn what_is_asked_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&headers), None);
        headers.insert("x-amz-trailer", "x-amz-checksum-crc32".parse().unwrap());
        assert_eq!(asked(&headers), Some(Kind::Crc32));
        headers.insert("x-amz-checksum-sha1", "x".parse().unwrap());
        assert_eq!(asked(&headers), Some(Kind::Sha1));
        assert!(compare(Kind::Sha1, Some("a"), "b").is_err() && compare(Kind::Sha1, None, "b").is_ok());
    }
}

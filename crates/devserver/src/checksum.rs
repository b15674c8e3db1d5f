//! The checksum types of AIStore, computed while bytes stream by.

use std::fmt;

use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512};
use twox_hash::XxHash64;

/// A checksum algorithm. `xxhash` and `xxhash2` are the same function under two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ChecksumKind {
    None,
    Xxhash,
    Xxhash2,
    Md5,
    Crc32c,
    Sha256,
    Sha512,
}

impl ChecksumKind {
    /// Parses the exact lower-case name used on the wire.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "xxhash" => Self::Xxhash,
            "xxhash2" => Self::Xxhash2,
            "md5" => Self::Md5,
            "crc32c" => Self::Crc32c,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xxhash => "xxhash",
            Self::Xxhash2 => "xxhash2",
            Self::Md5 => "md5",
            Self::Crc32c => "crc32c",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// A computed or announced checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) kind: ChecksumKind,
    pub(crate) value: String,
}

/// A running checksum.
#[derive(Clone)]
pub(crate) enum Hasher {
    None,
    Xx(ChecksumKind, XxHash64),
    Md5(Md5),
    Crc32c(crc_fast::Digest),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.kind().as_str())
    }
}

impl Hasher {
    pub(crate) fn new(kind: ChecksumKind) -> Self {
        match kind {
            ChecksumKind::None => Self::None,
            ChecksumKind::Xxhash | ChecksumKind::Xxhash2 => Self::Xx(kind, XxHash64::with_seed(0)),
            ChecksumKind::Md5 => Self::Md5(Md5::new()),
            ChecksumKind::Crc32c => Self::Crc32c(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumKind::Sha256 => Self::Sha256(Sha256::new()),
            ChecksumKind::Sha512 => Self::Sha512(Box::new(Sha512::new())),
        }
    }

    pub(crate) fn kind(&self) -> ChecksumKind {
        match self {
            Self::None => ChecksumKind::None,
            Self::Xx(kind, _) => *kind,
            Self::Md5(_) => ChecksumKind::Md5,
            Self::Crc32c(_) => ChecksumKind::Crc32c,
            Self::Sha256(_) => ChecksumKind::Sha256,
            Self::Sha512(_) => ChecksumKind::Sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Xx(_, hasher) => std::hash::Hasher::write(hasher, bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum of everything seen so far; `None` for [`ChecksumKind::None`].
    pub(crate) fn finish(&self) -> Option<Checksum> {
        let value = match self {
            Self::None => return None,
            Self::Xx(_, hasher) => format!("{:016x}", std::hash::Hasher::finish(hasher)),
            Self::Md5(hasher) => hex(&hasher.clone().finalize()),
            Self::Crc32c(hasher) => format!("{:08x}", hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.clone().finalize()),
            Self::Sha512(hasher) => hex(&hasher.clone().finalize()),
        };
        Some(Checksum { kind: self.kind(), value })
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// CRC-32C of a concatenation, from the parts' values and lengths in order.
pub(crate) fn combine_crc32c(parts: impl IntoIterator<Item = (u32, u64)>) -> u32 {
    let mut total: Option<u64> = None;
    for (crc, len) in parts {
        total = Some(match total {
            None => u64::from(crc),
            Some(sum) => checksum_combine(CrcAlgorithm::Crc32Iscsi, sum, u64::from(crc), len),
        });
    }
    u32::try_from(total.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum_of(kind: ChecksumKind, bytes: &[u8]) -> Option<Checksum> {
        let mut hasher = Hasher::new(kind);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn known_values() {
        let of = |kind| checksum_of(kind, b"hello world").map(|c| c.value).unwrap_or_default();
        assert_eq!(of(ChecksumKind::Xxhash2), "45ab6734b21e6968");
        assert_eq!(of(ChecksumKind::Md5), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert_eq!(of(ChecksumKind::Crc32c), "c99465aa");
        assert!(of(ChecksumKind::Sha256).starts_with("b94d27b9934d3e08"));
        assert!(of(ChecksumKind::Sha512).starts_with("309ecc489c12d6eb"));
        assert_eq!(of(ChecksumKind::None), "");
        let empty = checksum_of(ChecksumKind::Xxhash, b"").map(|c| c.value);
        assert_eq!(empty.as_deref(), Some("ef46db3751d8e999"));
    }

    #[test]
    fn crc_of_parts_is_crc_of_the_whole() {
        let parts: [&[u8]; 3] = [b"one ", b"two ", b"three"];
        let crcs = parts.map(|p| (crc_fast::crc32_iscsi(p), p.len() as u64));
        assert_eq!(combine_crc32c(crcs), 0xfe66_fa83);
        assert_eq!(combine_crc32c([]), 0);
    }
}

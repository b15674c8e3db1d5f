//! Checksums of bytes that pass by.

use std::{fmt, hash::Hasher as _};

use sha2::Digest as _;

use super::{Checksum, ChecksumKind};

/// Computes one checksum over a sequence of chunks.
///
/// ```
/// # use longshore_core_types::{ChecksumKind, checksum::Hasher};
/// let mut hasher = Hasher::new(ChecksumKind::XxHash64);
/// hasher.update(b"hello ");
/// hasher.update(b"world");
/// assert_eq!(hasher.finish().to_hex(), "45ab6734b21e6968");
/// ```
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Crc32c(Box<crc_fast::Digest>),
    XxHash64(Box<twox_hash::XxHash64>),
    Md5(Box<md5::Md5>),
    Sha256(Box<sha2::Sha256>),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new(kind: ChecksumKind) -> Self {
        Self(match kind {
            ChecksumKind::Crc32c => {
                State::Crc32c(Box::new(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi)))
            }
            ChecksumKind::XxHash64 => State::XxHash64(Box::new(twox_hash::XxHash64::with_seed(0))),
            ChecksumKind::Md5 => State::Md5(Box::default()),
            ChecksumKind::Sha256 => State::Sha256(Box::default()),
            ChecksumKind::Sha512 => State::Sha512(Box::default()),
        })
    }

    /// What it computes.
    pub fn kind(&self) -> ChecksumKind {
        match self.0 {
            State::Crc32c(_) => ChecksumKind::Crc32c,
            State::XxHash64(_) => ChecksumKind::XxHash64,
            State::Md5(_) => ChecksumKind::Md5,
            State::Sha256(_) => ChecksumKind::Sha256,
            State::Sha512(_) => ChecksumKind::Sha512,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32c(state) => state.update(bytes),
            State::XxHash64(state) => state.write(bytes),
            State::Md5(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The checksum of everything so far.
    pub fn finish(self) -> Checksum {
        let kind = self.kind();
        let value: Box<[u8]> = match self.0 {
            State::Crc32c(state) => Box::new(low_half(state.finalize()).to_be_bytes()),
            State::XxHash64(state) => Box::new(state.finish().to_be_bytes()),
            State::Md5(state) => state.finalize().as_slice().into(),
            State::Sha256(state) => state.finalize().as_slice().into(),
            State::Sha512(state) => state.finalize().as_slice().into(),
        };
        Checksum { kind, value }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.kind()).finish()
    }
}

/// The crc32c of two runs of bytes joined, from the crc32c of each and the length of the second.
///
/// Parts of an upload are hashed where they are read, in any order; this makes the object's checksum.
pub fn combine_crc32c(first: u32, second: u32, second_len: u64) -> u32 {
    low_half(crc_fast::checksum_combine(
        crc_fast::CrcAlgorithm::Crc32Iscsi,
        first.into(),
        second.into(),
        second_len,
    ))
}

/// The library returns every CRC in 64 bits; a 32-bit one fills the low half.
fn low_half(crc: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half of a 32-bit CRC is zero")]
    let crc = crc as u32;
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(kind: ChecksumKind, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(kind);
        bytes.chunks(3).for_each(|chunk| hasher.update(chunk));
        hasher.finish()
    }

    #[test]
    fn known_values() {
        let cases = [
            (ChecksumKind::Crc32c, "123456789", "e3069283"),
            (ChecksumKind::Crc32c, "", "00000000"),
            (ChecksumKind::XxHash64, "", "ef46db3751d8e999"),
            (ChecksumKind::XxHash64, "hello world", "45ab6734b21e6968"),
            (ChecksumKind::Md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
            (ChecksumKind::Sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (kind, text, hex) in cases {
            assert_eq!(hash(kind, text.as_bytes()).to_hex(), hex, "{kind} of {text:?}");
        }
        assert_eq!(hash(ChecksumKind::Sha512, b"abc").to_hex().get(..16), Some("ddaf35a193617aba"));
    }

    #[test]
    fn crc32c_of_parts_combines() {
        let crc = |bytes: &[u8]| {
            let mut state = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
            state.update(bytes);
            low_half(state.finalize())
        };
        assert_eq!(combine_crc32c(crc(b"12345"), crc(b"6789"), 4), crc(b"123456789"));
    }
}

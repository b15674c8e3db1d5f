//! Checksums: values that servers state, and the means to compute them.

use std::{fmt, str::FromStr};

use crate::{Error, ErrorKind, Result};

#[cfg(feature = "digest")]
mod hasher;
#[cfg(feature = "digest")]
pub use hasher::{Hasher, combine_crc32c};

/// A checksum algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChecksumKind {
    /// CRC-32 with the Castagnoli polynomial.
    Crc32c,
    /// XXH64 with seed 0 (AIStore's `xxhash` and `xxhash2`).
    XxHash64,
    /// MD5. Proves that bytes arrived, nothing about who sent them.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl ChecksumKind {
    /// Length of a value in bytes.
    pub fn byte_len(self) -> usize {
        match self {
            Self::Crc32c => 4,
            Self::XxHash64 => 8,
            Self::Md5 => 16,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Name in lower case, such as `crc32c`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32c => "crc32c",
            Self::XxHash64 => "xxhash64",
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32c, Self::XxHash64, Self::Md5, Self::Sha256, Self::Sha512];
}

impl fmt::Display for ChecksumKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChecksumKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::InvalidInput, format!("unknown checksum {text:?} (known: {known})"))
        })
    }
}

/// The checksum of some bytes, big-endian as all platforms write it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Checksum {
    kind: ChecksumKind,
    value: Box<[u8]>,
}

impl Checksum {
    /// Takes the raw value; its length must be that of the kind ([`ErrorKind::InvalidInput`]).
    pub fn new(kind: ChecksumKind, value: impl Into<Box<[u8]>>) -> Result<Self> {
        let value = value.into();
        if value.len() != kind.byte_len() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a {kind} checksum has {} bytes, not {}", kind.byte_len(), value.len()),
            ));
        }
        Ok(Self { kind, value })
    }

    /// Reads hexadecimal digits of either case ([`ErrorKind::InvalidInput`] if they are not that).
    pub fn from_hex(kind: ChecksumKind, hex: &str) -> Result<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let value: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let value = value.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{hex:?} is not a hexadecimal checksum"))
        })?;
        Self::new(kind, value)
    }

    /// The algorithm.
    pub fn kind(&self) -> ChecksumKind {
        self.kind
    }

    /// The value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.value
    }

    /// The value in lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        use fmt::Write;
        self.value.iter().fold(String::with_capacity(self.value.len() * 2), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.to_hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trip() {
        let sum = Checksum::from_hex(ChecksumKind::Crc32c, "00aBcd0f").unwrap();
        assert_eq!(sum.to_string(), "crc32c:00abcd0f");
        for bad in ["", "00abcd0", "00abcd0g", "00abcd0f00"] {
            assert!(Checksum::from_hex(ChecksumKind::Crc32c, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_round_trip() {
        for kind in ChecksumKind::ALL {
            assert_eq!(kind.as_str().parse::<ChecksumKind>().unwrap(), kind);
        }
        assert!("cesium".parse::<ChecksumKind>().unwrap_err().to_string().contains("crc32c"));
    }
}

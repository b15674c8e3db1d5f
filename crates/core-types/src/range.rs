//! Which bytes of an object.

use std::{fmt, ops::Range};

use crate::{Error, ErrorKind, Result};

/// Bytes that a caller asks for. Positions count from zero; ends are exclusive, as in Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// From `start` up to, not including, `end`; cut at the end of the object.
    Bounded {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
    /// From this byte to the end.
    From(u64),
    /// The last so many bytes; the whole object if it is shorter.
    Suffix(u64),
}

impl ByteRange {
    /// The value of a `Range` header.
    ///
    /// An empty range is refused ([`ErrorKind::InvalidInput`]): the header cannot say it, and servers
    /// answer a malformed one in surprising ways.
    pub fn to_header(self) -> Result<String> {
        match self {
            Self::Bounded { start, end } if start < end => Ok(format!("bytes={start}-{}", end - 1)),
            Self::From(start) => Ok(format!("bytes={start}-")),
            Self::Suffix(length) if length > 0 => Ok(format!("bytes=-{length}")),
            Self::Bounded { .. } | Self::Suffix(_) => {
                Err(Error::new(ErrorKind::InvalidInput, format!("the byte range {self} is empty")))
            }
        }
    }

    /// The positions it means in an object of `size` bytes.
    ///
    /// [`ErrorKind::RangeNotSatisfiable`] if it starts at or after the end (a suffix never does).
    pub fn resolve(self, size: u64) -> Result<Range<u64>> {
        let range = match self {
            Self::Bounded { start, end } => start..end.min(size),
            Self::From(start) => start..size,
            Self::Suffix(length) => return Ok(size.saturating_sub(length)..size),
        };
        if range.start >= size || range.start >= range.end {
            return Err(Error::new(
                ErrorKind::RangeNotSatisfiable,
                format!("the byte range {self} lies outside an object of {size} bytes"),
            ));
        }
        Ok(range)
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Bounded { start: range.start, end: range.end }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounded { start, end } => write!(f, "{start}..{end}"),
            Self::From(start) => write!(f, "{start}.."),
            Self::Suffix(length) => write!(f, "-{length}"),
        }
    }
}

/// A parsed `Content-Range` header of a 206 or 416 answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Which bytes the body holds; `None` on a 416 (`bytes */size`).
    pub range: Option<Range<u64>>,
    /// Size of the whole object; `None` if the server does not know it (`*`).
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes a-b/size`, `bytes a-b/*` or `bytes */size`.
    ///
    /// `None` if it is none of these. An answer with an empty body is written as `bytes 18-17/18` or
    /// `bytes 0--1/0` by some servers; both read as an empty range.
    pub fn parse(header: &str) -> Option<Self> {
        let (range, total) = header.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let total = match total.trim() {
            "*" => None,
            digits => Some(digits.parse().ok()?),
        };
        let range = match range.trim() {
            "*" => None,
            range => {
                let (first, last) = range.split_once('-')?;
                let start: u64 = first.trim().parse().ok()?;
                let last: i64 = last.trim().parse().ok()?;
                let end = u64::try_from(last.checked_add(1)?).ok()?;
                if end < start || total.is_some_and(|total| end > total) {
                    return None;
                }
                Some(start..end)
            }
        };
        Some(Self { range, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        assert_eq!(ByteRange::from(0..5).to_header().unwrap(), "bytes=0-4");
        assert_eq!(ByteRange::From(7).to_header().unwrap(), "bytes=7-");
        assert_eq!(ByteRange::Suffix(3).to_header().unwrap(), "bytes=-3");
        assert!(ByteRange::from(5..5).to_header().is_err());
        assert!(ByteRange::Suffix(0).to_header().is_err());
    }

    #[test]
    fn resolves_against_a_size() {
        assert_eq!(ByteRange::from(2..99).resolve(10).unwrap(), 2..10);
        assert_eq!(ByteRange::Suffix(99).resolve(10).unwrap(), 0..10);
        assert_eq!(ByteRange::Suffix(99).resolve(0).unwrap(), 0..0);
        assert_eq!(ByteRange::From(9).resolve(10).unwrap(), 9..10);
        for range in [ByteRange::From(10), ByteRange::from(10..12), ByteRange::from(5..5), ByteRange::From(0)]
        {
            let size = if range == ByteRange::From(0) { 0 } else { 10 };
            assert_eq!(range.resolve(size).unwrap_err().kind(), ErrorKind::RangeNotSatisfiable);
        }
    }

    #[test]
    fn content_ranges() {
        let parsed = |text| ContentRange::parse(text).map(|c| (c.range, c.total));
        assert_eq!(parsed("bytes 0-4/11"), Some((Some(0..5), Some(11))));
        assert_eq!(parsed("bytes 0-4/*"), Some((Some(0..5), None)));
        assert_eq!(parsed("bytes */11"), Some((None, Some(11))));
        assert_eq!(parsed("bytes 18-17/18"), Some((Some(18..18), Some(18))));
        assert_eq!(parsed("bytes 0--1/0"), Some((Some(0..0), Some(0))));
        for bad in ["", "bytes", "bytes 5-1/10", "bytes 0-10/10", "items 0-1/2", "bytes a-b/c", "bytes 0-1"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}

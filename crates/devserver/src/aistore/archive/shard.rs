//! Formats of archives, and objects that are read as one.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;

use super::tar::{self, Tar};
use super::zip::Ranges;
use crate::aistore::error::{Fail, Result};
use crate::storage::{BodyReader, ObjectKey, Storage};

/// A format of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Tar,
    Tgz,
    Zip,
    Lz4,
}

impl Format {
    /// The format that a name's extension tells.
    pub(crate) fn by_extension(name: &str) -> Option<Self> {
        [
            (".tar", Self::Tar),
            (".tgz", Self::Tgz),
            (".tar.gz", Self::Tgz),
            (".zip", Self::Zip),
            (".tar.lz4", Self::Lz4),
        ]
        .into_iter()
        .find_map(|(extension, format)| name.ends_with(extension).then_some(format))
    }

    /// The format that a media type, or an extension in its place, tells.
    pub(crate) fn by_mime(mime: &str) -> Option<Self> {
        match mime {
            "application/x-tar" => Some(Self::Tar),
            "application/x-tgz" | "application/x-gzip" | "application/gzip" => Some(Self::Tgz),
            "application/zip" => Some(Self::Zip),
            "application/x-lz4" => Some(Self::Lz4),
            _ => Self::by_extension(&format!(".{}", mime.trim_start_matches('.'))),
        }
    }

    fn by_magic(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Tgz),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ if head.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }

    /// The format for a media type as a request gives it; 400 for an unknown one.
    pub(crate) fn from_request(mime: &str) -> Result<Self> {
        Self::by_mime(mime)
            .ok_or_else(|| Fail::bad(format!("unknown mime type {mime:?}")).tcode("errUnknownMime"))
    }

    /// What answers in this format are labelled as.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Tar => "application/x-tar",
            Self::Tgz => "application/gzip",
            Self::Zip => "application/zip",
            Self::Lz4 => "application/x-lz4",
        }
    }
}

/// An object that is read as an archive.
#[derive(Debug)]
pub(crate) struct Shard {
    whole: BodyReader,
    len: u64,
}

impl Ranges for Shard {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.whole.reopen(offset, len)))
    }
}

impl Shard {
    /// The object of `len` bytes that `whole` reads from.
    pub(super) fn new(len: u64, whole: BodyReader) -> Self {
        Self { whole, len }
    }

    pub(crate) fn find(storage: &Storage, key: &ObjectKey) -> Result<Option<Self>> {
        // Nothing is opened yet: a batch may hold many of these.
        let opened = storage.open_object(key, |_| Ok::<_, Fail>((0, 0)))?;
        let Some(opened) = opened else { return Ok(None) };
        let (record, whole) = opened?;
        Ok(Some(Self { whole, len: record.size }))
    }

    pub(crate) fn format(&self, mime: &str, name: &str) -> Result<Format> {
        if !mime.is_empty() {
            return Format::from_request(mime);
        }
        if let Some(format) = Format::by_extension(name) {
            return Ok(format);
        }
        let mut head = Vec::new();
        self.open(0, self.len.min(tar::BLOCK as u64))?.read_to_end(&mut head)?;
        Format::by_magic(&head)
            .ok_or_else(|| Fail::bad(format!("unrecognized or unsupported file format: {name:?}")))
    }

    /// The archive as a TAR; not for ZIP.
    pub(super) fn tar(&self, format: Format) -> io::Result<Tar<Box<dyn Read + Send>>> {
        let plain = self.open(0, self.len)?;
        Ok(Tar::new(match format {
            Format::Tgz => Box::new(MultiGzDecoder::new(plain)),
            Format::Lz4 => Box::new(FrameDecoder::new(plain)),
            Format::Tar | Format::Zip => plain,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(Format::by_extension("a/b.tar.gz"), Some(Format::Tgz));
        assert_eq!(Format::by_extension("a/b.tar.lz4"), Some(Format::Lz4));
        assert_eq!(Format::by_extension("tar"), None);
        for mime in [".tar", "tar", "application/x-tar"] {
            assert_eq!(Format::by_mime(mime), Some(Format::Tar), "{mime}");
        }
        assert_eq!(Format::by_mime(".rar"), None);
    }
}

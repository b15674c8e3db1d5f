//! Writing archives, member by member.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use super::shard::Format;
use super::tar;
use super::zip_write::ZipWriter;

/// Writes an archive of any format.
#[derive(Debug)]
pub(crate) enum Archiver<W: Write> {
    Tar(W),
    Tgz(GzEncoder<W>),
    Lz4(Box<FrameEncoder<W>>),
    Zip(ZipWriter<W>),
}

impl<W: Write> Archiver<W> {
    pub(crate) fn new(format: Format, to: W) -> Self {
        match format {
            Format::Tar => Self::Tar(to),
            Format::Tgz => Self::Tgz(GzEncoder::new(to, Compression::fast())),
            Format::Lz4 => {
                let frame = FrameInfo::new().block_size(BlockSize::Max256KB);
                Self::Lz4(Box::new(FrameEncoder::with_frame_info(frame, to)))
            }
            Format::Zip => Self::Zip(ZipWriter::new(to)),
        }
    }

    /// Adds a member of exactly `size` bytes; `time` is in nanoseconds since the epoch.
    pub(crate) fn append(
        &mut self,
        name: &str,
        size: u64,
        time: i64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        match self {
            Self::Tar(to) => tar::write(to, name, size, time, content),
            Self::Tgz(to) => tar::write(to, name, size, time, content),
            Self::Lz4(to) => tar::write(to, name, size, time, content),
            Self::Zip(to) => to.append(name, size, time, content),
        }
    }

    /// Takes over the members of an archive of the same format, which must be a TAR within whatever compression.
    pub(super) fn copy_tar(&mut self, from: &mut tar::Tar<Box<dyn Read + Send>>) -> io::Result<()> {
        let to: &mut dyn Write = match self {
            Self::Tar(to) => to,
            Self::Tgz(to) => to,
            Self::Lz4(to) => to,
            Self::Zip(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        while let Some(member) = from.next()? {
            to.write_all(&member.header)?;
            io::copy(from, to)?;
            tar::pad(to, member.size)?;
        }
        Ok(())
    }

    /// Writes the end of the archive.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Tar(mut to) => {
                tar::end(&mut to)?;
                Ok(to)
            }
            Self::Tgz(mut to) => {
                tar::end(&mut to)?;
                to.finish()
            }
            Self::Lz4(mut to) => {
                tar::end(&mut to)?;
                to.finish().map_err(io::Error::other)
            }
            Self::Zip(to) => to.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use lz4_flex::frame::FrameDecoder;

    use super::*;
    use crate::aistore::archive::tar::Tar;

    fn written(format: Format, names: &[&str]) -> Vec<u8> {
        let mut archive = Archiver::new(format, Vec::new());
        for name in names {
            let content = format!("content of {name}");
            archive.append(name, content.len() as u64, 0, &mut content.as_bytes()).expect("a member");
        }
        archive.finish().expect("an archive")
    }

    fn names(from: impl Read) -> Vec<String> {
        let mut tar = Tar::new(from);
        let mut names = Vec::new();
        while let Some(member) = tar.next().expect("a member") {
            let mut content = String::new();
            tar.read_to_string(&mut content).expect("content");
            assert_eq!(content, format!("content of {}", member.name));
            names.push(member.name);
        }
        names
    }

    #[test]
    fn what_is_written_can_be_read() {
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
        let longer = "x".repeat(300);
        let all = ["a", "dir/b", "\u{fc}n\u{ef}", &long, &longer];
        assert_eq!(names(written(Format::Tar, &all).as_slice()), all);
        assert_eq!(names(GzDecoder::new(written(Format::Tgz, &all).as_slice())), all);
        assert_eq!(names(FrameDecoder::new(written(Format::Lz4, &all).as_slice())), all);
    }

    #[test]
    fn a_member_that_is_too_short_is_an_error() {
        for format in [Format::Tar, Format::Zip] {
            let mut archive = Archiver::new(format, Vec::new());
            let error = archive.append("a", 5, 0, &mut b"four".as_slice()).expect_err("too short");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

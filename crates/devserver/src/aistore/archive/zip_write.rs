//! ZIP, written in one pass: sizes and checksum of a member follow its content.

use std::io::{self, Read, Write};

use flate2::Crc;

use super::tar::copy_exactly;
use crate::aistore::gotime;

/// Flags: a data descriptor follows; the name is UTF-8.
const DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
/// From here on a number does not fit into 32 bits.
const WIDE: u64 = 0xffff_ffff;

/// A member that was written.
#[derive(Debug)]
struct Entry {
    name: String,
    size: u64,
    crc: u32,
    offset: u64,
    time: i64,
}

/// Writes a ZIP; members are stored as they are.
#[derive(Debug)]
pub(crate) struct ZipWriter<W> {
    to: W,
    at: u64,
    directory: Vec<u8>,
    count: u64,
}

/// Counts and checks what passes through.
struct Counted<'a> {
    from: &'a mut dyn Read,
    crc: Crc,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.crc.update(&buf[..n]);
        Ok(n)
    }
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, at: 0, directory: Vec::new(), count: 0 }
    }

    /// Goes on where an archive of `at` bytes and so many members left off, before its directory.
    pub(super) fn resume(to: W, at: u64, directory: Vec<u8>, count: u64) -> Self {
        Self { to, at, directory, count }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Adds a member of exactly `size` bytes.
    pub(crate) fn append(
        &mut self,
        name: &str,
        size: u64,
        time: i64,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        let mut entry = Entry { name: name.to_owned(), size, crc: 0, offset: self.at, time };
        self.put(&entry.header())?;
        let mut counted = Counted { from: content, crc: Crc::new() };
        copy_exactly(&mut counted, &mut self.to, size)?;
        self.at += size;
        entry.crc = counted.crc.sum();
        self.put(&entry.descriptor())?;
        self.directory.extend(entry.directory());
        self.count += 1;
        Ok(())
    }

    /// Writes the directory.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let (start, count) = (self.at, self.count);
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let size = directory.len() as u64;
        let mut end = Vec::new();
        if count >= 0xffff || size >= WIDE || start >= WIDE {
            let at = self.at;
            end.extend(b"PK\x06\x06");
            end.extend(44_u64.to_le_bytes());
            end.extend([45, 0, 45, 0]);
            end.extend([0; 8]);
            for number in [count, count, size, start] {
                end.extend(number.to_le_bytes());
            }
            end.extend(b"PK\x06\x07\0\0\0\0");
            end.extend(at.to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        end.extend(b"PK\x05\x06\0\0\0\0");
        let short = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        end.extend([short, short].concat());
        end.extend(low(size).to_le_bytes());
        end.extend(low(start).to_le_bytes());
        end.extend([0, 0]);
        self.put(&end)?;
        Ok(self.to)
    }
}

impl Entry {
    /// What precedes the content.
    fn header(&self) -> Vec<u8> {
        let extra = extended_time(self.time);
        let mut head = b"PK\x03\x04".to_vec();
        common(&mut head, &self.name, self.time, (0, 0, 0), extra.len());
        head.extend_from_slice(self.name.as_bytes());
        head.extend_from_slice(&extra);
        head
    }

    /// What follows the content.
    fn descriptor(&self) -> Vec<u8> {
        let mut descriptor = b"PK\x07\x08".to_vec();
        descriptor.extend(self.crc.to_le_bytes());
        if self.size >= WIDE {
            descriptor.extend([self.size.to_le_bytes(), self.size.to_le_bytes()].concat());
        } else {
            descriptor.extend([low(self.size).to_le_bytes(), low(self.size).to_le_bytes()].concat());
        }
        descriptor
    }

    /// Its record in the directory. Like the original it repeats the name as comment.
    fn directory(&self) -> Vec<u8> {
        let mut extra = extended_time(self.time);
        if self.size >= WIDE || self.offset >= WIDE {
            extra.extend([1, 0, 24, 0]);
            for number in [self.size, self.size, self.offset] {
                extra.extend(number.to_le_bytes());
            }
        }
        let wide = self.size >= WIDE || self.offset >= WIDE;
        let size = if wide { u32::MAX } else { low(self.size) };
        let offset = if wide { u32::MAX } else { low(self.offset) };
        let mut record = b"PK\x01\x02\x14\0".to_vec();
        common(&mut record, &self.name, self.time, (self.crc, size, size), extra.len());
        let comment = u16::try_from(self.name.len()).unwrap_or(0);
        record.extend(comment.to_le_bytes());
        record.extend([0; 8]);
        record.extend(offset.to_le_bytes());
        record.extend_from_slice(self.name.as_bytes());
        record.extend(extra);
        record.extend_from_slice(&self.name.as_bytes()[..usize::from(comment)]);
        record
    }
}

/// The fields that a member's header and its record in the directory share, from the version on.
fn common(out: &mut Vec<u8>, name: &str, time: i64, (crc, packed, size): (u32, u32, u32), extra: usize) {
    let flags = if name.is_ascii() { DESCRIPTOR } else { DESCRIPTOR | UTF8 };
    let (clock, date) = gotime::dos(time);
    for field in [20, flags, 0, clock, date] {
        out.extend(u16::to_le_bytes(field));
    }
    for field in [crc, packed, size] {
        out.extend(field.to_le_bytes());
    }
    out.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(u16::try_from(extra).unwrap_or(u16::MAX).to_le_bytes());
}

/// Extra field with the time in seconds.
fn extended_time(nanos: i64) -> Vec<u8> {
    let seconds = u32::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0);
    [b"UT\x05\0\x01".as_slice(), &seconds.to_le_bytes()].concat()
}

/// The number, or what stands for one that does not fit.
fn low(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aistore::archive::zip::{Ranges, members, open};

    struct Bytes(Vec<u8>);

    impl Ranges for Bytes {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send>> {
            let start = usize::try_from(offset).expect("an offset");
            let end = start + usize::try_from(len).expect("a length");
            Ok(Box::new(io::Cursor::new(self.0[start..end].to_vec())))
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut zip = ZipWriter::new(Vec::new());
        for name in ["a", "dir/\u{fc}"] {
            zip.append(name, 3, 1_600_000_000_000_000_000, &mut b"one".as_slice()).expect("a member");
        }
        let archive = Bytes(zip.finish().expect("an archive"));
        let members = members(&archive).expect("members");
        assert_eq!(members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "dir/\u{fc}"]);
        for member in &members {
            let mut content = String::new();
            open(&archive, member).expect("a member").read_to_string(&mut content).expect("content");
            assert_eq!(content, "one");
        }
    }
}

//! ZIP, read through its central directory.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

/// Most bytes behind which the end record may hide, and of the directory.
const TAIL: u64 = 65_557;
const MAX_DIRECTORY: u64 = 64 << 20;

/// A member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) size: u64,
    packed: u64,
    offset: u64,
    method: u16,
}

impl Member {
    pub(super) fn is_file(&self) -> bool {
        !self.name.ends_with('/')
    }
}

/// Opens a range (offset, length) of the archive.
pub(super) trait Ranges {
    fn len(&self) -> u64;
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send>>;
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "zip: not a valid zip file")
}

fn read(archive: &impl Ranges, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    if offset.checked_add(len).is_none_or(|end| end > archive.len()) {
        return Err(invalid());
    }
    let mut bytes = Vec::new();
    archive.open(offset, len)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn le(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes.get(at..at + width).unwrap_or_default().iter().rev().fold(0, |all, b| (all << 8) | u64::from(*b))
}

fn le_usize(bytes: &[u8], at: usize) -> usize {
    usize::try_from(le(bytes, at, 2)).unwrap_or(0)
}

/// The directory of an archive: where it begins, its records, and how many there are.
pub(super) fn directory(archive: &impl Ranges) -> io::Result<(u64, Vec<u8>, u64)> {
    let tail_at = archive.len().saturating_sub(TAIL);
    let tail = read(archive, tail_at, archive.len() - tail_at)?;
    let end = tail.windows(4).rposition(|w| w == b"PK\x05\x06").ok_or_else(invalid)?;
    let (mut size, mut offset) = (le(&tail, end + 12, 4), le(&tail, end + 16, 4));
    let mut count = le(&tail, end + 10, 2);
    if (size == 0xffff_ffff || offset == 0xffff_ffff)
        && let Some(locator) = end.checked_sub(20)
        && tail[locator..].starts_with(b"PK\x06\x07")
    {
        let record = read(archive, le(&tail, locator + 8, 8), 56)?;
        (size, offset) = (le(&record, 40, 8), le(&record, 48, 8));
        count = le(&record, 32, 8);
    }
    if size > MAX_DIRECTORY {
        return Err(invalid());
    }
    Ok((offset, read(archive, offset, size)?, count))
}

/// The members in the order of the directory.
pub(super) fn members(archive: &impl Ranges) -> io::Result<Vec<Member>> {
    let (_, directory, _) = directory(archive)?;
    let (mut members, mut at) = (Vec::new(), 0);
    while at + 46 <= directory.len() && directory[at..].starts_with(b"PK\x01\x02") {
        let (name, extra, comment) =
            (le_usize(&directory, at + 28), le_usize(&directory, at + 30), le_usize(&directory, at + 32));
        let text = directory.get(at + 46..at + 46 + name).ok_or_else(invalid)?;
        let more = directory.get(at + 46 + name..at + 46 + name + extra).ok_or_else(invalid)?;
        let mut member = Member {
            name: String::from_utf8_lossy(text).into_owned(),
            size: le(&directory, at + 24, 4),
            packed: le(&directory, at + 20, 4),
            offset: le(&directory, at + 42, 4),
            method: u16::try_from(le(&directory, at + 10, 2)).unwrap_or(0),
        };
        widen(&mut member, more);
        members.push(member);
        at += 46 + name + extra + comment;
    }
    Ok(members)
}

/// Takes numbers beyond 32 bits from the extra field.
fn widen(member: &mut Member, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, len) = (le(extra, 0, 2), le_usize(extra, 2));
        let field = extra.get(4..4 + len).unwrap_or_default();
        if id == 1 {
            let mut at = 0;
            for number in [&mut member.size, &mut member.packed, &mut member.offset] {
                if *number == 0xffff_ffff && at + 8 <= field.len() {
                    *number = le(field, at, 8);
                    at += 8;
                }
            }
        }
        extra = extra.get(4 + len..).unwrap_or_default();
    }
}

/// The content of a member.
pub(super) fn open(archive: &impl Ranges, member: &Member) -> io::Result<Box<dyn Read + Send>> {
    let head = read(archive, member.offset, 30)?;
    if !head.starts_with(b"PK\x03\x04") {
        return Err(invalid());
    }
    let start = member.offset + 30 + le(&head, 26, 2) + le(&head, 28, 2);
    if start + member.packed > archive.len() {
        return Err(invalid());
    }
    let packed = archive.open(start, member.packed)?;
    match member.method {
        0 => Ok(packed),
        8 => Ok(Box::new(DeflateDecoder::new(packed).take(member.size))),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "zip: unsupported compression algorithm")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn stored(name: &str, content: &[u8]) -> Vec<u8> {
        let sizes = u32::try_from(content.len()).expect("short").to_le_bytes();
        let name_len = u16::try_from(name.len()).expect("short").to_le_bytes();
        let mut all = [b"PK\x03\x04".as_slice(), &[0; 14], &sizes, &sizes, &name_len, &[0; 2]].concat();
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(content);
        let directory = u32::try_from(all.len()).expect("short").to_le_bytes();
        let entry =
            [b"PK\x01\x02".as_slice(), &[0; 16], &sizes, &sizes, &name_len, &[0; 16], name.as_bytes()]
                .concat();
        let entry_len = u32::try_from(entry.len()).expect("short").to_le_bytes();
        all.extend_from_slice(&entry);
        all.extend([b"PK\x05\x06".as_slice(), &[0; 8], &entry_len, &directory, &[0; 2]].concat());
        all
    }

    #[test]
    fn a_stored_member() {
        let archive = Bytes(stored("dir/a", b"content"));
        let members = members(&archive).expect("members");
        assert_eq!((members[0].name.as_str(), members[0].size, members.len()), ("dir/a", 7, 1));
        let mut content = String::new();
        open(&archive, &members[0]).expect("a member").read_to_string(&mut content).expect("content");
        assert_eq!(content, "content");
    }

    #[test]
    fn no_archive() {
        for bytes in [b"".to_vec(), b"PK\x05\x06".to_vec(), vec![7; 100]] {
            let found = members(&Bytes(bytes));
            assert!(found.map_or(true, |m| m.is_empty()));
        }
    }
}

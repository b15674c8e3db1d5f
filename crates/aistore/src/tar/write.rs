//! Writing TAR archives.

use bytes::{BufMut, Bytes, BytesMut};
use longshore_core_types::Result;

use super::BLOCK;
use crate::names::invalid;

/// The end of an archive: two empty blocks and no more. A cluster that appends to an archive with more destroys it.
pub(crate) static END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Bytes that a file takes: header, content, and what pads it.
pub(crate) fn length_of(name: &str, size: u64) -> u64 {
    let header = if fits(name).is_some() { BLOCK } else { 2 * BLOCK + padded(pax_path(name).len()) };
    header as u64 + size.next_multiple_of(BLOCK as u64)
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(BLOCK)
}

/// What stands before the content of a file. The same for the same name and size: no times, no owners.
pub(crate) fn header(name: &str, size: u64) -> Result<Bytes> {
    let fault = |why: &str| invalid(format!("{name:?} is not the name of a file in an archive: {why}"));
    if name.is_empty() || name.starts_with('/') || name.ends_with('/') {
        return Err(fault("it is empty, or begins or ends with `/`"));
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(fault("a part of its path is empty, `.` or `..`"));
    }
    if name.contains(|c: char| c.is_ascii_control()) {
        return Err(fault("it contains a control character"));
    }
    let mut bytes = BytesMut::new();
    if let Some((prefix, rest)) = fits(name) {
        bytes.put_slice(&block(prefix, rest, size, b'0'));
    } else {
        let record = pax_path(name);
        bytes.put_slice(&block("", "PaxHeaders/name", record.len() as u64, b'x'));
        bytes.put_slice(record.as_bytes());
        bytes.put_bytes(0, padded(record.len()) - record.len());
        // Readers that know no records see the end of the name.
        let mut short = name.len() - 100;
        while !name.is_char_boundary(short) {
            short += 1;
        }
        bytes.put_slice(&block("", &name[short..], size, b'0'));
    }
    Ok(bytes.freeze())
}

/// What stands behind the content of a file.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    let length = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or_default();
    &END[..length]
}

/// The name as the two fields of a header have it, if it does.
fn fits(name: &str) -> Option<(&str, &str)> {
    if name.len() <= 100 {
        return Some(("", name));
    }
    let cut = name.match_indices('/').map(|(at, _)| at).find(|at| name.len() - at - 1 <= 100)?;
    (cut <= 155).then(|| (&name[..cut], &name[cut + 1..]))
}

/// The record that holds a long name; its length counts itself.
fn pax_path(name: &str) -> String {
    let rest = name.len() + " path=\n".len();
    let digits = |number: usize| number.to_string().len();
    let mut length = rest + digits(rest);
    length = rest + digits(length);
    format!("{length} path={name}\n")
}

fn block(prefix: &str, name: &str, size: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    // Eleven octal digits hold 8 GiB; beyond that the size is binary, as common tools have it.
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;
    use crate::tar::read::TarReader;

    #[tokio::test]
    async fn what_is_written_is_read_again() {
        let deep = format!("{}/{}", "d".repeat(120), "f".repeat(99));
        let long = format!("{}.jpg", "\u{e9}".repeat(200));
        let names = ["a.txt", "dir/b.cls", &deep, &long, &"x".repeat(100), &"y".repeat(101)];
        let mut bytes = BytesMut::new();
        for (name, size) in names.iter().zip([0_u64, 1, 511, 512, 513, 2000]) {
            let before = bytes.len();
            bytes.extend_from_slice(&header(name, size).unwrap());
            bytes.put_bytes(b'.', usize::try_from(size).unwrap());
            bytes.extend_from_slice(padding(size));
            assert_eq!((bytes.len() - before) as u64, length_of(name, size), "{name}");
        }
        bytes.extend_from_slice(&END);
        let mut reader = TarReader::new(stream::iter([Ok(bytes.freeze())]).boxed());
        for (name, size) in names.iter().zip([0_u64, 1, 511, 512, 513, 2000]) {
            let entry = reader.next().await.unwrap().unwrap();
            assert_eq!((entry.name.as_str(), entry.size), (*name, size));
        }
        assert!(reader.next().await.unwrap().is_none());
    }

    #[test]
    fn sizes_beyond_octal_digits() {
        let huge = header("a", 1 << 40).unwrap();
        assert_eq!(huge[124], 0x80);
        assert_eq!(u64::from_be_bytes(huge[128..136].try_into().unwrap()), 1 << 40);
    }

    #[test]
    fn names_that_escape_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb"] {
            assert!(header(bad, 0).is_err(), "{bad:?}");
        }
    }
}

//! TAR, read and written in one pass.

use std::io::{self, Read, Write};

use super::zip::Ranges;

pub(super) const BLOCK: usize = 512;
/// Longest extended header that is accepted.
const MAX_EXTENDED: u64 = 1 << 20;

/// A member, before its content.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) size: u64,
    /// A regular file.
    pub(super) is_file: bool,
    /// Its header blocks, those that extend it included.
    pub(super) header: Vec<u8>,
}

/// Reads members one after the other.
#[derive(Debug)]
pub(super) struct Tar<R> {
    from: R,
    /// Content and padding of the current member that were not read.
    left: u64,
    padding: u64,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, left: 0, padding: 0 }
    }

    /// The next member; what is left of the one before is skipped.
    pub(super) fn next(&mut self) -> io::Result<Option<Member>> {
        self.skip()?;
        let (mut header, mut long_name, mut long_size) = (Vec::new(), None, None);
        loop {
            let Some(block) = self.block()? else { return Ok(None) };
            header.extend_from_slice(&block);
            let size = number(&block[124..136])?;
            let kind = block[156];
            if !matches!(kind, b'L' | b'K' | b'x' | b'g') {
                let size = long_size.unwrap_or(size);
                self.left = size;
                self.padding = padding(size);
                let name = long_name.unwrap_or_else(|| name_of(&block));
                let is_file = matches!(kind, b'0' | 0) && !name.ends_with('/');
                let own = header.len() - BLOCK;
                complete(&mut header[own..]);
                return Ok(Some(Member { name, size, is_file, header }));
            }
            let content = self.extended(size, &mut header)?;
            match kind {
                b'L' => long_name = Some(text(&content)),
                b'x' => {
                    for (key, value) in pax(&content) {
                        match key {
                            "path" => long_name = Some(value.to_owned()),
                            "size" => long_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The content of a header that extends the next one.
    fn extended(&mut self, size: u64, header: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENDED {
            return Err(invalid());
        }
        let padded = usize::try_from(size + padding(size)).unwrap_or(0);
        let mut content = vec![0; padded];
        self.from.read_exact(&mut content).map_err(short)?;
        header.extend_from_slice(&content);
        content.truncate(usize::try_from(size).unwrap_or(0));
        Ok(content)
    }

    /// A header block; `None` at the end of the archive.
    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match self.from.read(&mut block[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(short(io::ErrorKind::UnexpectedEof.into())),
                n => have += n,
            }
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        if checksum(&block) != number(&block[148..156])? {
            return Err(invalid());
        }
        Ok(Some(block))
    }

    fn skip(&mut self) -> io::Result<()> {
        let all = self.left + self.padding;
        let skipped = io::copy(&mut self.from.by_ref().take(all), &mut io::sink())?;
        // The padding behind the last member may be missing.
        if skipped < self.left {
            return Err(short(io::ErrorKind::UnexpectedEof.into()));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }
}

/// Content of the current member.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let n = self.from.by_ref().take(self.left).read(buf)?;
        if n == 0 && !buf.is_empty() {
            return Err(short(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Sum of a header's bytes, those of the sum itself taken for spaces.
fn checksum(block: &[u8]) -> u64 {
    let sum = |range: &[u8]| range.iter().map(|b| u64::from(*b)).sum::<u64>();
    sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..])
}

/// Writes the device numbers that many writers leave out and the server does not.
fn complete(block: &mut [u8]) {
    if &block[257..263] != b"ustar\0" || block[329..345].iter().any(|b| *b != 0) {
        return;
    }
    block[329..345].copy_from_slice(b"0000000\x000000000\x00");
    let sum = checksum(block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Zeros that fill the last block.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

fn short(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF");
    }
    error
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "archive/tar: invalid tar header")
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn name_of(block: &[u8; BLOCK]) -> String {
    let (name, prefix) = (text(&block[..100]), text(&block[345..500]));
    let ustar = &block[257..263] == b"ustar\0";
    if ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// A number in octal digits, or in binary if its first bit is set.
fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let low = field[field.len() - 8..].iter().fold(0, |all, b| (all << 8) | u64::from(*b));
        return Ok(low);
    }
    let digits = text(field);
    let digits = digits.trim_matches(' ');
    if digits.is_empty() { Ok(0) } else { u64::from_str_radix(digits, 8).map_err(|_| invalid()) }
}

/// `length key=value` records.
fn pax(content: &[u8]) -> Vec<(&str, &str)> {
    let mut records = Vec::new();
    let mut rest = std::str::from_utf8(content).unwrap_or_default();
    while let Some((length, _)) = rest.split_once(' ')
        && let Ok(length) = length.parse::<usize>()
        && let Some(record) = rest.get(..length)
    {
        let pair = record.split_once(' ').and_then(|(_, r)| r.trim_end_matches('\n').split_once('='));
        records.extend(pair);
        rest = &rest[length..];
    }
    records
}

/// Longest name and longest directory of a plain header, and the largest size.
const MAX_NAME: usize = 100;
const MAX_PREFIX: usize = 155;
const MAX_SIZE: u64 = 0o77_777_777_777;

/// Writes a member of exactly `size` bytes; `time` is in nanoseconds since the epoch.
pub(super) fn write(
    to: &mut impl Write,
    name: &str,
    size: u64,
    time: i64,
    content: &mut dyn Read,
) -> io::Result<()> {
    let seconds = u64::try_from(time.saturating_add(500_000_000).div_euclid(1_000_000_000)).unwrap_or(0);
    let split = split_name(name);
    if split.is_none() || size > MAX_SIZE {
        let mut records = Vec::new();
        if split.is_none() {
            records.extend(record("path", name));
        }
        if size > MAX_SIZE {
            records.extend(record("size", &size.to_string()));
        }
        let (dir, base) = name.rsplit_once('/').map_or(("", name), |(dir, base)| (dir, base));
        let separator = if dir.is_empty() { "" } else { "/" };
        let own = ascii(&format!("{dir}{separator}PaxHeaders.0/{base}"));
        to.write_all(&file_header("", &own, records.len() as u64, b'x', 0, 0))?;
        to.write_all(&records)?;
        pad(to, records.len() as u64)?;
    }
    let shortened = ascii(name);
    let (prefix, base) = split.unwrap_or(("", &shortened));
    to.write_all(&file_header(prefix, base, size.min(MAX_SIZE), b'0', 0o644, seconds))?;
    copy_exactly(content, to, size)?;
    pad(to, size)
}

/// Offset behind the last member.
pub(super) fn end_of_members(archive: &impl Ranges) -> io::Result<u64> {
    let block = BLOCK as u64;
    let mut at = 0;
    let mut long_size = None;
    while at + block <= archive.len() {
        let mut header = [0; BLOCK];
        archive.open(at, block)?.read_exact(&mut header)?;
        if header.iter().all(|b| *b == 0) {
            break;
        }
        if checksum(&header) != number(&header[148..156])? {
            return Err(invalid());
        }
        let mut size = number(&header[124..136])?;
        match header[156] {
            b'x' if size <= MAX_EXTENDED => {
                let mut content = Vec::new();
                archive.open(at + block, size.min(archive.len() - at - block))?.read_to_end(&mut content)?;
                let size = pax(&content).into_iter().rfind(|(key, _)| *key == "size");
                long_size = size.and_then(|(_, value)| value.parse().ok());
            }
            b'x' | b'g' | b'L' | b'K' => {}
            _ => size = long_size.take().unwrap_or(size),
        }
        at = size.checked_add(padding(size)).and_then(|n| n.checked_add(at + block)).ok_or_else(invalid)?;
    }
    if at > archive.len() { Err(short(io::ErrorKind::UnexpectedEof.into())) } else { Ok(at) }
}

/// Fills the last block of a member.
pub(super) fn pad(to: &mut (impl Write + ?Sized), size: u64) -> io::Result<()> {
    let zeros = usize::try_from(padding(size)).unwrap_or(0);
    to.write_all(&[0; BLOCK][..zeros])
}

/// Writes the end of an archive.
pub(super) fn end(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])
}

/// Copies `size` bytes; fewer are an error.
pub(super) fn copy_exactly(from: &mut dyn Read, to: &mut impl Write, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut from.take(size), to)?;
    if copied < size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("a member of {size} bytes ended after {copied}"),
        ));
    }
    Ok(())
}

/// Directory and name as a plain header holds them, if it can.
fn split_name(name: &str) -> Option<(&str, &str)> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= MAX_NAME {
        return Some(("", name));
    }
    let last = name.len().min(MAX_PREFIX + 1);
    let slash = name[..last].rfind('/')?;
    let (prefix, base) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && !base.is_empty() && base.len() <= MAX_NAME).then_some((prefix, base))
}

/// What a header of an extended member holds in place of its name.
fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii).take(MAX_NAME).collect()
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}").into_bytes()
}

fn file_header(prefix: &str, name: &str, size: u64, kind: u8, mode: u32, seconds: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, &format!("{seconds:011o}"));
    put(257, "ustar\x0000");
    if kind != b'x' {
        put(329, "0000000");
        put(337, "0000000");
    }
    put(345, prefix);
    block[156] = kind;
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header block of a file.
    fn header(name: &str, size: u64, kind: u8) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        let sum = checksum(&block);
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    fn member(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut all = header(name, content.len() as u64, kind);
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
        all
    }

    #[test]
    fn members_in_order() {
        let long = "d/".repeat(80) + "x";
        let mut archive = [member("a", b'0', b"one"), member("dir/", b'5', b"")].concat();
        archive.extend(member("././@LongLink", b'L', format!("{long}\0").as_bytes()));
        archive.extend(member("short", b'0', b"two"));
        let mut pax = format!(" path={long}p\n");
        pax.insert_str(0, &(pax.len() + 3).to_string());
        archive
            .extend([member("p", b'x', pax.as_bytes()), member("p", b'0', b"three"), vec![0; 1024]].concat());
        let mut tar = Tar::new(archive.as_slice());
        let mut seen = Vec::new();
        while let Some(member) = tar.next().expect("a member") {
            let mut content = String::new();
            if member.name != "a" {
                tar.read_to_string(&mut content).expect("content");
            }
            seen.push((member.name, member.is_file, content));
        }
        let expected = [
            ("a", true, ""),
            ("dir/", false, ""),
            (&long, true, "two"),
            (&(long.clone() + "p"), true, "three"),
        ];
        assert_eq!(seen, expected.map(|(n, f, c)| (n.to_owned(), f, c.to_owned())));
    }

    #[test]
    fn damage_is_reported() {
        let message = |bytes: &[u8]| {
            let mut tar = Tar::new(bytes);
            loop {
                match tar.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return String::new(),
                    Err(e) => return e.to_string(),
                }
            }
        };
        assert_eq!(message(b""), "");
        assert_eq!(message(b"this is no tar at all"), "unexpected EOF");
        assert_eq!(message(&[7; 512]), "archive/tar: invalid tar header");
        assert_eq!(message(&member("a", b'0', b"content")[..515]), "unexpected EOF");
    }
}

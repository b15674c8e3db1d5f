//! TAR, read in one pass.

use std::io::{self, Read};

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

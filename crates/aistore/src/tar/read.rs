//! A TAR archive as it arrives: entry after entry, with nothing but the current chunk in memory.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::TryStreamExt;
use longshore_blob_api::ByteStream;
use longshore_core_types::{Error, ErrorKind, Result};

use super::BLOCK;

/// Longest name that is read from a header of its own.
const LONGEST_NAME: u64 = 64 << 10;

/// An entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
}

pub(crate) struct TarReader {
    body: ByteStream,
    buffer: Bytes,
    /// Bytes of the current entry that are not read yet, and what pads them.
    left: u64,
    padding: u64,
    ended: bool,
    /// Bytes that have come from the body.
    received: u64,
    /// Bytes in front of the blocks that end the archive.
    content: u64,
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the answer is not a TAR archive: {what}"))
}

impl TarReader {
    pub(crate) fn new(body: ByteStream) -> Self {
        Self { body, buffer: Bytes::new(), left: 0, padding: 0, ended: false, received: 0, content: 0 }
    }

    /// The next file of the archive; what is left of the current one is skipped.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut long_name = None;
        let mut long_size = None;
        while !self.ended {
            let skip = self.left + self.padding;
            self.skip(skip).await?;
            (self.left, self.padding) = (0, 0);
            let Some(header) = self.block().await? else {
                self.ended = true;
                break;
            };
            if header.iter().all(|byte| *byte == 0) {
                self.content = self.received - (self.buffer.len() + header.len()) as u64;
                self.finish().await?;
                break;
            }
            let size = number(&header[124..136])?;
            check_sum(&header)?;
            self.left = size;
            self.padding = size.next_multiple_of(BLOCK as u64) - size;
            match header[156] {
                b'L' => long_name = Some(text(&self.whole(size).await?)),
                b'x' => {
                    let records = self.whole(size).await?;
                    for (key, value) in pax_records(&records)? {
                        match key.as_str() {
                            "path" => long_name = Some(value),
                            "size" => long_size = value.parse().ok(),
                            _ => {}
                        }
                    }
                }
                b'0' | 0 => {
                    let size = long_size.unwrap_or(size);
                    self.left = size;
                    self.padding = size.next_multiple_of(BLOCK as u64) - size;
                    return Ok(Some(Entry { name: long_name.unwrap_or_else(|| short_name(&header)), size }));
                }
                _ => (long_name, long_size) = (None, None),
            }
        }
        Ok(None)
    }

    /// The next bytes of the current entry; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.fill().await?;
        if self.buffer.is_empty() {
            return Err(malformed("it ends inside a file"));
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.buffer.len());
        self.left -= length as u64;
        Ok(Some(self.buffer.split_to(length)))
    }

    /// Bytes in front of the blocks of zeros that end the archive, once they were met.
    pub(crate) fn content(&self) -> u64 {
        self.content
    }

    /// Whether the current entry is read to its end.
    pub(crate) fn is_read(&self) -> bool {
        self.left == 0
    }

    /// Makes sure that the buffer holds something, unless the body has ended.
    async fn fill(&mut self) -> Result<()> {
        while self.buffer.is_empty() {
            match self.body.try_next().await? {
                Some(chunk) => {
                    self.received += chunk.len() as u64;
                    self.buffer = chunk;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            self.fill().await?;
            if self.buffer.is_empty() {
                return Err(malformed("it ends inside a file"));
            }
            let length = usize::try_from(count).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.advance(length);
            count -= length as u64;
        }
        Ok(())
    }

    /// The next block; `None` if the body ends before it.
    async fn block(&mut self) -> Result<Option<Bytes>> {
        self.fill().await?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.take(BLOCK).await.map(Some)
    }

    async fn take(&mut self, count: usize) -> Result<Bytes> {
        if self.buffer.len() >= count {
            return Ok(self.buffer.split_to(count));
        }
        let mut all = BytesMut::with_capacity(count);
        while all.len() < count {
            self.fill().await?;
            if self.buffer.is_empty() {
                return Err(malformed("it ends inside a block"));
            }
            let length = (count - all.len()).min(self.buffer.len());
            all.extend_from_slice(&self.buffer.split_to(length));
        }
        Ok(all.freeze())
    }

    /// A header's own content.
    async fn whole(&mut self, size: u64) -> Result<Bytes> {
        if size > LONGEST_NAME {
            return Err(malformed("a header is too long"));
        }
        self.left = 0;
        self.take(usize::try_from(size).unwrap_or_default()).await
    }

    /// Reads what follows the end, so that the connection can be used again.
    async fn finish(&mut self) -> Result<()> {
        self.ended = true;
        self.buffer = Bytes::new();
        while self.body.try_next().await?.is_some() {}
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn short_name(header: &[u8]) -> String {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    let is_ustar = &header[257..262] == b"ustar" && header[262] == 0;
    if is_ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// Octal digits, or with the first bit set a big-endian number.
fn number(field: &[u8]) -> Result<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        if high.iter().skip(1).any(|byte| *byte != 0) || high[0] != 0x80 {
            return Err(malformed("a size is too large"));
        }
        return Ok(low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| malformed("a size is no number"))
}

fn check_sum(header: &[u8]) -> Result<()> {
    let byte = |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
    let sum: u64 = header.iter().enumerate().map(byte).sum();
    if number(&header[148..156])? == sum {
        Ok(())
    } else {
        Err(malformed("the checksum of a header is wrong"))
    }
}

/// Records of the form `LENGTH KEY=VALUE\n`.
fn pax_records(mut bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let wrong = || malformed("an extended header is garbled");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
        let length: usize = text(&bytes[..space]).parse().map_err(|_| wrong())?;
        if length <= space + 1 || length > bytes.len() {
            return Err(wrong());
        }
        let record = String::from_utf8_lossy(&bytes[space + 1..length - 1]);
        let (key, value) = record.split_once('=').ok_or_else(wrong)?;
        records.push((key.to_owned(), value.to_owned()));
        bytes = &bytes[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    fn header(name: &str, size: usize, kind: u8) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].copy_from_slice(b"        ");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn file(name: &str, content: &[u8], kind: u8) -> Vec<u8> {
        let mut bytes = header(name, content.len(), kind);
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn reader(bytes: &[u8], chunk: usize) -> TarReader {
        let chunks: Vec<_> = bytes.chunks(chunk).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        TarReader::new(stream::iter(chunks).boxed())
    }

    async fn read(reader: &mut TarReader) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(entry) = reader.next().await.unwrap() {
            let mut content = Vec::new();
            while let Some(chunk) = reader.chunk().await.unwrap() {
                content.extend_from_slice(&chunk);
            }
            assert_eq!(content.len() as u64, entry.size);
            all.push((entry.name, content));
        }
        all
    }

    #[tokio::test]
    async fn files_in_chunks_of_any_size() {
        let long = "d/".repeat(100) + "name";
        let record = |text: &str| format!("{} path={text}\n", text.len() + 10);
        let mut bytes = file("a", b"hello", b'0');
        bytes.extend(file("PaxHeaders", record(&long).as_bytes(), b'x'));
        bytes.extend(file("ignored", &[7; 600], b'0'));
        bytes.extend(file("dir/", b"", b'5'));
        bytes.extend(file("empty", b"", 0));
        bytes.extend([0; 2 * BLOCK]);
        assert_eq!(record(&long).len(), long.len() + 10);
        for chunk in [1, 7, 512, 700, 100_000] {
            let all = read(&mut reader(&bytes, chunk)).await;
            let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["a", &long, "empty"]);
            assert_eq!(all[1].1, [7; 600]);
        }
    }

    #[tokio::test]
    async fn entries_that_are_not_read_are_skipped() {
        let mut bytes = file("a", &[1; 2000], b'0');
        bytes.extend(file("b", b"x", b'0'));
        let mut reader = reader(&bytes, 100);
        assert_eq!(reader.next().await.unwrap().unwrap().name, "a");
        reader.chunk().await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap().name, "b");
        assert_eq!(reader.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn broken_archives() {
        let mut bytes = file("a", &[1; 2000], b'0');
        bytes.truncate(1000);
        let mut cut = reader(&bytes, 100);
        cut.next().await.unwrap();
        assert!(cut.next().await.is_err());
        assert!(reader(&[b'x'; 1024], 100).next().await.is_err());
    }
}

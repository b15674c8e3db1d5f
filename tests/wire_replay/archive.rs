//! Archives in the form in which they are compared: what is in them, not how it was packed, nor when.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write as _};

use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use lz4_flex::frame::FrameDecoder;

const BLOCK: usize = 512;

/// A text for an archive, or for a multipart answer that holds one; `None` for anything else.
pub(crate) fn normal(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0x1f, 0x8b, ..] => unpacked("gzip", MultiGzDecoder::new(bytes)),
        [0x04, 0x22, 0x4d, 0x18, ..] => unpacked("lz4", FrameDecoder::new(bytes)),
        [b'P', b'K', 3 | 5, ..] => zip(bytes),
        [b'-', b'-', ..] => multipart(bytes),
        _ if bytes.get(257..262) == Some(b"ustar") => Some(tar(bytes)),
        _ => None,
    }
}

fn unpacked(format: &str, mut from: impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).ok()?;
    Some(format!("{format}: {}", tar(&bytes)))
}

/// Every header and every content, without times, owners and sums.
fn tar(bytes: &[u8]) -> String {
    let mut out = String::from("tar");
    let mut rest = bytes;
    while rest.len() >= BLOCK {
        let (header, more) = rest.split_at(BLOCK);
        if header.iter().all(|b| *b == 0) {
            let _ = write!(out, "; end of {} bytes", rest.len());
            return out;
        }
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(&header[from..to]).trim_matches(['\0', ' ']).to_owned()
        };
        let size = usize::from_str_radix(&text(124, 135), 8).unwrap_or(0);
        let content = String::from_utf8_lossy(&more[..size.min(more.len())]).into_owned();
        let kind = char::from(header[156]);
        let _ = write!(out, "; {}{} {} {kind} {content:?}", text(345, 500), text(0, 100), text(100, 107));
        rest = more.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    out.push_str("; no end");
    out
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    Some(bytes.get(at..at + width)?.iter().rev().fold(0, |all, b| all << 8 | usize::from(*b)))
}

fn zip(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let count = number(bytes, end + 10, 2)?;
    let mut at = number(bytes, end + 16, 4)?;
    let mut out = format!("zip of {count}");
    for _ in 0..count {
        let (method, packed) = (number(bytes, at + 10, 2)?, number(bytes, at + 20, 4)?);
        let lengths = [28, 30, 32].map(|field| number(bytes, at + field, 2).unwrap_or(0));
        let local = number(bytes, at + 42, 4)?;
        let start = local + 30 + number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
        let data = bytes.get(start..start + packed)?;
        let mut content = Vec::new();
        match method {
            0 => content.extend_from_slice(data),
            _ => drop(DeflateDecoder::new(Cursor::new(data)).read_to_end(&mut content).ok()?),
        }
        let name = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + lengths[0])?);
        let _ = write!(out, "; {name} {:?}", String::from_utf8_lossy(&content));
        at += 46 + lengths.iter().sum::<usize>();
    }
    Some(out)
}

/// Parts without the text that separates them.
fn multipart(bytes: &[u8]) -> Option<String> {
    let line = bytes.windows(2).position(|w| w == b"\r\n")?;
    let separator = [b"\r\n".as_slice(), &bytes[..line]].concat();
    let mut out = String::from("multipart");
    let mut rest = &bytes[line + 2..];
    while let Some(end) = rest.windows(separator.len()).position(|w| w == separator) {
        let part = &rest[..end];
        let head = part.windows(4).position(|w| w == b"\r\n\r\n")?;
        let body = &part[head + 4..];
        let body = normal(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        let _ = write!(out, "\n[{}] {body}", String::from_utf8_lossy(&part[..head]));
        rest = &rest[end + separator.len() + 2..];
    }
    Some(out)
}

/// An archive of these files.
pub(crate) fn written(name: &str, members: &[(String, String)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in members {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        put(100, "0000644\x000000000\x000000000\0");
        put(124, &format!("{:011o}\x0000000000000\0        0", content.len()));
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    if !name.ends_with("gz") {
        return tar;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&tar).expect("memory");
    packed.finish().expect("memory")
}

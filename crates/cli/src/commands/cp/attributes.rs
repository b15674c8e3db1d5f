//! What is stored beside the bytes: what the user says, and a content type by name or first bytes.

use std::{fs::File, io::Read, path::Path};

use longshore::Attributes;

/// So many bytes tell a format.
const HEAD: u64 = 512;

/// By the extension of a name, in lower case.
const BY_NAME: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("avif", "image/avif"),
    ("avi", "video/x-msvideo"),
    ("bin", "application/octet-stream"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("h5", "application/x-hdf5"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/x-ndjson"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ndjson", "application/x-ndjson"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rs", "text/x-rust"),
    ("rtf", "application/rtf"),
    ("sh", "application/x-sh"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// By the bytes at the start.
const BY_START: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"ARROW1", "application/vnd.apache.arrow.file"),
    (b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\0asm", "application/wasm"),
    (b"<!DOCTYPE html", "text/html"),
    (b"<html", "text/html"),
    (b"<?xml", "application/xml"),
];

/// What is stored beside every object of one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// What the user said.
    pub(crate) said: Attributes,
}

impl Wanted {
    /// What to store beside a file: what was said, and a content type.
    pub(crate) fn of_file(&self, path: &Path) -> Attributes {
        let mut attributes = self.said.clone();
        if attributes.content_type.is_none() {
            attributes.content_type =
                by_name(&path.to_string_lossy()).or_else(|| by_start(path)).map(str::to_owned);
        }
        attributes
    }

    /// What to store beside bytes that come from nowhere in particular, by the name they get.
    pub(crate) fn of_name(&self, name: &str) -> Attributes {
        let mut attributes = self.said.clone();
        if attributes.content_type.is_none() {
            attributes.content_type = by_name(name).map(str::to_owned);
        }
        attributes
    }

    /// What to store beside a copy: what stands beside the source, changed by what was said.
    pub(crate) fn of_copy(&self, source: &Attributes) -> Attributes {
        let said = &self.said;
        let mut attributes = source.clone();
        for (target, value) in [
            (&mut attributes.content_type, &said.content_type),
            (&mut attributes.cache_control, &said.cache_control),
        ] {
            if value.is_some() {
                target.clone_from(value);
            }
        }
        attributes.metadata.extend(said.metadata.clone());
        attributes
    }
}

fn by_name(name: &str) -> Option<&'static str> {
    let file = name.rsplit(['/', std::path::MAIN_SEPARATOR]).next()?;
    let (_, extension) = file.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    BY_NAME.iter().find(|(known, _)| *known == extension).map(|(_, kind)| *kind)
}

/// A file that cannot be read has no type; the upload will say why.
fn by_start(path: &Path) -> Option<&'static str> {
    // Bytes that are read from a pipe would be missing in the upload.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut start = Vec::new();
    File::open(path).ok()?.take(HEAD).read_to_end(&mut start).ok()?;
    kind_of(&start)
}

fn kind_of(start: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = BY_START.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(kind);
    }
    match start {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("video/mp4"),
        [] => None,
        text if is_text(text) => Some("text/plain"),
        _ => None,
    }
}

/// Whether it is UTF-8 without control characters; the last character may be cut.
fn is_text(start: &[u8]) -> bool {
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

/// Reads `KEY=VALUE`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_name_and_start() {
        assert_eq!(by_name("a/b.tar.GZ"), Some("application/gzip"));
        assert_eq!((by_name("a.b/c"), by_name("x."), by_name(".png")), (None, None, Some("image/png")));
        assert_eq!(kind_of(b"\x89PNG\r\n\x1a\nxyz"), Some("image/png"));
        assert_eq!(kind_of("gr\u{fc}n\n".as_bytes()), Some("text/plain"));
        assert_eq!(kind_of(&"ü".as_bytes()[..1]), None);
        assert_eq!(kind_of(&"xü".as_bytes()[..2]), Some("text/plain"));
        assert_eq!((kind_of(b""), kind_of(b"\x00\x01"), kind_of(b"\xff\xfe")), (None, None, None));
        assert_eq!(kind_of(b"RIFFxxxxWEBPVP8"), Some("image/webp"));
    }

    #[test]
    fn what_was_said_wins() {
        let wanted = Wanted { said: Attributes::default().with_metadata("a", "1") };
        assert_eq!(wanted.of_name("x.css").content_type.as_deref(), Some("text/css"));
        let wanted = Wanted { said: wanted.said.with_content_type("x/y") };
        assert_eq!(wanted.of_name("x.css").content_type.as_deref(), Some("x/y"));
        let source = Attributes::default()
            .with_cache_control("no-cache")
            .with_metadata("a", "0")
            .with_metadata("b", "2");
        let copy = wanted.of_copy(&source);
        assert_eq!(
            (copy.content_type.as_deref(), copy.cache_control.as_deref()),
            (Some("x/y"), Some("no-cache"))
        );
        assert_eq!((copy.metadata["a"].as_str(), copy.metadata["b"].as_str()), ("1", "2"));
    }

    #[test]
    fn pairs() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parse_pair("a="), Ok(("a".into(), String::new())));
        assert!(parse_pair("a").is_err() && parse_pair("=b").is_err());
    }
}

//! `blob:` URIs.

use std::fmt;

use longshore_core_types::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What short URIs leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriDefaults {
    /// Name of the cluster.
    pub cluster: String,
    /// Organisation.
    pub org: String,
    /// Project.
    pub project: String,
}

/// What stays as it is in the path of a URI: unreserved characters, `!$&'()*+,;=:@` and `/`.
pub(crate) const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// A `blob:` URI in its full form, `blob://cluster/org/project/bucket/key`.
///
/// | Written | Means |
/// |---|---|
/// | `blob:bucket/key` | current cluster, organisation and project |
/// | `blob:/project/bucket/key` | current cluster and organisation |
/// | `blob://cluster/org/project/bucket/key` | all of it |
///
/// ```
/// # use longshore_apolo::{BlobUri, UriDefaults};
/// let here = UriDefaults { cluster: "c".into(), org: "acme".into(), project: "p".into() };
/// let uri = BlobUri::parse("blob:photos/2024/a b.jpg", &here)?;
/// assert_eq!(uri.to_string(), "blob://c/acme/p/photos/2024/a%20b.jpg");
/// assert_eq!(uri.bucket_path(), Some("acme/p/photos".to_owned()));
/// assert_eq!(uri.key().as_deref(), Some("2024/a b.jpg"));
/// assert_eq!(uri.encoded_key().as_deref(), Some("2024/a%20b.jpg"));
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobUri {
    cluster: String,
    /// Encoded, with a slash at its start; empty if the URI ends with the cluster.
    path: String,
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// Escapes what has to be, unescapes what need not be, and writes escapes in capitals.
fn requote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let escape = rest.as_bytes().get(1..3).filter(|h| c == '%' && h.iter().all(u8::is_ascii_hexdigit));
        let byte = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(byte) = byte {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                out.push_str(&rest[..3].to_ascii_uppercase());
            }
            rest = &rest[3..];
        } else {
            out.extend(utf8_percent_encode(&rest[..c.len_utf8()], PATH));
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Resolves segments `.` and `..`; empty segments stay.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut folder = false;
    for segment in path.split('/') {
        folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut path = kept.join("/");
    if folder && !path.ends_with('/') {
        path.push('/');
    }
    path
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl BlobUri {
    /// Reads a URI in any of its forms. [`ErrorKind::InvalidInput`] if it is none.
    pub fn parse(text: &str, here: &UriDefaults) -> Result<Self> {
        Self::complete(text, &here.cluster, || Ok(&here.org), || Ok(&here.project))
    }

    /// The same, where organisation and project are asked for only if they are left out.
    pub(crate) fn complete<'a>(
        text: &str,
        cluster: &str,
        org: impl FnOnce() -> Result<&'a str>,
        project: impl FnOnce() -> Result<&'a str>,
    ) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        if !scheme.eq_ignore_ascii_case("blob") {
            return Err(wrong(format!("Invalid scheme '{scheme}:' (only 'blob:' is allowed)")));
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !fragment.is_empty() {
            return Err(wrong(
                "Fragment part is not allowed in blob URI. Use '%23' to quote '#' in path.".into(),
            ));
        }
        if !query.is_empty() {
            return Err(wrong(
                "Query part is not allowed in blob URI. Use '%3F' to quote '?' in path.".into(),
            ));
        }
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, ""),
            },
            None => ("", rest),
        };
        if host.contains('@') {
            return Err(wrong("User is not allowed in blob URI.".into()));
        }
        if host.contains(':') {
            return Err(wrong("Port is not allowed in blob URI".into()));
        }
        if host.starts_with('~') || (host.is_empty() && path.trim_start_matches('/').starts_with('~')) {
            return Err(wrong(format!("Cannot expand user for {text}")));
        }
        if !host.is_empty() {
            let path = without_dots(&requote(path));
            return Ok(Self { cluster: host.to_lowercase(), path });
        }
        let org = org()?;
        // Escapes are resolved, so that an escaped slash separates from here on.
        let path = decode(&requote(path));
        let full = match path.strip_prefix('/') {
            Some(rest) => format!("/{org}/{}", rest.trim_start_matches('/')),
            None if path.is_empty() => format!("/{org}/{}", project()?),
            None => format!("/{org}/{}/{path}", project()?),
        };
        let path = without_dots(&utf8_percent_encode(&full, PATH).to_string());
        Ok(Self { cluster: cluster.to_lowercase(), path })
    }

    /// Name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Everything behind the cluster, decoded: what the service looks buckets up by.
    pub fn path(&self) -> String {
        decode(&self.path).trim_start_matches('/').to_owned()
    }

    /// Organisation, project and bucket, encoded, and what follows.
    fn split(&self) -> Option<(String, &str)> {
        let path = self.path.strip_prefix('/')?;
        let mut ends = path.match_indices('/').map(|(at, _)| at);
        let end = ends.nth(2).unwrap_or(path.len());
        let bucket = &path[..end];
        let parts: Vec<_> = bucket.split('/').collect();
        let whole = parts.len() == 3 && parts.iter().all(|part| !part.is_empty());
        whole.then(|| (bucket.to_owned(), &path[end..]))
    }

    /// `org/project/bucket`, decoded; `None` if the URI names no bucket.
    pub fn bucket_path(&self) -> Option<String> {
        self.split().map(|(bucket, _)| decode(&bucket))
    }

    /// Name of the bucket.
    pub fn bucket(&self) -> Option<String> {
        self.split().and_then(|(bucket, _)| Some(decode(bucket.rsplit('/').next()?)))
    }

    /// The key as it was written: raw. Empty if the URI names the bucket alone.
    pub fn key(&self) -> Option<String> {
        self.split().map(|(_, key)| decode(key.strip_prefix('/').unwrap_or(key)))
    }

    /// The key that the platform's own client uses for this URI: percent-encoded, without slashes at its start. It is
    /// another one than [`key`](Self::key) for names with spaces, `%`, or letters beyond ASCII.
    pub fn encoded_key(&self) -> Option<String> {
        self.split().map(|(_, key)| key.trim_start_matches('/').to_owned())
    }
}

impl fmt::Display for BlobUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blob://{}{}", self.cluster, self.path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/apolo.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn here() -> UriDefaults {
        UriDefaults { cluster: "default-cluster".into(), org: "acme".into(), project: "proj1".into() }
    }

    #[test]
    fn uris_are_those_of_the_platforms_client() {
        let vectors = vectors();
        let cases = vectors["uri"].as_array().unwrap();
        assert!(cases.len() > 50);
        for case in cases {
            let input = case["input"].as_str().unwrap();
            match (BlobUri::parse(input, &here()), case["error"].as_str()) {
                (Ok(uri), None) => {
                    assert_eq!(uri.to_string(), case["normalized"].as_str().unwrap(), "{input}");
                    assert_eq!(uri.path(), case["by_path"].as_str().unwrap(), "{input}");
                }
                (Err(error), Some(expected)) => {
                    assert_eq!(format!("ValueError: {}", error.message()), expected, "{input}");
                }
                (result, expected) => panic!("{input}: {result:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn keys_are_raw_or_those_of_the_platforms_client() {
        let vectors = vectors();
        for case in vectors["entry"].as_array().unwrap() {
            let uri = case["entry_uri"].as_str().unwrap();
            // Its own URIs of such keys cannot be read back.
            let Ok(uri) = BlobUri::parse(uri, &here()) else { continue };
            let key = case["key_recovered_from_uri"].as_str().unwrap();
            assert_eq!(uri.encoded_key().as_deref(), Some(key), "{uri}");
        }
        let key = |text: &str| BlobUri::parse(text, &here()).unwrap().key().unwrap();
        assert_eq!(key("blob:b/sp ace/ü"), "sp ace/ü");
        assert_eq!((key("blob:b//lead"), key("blob:b")), ("/lead".into(), String::new()));
        let uri = BlobUri::parse("blob://c/org", &here()).unwrap();
        assert_eq!((uri.bucket_path(), uri.key()), (None, None));
        assert_eq!(BlobUri::parse("blob:b/k", &here()).unwrap().bucket().as_deref(), Some("b"));
    }
}

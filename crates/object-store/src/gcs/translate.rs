//! Between the headers of S3 and those of Google Cloud Storage.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// Headers that mean the same under another prefix.
const SAME: [&str; 4] = ["copy-source", "copy-source-if-match", "metadata-directive", "meta-"];

const AMAZON: &str = "x-amz-";
const GOOGLE: &str = "x-goog-";
const HASH: HeaderName = HeaderName::from_static("x-goog-hash");
const GENERATION: HeaderName = HeaderName::from_static("x-goog-if-generation-match");
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-goog-copy-source");
const CRC32C: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");

/// Puts each header under the name that `to` has for it; what `to` does not know is left out.
fn renamed(headers: &HeaderMap, from: &str, to: &str) -> HeaderMap {
    let mut found = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let Some(rest) = name.as_str().strip_prefix(from) else {
            found.append(name.clone(), value.clone());
            continue;
        };
        if SAME.iter().any(|same| rest == *same || (same.ends_with('-') && rest.starts_with(same))) {
            // Both are names already, but for the prefix.
            if let Ok(name) = HeaderName::try_from(format!("{to}{rest}")) {
                found.append(name, value.clone());
            }
        }
    }
    found
}

/// The head of a request to S3 as one to Google.
pub(crate) fn request(method: &Method, headers: &mut HeaderMap) {
    let crc32c = headers.get(CRC32C).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut found = renamed(headers, AMAZON, GOOGLE);
    if let Some(value) = crc32c.and_then(|sum| HeaderValue::try_from(format!("crc32c={sum}")).ok()) {
        found.insert(HASH, value);
    }
    if let Some(source) = found.get_mut(COPY_SOURCE) {
        // There the name of the bucket is first. Where a slash is, some read an empty name.
        let bare = source.as_bytes().strip_prefix(b"/").map(HeaderValue::from_bytes);
        if let Some(Ok(bare)) = bare {
            *source = bare;
        }
    }
    let writes = *method == Method::PUT || *method == Method::POST;
    if writes && found.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*") {
        found.remove(header::IF_NONE_MATCH);
        // No generation at all is the zeroth.
        found.insert(GENERATION, HeaderValue::from_static("0"));
    }
    if found.contains_key(header::ACCEPT_ENCODING) {
        // Else the service would unpack what is stored compressed, and send other bytes than it stores.
        found.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *headers = found;
}

/// The head of an answer of Google as one of S3.
pub(crate) fn answer(headers: &mut HeaderMap) {
    let mut found = renamed(headers, GOOGLE, AMAZON);
    if let Some(generation) = headers.get("x-goog-generation") {
        found.insert("x-amz-version-id", generation.clone());
    }
    let sums =
        headers.get_all(HASH).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    for sum in sums {
        if let Some(value) = sum.trim().strip_prefix("crc32c=").filter(|sum| STANDARD.decode(sum).is_ok())
            && let Ok(value) = HeaderValue::try_from(value)
        {
            found.insert(CRC32C, value);
        }
    }
    *headers = found;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn requests() {
        let mut sent = headers(&[
            ("x-amz-meta-a", "1"),
            ("x-amz-copy-source", "/b/k"),
            ("x-amz-metadata-directive", "REPLACE"),
            ("x-amz-checksum-mode", "ENABLED"),
            ("x-amz-checksum-crc32c", "AAAAAQ=="),
            ("if-none-match", "*"),
            ("content-type", "a/b"),
        ]);
        request(&Method::PUT, &mut sent);
        let expected = headers(&[
            ("x-goog-meta-a", "1"),
            ("x-goog-copy-source", "b/k"),
            ("x-goog-metadata-directive", "REPLACE"),
            ("x-goog-hash", "crc32c=AAAAAQ=="),
            ("x-goog-if-generation-match", "0"),
            ("content-type", "a/b"),
        ]);
        assert_eq!(sent, expected);
        let mut read = headers(&[("if-none-match", "\"t\""), ("accept-encoding", "identity")]);
        request(&Method::GET, &mut read);
        assert_eq!(read, headers(&[("if-none-match", "\"t\""), ("accept-encoding", "gzip")]));
    }

    #[test]
    fn answers() {
        let mut found = headers(&[
            ("x-goog-meta-a", "1"),
            ("x-goog-generation", "7"),
            ("x-goog-metageneration", "1"),
            ("x-goog-hash", "crc32c=AAAAAQ==,md5=AAAA"),
            ("etag", "\"t\""),
        ]);
        answer(&mut found);
        let expected = headers(&[
            ("x-amz-meta-a", "1"),
            ("x-amz-version-id", "7"),
            ("x-amz-checksum-crc32c", "AAAAAQ=="),
            ("etag", "\"t\""),
        ]);
        assert_eq!(found, expected);
    }
}

//! What the server says about an object.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, response::Parts};
use longshore_blob_api::PutResult;
use longshore_core_types::{Checksum, ChecksumKind, ObjectKey, ObjectMeta};

use crate::wire::answer::{attributes, http_date, text};

const META: &str = "x-amz-meta-";

/// Checksums of the whole object; those of a list of checksums of parts say nothing that could be compared.
fn checksums(headers: &HeaderMap) -> Vec<Checksum> {
    if text(headers, "x-amz-checksum-type").is_some_and(|kind| kind != "FULL_OBJECT") {
        return Vec::new();
    }
    let kinds =
        [(ChecksumKind::Crc32c, "x-amz-checksum-crc32c"), (ChecksumKind::Sha256, "x-amz-checksum-sha256")];
    let read = |(kind, name)| Checksum::new(kind, STANDARD.decode(text(headers, name)?).ok()?).ok();
    kinds.into_iter().filter_map(read).collect()
}

/// The object that the head of an answer describes.
pub(in crate::s3) fn object(parts: &Parts, key: &ObjectKey, size: u64) -> ObjectMeta {
    let headers = &parts.headers;
    let mut meta = ObjectMeta::new(key.clone(), size);
    meta.etag = text(headers, "etag").map(str::to_owned);
    meta.version = text(headers, "x-amz-version-id").filter(|v| *v != "null").map(str::to_owned);
    meta.last_modified = text(headers, "last-modified").and_then(http_date);
    if parts.status != http::StatusCode::PARTIAL_CONTENT {
        meta.checksums = checksums(headers);
    }
    meta.attributes = attributes(headers, META);
    meta
}

/// What is known of an object that was stored.
pub(in crate::s3) fn stored(parts: &Parts) -> PutResult {
    let mut result = PutResult::default();
    result.etag = text(&parts.headers, "etag").map(str::to_owned);
    result.version = text(&parts.headers, "x-amz-version-id").map(str::to_owned);
    result.checksums = checksums(&parts.headers);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let (parts, ()) = http::Response::builder()
            .header("etag", "\"t\"")
            .header("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            .header("x-amz-meta-color", "red")
            .header("content-type", "a/b")
            .header("x-amz-checksum-crc32c", "AAAAAQ==")
            .body(())
            .unwrap()
            .into_parts();
        let meta = object(&parts, &ObjectKey::new("k").unwrap(), 7);
        assert_eq!((meta.size, meta.etag.as_deref()), (7, Some("\"t\"")));
        assert_eq!(meta.attributes.metadata["color"], "red");
        assert_eq!(meta.checksums[0].as_bytes(), [0, 0, 0, 1]);
        assert!(meta.last_modified.is_some());
    }
}

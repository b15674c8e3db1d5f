//! What the server says about a blob.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::response::Parts;
use longshore_blob_api::PutResult;
use longshore_core_types::{Checksum, ChecksumKind, ObjectKey, ObjectMeta};

use crate::wire::answer::{attributes, http_date, text};

const META: &str = "x-ms-meta-";

fn md5(parts: &Parts) -> Vec<Checksum> {
    // That of a part of the blob says nothing about the blob.
    let partial = parts.status == http::StatusCode::PARTIAL_CONTENT;
    let sum = |name: &str| STANDARD.decode(text(&parts.headers, name)?).ok();
    let whole = sum("x-ms-blob-content-md5").or_else(|| sum("content-md5").filter(|_| !partial));
    whole.and_then(|bytes| Checksum::new(ChecksumKind::Md5, bytes).ok()).into_iter().collect()
}

/// The blob that the head of an answer describes.
pub(in crate::azure) fn object(parts: &Parts, key: &ObjectKey, size: u64) -> ObjectMeta {
    let headers = &parts.headers;
    let own = |name: &str| text(headers, name).map(str::to_owned);
    let mut meta = ObjectMeta::new(key.clone(), size);
    meta.etag = own("etag");
    meta.version = own("x-ms-version-id");
    meta.last_modified = text(headers, "last-modified").and_then(http_date);
    meta.created = text(headers, "x-ms-creation-time").and_then(http_date);
    meta.checksums = md5(parts);
    meta.attributes = attributes(headers, META);
    meta
}

/// What is known of a blob that was stored.
pub(in crate::azure) fn stored(parts: &Parts) -> PutResult {
    let mut result = PutResult::default();
    result.etag = text(&parts.headers, "etag").map(str::to_owned);
    result.version = text(&parts.headers, "x-ms-version-id").map(str::to_owned);
    result.last_modified = text(&parts.headers, "last-modified").and_then(http_date);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let answer = |status: u16| {
            let builder = http::Response::builder().status(status).header("etag", "\"0x8\"");
            let builder = builder.header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==");
            let builder = builder.header("x-ms-meta-a_b", "red");
            let builder = builder.header("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT");
            let builder = builder.header("x-ms-creation-time", "Wed, 21 Oct 2015 07:28:00 GMT");
            builder.body(()).unwrap().into_parts().0
        };
        let key = ObjectKey::new("k").unwrap();
        let meta = object(&answer(200), &key, 7);
        assert_eq!((meta.size, meta.etag.as_deref(), meta.checksums.len()), (7, Some("\"0x8\""), 1));
        assert_eq!(meta.attributes.metadata["a_b"], "red");
        assert!(meta.last_modified.is_some() && meta.created == meta.last_modified);
        assert!(object(&answer(206), &key, 7).checksums.is_empty());
        assert_eq!(stored(&answer(201)).etag.as_deref(), Some("\"0x8\""));
    }
}

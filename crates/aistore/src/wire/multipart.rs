//! Uploads in parts.
//!
//! A part number sent twice loses the part's data although both answers are 200, so a part is never sent a
//! second time by a retry. There is no native call that lists parts; the S3 endpoint of the cluster does.

use http::Method;
use longshore_blob_api::{
    MultipartId, MultipartRef, PageToken, PartInfo, PartNumber, UploadInfo, UploadPage,
};
use longshore_core_types::{Error, ErrorKind, Idempotency, ObjectKey, Payload, Result};
use longshore_transport::encode_path;
use serde::Serialize;
use serde_json::Value;

use super::{Request, object::on_object, xml};
use crate::{
    names::{BucketRef, invalid},
    object::options::ObjectAt,
};

use Idempotency::{Idempotent, Never, NotIdempotent};

/// Most parts of one upload.
pub(crate) const MAX_PARTS: u32 = 9999;

fn check_id(id: &str) -> Result<()> {
    // Without an id the server takes a part for the whole object.
    if id.is_empty() { Err(invalid("the id of the upload is empty")) } else { Ok(()) }
}

pub(crate) fn create(at: &ObjectAt) -> Result<Request> {
    on_object(Method::POST, at, "aistore.multipart.create", NotIdempotent).action(
        "mpt-upload",
        "",
        &Value::Null,
    )
}

pub(crate) fn put_part(at: &ObjectAt, id: &str, number: PartNumber, body: Payload) -> Result<Request> {
    check_id(id)?;
    if number.get() > MAX_PARTS {
        return Err(invalid(format!("part number {number} is over the limit of {MAX_PARTS} parts")));
    }
    match body.len() {
        None => return Err(invalid(format!("part {number} has no known length, which the server wants"))),
        Some(0) => return Err(invalid(format!("part {number} is empty, which the server refuses"))),
        Some(_) => {}
    }
    Ok(on_object(Method::PUT, at, "aistore.multipart.put_part", Never)
        .query("uploadId", id)
        .query("partNumber", &number.to_string())
        .body(body))
}

/// `numbers` must be 1, 2, ... without a gap.
pub(crate) fn complete(at: &ObjectAt, id: &str, numbers: &[PartNumber]) -> Result<Request> {
    #[derive(Serialize)]
    struct Part {
        #[serde(rename = "part-number")]
        number: u32,
        etag: &'static str,
    }
    check_id(id)?;
    if numbers.is_empty() {
        return Err(invalid("an upload cannot be completed without parts"));
    }
    let mut sorted: Vec<u32> = numbers.iter().map(|number| number.get()).collect();
    sorted.sort_unstable();
    if let Some((expected, found)) = (1..).zip(&sorted).find(|(expected, found)| expected != *found) {
        return Err(invalid(format!("parts must be 1, 2, ... without a gap: {found} stands for {expected}")));
    }
    let parts: Vec<Part> = numbers.iter().map(|number| Part { number: number.get(), etag: "" }).collect();
    on_object(Method::POST, at, "aistore.multipart.complete", NotIdempotent).query("uploadId", id).action(
        "mpt-complete",
        "",
        &parts,
    )
}

pub(crate) fn abort(at: &ObjectAt, id: &str) -> Result<Request> {
    check_id(id)?;
    on_object(Method::DELETE, at, "aistore.multipart.abort", Idempotent).query("uploadId", id).action(
        "mpt-abort",
        "",
        &Value::Null,
    )
}

/// Whether the S3 endpoint can be asked about this bucket: it knows no namespaces.
pub(crate) fn s3_knows(bucket: &BucketRef) -> bool {
    bucket.namespace().is_global()
}

/// The parts that the server has, through its S3 endpoint.
pub(crate) fn list_parts(at: &ObjectAt, id: &str) -> Result<Request> {
    check_id(id)?;
    let unsupported = |why: &str| Err(Error::new(ErrorKind::Unsupported, format!("listing parts {why}")));
    if !s3_knows(at.bucket()) {
        return unsupported("works in the global namespace only");
    }
    if at.key().as_str().contains(['#', '?']) {
        return unsupported("of a name with `#` or `?` would ask about another object");
    }
    let path = format!("/s3/{}/{}", at.bucket().name(), encode_path(at.key().as_str()));
    let request = Request::new(Method::GET, path, "aistore.multipart.list_parts", Idempotent);
    Ok(request.query("uploadId", id).on(at.bucket().object_resource(at.key())))
}

pub(crate) fn parse_parts(body: &[u8]) -> Result<Vec<PartInfo>> {
    let root = xml::text(body)?;
    if !root.contains("<ListPartsResult") {
        return Err(
            Error::new(ErrorKind::Protocol, "the answer is not a list of parts").with_response_excerpt(body)
        );
    }
    let mut parts = Vec::new();
    for part in xml::elements(root, "Part") {
        let number = xml::value(part, "PartNumber").and_then(|text| text.parse().ok());
        let number = number.and_then(|number| PartNumber::new(number).ok()).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "a listed part has no number").with_response_excerpt(body)
        })?;
        let mut info = PartInfo::new(number);
        info.size = xml::value(part, "Size").and_then(|text| text.parse().ok());
        info.etag = xml::value(part, "ETag").filter(|etag| !etag.trim_matches('"').is_empty());
        parts.push(info);
    }
    parts.sort_by_key(|part| part.number);
    Ok(parts)
}

/// Uploads that were begun in the bucket, through the S3 endpoint.
pub(crate) fn list_uploads(bucket: &BucketRef, prefix: &str, page: Option<&PageToken>) -> Result<Request> {
    if !s3_knows(bucket) {
        return Err(Error::new(ErrorKind::Unsupported, "listing uploads works in the global namespace only"));
    }
    let path = format!("/s3/{}", bucket.name());
    let mut request = Request::new(Method::GET, path, "aistore.multipart.list_uploads", Idempotent)
        .query("uploads", "")
        .query_if(!prefix.is_empty(), "prefix", prefix);
    if let Some(page) = page {
        let (key, id) = page.as_str().rsplit_once('\n').unwrap_or((page.as_str(), ""));
        request = request.query("key-marker", key).query_if(!id.is_empty(), "upload-id-marker", id);
    }
    Ok(request.on(bucket.resource()))
}

pub(crate) fn parse_uploads(body: &[u8], prefix: &str) -> Result<UploadPage> {
    let root = xml::text(body)?;
    if !root.contains("<ListMultipartUploadsResult") {
        return Err(Error::new(ErrorKind::Protocol, "the answer is not a list of uploads")
            .with_response_excerpt(body));
    }
    let mut uploads = Vec::new();
    for upload in xml::elements(root, "Upload") {
        let (Some(key), Some(id)) = (xml::value(upload, "Key"), xml::value(upload, "UploadId")) else {
            continue;
        };
        if !key.starts_with(prefix) || id.is_empty() {
            continue;
        }
        let started = xml::value(upload, "Initiated").and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let mut info = UploadInfo::new(MultipartRef { key: ObjectKey::new(key)?, id: MultipartId::new(id) });
        info.started = started.map(Into::into);
        uploads.push(info);
    }
    let truncated = xml::value(root, "IsTruncated").is_some_and(|text| text == "true");
    let next = truncated.then(|| {
        let marker = |name| xml::value(root, name).unwrap_or_default();
        PageToken::new(format!("{}\n{}", marker("NextKeyMarker"), marker("NextUploadIdMarker")))
    });
    Ok(UploadPage::new(uploads, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> ObjectAt {
        ObjectAt::new("b".parse().unwrap(), ObjectKey::new("o").unwrap()).unwrap()
    }

    fn number(number: u32) -> PartNumber {
        PartNumber::new(number).unwrap()
    }

    #[test]
    fn what_loses_data_is_refused() {
        assert!(put_part(&at(), "", number(1), "x".into()).is_err());
        assert!(put_part(&at(), "id", number(10_000), "x".into()).is_err());
        assert!(put_part(&at(), "id", number(1), Payload::empty()).is_err());
        assert!(complete(&at(), "id", &[]).is_err());
        assert!(complete(&at(), "id", &[number(1), number(3)]).is_err());
        assert!(complete(&at(), "id", &[number(1), number(1)]).is_err());
        assert!(complete(&at(), "id", &[number(2), number(1)]).is_ok());
        let part = put_part(&at(), "id", number(1), "x".into()).unwrap();
        assert_eq!(part.call.idempotency, Never);
    }

    #[test]
    fn parts_and_uploads() {
        let body = br#"<?xml version="1.0"?>
<ListPartsResult><Bucket>b</Bucket><Part><ETag></ETag><PartNumber>2</PartNumber></Part>
<Part><ETag>&#34;ab&#34;</ETag><PartNumber>1</PartNumber></Part></ListPartsResult>"#;
        let parts = parse_parts(body).unwrap();
        assert_eq!(parts.iter().map(|part| part.number.get()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(parts[0].etag.as_deref(), Some("\"ab\""));
        assert_eq!(parts[1].etag, None);
        let body = br"<ListMultipartUploadsResult><Upload><Initiated>2026-11-21T15:55:14.4Z</Initiated>
<Key>a&amp;b</Key><UploadId>x1</UploadId></Upload><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        let page = parse_uploads(body, "").unwrap();
        assert_eq!(page.uploads[0].upload.key.as_str(), "a&b");
        assert!(page.uploads[0].started.is_some() && page.next.is_none());
        assert!(parse_uploads(body, "z").unwrap().uploads.is_empty());
        assert!(parse_parts(b"<Error/>").is_err());
    }
}

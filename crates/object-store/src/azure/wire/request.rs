//! What goes to the server.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use longshore_blob_api::{GetOptions, PutOptions};
use longshore_core_types::{Attributes, Checksum, ChecksumKind, Error, ErrorKind, Result};

use crate::wire::request::{Request, invalid};

/// Version of the service's API, which is also what the signer of the library assumes.
const VERSION: &str = "2023-11-03";

const META: &str = "x-ms-meta-";
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const API_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Longest name of a blob, in characters.
const LONGEST_KEY: usize = 1024;

/// Most bytes of user metadata, names and values together.
const MOST_METADATA: usize = 8 << 10;

/// Refuses names that do not come back as they went.
pub(in crate::azure) fn check_key(key: &str) -> Result<()> {
    if key.chars().count() > LONGEST_KEY {
        return Err(invalid(format!("the name has more than the {LONGEST_KEY} characters of Azure")));
    }
    // The path would end, or begin, elsewhere: servers and proxies resolve such segments.
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(invalid(format!("{key:?} has a segment `.` or `..`, which does not survive in a URL")));
    }
    // The service takes it for a slash.
    if key.contains('\\') {
        return Err(invalid(format!("{key:?} has a backslash, which Azure takes for a slash")));
    }
    if key.chars().any(char::is_control) {
        return Err(invalid(format!("{key:?} has a control character, which Azure's listings cannot say")));
    }
    Ok(())
}

/// Every request says which version of the API it means.
pub(in crate::azure) fn versioned(mut request: Request) -> Request {
    request.headers.insert(API_VERSION, HeaderValue::from_static(VERSION));
    request
}

/// Range, pin and conditions of a read.
pub(in crate::azure) fn reading(request: Request, opts: &GetOptions) -> Result<Request> {
    let range = opts.range.map(longshore_core_types::ByteRange::to_header).transpose()?;
    let pinned = opts.pin.as_ref().and_then(|pin| pin.etag.as_deref());
    request
        .header_opt(header::RANGE, range.as_deref())?
        .header_opt(header::IF_MATCH, opts.if_match.as_deref().or(pinned))?
        .header_opt(header::IF_NONE_MATCH, opts.if_none_match.as_deref())?
        // A body that is compressed on the way has neither the length nor the ranges of the blob.
        .header(header::ACCEPT_ENCODING, "identity")
}

/// Content headers: of the whole blob, as `x-ms-blob-...`.
pub(in crate::azure) fn content(request: Request, attributes: &Attributes) -> Result<Request> {
    let name = HeaderName::from_static;
    request
        .header_opt(name("x-ms-blob-content-type"), attributes.content_type.as_deref())?
        .header_opt(name("x-ms-blob-cache-control"), attributes.cache_control.as_deref())?
        .header_opt(name("x-ms-blob-content-encoding"), attributes.content_encoding.as_deref())?
        .header_opt(name("x-ms-blob-content-disposition"), attributes.content_disposition.as_deref())?
        .header_opt(name("x-ms-blob-content-language"), attributes.content_language.as_deref())
}

/// User metadata. Names are identifiers, by the service's rule; a header's name has no case.
pub(in crate::azure) fn metadata(mut request: Request, attributes: &Attributes) -> Result<Request> {
    let identifier = |key: &str| {
        let mut bytes = key.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let mut size = 0;
    for (key, value) in &attributes.metadata {
        let name = identifier(key).then(|| HeaderName::try_from(format!("{META}{key}")).ok()).flatten();
        let name = name.ok_or_else(|| {
            invalid(format!(
                "{key:?} cannot be the name of Azure metadata: lower-case letters, digits and underscores, and no \
                 digit first"
            ))
        })?;
        if value.is_empty() {
            return Err(invalid(format!("the metadata {key:?} is empty, which Azure does not keep")));
        }
        size += key.len() + value.len();
        request = request.header(name, value)?;
    }
    if size > MOST_METADATA {
        return Err(invalid(format!(
            "the metadata has {size} bytes, more than the {MOST_METADATA} of Azure"
        )));
    }
    Ok(request)
}

/// Conditions of a write.
pub(in crate::azure) fn conditions(
    request: Request,
    create_only: bool,
    if_match: Option<&str>,
) -> Result<Request> {
    request
        .header_opt(header::IF_NONE_MATCH, create_only.then_some("*"))?
        .header_opt(header::IF_MATCH, if_match)
}

/// A checksum that the server compares.
fn checksum(request: Request, checksum: Option<&Checksum>) -> Result<Request> {
    let Some(checksum) = checksum else { return Ok(request) };
    if checksum.kind() != ChecksumKind::Md5 {
        let message = format!("Azure does not compare {} checksums", checksum.kind());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    request.header(CONTENT_MD5, &STANDARD.encode(checksum.as_bytes()))
}

/// A blob in one request.
pub(in crate::azure) fn put(request: Request, opts: &PutOptions) -> Result<Request> {
    let request = request.header(BLOB_TYPE, "BlockBlob")?;
    let request = metadata(content(request, &opts.attributes)?, &opts.attributes)?;
    let request = conditions(request, opts.create_only, opts.if_match.as_deref())?;
    checksum(request, opts.checksum.as_ref())
}

#[cfg(test)]
mod tests {
    use http::Method;
    use longshore_core_types::{Idempotency, Resource};

    use super::*;

    fn request() -> Request {
        Request::new(Method::PUT, "az.object.put", Idempotency::Idempotent, Resource::Endpoint)
    }

    #[test]
    fn keys() {
        assert!(check_key("a//b/ü/").is_ok() && check_key("...").is_ok());
        for bad in ["..", "a/../b", "a\\b", "a\nb", &"k".repeat(1025)] {
            assert_eq!(check_key(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn metadata_comes_back_as_it_went_or_is_refused() {
        let good = Attributes::default().with_metadata("a_1", "light red").with_content_type("a/b");
        let headers = put(request(), &PutOptions::default().with_attributes(good)).unwrap().headers;
        assert_eq!(headers["x-ms-meta-a_1"], "light red");
        assert_eq!(headers["x-ms-blob-content-type"], "a/b");
        for (key, value) in [("A", "x"), ("a-b", "x"), ("1a", "x"), ("", "x"), ("a", ""), ("a", "ü")] {
            let bad = Attributes::default().with_metadata(key, value);
            let error = metadata(request(), &bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}={value}");
        }
    }

    #[test]
    fn conditions_and_checksums() {
        let opts = PutOptions::default().with_create_only();
        assert_eq!(put(request(), &opts).unwrap().headers["if-none-match"], "*");
        let md5 = Checksum::new(ChecksumKind::Md5, vec![0; 16]).unwrap();
        let sent = put(request(), &PutOptions::default().with_checksum(md5)).unwrap();
        assert!(sent.headers.contains_key(CONTENT_MD5));
        let crc = Checksum::new(ChecksumKind::Crc32c, vec![0; 4]).unwrap();
        let error = put(request(), &PutOptions::default().with_checksum(crc)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

//! What goes to the server.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, header};
use longshore_blob_api::{GetOptions, PutOptions};
use longshore_core_types::{Attributes, Checksum, ChecksumKind, Error, ErrorKind, Payload, Result};
use longshore_transport::encode_path;

use super::super::flavor::Flavor;
use crate::wire::request::{Request, invalid};

/// Longest name of an object, in bytes.
const LONGEST_KEY: usize = 1024;

const META: &str = "x-amz-meta-";

pub(in crate::s3) const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
const COPY_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Refuses names that neither S3 nor Google takes.
pub(in crate::s3) fn check_key(key: &str) -> Result<()> {
    if key.len() > LONGEST_KEY {
        let length = key.len();
        let message = format!("the name has {length} bytes, more than the {LONGEST_KEY} that there may be");
        return Err(invalid(message));
    }
    // The path would end, or begin, elsewhere: servers and proxies resolve such segments.
    if key.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(invalid(format!("{key:?} has a segment `.` or `..`, which does not survive in a URL")));
    }
    Ok(())
}

impl Request {
    /// Range, pin and conditions of a read.
    pub(in crate::s3) fn reading(self, opts: &GetOptions) -> Result<Self> {
        let range = opts.range.map(longshore_core_types::ByteRange::to_header).transpose()?;
        let pinned = opts.pin.as_ref().and_then(|pin| pin.etag.as_deref());
        let request = self
            .header_opt(header::RANGE, range.as_deref())?
            .header_opt(header::IF_MATCH, opts.if_match.as_deref().or(pinned))?
            .header_opt(header::IF_NONE_MATCH, opts.if_none_match.as_deref())?
            // A body that is compressed on the way has neither the length nor the ranges of the object.
            .header(header::ACCEPT_ENCODING, "identity")?;
        if opts.range.is_some() { Ok(request) } else { request.header(CHECKSUM_MODE, "ENABLED") }
    }

    /// Conditions of a write.
    pub(in crate::s3) fn conditions(self, create_only: bool, if_match: Option<&str>) -> Result<Self> {
        self.header_opt(header::IF_NONE_MATCH, create_only.then_some("*"))?
            .header_opt(header::IF_MATCH, if_match)
    }

    /// What is stored beside the bytes.
    pub(in crate::s3) fn attributes(self, attributes: &Attributes, flavor: &Flavor) -> Result<Self> {
        let mut request = self
            .header_opt(header::CONTENT_TYPE, attributes.content_type.as_deref())?
            .header_opt(header::CACHE_CONTROL, attributes.cache_control.as_deref())?
            .header_opt(header::CONTENT_ENCODING, attributes.content_encoding.as_deref())?
            .header_opt(header::CONTENT_DISPOSITION, attributes.content_disposition.as_deref())?
            .header_opt(header::CONTENT_LANGUAGE, attributes.content_language.as_deref())?;
        let mut size = 0;
        for (key, value) in &attributes.metadata {
            let name = HeaderName::try_from(format!("{META}{key}")).ok();
            // A header's name has no case, and the metadata would come back under another.
            let name = name.filter(|name| &name.as_str()[META.len()..] == key);
            let name = name.ok_or_else(|| {
                invalid(format!(
                    "{key:?} cannot be the name of metadata at {}: lower-case letters, digits and dashes",
                    flavor.name
                ))
            })?;
            size += key.len() + value.len();
            request = request.header(name, value)?;
        }
        if size > flavor.most_metadata {
            let Flavor { name, most_metadata, .. } = flavor;
            return Err(invalid(format!(
                "the metadata has {size} bytes, more than the {most_metadata} of {name}"
            )));
        }
        Ok(request)
    }

    /// A checksum that the server compares.
    pub(in crate::s3) fn checksum(self, checksum: Option<&Checksum>) -> Result<Self> {
        let Some(checksum) = checksum else { return Ok(self) };
        let name = checksum_header(checksum.kind()).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("S3 does not compare {} checksums", checksum.kind()))
        })?;
        self.header(name, &STANDARD.encode(checksum.as_bytes()))
    }

    /// The source of a copy.
    pub(in crate::s3) fn copy_source(self, bucket: &str, key: &str) -> Result<Self> {
        self.header(COPY_SOURCE, &format!("/{}/{}", encode_path(bucket), encode_path(key)))
    }

    /// Which bytes of the source.
    pub(in crate::s3) fn copy_range(self, range: &std::ops::Range<u64>) -> Result<Self> {
        self.header(COPY_RANGE, &format!("bytes={}-{}", range.start, range.end - 1))
    }

    /// Only from this version of the source.
    pub(in crate::s3) fn copy_if(self, etag: Option<&str>) -> Result<Self> {
        self.header_opt(HeaderName::from_static("x-amz-copy-source-if-match"), etag)
    }

    /// The attributes of a copy, if not the source's.
    pub(in crate::s3) fn copy_attributes(
        self,
        attributes: Option<&Attributes>,
        flavor: &Flavor,
    ) -> Result<Self> {
        match attributes {
            Some(attributes) => self.header(DIRECTIVE, "REPLACE")?.attributes(attributes, flavor),
            None => Ok(self),
        }
    }
}

fn checksum_header(kind: ChecksumKind) -> Option<HeaderName> {
    match kind {
        ChecksumKind::Md5 => Some(CONTENT_MD5),
        ChecksumKind::Crc32c => Some(HeaderName::from_static("x-amz-checksum-crc32c")),
        ChecksumKind::Sha256 => Some(HeaderName::from_static("x-amz-checksum-sha256")),
        _ => None,
    }
}

/// Conditions and length of a put.
pub(in crate::s3) fn put(
    request: Request,
    body: Payload,
    opts: &PutOptions,
    flavor: &Flavor,
) -> Result<Request> {
    Ok(request
        .conditions(opts.create_only, opts.if_match.as_deref())?
        .attributes(&opts.attributes, flavor)?
        .checksum(opts.checksum.as_ref())?
        .body(body))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use longshore_core_types::{Idempotency, Resource};

    use super::super::super::flavor::AMAZON;
    use super::*;

    #[cfg(feature = "gcs")]
    #[test]
    fn google_keeps_more_metadata() {
        use super::super::super::flavor::GOOGLE;

        let large = |size| Attributes::default().with_metadata("a", "x".repeat(size));
        let refused = |size, flavor: &Flavor| {
            request().attributes(&large(size), flavor).err().map(|error| error.to_string())
        };
        assert!(refused(2048, &AMAZON).is_some_and(|error| error.contains("2048 of S3")));
        assert!(refused(2047, &AMAZON).is_none() && refused(8191, &GOOGLE).is_none());
        assert!(refused(8192, &GOOGLE).is_some_and(|error| error.contains("8192 of Google")));
    }

    fn request() -> Request {
        Request::new(Method::PUT, "s3.object.put", Idempotency::Idempotent, Resource::Endpoint)
    }

    #[test]
    fn keys() {
        assert!(check_key("a//b/ü").is_ok() && check_key("...").is_ok());
        for bad in ["..", "a/../b", "./x", &"k".repeat(1025)] {
            assert_eq!(check_key(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn metadata_comes_back_as_it_went_or_is_refused() {
        let good = Attributes::default().with_metadata("color", "light red").with_content_type("a/b");
        let headers = request().attributes(&good, &AMAZON).unwrap().headers;
        assert_eq!(headers["x-amz-meta-color"], "light red");
        for (key, value) in
            [("Color", "x"), ("a b", "x"), ("a", "ü"), ("a", " x"), ("a", "x\ny"), ("a", "=?utf-8?q?x?=")]
        {
            let bad = Attributes::default().with_metadata(key, value);
            assert_eq!(
                request().attributes(&bad, &AMAZON).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{key}={value}"
            );
        }
    }

    #[test]
    fn reads() {
        let opts = GetOptions::default().with_range(0..5).with_if_match("\"t\"");
        let headers = request().reading(&opts).unwrap().headers;
        assert_eq!(
            (&headers["range"], &headers["if-match"]),
            (&"bytes=0-4".parse().unwrap(), &"\"t\"".parse().unwrap())
        );
        assert!(!headers.contains_key("x-amz-checksum-mode"));
    }

    #[test]
    fn copies_and_checksums() {
        let copy = request().copy_source("b", "a b/c").unwrap().copy_range(&(0..10)).unwrap();
        assert_eq!(copy.headers[COPY_SOURCE], "/b/a%20b/c");
        assert_eq!(copy.headers[COPY_RANGE], "bytes=0-9");
        let sum = Checksum::new(ChecksumKind::Crc32c, vec![0, 0, 0, 1]).unwrap();
        assert_eq!(request().checksum(Some(&sum)).unwrap().headers["x-amz-checksum-crc32c"], "AAAAAQ==");
        let sum = Checksum::new(ChecksumKind::Sha512, vec![0; 64]).unwrap();
        assert_eq!(request().checksum(Some(&sum)).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

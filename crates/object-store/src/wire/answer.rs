//! What the heads of answers say, as all clouds have it.

use std::time::SystemTime;

use http::{HeaderMap, header, response::Parts};
use jiff::fmt::rfc2822;
use longshore_core_types::{Attributes, ContentRange};

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Length of the body, as the answer announces it.
pub(crate) fn length(parts: &Parts) -> Option<u64> {
    text(&parts.headers, header::CONTENT_LENGTH.as_str())?.parse().ok()
}

pub(crate) fn content_range(parts: &Parts) -> Option<ContentRange> {
    ContentRange::parse(text(&parts.headers, header::CONTENT_RANGE.as_str())?)
}

/// What is stored beside the bytes. The names of user metadata begin with this prefix.
pub(crate) fn attributes(headers: &HeaderMap, prefix: &str) -> Attributes {
    let own = |name: &str| text(headers, name).map(str::to_owned);
    let mut attributes = Attributes::default();
    attributes.content_type = own("content-type");
    attributes.cache_control = own("cache-control");
    attributes.content_encoding = own("content-encoding");
    attributes.content_disposition = own("content-disposition");
    attributes.content_language = own("content-language");
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(prefix), value.to_str()) {
            attributes.metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    attributes
}

pub(crate) fn http_date(value: &str) -> Option<SystemTime> {
    let zoned = rfc2822::DateTimeParser::new().parse_zoned(value).ok()?;
    Some(zoned.timestamp().into())
}

#[cfg(any(feature = "s3", test))]
pub(crate) fn iso_date(value: &str) -> Option<SystemTime> {
    Some(value.parse::<jiff::Timestamp>().ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_lengths() {
        let since =
            http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(since.unwrap().as_secs(), 1_445_412_480);
        assert!(iso_date("2026-11-21T12:07:09.576Z").is_some() && iso_date("x").is_none());
        let (parts, ()) =
            http::Response::builder().header("content-length", "7").body(()).unwrap().into_parts();
        assert_eq!(length(&parts), Some(7));
    }
}

//! What an answer says about an object.

use http::{HeaderMap, HeaderName, StatusCode, header, response::Parts};
use longshore_blob_api::Pin;
use longshore_core_types::{
    CallInfo, ContentRange, Error, ErrorKind, ObjectKey, ObjectMeta, Result, Retryability,
};
use longshore_transport::{Attempts, retry_after};

/// Everything but the size.
pub(crate) fn describe(parts: &Parts, key: &ObjectKey, size: u64) -> ObjectMeta {
    let get = |name: HeaderName| text(&parts.headers, &name).map(str::to_owned);
    let mut meta = ObjectMeta::new(key.clone(), size);
    meta.etag = get(header::ETAG);
    let modified = get(header::LAST_MODIFIED);
    meta.last_modified = modified.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
    // Better than nothing: it has a resolution of a second.
    meta.version = if meta.etag.is_none() { modified } else { None };
    meta.attributes.content_type = get(header::CONTENT_TYPE);
    meta.attributes.cache_control = get(header::CACHE_CONTROL);
    meta.attributes.content_encoding = get(header::CONTENT_ENCODING);
    meta.attributes.content_disposition = get(header::CONTENT_DISPOSITION);
    meta.attributes.content_language = get(header::CONTENT_LANGUAGE);
    meta
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Length of the body, if the server states it and the body is not what a coding made of it.
pub(crate) fn length(parts: &Parts) -> Option<u64> {
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    text(&parts.headers, &header::CONTENT_LENGTH)?.trim().parse().ok()
}

/// `Content-Range` of an answer.
pub(crate) fn content_range(parts: &Parts) -> Option<ContentRange> {
    ContentRange::parse(text(&parts.headers, &header::CONTENT_RANGE)?)
}

/// What a caller demands of the object that is there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demands<'a> {
    pub(crate) pin: Option<&'a Pin>,
    pub(crate) if_match: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
}

impl Demands<'_> {
    /// The headers that ask the server to check.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        // A weak tag matches nothing by the rules of `If-Match`; it is compared here only.
        let strong = |tag: &&str| tag.starts_with('"');
        let pinned = self.pin.and_then(|pin| pin.etag.as_deref());
        let matching = self.if_match.or(pinned).filter(strong);
        let matching = matching.map(|tag| (header::IF_MATCH, tag));
        matching.into_iter().chain(self.if_none_match.map(|tag| (header::IF_NONE_MATCH, tag)))
    }

    /// Checks again: not every server does.
    pub(crate) fn check(&self, meta: &ObjectMeta) -> Result<()> {
        let etag = meta.etag.as_deref();
        let changed = |found: &ObjectMeta| {
            let (tag, size) = (found.etag.as_deref().unwrap_or("none"), found.size);
            let message = format!("the object is another one by now: entity tag {tag}, {size} bytes");
            Err(Error::new(ErrorKind::PreconditionFailed, message))
        };
        if self.pin.is_some_and(|pin| !pin.matches(meta))
            || self.if_match.is_some_and(|tag| etag != Some(tag))
        {
            return changed(meta);
        }
        if self.if_none_match.is_some() && self.if_none_match == etag {
            return Err(Error::new(ErrorKind::NotModified, "the object is still the same"));
        }
        Ok(())
    }
}

/// The error that an answer is.
pub(crate) fn error(call: &CallInfo, parts: &Parts, excerpt: &[u8]) -> Error {
    let status = parts.status;
    let kind = if status.is_success() { ErrorKind::Protocol } else { ErrorKind::from_status(status) };
    let message = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => "there is no such object".to_owned(),
        StatusCode::NOT_MODIFIED => "the object is still the same".to_owned(),
        StatusCode::PRECONDITION_FAILED => "the object is another one by now".to_owned(),
        StatusCode::RANGE_NOT_SATISFIABLE => "the range lies outside the object".to_owned(),
        _ => format!("the server answered {status}"),
    };
    let attempts = Attempts::of(parts);
    let mut error = Error::new(kind, message)
        .with_call(call)
        .with_status(status)
        .with_attempts(attempts.count())
        .with_response_excerpt(excerpt);
    if attempts.exhausted() {
        error = error.with_retryability(Retryability::Exhausted);
    }
    if let Some(wait) = retry_after(&parts.headers) {
        error = error.with_retry_after(wait);
    }
    error
}

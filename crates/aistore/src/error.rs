//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, secret::redact_tokens};
use longshore_transport::Attempts;
use serde::Deserialize;

use crate::wire::headers;

/// The error document of AIStore. A HEAD carries it in a header.
#[derive(Default, Deserialize)]
struct Document {
    /// Name of the server's error type; empty for plain texts.
    #[serde(default)]
    tcode: String,
    #[serde(default)]
    message: String,
}

/// The error that an answer is. Accepts any body: not JSON, not UTF-8, or none.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let header = parts.headers.get(headers::HDR_ERROR).map(http::HeaderValue::as_bytes);
    let body = if body.is_empty() { header.unwrap_or_default() } else { body };
    let document: Option<Document> = serde_json::from_slice(body).ok();
    let known = document.as_ref().filter(|document| !document.message.is_empty());
    let tcode = document.as_ref().map_or("", |document| document.tcode.as_str());
    let text = match known {
        Some(document) => document.message.clone(),
        None => plain_text(parts.status, body),
    };
    let shown = redact_tokens(&text).into_owned();
    let mut error = Error::new(kind(parts.status, tcode, &text), shown).with_call(call);
    if !tcode.is_empty() {
        error = error.with_code(tcode);
    }
    if known.is_none() && !body.is_empty() {
        error = error.with_response_excerpt(redact_tokens(&String::from_utf8_lossy(body)).as_bytes());
    }
    Attempts::annotate(parts, error)
}

/// First line of a body that is not the error document, or what the status says.
fn plain_text(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().find(|line| !line.trim().is_empty()).map(str::trim);
    match line {
        // An HTML page says less than the status.
        Some(line) if line.len() <= 200 && !line.starts_with('<') => line.to_owned(),
        _ => status.canonical_reason().unwrap_or("the server refused").to_owned(),
    }
}

/// The server's error type first, where there is one, then status and text.
fn kind(status: StatusCode, tcode: &str, text: &str) -> ErrorKind {
    match tcode {
        "ErrBckNotFound" | "ErrRemoteBckNotFound" | "ErrNotFound" | "ErrObjectNotFound" | "errNodeNotFound"
        | "ErrETLNotFound" | "ErrXactNotFound"
            // Creating a cloud bucket says "does not exist" too, with 501.
            if status != StatusCode::NOT_IMPLEMENTED =>
        {
            return ErrorKind::NotFound;
        }
        "ErrBucketAlreadyExists" => return ErrorKind::AlreadyExists,
        "ErrBucketAccessDenied" | "ErrObjectAccessDenied" => return ErrorKind::PermissionDenied,
        "ErrBadCksum" => return ErrorKind::ChecksumMismatch,
        "ErrRangeNotSatisfiable" => return ErrorKind::RangeNotSatisfiable,
        "ErrUnsupp" | "ErrNotImpl" | "ErrNotRemoteBck" | "ErrMissingBackend" => return ErrorKind::Unsupported,
        "ErrInvalidBackendProvider" | "errInvalidPath" | "errTemplateInvalid" => return ErrorKind::InvalidInput,
        "ErrBusy" | "ErrXactUsePrev" => return ErrorKind::Busy,
        "ErrLimitedCoexistence" => return ErrorKind::Conflict,
        "ErrRateLimitFrontend" | "ErrTooManyRequests" => return ErrorKind::RateLimited,
        "ErrCapExceeded" => return ErrorKind::QuotaExceeded,
        "ErrRemoteMetadataMismatch" => return ErrorKind::PreconditionFailed,
        "ErrRemoteBucketOffline" | "ErrNoNodes" => return ErrorKind::Unavailable,
        // The object's file and its metadata disagree: another read finds the same.
        "ErrLmetaCorrupted" | "ErrLmetaNotFound" => return ErrorKind::Other,
        _ => {}
    }
    let says = |part: &str| text.contains(part);
    if says("BAD DATA CHECKSUM") {
        return ErrorKind::ChecksumMismatch;
    }
    if says("backend is missing in the cluster configuration")
        // A cluster that cannot run ETLs says so with several statuses.
        || says("requires Kubernetes")
        || says("k8s client is not initialized")
    {
        return ErrorKind::Unsupported;
    }
    match status.as_u16() {
        // An upload in parts, asked for by the name of another object on the same target.
        500 if says("chunk-manifest[") && says("object mismatch") => ErrorKind::NotFound,
        400 | 409 if says("already exists") => ErrorKind::AlreadyExists,
        409 if says("currently busy") => ErrorKind::Busy,
        400 if says("currently unreachable") || says("connection refused") || says(": EOF") => {
            ErrorKind::Unavailable
        }
        400 if says("does not exist") => ErrorKind::NotFound,
        400 if says("not supported") => ErrorKind::Unsupported,
        // A target that was asked directly, on a cluster that forbids it.
        401 if says("direct target access denied") => ErrorKind::PermissionDenied,
        _ => ErrorKind::from_status(status),
    }
}

/// Whether the bucket is missing, not the object in it.
pub(crate) fn is_bucket_missing(error: &Error) -> bool {
    if error.kind() != ErrorKind::NotFound {
        return false;
    }
    matches!(error.code(), Some("ErrBckNotFound" | "ErrRemoteBckNotFound"))
        || error.message().contains("NoSuchBucket")
        || (error.message().contains("bucket \"") && error.message().contains("does not exist"))
        || error.message().contains("failed to HEAD remote bucket")
        || error.message().contains("failed to lookup bucket")
}

/// Whether a target refused because the request did not come through a gateway, or does not know the way.
pub(crate) fn needs_gateway(error: &Error) -> bool {
    let text = error.message();
    text.contains("is expected to be redirected")
        || text.contains("direct target access denied")
        || text.contains("not present in")
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn error(status: u16, body: &[u8]) -> Error {
        let parts = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
        from_response(&CallInfo::new("aistore.test", Idempotency::Idempotent), &parts, body)
    }

    fn document(tcode: &str, message: &str) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({"tcode": tcode, "message": message, "status": 0})).unwrap()
    }

    #[test]
    fn the_code_comes_before_the_status() {
        for (status, code, message, kind) in [
            (404, "ErrBckNotFound", "bucket \"ais://b\" does not exist", ErrorKind::NotFound),
            (400, "ErrBckNotFound", "bucket \"ais://b\" does not exist", ErrorKind::NotFound),
            (501, "ErrRemoteBckNotFound", "aws bucket \"s3://b\" does not exist", ErrorKind::Unsupported),
            (409, "ErrBucketAlreadyExists", "bucket \"ais://b\" already exists", ErrorKind::AlreadyExists),
            (409, "ErrBusy", "bucket \"ais://b\" is currently busy, please try again", ErrorKind::Busy),
            (500, "ErrBadCksum", "BAD DATA CHECKSUM", ErrorKind::ChecksumMismatch),
            (400, "", "bucket \"ais://b\" already exists", ErrorKind::AlreadyExists),
            (500, "", "BAD DATA CHECKSUM: xxhash2(a != b)", ErrorKind::ChecksumMismatch),
            (400, "ErrFailedTo", "failed to call t[x]: connection refused", ErrorKind::Unavailable),
            (400, "", "invalid object name", ErrorKind::InvalidInput),
            (404, "", "the operation requires Kubernetes", ErrorKind::Unsupported),
            (400, "", "k8s client is not initialized (non-Kubernetes deployment?)", ErrorKind::Unsupported),
            (500, "", "chunk-manifest[ais://b/o, id=x]: object mismatch: ...", ErrorKind::NotFound),
        ] {
            let error = error(status, &document(code, message));
            assert_eq!(error.kind(), kind, "{status} {code} {message}");
            assert!(error.to_string().contains(message));
        }
    }

    #[test]
    fn any_body_is_accepted() {
        assert_eq!(error(405, b"Method Not Allowed\n").kind(), ErrorKind::Unsupported);
        let error_503 = error(503, b"");
        assert_eq!(error_503.kind(), ErrorKind::Unavailable);
        assert!(error_503.to_string().contains("Service Unavailable"), "{error_503}");
        let binary = error(500, b"\xff\xfe\0");
        assert!(binary.response_excerpt().is_some());
        let html = error(502, b"<html><body>bad gateway</body></html>");
        assert!(html.to_string().contains("Bad Gateway"), "{html}");
    }

    #[test]
    fn head_errors_stand_in_a_header() {
        let parts = http::Response::builder()
            .status(404)
            .header("hdr-error", document("ErrBckNotFound", "bucket \"ais://nope\" does not exist"))
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let error = from_response(&CallInfo::new("x", Idempotency::Idempotent), &parts, b"");
        assert_eq!(error.code(), Some("ErrBckNotFound"));
        assert!(is_bucket_missing(&error));
    }
}

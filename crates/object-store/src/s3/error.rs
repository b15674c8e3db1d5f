//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, Retryability};
use longshore_transport::Attempts;
use serde::Deserialize;

use crate::wire::xml::root;

/// The error document.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    /// What Google says in addition, such as who lacks which permission.
    #[serde(default)]
    details: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

/// The error that an answer is. Accepts any body, and none.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let document: Document = quick_xml::de::from_str(&text).unwrap_or_default();
    let error = from_document(parts.status, &document, parts, body);
    Attempts::annotate(parts, error.with_call(call))
}

/// An answer of status 200 whose body is an error after all, as copies and completions have it.
pub(super) fn in_success(call: &CallInfo, parts: &Parts, body: &[u8]) -> Option<Error> {
    let text = std::str::from_utf8(body).ok()?;
    // The outcome of deleting many holds errors too, but is none.
    if root(text) != "Error" {
        return None;
    }
    let document: Document = quick_xml::de::from_str(text).ok()?;
    let error = from_document(StatusCode::INTERNAL_SERVER_ERROR, &document, parts, body);
    Some(error.with_call(call))
}

fn from_document(status: StatusCode, document: &Document, parts: &Parts, body: &[u8]) -> Error {
    let kind = kind(status, &document.code);
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let mut message = document.message.trim().to_owned();
    if message.is_empty() {
        status.canonical_reason().unwrap_or("the server refused").clone_into(&mut message);
    }
    let details = document.details.trim();
    if !details.is_empty() && !message.contains(details) {
        message = format!("{message} ({details})");
    }
    let region = header("x-amz-bucket-region").or(document.region.as_deref());
    if let Some(region) = region.filter(|_| status.is_redirection() || status == StatusCode::BAD_REQUEST) {
        message = format!("{message} (the bucket is in the region {region})");
    }
    let mut error = Error::new(kind, message);
    if !document.code.is_empty() {
        error = error.with_code(&document.code);
    } else if !body.is_empty() {
        error = error.with_response_excerpt(body);
    }
    if let Some(id) = header("x-amz-request-id").or(document.request_id.as_deref()) {
        error = error.with_request_id(id);
    }
    if matches!(document.code.as_str(), "BucketNotEmpty" | "BucketAlreadyExists" | "BucketAlreadyOwnedByYou")
    {
        error = error.with_retryability(Retryability::Never);
    }
    error
}

fn kind(status: StatusCode, code: &str) -> ErrorKind {
    match code {
        "NoSuchKey" | "NoSuchBucket" | "NoSuchUpload" | "NoSuchVersion" => ErrorKind::NotFound,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" => ErrorKind::AlreadyExists,
        "PreconditionFailed" => ErrorKind::PreconditionFailed,
        "InvalidRange" => ErrorKind::RangeNotSatisfiable,
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" => ErrorKind::ChecksumMismatch,
        "SlowDown" | "TooManyRequests" | "RequestLimitExceeded" => ErrorKind::RateLimited,
        "InternalError" | "ServiceUnavailable" => ErrorKind::Unavailable,
        "RequestTimeout" => ErrorKind::Timeout,
        "ExpiredToken" | "InvalidToken" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            ErrorKind::Unauthenticated
        }
        "NotImplemented" | "MethodNotAllowed" => ErrorKind::Unsupported,
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => ErrorKind::InvalidConfig,
        "EntityTooLarge" | "EntityTooSmall" | "KeyTooLongError" => ErrorKind::InvalidInput,
        _ if status.is_redirection() && status != StatusCode::NOT_MODIFIED => ErrorKind::InvalidConfig,
        _ => ErrorKind::from_status(status),
    }
}

/// Whether other keys may help.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(error.code(), Some("ExpiredToken" | "InvalidToken" | "InvalidAccessKeyId"))
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn call() -> CallInfo {
        CallInfo::new("s3.object.get", Idempotency::Idempotent)
    }

    fn parts(status: u16, headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn documents_and_their_absence() {
        let body = b"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>none</Message><RequestId>7</RequestId></Error>";
        let error = from_response(&call(), &parts(404, &[]), body);
        assert_eq!(
            (error.kind(), error.code(), error.request_id()),
            (ErrorKind::NotFound, Some("NoSuchKey"), Some("7"))
        );
        let error = from_response(&call(), &parts(412, &[]), b"");
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
        let error = from_response(&call(), &parts(502, &[]), b"<html>bad gateway</html>");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, None));
        assert!(error.response_excerpt().is_some());
        let error = from_response(&call(), &parts(301, &[("x-amz-bucket-region", "eu-west-1")]), b"");
        assert!(
            error.to_string().contains("eu-west-1") && error.kind() == ErrorKind::InvalidConfig,
            "{error}"
        );
    }

    #[test]
    fn errors_in_successful_answers() {
        let body = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<Error><Code>InternalError</Code></Error>";
        let error = in_success(&call(), &parts(200, &[]), body).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(in_success(&call(), &parts(200, &[]), b"<Error><Code>SlowDown</Code></Error>").is_some());
        for fine in [
            "",
            "<",
            "<?xml",
            "<CopyObjectResult/>",
            "<DeleteResult><Error><Code>x</Code></Error></DeleteResult>",
        ] {
            assert!(in_success(&call(), &parts(200, &[]), fine.as_bytes()).is_none(), "{fine}");
        }
    }
}

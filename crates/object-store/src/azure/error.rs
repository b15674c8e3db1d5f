//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind};
use longshore_transport::Attempts;
use serde::Deserialize;

use crate::wire::answer::text;

/// The error document.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    code: String,
    message: String,
}

/// The error that an answer is. Accepts any body, and none: then the headers may tell.
pub(super) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let said = String::from_utf8_lossy(body);
    let document: Document = quick_xml::de::from_str(said.trim_start_matches('\u{feff}')).unwrap_or_default();
    let code = text(&parts.headers, "x-ms-error-code").unwrap_or(&document.code);
    let kind = kind(parts.status, code);
    // Behind the first line stand the id of the request and the time.
    let mut message = document.message.lines().next().unwrap_or_default().trim().to_owned();
    if message.is_empty() {
        parts.status.canonical_reason().unwrap_or("the server refused").clone_into(&mut message);
    }
    let mut error = Error::new(kind, message);
    if !code.is_empty() {
        error = error.with_code(code);
    } else if !body.is_empty() {
        error = error.with_response_excerpt(body);
    }
    if let Some(id) = text(&parts.headers, "x-ms-request-id") {
        error = error.with_request_id(id);
    }
    Attempts::annotate(parts, error.with_call(call))
}

fn kind(status: StatusCode, code: &str) -> ErrorKind {
    match code {
        "BlobNotFound" | "ContainerNotFound" | "ResourceNotFound" | "CannotVerifyCopySource"
            if status == StatusCode::NOT_FOUND =>
        {
            ErrorKind::NotFound
        }
        "BlobAlreadyExists" | "ContainerAlreadyExists" => ErrorKind::AlreadyExists,
        "ConditionNotMet" | "TargetConditionNotMet" if status == StatusCode::PRECONDITION_FAILED => {
            ErrorKind::PreconditionFailed
        }
        "InvalidRange" => ErrorKind::RangeNotSatisfiable,
        "Md5Mismatch" | "InvalidMd5" | "Crc64Mismatch" => ErrorKind::ChecksumMismatch,
        "InvalidBlockList"
        | "InvalidBlockId"
        | "InvalidBlobOrBlock"
        | "InvalidMetadata"
        | "InvalidResourceName"
        | "InvalidUri"
        | "RequestBodyTooLarge" => ErrorKind::InvalidInput,
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            ErrorKind::Unauthenticated
        }
        "ServerBusy" | "OperationTimedOut" => ErrorKind::Unavailable,
        _ => ErrorKind::from_status(status),
    }
}

/// Whether other credentials may help.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(error.code(), Some("AuthenticationFailed" | "InvalidAuthenticationInfo"))
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn error(status: u16, code: Option<&str>, body: &str) -> Error {
        let mut builder = http::Response::builder().status(status).header("x-ms-request-id", "7");
        if let Some(code) = code {
            builder = builder.header("x-ms-error-code", code);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        from_response(&CallInfo::new("az.object.get", Idempotency::Idempotent), &parts, body.as_bytes())
    }

    #[test]
    fn documents_and_headers_and_neither() {
        let body = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobAlreadyExists</Code>\
                    <Message>It exists.\nRequestId:1</Message></Error>";
        let found = error(409, None, body);
        assert_eq!((found.kind(), found.code()), (ErrorKind::AlreadyExists, Some("BlobAlreadyExists")));
        assert_eq!((found.message(), found.request_id()), ("It exists.", Some("7")));
        assert_eq!(error(404, Some("BlobNotFound"), "").kind(), ErrorKind::NotFound);
        assert_eq!(error(404, None, "").kind(), ErrorKind::NotFound);
        assert_eq!(error(403, Some("AuthenticationFailed"), "").kind(), ErrorKind::Unauthenticated);
        assert_eq!(error(304, Some("ConditionNotMet"), "").kind(), ErrorKind::NotModified);
        assert!(error(502, None, "<html>").response_excerpt().is_some());
    }
}

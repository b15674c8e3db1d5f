//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, secret::redact_tokens};
use longshore_transport::Attempts;
use serde::Deserialize;

/// The error document. A HEAD carries it in a header.
#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    tcode: String,
    #[serde(default)]
    message: String,
}

/// The error that an answer is.
///
/// The body may quote raw bytes of the request, so it need not be UTF-8, and it may quote tokens, which are
/// masked.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let header = parts.headers.get("hdr-error").map(http::HeaderValue::as_bytes);
    let body = if body.is_empty() { header.unwrap_or_default() } else { body };
    let text = String::from_utf8_lossy(body);
    let document: Document = serde_json::from_str(&text).unwrap_or_default();
    let message = match document.message.as_str() {
        "" => text.lines().next().unwrap_or_default().trim(),
        message => message,
    };
    let mut error =
        Error::new(kind(parts.status, message), redact_tokens(message).into_owned()).with_call(call);
    if !document.tcode.is_empty() {
        error = error.with_code(document.tcode);
    }
    Attempts::annotate(parts, error)
}

fn kind(status: StatusCode, message: &str) -> ErrorKind {
    match status.as_u16() {
        // The service says 401 to everybody who is no administrator.
        401 if message.contains("requires admin") || message.contains("not authorized: (user") => {
            ErrorKind::PermissionDenied
        }
        409 => ErrorKind::AlreadyExists,
        _ => ErrorKind::from_status(status),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn error(status: u16, body: &[u8]) -> Error {
        let parts = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
        from_response(&CallInfo::new("authn.test", Idempotency::Idempotent), &parts, body)
    }

    #[test]
    fn a_wrong_password_and_a_missing_privilege_are_two_things() {
        let wrong =
            error(401, br#"{"message":"AuthN: failed to generate token for bob, err: invalid credentials"}"#);
        assert_eq!(wrong.kind(), ErrorKind::Unauthenticated);
        let small = error(
            401,
            br#"{"message":"not authorized: requires admin (user bob, token expires in 24h0m0s)"}"#,
        );
        assert_eq!(small.kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_body_that_is_not_utf8_is_read() {
        let error = error(400, b"{\"message\":\"found \xff in 600s\",\"tcode\":\"ErrX\"}");
        assert_eq!(error.message(), "found \u{fffd} in 600s");
        assert_eq!(error.code(), Some("ErrX"));
    }

    #[test]
    fn tokens_in_messages_are_masked() {
        let error =
            error(401, br#"{"message":"not authorized (invalid token: token revoked): \"eyJh.eyJz.abc\""}"#);
        assert!(!format!("{error} {error:?}").contains("eyJ"), "{error}");
        assert!(error.message().ends_with("\"***\""));
    }

    #[test]
    fn texts_and_empty_bodies() {
        assert_eq!(error(405, b"Method Not Allowed\n").kind(), ErrorKind::Unsupported);
        assert_eq!(error(503, b"").kind(), ErrorKind::Unavailable);
        assert_eq!(
            error(409, b"{\"message\":\"AuthN: role r1 already exists\"}").kind(),
            ErrorKind::AlreadyExists
        );
    }
}

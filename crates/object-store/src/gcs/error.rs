//! Answers that are errors: documents of the XML interface, and of the JSON interface where that is asked.

use http::response::Parts;
use longshore_core_types::{CallInfo, Error, ErrorKind};
use longshore_transport::Attempts;
use serde::Deserialize;

use crate::{s3::google_error, wire::answer::text};

/// What the service calls a request in its logs.
const REQUEST: &str = "x-guploader-uploadid";

#[derive(Deserialize)]
struct Document {
    error: Fault,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
    /// Emulators leave it out, or its reasons.
    errors: Option<Vec<Reason>>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    reason: String,
}

/// The error that an answer is. Accepts any body, and none.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let error = match serde_json::from_slice::<Document>(body) {
        Ok(document) => Attempts::annotate(parts, from_json(document.error, parts).with_call(call)),
        Err(_) => google_error(call, parts, body),
    };
    match text(&parts.headers, REQUEST) {
        Some(id) => error.with_request_id(id),
        None => error,
    }
}

fn from_json(fault: Fault, parts: &Parts) -> Error {
    let reasons = fault.errors.unwrap_or_default();
    let reason = reasons.first().map(|first| first.reason.as_str()).unwrap_or_default();
    let mut message = fault.message;
    if message.is_empty() {
        parts.status.canonical_reason().unwrap_or("the server refused").clone_into(&mut message);
    }
    let error = Error::new(ErrorKind::from_status(parts.status), message);
    if reason.is_empty() { error } else { error.with_code(reason) }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn read(status: u16, body: &[u8]) -> Error {
        let builder = http::Response::builder().status(status).header(REQUEST, "id");
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        from_response(&CallInfo::new("gs.bucket.create", Idempotency::Idempotent), &parts, body)
    }

    #[test]
    fn documents_of_both_interfaces() {
        let error = read(
            409,
            br#"{"error": {"code": 409, "message": "taken", "errors": [{"message": "taken", "domain": "global", "reason": "conflict"}]}}"#,
        );
        assert_eq!(
            (error.kind(), error.code(), error.request_id()),
            (ErrorKind::Conflict, Some("conflict"), Some("id"))
        );
        assert!(error.to_string().contains("taken"), "{error}");
        let error = read(403, b"<Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>alice does not have storage.objects.get access</Details></Error>");
        assert_eq!(
            (error.kind(), error.code(), error.request_id()),
            (ErrorKind::PermissionDenied, Some("AccessDenied"), Some("id"))
        );
        assert!(error.to_string().contains("alice does not have storage.objects.get access"), "{error}");
        let error = read(502, b"<html>bad gateway</html>");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, None));
        assert!(error.response_excerpt().is_some());
        for errors in ["null", "[]", "[{}]"] {
            let error =
                read(404, format!(r#"{{"error": {{"message": "gone", "errors": {errors}}}}}"#).as_bytes());
            assert!(error.kind() == ErrorKind::NotFound && error.message() == "gone", "{errors}: {error}");
        }
        assert_eq!(read(404, br#"{"error": {"code": 404}}"#).kind(), ErrorKind::NotFound);
    }
}

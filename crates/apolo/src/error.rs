//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, Retryability, secret::redact_tokens};
use longshore_transport::Attempts;
use serde::Deserialize;

/// The error documents of the service, any of which may be there.
#[derive(Debug, Default, Deserialize)]
struct Document {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    missing: Vec<Missing>,
}

/// A permission that the caller lacks.
#[derive(Debug, Deserialize)]
struct Missing {
    uri: String,
    action: String,
}

/// The error that an answer is. Accepts any body.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let document: Document = serde_json::from_slice(body).unwrap_or_default();
    Attempts::annotate(parts, from_document(parts.status, &document, body).with_call(call))
}

/// Whether an answer of this status and text would be the same again.
pub(crate) fn is_settled(status: StatusCode, body: &[u8]) -> bool {
    let document: Document = serde_json::from_slice(body).unwrap_or_default();
    from_document(status, &document, body).kind() != ErrorKind::Unavailable
}

/// The error that a line in a list is.
pub(crate) fn from_line(line: &[u8]) -> Option<Error> {
    let document: Document = serde_json::from_slice(line).ok()?;
    document.error.as_ref()?;
    Some(from_document(StatusCode::INTERNAL_SERVER_ERROR, &document, line))
}

fn from_document(status: StatusCode, document: &Document, body: &[u8]) -> Error {
    if let [first, ..] = document.missing.as_slice() {
        let places: Vec<_> = document.missing.iter().map(|m| m.uri.as_str()).collect();
        let message = format!("permission to {} is missing on {}", first.action, places.join(" or on "));
        return Error::new(ErrorKind::PermissionDenied, message);
    }
    let text = String::from_utf8_lossy(body);
    let message = match (&document.error, &document.description) {
        (Some(error), _) => strip(error).to_owned(),
        (None, Some(description)) => description.clone(),
        (None, None) => plain(&text, status),
    };
    let message = redact_tokens(&message).into_owned();
    let known = document.error.is_some() || document.code.is_some();
    let kind = kind(status, document.code.as_deref(), document.error.as_deref().unwrap_or_default());
    let mut error = Error::new(kind, message);
    if let Some(code) = &document.code {
        error = error.with_code(code);
    }
    if kind != ErrorKind::Unavailable {
        // Repeating what is wrong by itself does not help, whatever the status says.
        error = error.with_retryability(Retryability::Never);
    }
    if known || body.is_empty() {
        error
    } else {
        error.with_response_excerpt(redact_tokens(&text).as_bytes())
    }
}

/// A text answer: `404: Not Found`, `Bucket x not found`.
fn plain(text: &str, status: StatusCode) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).map(str::trim);
    match line {
        Some(line) if line.len() <= 200 && !line.starts_with('<') => line.to_owned(),
        _ => status.canonical_reason().unwrap_or("the service refused").to_owned(),
    }
}

const UNEXPECTED: &str = "Unexpected exception: ";

/// What the service found wrong, without where.
fn strip(error: &str) -> &str {
    let text = error.strip_prefix(UNEXPECTED).unwrap_or(error);
    text.rsplit_once(" Path with query: ").map_or(text, |(what, _)| what.strip_suffix('.').unwrap_or(what))
}

fn kind(status: StatusCode, code: Option<&str>, error: &str) -> ErrorKind {
    match code {
        Some("unique") => return ErrorKind::AlreadyExists,
        Some("disabled") => return ErrorKind::Unsupported,
        _ => {}
    }
    if status != StatusCode::INTERNAL_SERVER_ERROR {
        return ErrorKind::from_status(status);
    }
    // Everything else has status 500: wrong input, what is not there, and real failures.
    let text = strip(error);
    if text.starts_with("Bucket for path ") && text.ends_with(" not found")
        || text.contains(" with id ") && text.contains("doesn't exist")
        || text.contains("(NoSuchBucket)")
    {
        ErrorKind::NotFound
    } else if text.starts_with("PersistentCredentials ") && text.ends_with(" already exists") {
        ErrorKind::AlreadyExists
    } else if text.contains("BucketNotEmpty") {
        ErrorKind::Conflict
    } else if text.starts_with("{'")
        || text.starts_with("Parameter validation failed")
        || matches!(of_kubernetes(text), Some("400" | "422"))
    {
        ErrorKind::InvalidInput
    } else {
        ErrorKind::Unavailable
    }
}

/// The status of an answer of Kubernetes, which keeps the records, where the service passes it on.
fn of_kubernetes(text: &str) -> Option<&str> {
    text.strip_prefix("metadata=V1ListMeta")?.split_once(" code=")?.1.split(' ').next()
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let (parts, ()) = http::Response::builder().status(status).body(()).unwrap().into_parts();
        let call = CallInfo::new("apolo.bucket.get", Idempotency::Idempotent);
        from_response(&call, &parts, body.as_bytes())
    }

    #[test]
    fn what_status_500_means() {
        let path = "Path with query: /api/v1/buckets/buckets.";
        for (text, kind) in [
            ("{'name': ['Length must be between 3 and 40.']}", ErrorKind::InvalidInput),
            ("Bucket for path acme/proj1/x not found", ErrorKind::NotFound),
            ("UserBucket with id <built-in function id> doesn't exist", ErrorKind::NotFound),
            ("PersistentCredentials for alice with name cred-one already exists", ErrorKind::AlreadyExists),
            ("An error occurred (BucketNotEmpty) when calling DeleteBucket", ErrorKind::Conflict),
            ("An error occurred (NoSuchBucket) when calling GetBucketPolicy", ErrorKind::NotFound),
            ("Parameter validation failed:\\nInvalid length for parameter Key", ErrorKind::InvalidInput),
            ("metadata=V1ListMeta(x=None) api_version='v1' code=400 details=None", ErrorKind::InvalidInput),
            ("metadata=V1ListMeta(x=None) api_version='v1' code=422 details=None", ErrorKind::InvalidInput),
            ("metadata=V1ListMeta(x=None) api_version='v1' code=500 details=None", ErrorKind::Unavailable),
            ("metadata=V1ListMeta(x=None) api_version='v1' code=409 details=None", ErrorKind::Unavailable),
            ("something else", ErrorKind::Unavailable),
        ] {
            let error = error(500, &format!(r#"{{"error": "Unexpected exception: {text}. {path}"}}"#));
            assert_eq!(error.kind(), kind, "{text}");
            assert_eq!(error.message(), text.replace("\\n", "\n"));
            assert_eq!(error.is_retryable(), kind == ErrorKind::Unavailable);
        }
    }

    #[test]
    fn other_forms() {
        let unique = error(409, r#"{"code":"unique","description":"Bucket with given name exists"}"#);
        assert_eq!((unique.kind(), unique.code()), (ErrorKind::AlreadyExists, Some("unique")));
        assert_eq!(error(422, r#"{"code":"disabled","description":"x"}"#).kind(), ErrorKind::Unsupported);
        let denied = error(403, r#"{"missing":[{"uri":"blob://c/o/p/b","action":"write"}]}"#);
        assert!(
            denied.message().contains("write") && denied.message().contains("blob://c/o/p/b"),
            "{denied}"
        );
        assert_eq!(error(401, "401: Unauthorized").kind(), ErrorKind::Unauthenticated);
        assert_eq!(error(404, "Bucket x not found").message(), "Bucket x not found");
        assert_eq!(error(400, r#"{"error":"org_name must be provided"}"#).kind(), ErrorKind::InvalidInput);
        assert_eq!(error(502, "<html>").kind(), ErrorKind::Unavailable);
        assert!(from_line(br#"{"error":"Unexpected exception ValueError: x."}"#).is_some());
        assert!(from_line(br#"{"id":"bucket-1"}"#).is_none());
    }
}

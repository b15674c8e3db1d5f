//! Answers that are errors.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, Retryability, secret::redact_tokens};
use longshore_transport::Attempts;
use serde::Deserialize;

/// The error document of the service. Its `statusCode` is what the error is; the HTTP status mostly is 400.
#[derive(Default, Deserialize)]
struct Document {
    #[serde(default, rename = "statusCode", deserialize_with = "text_or_number")]
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
    /// Missing on older servers.
    #[serde(default)]
    code: String,
}

/// The error document of analytics buckets, under a status that is true.
#[derive(Deserialize)]
struct Wrapped {
    error: Inner,
}

#[derive(Deserialize)]
struct Inner {
    message: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Wrapped {
    fn document(self) -> Document {
        Document { message: self.error.message, code: self.error.kind, ..Document::default() }
    }
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u16),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    })
}

/// The error that an answer is. Accepts any body: JSON, the plain text of resumable uploads, anything, or none.
pub(crate) fn from_response(call: &CallInfo, parts: &Parts, body: &[u8]) -> Error {
    let document: Option<Document> =
        serde_json::from_slice(body).or_else(|_| serde_json::from_slice(body).map(Wrapped::document)).ok();
    let known = document.as_ref().filter(|document| !document.message.is_empty());
    let error = match known {
        Some(document) => from_document(parts.status, document),
        None => from_text(parts.status, body),
    };
    Attempts::annotate(parts, error.with_call(call))
}

fn from_document(status: StatusCode, document: &Document) -> Error {
    let stated = document.status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let kind = kind(stated.unwrap_or(status), document);
    let mut error = Error::new(kind, redact_tokens(&document.message).into_owned());
    let code = if document.code.is_empty() { &document.error } else { &document.code };
    if !code.is_empty() {
        error = error.with_code(code);
    }
    if matches!(document.code.as_str(), "ResourceNotEmpty" | "ResourceReferenced" | "VectorBucketNotEmpty") {
        // These do not pass by themselves, as other conflicts do.
        error = error.with_retryability(Retryability::Never);
    }
    error
}

/// Resumable uploads answer with the message alone, under a status that is true.
fn from_text(status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().find(|line| !line.trim().is_empty()).map(str::trim);
    let message = match line {
        // An HTML page says less than the status.
        Some(line) if line.len() <= 200 && !line.starts_with('<') => redact_tokens(line).into_owned(),
        _ => status.canonical_reason().unwrap_or("the server refused").to_owned(),
    };
    let kind = match (status.as_u16(), message.as_str()) {
        (409, "The resource already exists") => ErrorKind::AlreadyExists,
        (400, "Invalid signature" | "Missing x-signature header") => ErrorKind::PermissionDenied,
        (400, text) if is_token_fault(text) => ErrorKind::Unauthenticated,
        (415, _) => ErrorKind::InvalidInput,
        (503, text) if text.contains("lock timeout") => ErrorKind::Busy,
        _ => from_status(status),
    };
    let error = Error::new(kind, message);
    if body.is_empty() {
        return error;
    }
    error.with_response_excerpt(redact_tokens(&text).as_bytes())
}

fn from_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        415 => ErrorKind::InvalidInput,
        499 | 544 => ErrorKind::Unavailable,
        _ => ErrorKind::from_status(status),
    }
}

/// The code first, then the stated status.
fn kind(status: StatusCode, document: &Document) -> ErrorKind {
    let (message, error) = (document.message.as_str(), document.error.as_str());
    match document.code.as_str() {
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" | "NoSuchCatalog" | "NotFoundException" => {
            ErrorKind::NotFound
        }
        "BucketAlreadyExists" | "KeyAlreadyExists" | "ResourceAlreadyExists" | "ConflictException" => {
            ErrorKind::AlreadyExists
        }
        "ResourceNotEmpty" | "ResourceReferenced" | "VectorBucketNotEmpty" | "TransactionError" => {
            ErrorKind::Conflict
        }
        "InvalidJWT" => ErrorKind::Unauthenticated,
        "InvalidSignature" => ErrorKind::PermissionDenied,
        "InvalidRange" => ErrorKind::RangeNotSatisfiable,
        "EntityTooLarge" => ErrorKind::QuotaExceeded,
        "FeatureNotEnabled" => ErrorKind::Unsupported,
        "ResourceLocked" | "LockTimeout" => ErrorKind::Busy,
        "SlowDown" => ErrorKind::RateLimited,
        "DatabaseTimeout" | "DatabaseReadOnly" | "DatabaseError" | "InternalError" | "Aborted"
        | "AbortedTerminate" => ErrorKind::Unavailable,
        "InvalidBucketName" | "InvalidKey" | "InvalidMimeType" | "InvalidParameter" | "MissingParameter" => {
            ErrorKind::InvalidInput
        }
        _ if is_token_fault(message) => ErrorKind::Unauthenticated,
        "AccessDenied" => ErrorKind::PermissionDenied,
        // The server has no such call, or it is switched off.
        _ if status == StatusCode::NOT_FOUND && error == "Not Found" && message.starts_with("Route ") => {
            ErrorKind::Unsupported
        }
        _ if status == StatusCode::CONFLICT && error == "Duplicate" => ErrorKind::AlreadyExists,
        _ => from_status(status),
    }
}

/// Whether the bearer is at fault, by the texts of the server.
pub(crate) fn is_token_fault(message: &str) -> bool {
    message == "Invalid Compact JWS"
        || message == "Missing signature"
        || message == "JWS Protected Header is invalid"
        || message == "signature verification failed"
        || message == "headers must have required property 'authorization'"
        || message.starts_with("\"exp\" claim")
        || message.starts_with("\"nbf\" claim")
        || message.starts_with("\"alg\" (Algorithm)")
}

/// Explains a refusal of a key that only a gateway understands.
pub(crate) fn advise(error: Error, opaque_key: bool) -> Error {
    if !opaque_key || error.message() != "Invalid Compact JWS" {
        return error;
    }
    let advice = Error::new(
        ErrorKind::InvalidConfig,
        "a key that starts with `sb_` is understood by the gateway of a project only (its address ends in \
         /storage/v1); a storage server without gateway needs the JSON web token of the anon or service_role key",
    );
    error.with_source(advice)
}

/// Whether the bucket is missing, not the object in it.
pub(crate) fn is_bucket_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && (error.code() == Some("NoSuchBucket") || error.message() == "Bucket not found")
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    fn error(status: u16, body: &[u8]) -> Error {
        let parts = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
        from_response(&CallInfo::new("supabase.test", Idempotency::Idempotent), &parts, body)
    }

    fn document(status: &str, error: &str, message: &str, code: &str) -> Vec<u8> {
        let document =
            serde_json::json!({"statusCode": status, "error": error, "message": message, "code": code});
        serde_json::to_vec(&document).unwrap()
    }

    #[test]
    fn a_400_is_what_its_code_says() {
        for (status, error_name, message, code, kind) in [
            ("404", "Bucket not found", "Bucket not found", "NoSuchBucket", ErrorKind::NotFound),
            ("404", "not_found", "Object not found", "NoSuchKey", ErrorKind::NotFound),
            ("409", "Duplicate", "The resource already exists", "KeyAlreadyExists", ErrorKind::AlreadyExists),
            ("409", "Duplicate", "The resource already exists", "", ErrorKind::AlreadyExists),
            ("409", "ResourceNotEmpty", "not empty", "ResourceNotEmpty", ErrorKind::Conflict),
            ("413", "Payload too large", "too large", "EntityTooLarge", ErrorKind::QuotaExceeded),
            (
                "415",
                "invalid_mime_type",
                "mime type x is not supported",
                "InvalidMimeType",
                ErrorKind::InvalidInput,
            ),
            (
                "404",
                "InvalidRequest",
                "The related resource does not exist",
                "InvalidRequest",
                ErrorKind::NotFound,
            ),
            ("400", "InvalidKey", "Invalid key: #", "InvalidKey", ErrorKind::InvalidInput),
            ("403", "Unauthorized", "Invalid Compact JWS", "AccessDenied", ErrorKind::Unauthenticated),
            (
                "403",
                "Unauthorized",
                "\"exp\" claim timestamp check failed",
                "AccessDenied",
                ErrorKind::Unauthenticated,
            ),
            (
                "403",
                "Unauthorized",
                "new row violates row-level security policy",
                "AccessDenied",
                ErrorKind::PermissionDenied,
            ),
            ("400", "InvalidSignature", "Invalid signature", "InvalidSignature", ErrorKind::PermissionDenied),
            ("404", "Not Found", "Route GET:/nope not found", "InvalidRequest", ErrorKind::Unsupported),
            ("429", "too_many_connections", "Too many", "SlowDown", ErrorKind::RateLimited),
            ("544", "DatabaseTimeout", "timed out", "DatabaseTimeout", ErrorKind::Unavailable),
            ("418", "x", "y", "", ErrorKind::Other),
        ] {
            let found = error(400, &document(status, error_name, message, code));
            assert_eq!(found.kind(), kind, "{status} {code} {message}");
            assert!(found.to_string().contains(message), "{found}");
            assert_eq!(found.status(), Some(StatusCode::BAD_REQUEST));
        }
        assert!(
            !error(400, &document("409", "ResourceNotEmpty", "not empty", "ResourceNotEmpty")).is_retryable()
        );
    }

    #[test]
    fn texts_of_resumable_uploads() {
        for (status, text, kind) in [
            (409, "Upload-Offset conflict\n", ErrorKind::Conflict),
            (409, "The resource already exists", ErrorKind::AlreadyExists),
            (404, "The file for this url was not found\n", ErrorKind::NotFound),
            (410, "The file for this url no longer exists\n", ErrorKind::NotFound),
            (413, "Maximum size exceeded\n", ErrorKind::QuotaExceeded),
            (415, "mime type image/png is not supported", ErrorKind::InvalidInput),
            (400, "Invalid upload id", ErrorKind::InvalidInput),
            (400, "Missing x-signature header", ErrorKind::PermissionDenied),
            (403, "new row violates row-level security policy", ErrorKind::PermissionDenied),
            (503, "acquiring lock timeout", ErrorKind::Busy),
        ] {
            let found = error(status, text.as_bytes());
            assert_eq!(found.kind(), kind, "{text}");
            assert!(found.to_string().contains(text.trim()), "{found}");
        }
    }

    #[test]
    fn any_body_is_accepted() {
        let plain =
            error(404, br#"{"message":"Route GET:/nope not found","error":"Not Found","statusCode":404}"#);
        assert_eq!(plain.kind(), ErrorKind::Unsupported);
        let html = error(502, b"<html><body>bad gateway</body></html>");
        assert_eq!(html.kind(), ErrorKind::Unavailable);
        assert!(html.to_string().contains("Bad Gateway"), "{html}");
        assert!(error(500, b"\xff\xfe\0").response_excerpt().is_some());
        assert_eq!(error(400, b"").kind(), ErrorKind::InvalidInput);
        let leak = error(400, &document("400", "x", "token eyJhbGciOi.eyJzdWIi.c2ln is bad", "x"));
        assert!(!leak.chain().contains("eyJ"), "{leak}");
    }

    #[test]
    fn opaque_keys_get_advice() {
        let refused = || error(400, &document("403", "Unauthorized", "Invalid Compact JWS", "AccessDenied"));
        assert!(advise(refused(), true).chain().contains("gateway"));
        assert!(!advise(refused(), false).chain().contains("gateway"));
    }
}

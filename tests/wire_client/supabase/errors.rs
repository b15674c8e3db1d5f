//! Which kind of error each refusal of the server is.

use longshore_core_types::{Error, ErrorKind};

use crate::recorded::{Request, Response};

use ErrorKind::{
    AlreadyExists, Conflict, InvalidInput, NotFound, NotModified, PermissionDenied, QuotaExceeded,
    RangeNotSatisfiable, Unauthenticated, Unavailable, Unsupported,
};

/// The server's code (`*` for any), a part of its text, and the kind that it must become. The first that fits counts.
const KINDS: &[(&str, &str, ErrorKind)] = &[
    ("*", "Invalid Compact JWS", Unauthenticated),
    ("*", "JWS Protected Header is invalid", Unauthenticated),
    ("*", "signature verification failed", Unauthenticated),
    ("*", "claim timestamp check failed", Unauthenticated),
    ("*", "Header Parameter value not allowed", Unauthenticated),
    ("*", "must have required property 'authorization'", Unauthenticated),
    ("*", "Missing signature", Unauthenticated),
    ("NoSuchBucket", "", NotFound),
    ("NoSuchKey", "", NotFound),
    ("NoSuchCatalog", "", NotFound),
    ("NotFoundException", "", NotFound),
    ("InvalidRequest", "The related resource does not exist", NotFound),
    ("BucketAlreadyExists", "", AlreadyExists),
    ("KeyAlreadyExists", "", AlreadyExists),
    ("ResourceAlreadyExists", "", AlreadyExists),
    ("ConflictException", "", AlreadyExists),
    ("ResourceNotEmpty", "", Conflict),
    ("VectorBucketNotEmpty", "", Conflict),
    ("EntityTooLarge", "", QuotaExceeded),
    ("InvalidRange", "", RangeNotSatisfiable),
    ("InvalidSignature", "", PermissionDenied),
    ("AccessDenied", "", PermissionDenied),
    ("DatabaseError", "", Unavailable),
    ("InternalError", "", Unavailable),
    ("InvalidRequest", "Route ", Unsupported),
    ("*", "", InvalidInput),
];

/// Resumable uploads: status, a part of the text, kind.
const TEXTS: &[(u16, &str, ErrorKind)] = &[
    (400, "Invalid signature", PermissionDenied),
    (400, "Invalid Compact JWS", Unauthenticated),
    (400, "", InvalidInput),
    (403, "", PermissionDenied),
    (404, "", NotFound),
    (409, "The resource already exists", AlreadyExists),
    (409, "", Conflict),
    (410, "", NotFound),
    (413, "", QuotaExceeded),
    (415, "", InvalidInput),
];

/// Compares an error with the answer that it was made of.
pub(crate) fn check(error: &Error, request: &Request, response: &Response) -> Result<(), String> {
    let document = response.json();
    let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
    // Analytics buckets say it one level deeper, in other words.
    let deeper = |field: &str| document["error"][field].as_str().map(str::to_owned);
    let code = deeper("type").unwrap_or_else(|| text("code"));
    let message = deeper("message").unwrap_or_else(|| text("message"));
    let plain = String::from_utf8_lossy(&response.body().bytes()).trim().to_owned();
    let kind = if response.status == 304 {
        Some(NotModified)
    } else if !message.is_empty() {
        let fits =
            |row: &&(&str, &str, ErrorKind)| (row.0 == "*" || row.0 == code) && message.contains(row.1);
        KINDS.iter().find(fits).map(|row| row.2)
    } else {
        // The bytes of a piece that a complete upload has no room for.
        let fits = |row: &&(u16, &str, ErrorKind)| row.0 == response.status && plain.contains(row.1);
        TEXTS.iter().find(fits).map(|row| row.2)
    };
    let kind = kind.ok_or_else(|| format!("no row says what {} {code:?} {message:?} is", response.status))?;
    let status = error.status().map(|status| status.as_u16());
    if (error.kind(), status) != (kind, Some(response.status)) {
        return Err(format!("the error is {:?} {status:?}, not {kind:?} {}", error.kind(), response.status));
    }
    if error.code().unwrap_or_default() != code {
        return Err(format!("the code is {:?}, not {code:?}", error.code()));
    }
    let said = if message.is_empty() { plain } else { message };
    if request.method != "HEAD" && !said.is_empty() && error.message() != said && !said.contains("eyJ") {
        return Err(format!("the error says {:?}, the server {said:?}", error.message()));
    }
    Ok(())
}

//! Which kind of error each refusal of the server is.

use longshore_core_types::{Error, ErrorKind};

use crate::recorded::Response;

/// Status, the server's own code (`*` for any), a part of the text, and the kind that it must become. The
/// first that fits counts.
const KINDS: &[(u16, &str, &str, ErrorKind)] = &[
    (404, "*", "backend is missing in the cluster configuration", ErrorKind::Unsupported),
    (400, "ErrMissingBackend", "", ErrorKind::Unsupported),
    (404, "*", "requires Kubernetes", ErrorKind::Unsupported),
    (400, "*", "requires Kubernetes", ErrorKind::Unsupported),
    (400, "*", "k8s client is not initialized", ErrorKind::Unsupported),
    (404, "*", "", ErrorKind::NotFound),
    (400, "ErrBckNotFound", "", ErrorKind::NotFound),
    (400, "errNodeNotFound", "", ErrorKind::NotFound),
    (409, "ErrRemoteMetadataMismatch", "", ErrorKind::PreconditionFailed),
    (410, "*", "", ErrorKind::NotFound),
    (401, "*", "direct target access denied", ErrorKind::PermissionDenied),
    (401, "*", "", ErrorKind::Unauthenticated),
    (501, "*", "", ErrorKind::Unsupported),
    (405, "*", "", ErrorKind::Unsupported),
    (403, "*", "", ErrorKind::PermissionDenied),
    (429, "*", "", ErrorKind::RateLimited),
    (416, "ErrUnsupp", "", ErrorKind::Unsupported),
    (400, "ErrRangeNotSatisfiable", "", ErrorKind::RangeNotSatisfiable),
    (416, "*", "", ErrorKind::RangeNotSatisfiable),
    (423, "*", "", ErrorKind::Busy),
    (409, "ErrBucketAlreadyExists", "", ErrorKind::AlreadyExists),
    (400, "ErrBucketAlreadyExists", "", ErrorKind::AlreadyExists),
    (409, "ErrLimitedCoexistence", "", ErrorKind::Conflict),
    (409, "ErrBusy", "", ErrorKind::Busy),
    (400, "ErrXactUsePrev", "", ErrorKind::Busy),
    (500, "ErrBadCksum", "", ErrorKind::ChecksumMismatch),
    (500, "ErrLmetaCorrupted", "", ErrorKind::Other),
    (400, "ErrLmetaCorrupted", "", ErrorKind::Other),
    (400, "ErrUnsupp", "", ErrorKind::Unsupported),
    (400, "ErrNotRemoteBck", "", ErrorKind::Unsupported),
    (400, "ErrInvalidBackendProvider", "", ErrorKind::InvalidInput),
    (400, "*", "connection refused", ErrorKind::Unavailable),
    (400, "*", ": EOF", ErrorKind::Unavailable),
    (400, "*", "not supported", ErrorKind::Unsupported),
    (400, "*", "already exists", ErrorKind::AlreadyExists),
    (409, "", "already exists", ErrorKind::AlreadyExists),
    (400, "*", "", ErrorKind::InvalidInput),
    (500, "*", "", ErrorKind::Unavailable),
    (503, "*", "", ErrorKind::Unavailable),
];

/// Compares an error with the answer that it was made of.
pub(crate) fn check(error: &Error, response: &Response) -> Result<(), String> {
    let body = match response.header("hdr-error") {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => response.json(),
    };
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let (code, message) = (text("tcode"), text("message"));
    let fits = |row: &&(u16, &str, &str, ErrorKind)| {
        row.0 == response.status && (row.1 == "*" || row.1 == code) && message.contains(row.2)
    };
    let kind = KINDS.iter().find(fits).map(|row| row.3);
    let kind = kind.ok_or_else(|| format!("no row says what {} {code:?} {message:?} is", response.status))?;
    let found = (error.kind(), error.status().map(|s| s.as_u16()), error.code().unwrap_or_default());
    if found != (kind, Some(response.status), code.as_str()) {
        return Err(format!("the error is {found:?}, not {kind:?}, {}, {code:?}", response.status));
    }
    // Tokens in messages are masked.
    if message.contains("eyJ") {
        let shows = format!("{error} {error:?}").contains("eyJ");
        return if shows { Err("the error shows a token".to_owned()) } else { Ok(()) };
    }
    if !message.is_empty() && error.message() != message {
        return Err(format!("the error says {:?}, the server {message:?}", error.message()));
    }
    Ok(())
}

//! Refusals, in the words of the real server.
//!
//! A storage error has a status of its own, which travels as text inside the body; the HTTP status is 400 or 500 all
//! the same, but for a few errors and for the protocols that are not the service's own (TUS, S3).

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::aistore::reply::Reply;
use crate::http::Abort;
use crate::storage::StorageError;

pub(super) type Result<T> = std::result::Result<T, Fail>;

/// Why a request is not carried out.
#[derive(Clone, Debug)]
pub(super) struct Fail {
    /// The error's own status.
    pub(super) status: u16,
    /// HTTP status, where it is not the one that follows from `status`.
    http: Option<StatusCode>,
    error: String,
    pub(super) message: String,
    pub(super) code: &'static str,
    form: Form,
    retry_after: Option<u64>,
    /// The connection is to be closed without an answer.
    pub(super) abort: bool,
    /// The connection is not used again after the answer.
    pub(super) close: bool,
}

/// How the body of a refusal is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Four texts.
    Storage,
    /// The same from the router, which names no character set.
    Routed,
    /// The same in the order of routes that describe no answers.
    Unordered,
    /// The router's own: a number as status, no code.
    Router,
    /// As the router's, with its code and in another order.
    RouterCode,
    /// Nothing else fits: the reason as plain text.
    Plain,
}

impl Fail {
    pub(super) fn new(
        status: u16,
        error: impl Into<String>,
        message: impl Into<String>,
        code: &'static str,
    ) -> Self {
        Self {
            status,
            http: None,
            error: error.into(),
            message: message.into(),
            code,
            form: Form::Storage,
            retry_after: None,
            abort: false,
            close: false,
        }
    }

    /// Lets the HTTP status be the error's own.
    #[must_use]
    pub(super) fn real(mut self) -> Self {
        self.http = StatusCode::from_u16(self.status).ok();
        self
    }

    /// As a route answers that describes no answers.
    #[must_use]
    pub(super) fn unordered(mut self) -> Self {
        self.form = Form::Unordered;
        self
    }

    /// Closes the connection after the answer.
    #[must_use]
    pub(super) fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The connection ends without an answer.
    pub(super) fn abort() -> Self {
        Self { abort: true, ..Self::internal("") }
    }

    /// A refusal that was asked for.
    pub(super) fn injected(status: u16, retry_after: Option<u64>) -> Self {
        let fail = match status {
            429 => Self::new(status, "Too Many Requests", "injected fault", "SlowDown"),
            _ => Self::new(status, "InternalError", "injected fault", "InternalError"),
        };
        Self { retry_after, ..fail.real() }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message, "InternalError")
    }

    pub(super) fn no_bucket() -> Self {
        Self::new(404, "Bucket not found", "Bucket not found", "NoSuchBucket")
    }

    pub(super) fn no_object() -> Self {
        Self::new(404, "not_found", "Object not found", "NoSuchKey")
    }

    /// A bucket that a request takes for granted is missing.
    pub(super) fn no_related() -> Self {
        Self::new(404, "InvalidRequest", "The related resource does not exist", "InvalidRequest")
    }

    pub(super) fn bucket_name() -> Self {
        Self::new(400, "Invalid Input", "Bucket name invalid", "InvalidBucketName")
    }

    pub(super) fn key(key: &str) -> Self {
        Self::new(400, "InvalidKey", format!("Invalid key: {key}"), "InvalidKey")
    }

    /// The name is taken; `code` says by what.
    pub(super) fn exists(code: &'static str) -> Self {
        Self::new(409, "Duplicate", "The resource already exists", code)
    }

    pub(super) fn too_large() -> Self {
        let message = "The object exceeded the maximum allowed size";
        Self::new(413, "Payload too large", message, "EntityTooLarge")
    }

    pub(super) fn mime(message: impl Into<String>) -> Self {
        Self::new(415, "invalid_mime_type", message, "InvalidMimeType")
    }

    /// What the caller's token does not allow.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "Unauthorized", message, "AccessDenied")
    }

    /// The caller may not write here.
    pub(super) fn row_security() -> Self {
        Self::denied("new row violates row-level security policy")
    }

    pub(super) fn parameter(name: &str) -> Self {
        let message = format!("Invalid Parameter {name}");
        Self::new(400, "InvalidParameter", message, "InvalidParameter")
    }

    pub(super) fn request(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidRequest", message, "InvalidRequest")
    }

    /// The request does not have the form that the route describes.
    pub(super) fn schema(message: impl Into<String>) -> Self {
        Self::new(400, "Error", message, "InvalidRequest")
    }

    /// The request's body cannot be read.
    pub(super) fn body(message: &str) -> Self {
        Self::new(400, "FastifyError", message, "InvalidRequest").close()
    }

    /// A token in a URL, or for one, is of no use.
    pub(super) fn token(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidJWT", message, "InvalidJWT")
    }

    /// A token is for something else.
    pub(super) fn signature(message: &str) -> Self {
        Self::new(400, "InvalidSignature", message, "InvalidSignature")
    }

    pub(super) fn range() -> Self {
        Self::new(416, "invalid_range", "invalid range provided", "InvalidRange").real()
    }

    /// Nothing is routed here; `inside` a tree that has a form of its own for that.
    pub(super) fn no_route(method: &str, url: &str, inside: bool) -> Self {
        let message = format!("Route {method}:{url} not found");
        let form = if inside { Form::Routed } else { Form::Router };
        Self { form, ..Self::new(404, "Not Found", message, "InvalidRequest").real() }
    }

    /// The path holds a percent sign that begins no escape, or escapes that are no text.
    pub(super) fn bad_url(url: &str) -> Self {
        let message = format!("'{url}' is not a valid url component");
        let fail = Self::new(400, "Bad Request", message, "FST_ERR_BAD_URL").real();
        Self { form: Form::RouterCode, ..fail }
    }

    /// The head of the request is too long.
    pub(super) fn head_too_large() -> Self {
        let message = "Exceeded maximum allowed HTTP header size";
        let fail = Self::new(431, "Request Header Fields Too Large", message, "").real();
        Self { form: Form::RouterCode, ..fail }
    }

    /// Refused before the service is reached, by what stands in front of it.
    pub(super) fn gateway(message: &str) -> Self {
        let fail = Self::new(401, "Unauthorized", message, "").real();
        Self { form: Form::Plain, ..fail }
    }

    pub(super) fn http_status(&self) -> StatusCode {
        let usual = if self.status == 500 { 500 } else { 400 };
        self.http.or(StatusCode::from_u16(usual).ok()).unwrap_or(StatusCode::BAD_REQUEST)
    }

    pub(super) fn reply(&self) -> Reply {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let (status, error) = (text(&self.status.to_string()), text(&self.error));
        let (message, code) = (text(&self.message), text(self.code));
        let number = self.status;
        let body = match self.form {
            Form::Storage | Form::Routed => {
                format!(r#"{{"statusCode":{status},"error":{error},"message":{message},"code":{code}}}"#)
            }
            Form::Unordered => {
                format!(r#"{{"statusCode":{status},"code":{code},"error":{error},"message":{message}}}"#)
            }
            Form::Router => {
                format!(r#"{{"message":{message},"error":{error},"statusCode":{number}}}"#)
            }
            Form::RouterCode => {
                let mut body = format!(r#"{{"error":{error},"#);
                if !self.code.is_empty() {
                    let _ = write!(body, r#""code":{code},"#);
                }
                body + &format!(r#""message":{message},"statusCode":{number}}}"#)
            }
            Form::Plain => format!(r#"{{"message":{message}}}"#),
        };
        let kind = match self.form {
            Form::Routed | Form::RouterCode => "application/json",
            _ => "application/json; charset=utf-8",
        };
        let mut reply = Reply::new(self.http_status()).with(CONTENT_TYPE, kind).body(body);
        if let Some(seconds) = self.retry_after {
            reply.set(RETRY_AFTER, &seconds.to_string());
        }
        reply
    }
}

impl From<StorageError> for Fail {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            return Self::internal("no space left on device").close();
        }
        tracing::error!(%error, "storage failed");
        Self::internal(error.to_string())
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        StorageError::from(error).into()
    }
}

impl From<Abort> for Fail {
    fn from(_: Abort) -> Self {
        Self::abort()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Source;

    fn body(fail: &Fail) -> (u16, String) {
        let reply = fail.reply();
        let Source::Full(bytes) = reply.source else { panic!("a body") };
        (reply.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_missing_bucket_is_a_bad_request() {
        let expected = r#"{"statusCode":"404","error":"Bucket not found","message":"Bucket not found","code":"NoSuchBucket"}"#;
        assert_eq!(body(&Fail::no_bucket()), (400, expected.to_owned()));
    }

    #[test]
    fn forms() {
        let expected =
            r#"{"statusCode":"403","code":"AccessDenied","error":"Unauthorized","message":"Access denied"}"#;
        assert_eq!(body(&Fail::denied("Access denied").unordered()), (400, expected.to_owned()));
        let expected = r#"{"message":"Route GET:/nope not found","error":"Not Found","statusCode":404}"#;
        assert_eq!(body(&Fail::no_route("GET", "/nope", false)), (404, expected.to_owned()));
        let expected = r#"{"error":"Bad Request","code":"FST_ERR_BAD_URL","message":"'/%' is not a valid url component","statusCode":400}"#;
        assert_eq!(body(&Fail::bad_url("/%")), (400, expected.to_owned()));
        assert_eq!(body(&Fail::range()).0, 416);
        assert_eq!(body(&Fail::internal("x")).0, 500);
    }
}

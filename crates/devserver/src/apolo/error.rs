//! Refusals, in the words and with the statuses of the original: most of what is wrong is a 500.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use serde_json::json;

use super::settings::ApoloAction;
use crate::aistore::reply::Reply;
use crate::http::Abort;
use crate::storage::StorageError;

pub(super) type Result<T> = std::result::Result<T, Fail>;

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) enum Fail {
    /// The connection ends without an answer.
    Abort,
    /// 500; the text tells why, and the answer adds where.
    Unexpected(String),
    /// A JSON document.
    Json(u16, String),
    /// Text.
    Text(u16, String),
    /// 405, with what the route allows.
    Method(&'static str),
    /// A fault, which may say when to come again.
    Injected(u16, Option<u64>),
}

impl Fail {
    /// 400 with a reason.
    pub(super) fn value(text: impl Into<String>) -> Self {
        Self::Json(400, json!({"error": text.into()}).to_string())
    }

    pub(super) fn unauthorized() -> Self {
        Self::Text(401, "401: Unauthorized".into())
    }

    pub(super) fn no_route() -> Self {
        Self::Text(404, "404: Not Found".into())
    }

    pub(super) fn missing(what: &str, name: &str) -> Self {
        Self::Text(404, format!("{what} {name} not found"))
    }

    /// The caller lacks the right on all of these.
    pub(super) fn denied(uris: &[String], action: ApoloAction) -> Self {
        let missing: Vec<_> = uris.iter().map(|uri| json!({"uri": uri, "action": action.as_str()})).collect();
        Self::Json(403, json!({"missing": missing}).to_string())
    }

    pub(super) fn taken() -> Self {
        let text = r#"{"code": "unique", "description": "Bucket with given name exists"}"#;
        Self::Json(409, text.into())
    }

    pub(super) fn disabled(text: &str) -> Self {
        Self::Json(422, json!({"code": "disabled", "description": text}).to_string())
    }

    /// What the service says of its own records' store, where it cannot take a value.
    pub(super) fn label(code: u16, message: &str, reason: &str) -> Self {
        Self::Unexpected(format!(
            "metadata=V1ListMeta(continue_=None, remaining_item_count=None, resource_version=None, self_link=None) \
             api_version='v1' code={code} details=V1StatusDetails(causes=[], group=None, kind=None, name=None, \
             retry_after_seconds=None, uid=None) kind='Status' message=\"{message}\" reason='{reason}' status='Failure'"
        ))
    }

    /// What the service passes on of S3's refusals.
    pub(super) fn s3(code: &str, operation: &str, text: &str) -> Self {
        Self::Unexpected(format!("An error occurred ({code}) when calling the {operation} operation: {text}"))
    }

    /// The answer to a request for this path and query; `None` to close the connection.
    pub(super) fn reply(self, url: &str) -> Option<Reply> {
        let (code, kind, text) = match self {
            Self::Abort => return None,
            Self::Unexpected(text) => {
                let error = format!("Unexpected exception: {text}. Path with query: {url}.");
                (500, JSON, json!({"error": error}).to_string())
            }
            Self::Json(code, text) => (code, JSON, text),
            Self::Text(code, text) => (code, TEXT, text),
            Self::Method(allowed) => {
                let reply = answer(405, TEXT, "405: Method Not Allowed".into());
                return Some(reply.with(ALLOW, allowed));
            }
            Self::Injected(code, after) => {
                let reply = answer(code, JSON, r#"{"error": "injected fault"}"#.into());
                return Some(match after {
                    Some(seconds) => reply.with(RETRY_AFTER, &seconds.to_string()),
                    None => reply,
                });
            }
        };
        Some(answer(code, kind, text))
    }
}

pub(super) const JSON: &str = "application/json; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// An answer of this status, type and text.
pub(super) fn answer(code: u16, kind: &str, text: String) -> Reply {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply::new(status).with(CONTENT_TYPE, kind).body(text)
}

impl From<Abort> for Fail {
    fn from(_: Abort) -> Self {
        Self::Abort
    }
}

impl From<StorageError> for Fail {
    fn from(error: StorageError) -> Self {
        Self::Unexpected(error.to_string())
    }
}

/// Everything that is wrong with a document, field by field.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(String, Vec<&'static str>)>);

impl Faults {
    pub(super) fn add(&mut self, field: &str, text: &'static str) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, texts)) => texts.push(text),
            None => self.0.push((field.to_owned(), vec![text])),
        }
    }

    /// `value` if nothing is wrong.
    pub(super) fn check<T>(self, value: T) -> Result<T> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let mut text = String::from("{");
        for (index, (field, texts)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let texts: Vec<_> = texts.iter().map(|t| format!("'{t}'")).collect();
            let _ = write!(text, "{comma}'{field}': [{}]", texts.join(", "));
        }
        text.push('}');
        Err(Fail::Unexpected(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_a_literal() {
        let mut faults = Faults::default();
        faults.add("name", "String does not match expected pattern.");
        faults.add("name", "Length must be between 3 and 40.");
        faults.add("foo", "Unknown field.");
        let Err(Fail::Unexpected(text)) = faults.check(()) else { panic!("it is refused") };
        let expected = "{'name': ['String does not match expected pattern.', 'Length must be between 3 and 40.'], \
                        'foo': ['Unknown field.']}";
        assert_eq!(text, expected);
        assert!(Faults::default().check(()).is_ok());
    }
}

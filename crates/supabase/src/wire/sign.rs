//! Signed URLs: for reading one object or many, for uploading one.

use http::Method;
use longshore_core_types::{BucketName, Error, ErrorKind, Idempotency, Result, Secret};
use longshore_transport::{encode_path, encode_segment};
use serde::{Deserialize, Serialize};

use super::{
    Request, from_json,
    object::{At, X_UPSERT},
};
use crate::{
    names::{bucket_resource, check_key, invalid},
    transform::Transform,
};

use Idempotency::Idempotent;

/// Most paths of one call.
pub(crate) const MOST_PATHS: usize = 1000;

/// A URL that the server wrote without escapes: path escaped, query as it is, since tokens need no escape.
pub(crate) fn encode_reference(reference: &str) -> String {
    // Names may hold these characters too; a token holds none of them.
    match reference.rsplit_once("?token=") {
        Some((path, token)) => format!("{}?token={}", encode_path(path), encode_segment(token)),
        None => encode_path(reference),
    }
}

/// Seconds that a URL is good for: whole ones, at least one, never more than asked for.
pub(crate) fn lifetime(time: std::time::Duration) -> Result<u64> {
    match time.as_secs() {
        0 => Err(invalid("a signed URL is good for a second at least")),
        // Later than the server can write a date.
        seconds if seconds > 100 * 365 * 86_400 => Err(invalid("a signed URL is good for a century at most")),
        seconds => Ok(seconds),
    }
}

pub(crate) fn sign(at: &At, seconds: u64, transform: Option<&Transform>) -> Result<Request> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "expiresIn")]
        seconds: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        transform: Option<&'a Transform>,
    }
    let transform = transform.filter(|transform| !transform.is_empty());
    transform.map_or(Ok(()), Transform::check)?;
    at.request(Method::POST, "/object/sign", "supabase.object.sign", Idempotent)
        .json(&Body { seconds, transform })
}

/// The reference that the server made; it is relative to the base URL and not escaped.
pub(crate) fn parse_sign(body: &[u8]) -> Result<Secret> {
    #[derive(Deserialize)]
    struct Signed {
        #[serde(rename = "signedURL")]
        url: String,
    }
    let signed: Signed = from_json(body, "a signed URL").map_err(|error| hide(&error))?;
    reference(signed.url)
}

/// An answer that holds tokens must not show in an error.
fn hide(error: &Error) -> Error {
    Error::new(ErrorKind::Protocol, error.message().to_owned())
}

fn reference(url: String) -> Result<Secret> {
    if !url.starts_with('/') || !url.contains("?token=") {
        return Err(Error::new(ErrorKind::Protocol, "the signed URL has another form than is known"));
    }
    Ok(Secret::from(url))
}

pub(crate) fn sign_many(bucket: &BucketName, paths: &[String], seconds: u64) -> Result<Request> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "expiresIn")]
        seconds: u64,
        paths: &'a [String],
    }
    if paths.is_empty() {
        return Err(invalid("no object is named that is to be signed"));
    }
    paths.iter().try_for_each(|path| check_key(path))?;
    let path = format!("/object/sign/{}", encode_path(bucket.as_str()));
    Request::new(Method::POST, path, "supabase.object.sign_many", Idempotent)
        .on(bucket_resource(bucket))
        .json(&Body { seconds, paths })
}

/// One answer of signing many.
#[derive(Clone, Debug)]
pub(crate) struct SignedPath {
    pub(crate) path: String,
    /// The reference, or why there is none.
    pub(crate) outcome: Result<Secret, String>,
}

pub(crate) fn parse_sign_many(body: &[u8]) -> Result<Vec<SignedPath>> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        error: Option<String>,
        path: String,
        #[serde(default, rename = "signedURL")]
        url: Option<String>,
    }
    let rows: Vec<Row> = from_json(body, "a list of signed URLs").map_err(|error| hide(&error))?;
    let signed = |row: Row| {
        let outcome = match row.url {
            Some(url) => Ok(reference(url)?),
            None => Err(row.error.unwrap_or_else(|| "the server gave no reason".to_owned())),
        };
        Ok(SignedPath { path: row.path, outcome })
    };
    rows.into_iter().map(signed).collect()
}

pub(crate) fn sign_upload(at: &At, upsert: bool) -> Result<Request> {
    let request = at.request(Method::POST, "/object/upload/sign", "supabase.object.sign_upload", Idempotent);
    let request = if upsert { request.header(X_UPSERT, "true")? } else { request };
    request.json(&serde_json::json!({}))
}

/// Reference and token of a signed upload.
pub(crate) fn parse_sign_upload(body: &[u8]) -> Result<(Secret, Secret)> {
    #[derive(Deserialize)]
    struct Signed {
        url: String,
        #[serde(default)]
        token: Option<String>,
    }
    let signed: Signed = from_json(body, "a signed URL for an upload").map_err(|error| hide(&error))?;
    let token = signed.token.or_else(|| Some(signed.url.rsplit_once("?token=")?.1.to_owned()));
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Ok((reference(signed.url)?, Secret::from(token))),
        None => Err(Error::new(ErrorKind::Protocol, "the server sent no token for the upload")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime(Duration::from_millis(1999)).unwrap(), 1);
        assert!(lifetime(Duration::from_millis(999)).is_err());
        assert!(lifetime(Duration::MAX).is_err());
    }

    #[test]
    fn references_of_the_server() {
        assert_eq!(
            encode_reference("/object/sign/b/a b?.txt?token=a.b-c_d"),
            "/object/sign/b/a%20b%3F.txt?token=a.b-c_d"
        );
        assert_eq!(
            encode_reference("/object/sign/b/a?token=x?token=t"),
            "/object/sign/b/a%3Ftoken%3Dx?token=t"
        );
        let (_, token) = parse_sign_upload(br#"{"url":"/object/upload/sign/b/a?token=x?token=t"}"#).unwrap();
        assert_eq!(token.expose(), "t");
    }

    #[test]
    fn answers_and_what_they_must_hold() {
        let url = parse_sign(br#"{"signedURL":"/object/sign/b/a b.txt?token=a.b.c"}"#).unwrap();
        assert_eq!(url.expose(), "/object/sign/b/a b.txt?token=a.b.c");
        for bad in [
            &br#"{"signedURL":"https://elsewhere/?token=secret"}"#[..],
            b"{}",
            br#"{"signedURL":"/x","t":"secret"}"#,
        ] {
            let error = parse_sign(bad).unwrap_err();
            assert!(!error.chain().contains("secret") && error.response_excerpt().is_none());
        }
        let many = parse_sign_many(
            br#"[{"error":null,"path":"a","signedURL":"/object/sign/b/a?token=t"},
                {"error":"Either the object does not exist","path":"b","signedURL":null}]"#,
        )
        .unwrap();
        assert!(many[0].outcome.is_ok());
        assert!(many[1].outcome.as_ref().unwrap_err().contains("does not exist"));
        let (_, token) = parse_sign_upload(br#"{"url":"/object/upload/sign/b/k?token=t1"}"#).unwrap();
        assert_eq!(token.expose(), "t1");
        assert!(parse_sign_upload(br#"{"url":"/object/upload/sign/b/k"}"#).is_err());
    }
}

//! Signed URLs: tokens that open one object, for reading or for writing.

use std::fmt::Write as _;

use serde_json::Value;

use super::cx::{Cx, NoBody, NoHeader};
use super::error::{Fail, Result};
use super::jwt::{self, Claims};
use super::names;
use super::render::Transform;
use super::route::Place;
use super::rows::document;
use super::schema::Fields;
use super::store::Target;
use super::time::{http_date, unix_now};
use crate::aistore::reply::Reply;

/// Paths that one request may have signed.
const MAX_PATHS: usize = 1000;
/// The last second of dates as the original's language has them.
const LAST_SECOND: i64 = 8_640_000_000_000;

/// What a good token allows.
#[derive(Clone, Debug)]
pub(super) struct Download {
    /// The value of `Expires`.
    pub(super) expires: String,
    pub(super) transformations: Option<String>,
}

/// What a good token allows.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) upsert: bool,
    pub(super) owner: Option<String>,
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// Checks a token for one object: signature, scope, object, times.
fn open(
    cx: &Cx,
    token: &str,
    place: &Place,
    in_scope: impl Fn(&Claims) -> bool,
    purpose: &str,
) -> Result<Claims> {
    let claims = jwt::open(&cx.service.settings.jwt_secret, token).map_err(Fail::token)?;
    if !in_scope(&claims) {
        return Err(Fail::signature(&format!("Token is not scoped for {purpose}")));
    }
    if text(&claims, "url") != Some(&format!("{}/{}", place.bucket, place.key)) {
        return Err(Fail::signature("Invalid signature"));
    }
    jwt::check_times(&claims).map_err(Fail::token)?;
    Ok(claims)
}

fn token(cx: &Cx) -> Result<String> {
    let fields = cx.fields();
    fields.require(&["token"])?;
    Ok(fields.text("token")?.unwrap_or_default())
}

/// What the request's token allows to read.
pub(super) fn download_permit(cx: &Cx, place: &Place) -> Result<Download> {
    let token = token(cx)?;
    // Older tokens have no scope.
    let in_scope = |claims: &Claims| match text(claims, "scope") {
        Some(scope) => scope == "download",
        None => !claims.contains_key("upsert"),
    };
    let claims = open(cx, &token, place, in_scope, "download")?;
    let expires = claims.get("exp").and_then(Value::as_i64);
    let date = expires.and_then(|e| e.checked_mul(1_000_000)).map(http_date);
    Ok(Download {
        expires: date.unwrap_or_else(|| "Invalid Date".into()),
        transformations: text(&claims, "transformations").map(str::to_owned),
    })
}

/// What the request's token allows to write.
pub(super) fn upload_permit(cx: &Cx, place: &Place) -> Result<Upload> {
    let token = token(cx)?;
    upload_token(cx, &token, place)
}

/// What a token allows to write.
pub(super) fn upload_token(cx: &Cx, token: &str, place: &Place) -> Result<Upload> {
    let in_scope = |claims: &Claims| match text(claims, "scope") {
        Some(scope) => scope == "upload",
        None => claims.contains_key("upsert"),
    };
    let claims = open(cx, token, place, in_scope, "upload")?;
    Ok(Upload {
        upsert: claims.get("upsert").and_then(Value::as_bool).unwrap_or_default(),
        owner: text(&claims, "owner").map(str::to_owned),
    })
}

/// Second at which a token ends that begins now.
fn expiry(fields: &Fields) -> Result<i64> {
    let seconds = fields.integer("expiresIn", 1, None)?.unwrap_or_default();
    let end = unix_now().checked_add(seconds).filter(|end| *end <= LAST_SECOND);
    end.ok_or_else(|| Fail::parameter("expiresIn"))
}

fn download_token(cx: &Cx, url: &str, end: i64, transform: Option<&Transform>) -> String {
    let mut claims = String::from("{");
    if let Some((steps, format)) = transform.map(Transform::claims) {
        let _ = write!(claims, r#""transformations":{},"#, Value::from(steps));
        if let Some(format) = format {
            let _ = write!(claims, r#""format":"{format}","#);
        }
    }
    let (url, now) = (Value::from(url), unix_now());
    let _ = write!(claims, r#""url":{url},"scope":"download","iat":{now},"exp":{end}}}"#);
    jwt::sign(&cx.service.settings.jwt_secret, r#"{"alg":"HS256"}"#, &claims)
}

/// `POST /object/sign/{bucket}/{key}`.
pub(super) async fn sign(cx: &mut Cx, place: &Place) -> Result<Reply> {
    let fields = cx.document().await?;
    fields.require(&["expiresIn"])?;
    fields.integer("expiresIn", 1, None)?;
    let transform = match fields.inner("transform")? {
        Some(inner) => Transform::from_fields(&inner)?,
        None => None,
    };
    let caller = cx.caller(NoHeader::Missing)?;
    let end = expiry(&fields)?;
    let exists = match cx.find_bucket(&place.bucket)? {
        Some(bucket) => bucket.object(&cx.service.storage.snapshot()?, &place.key)?.is_some(),
        None => false,
    };
    if !exists || !cx.service.frees(&caller) {
        return Err(Fail::no_object());
    }
    let url = format!("{}/{}", place.bucket, place.key);
    let token = download_token(cx, &url, end, transform.as_ref());
    let tree = if transform.is_some() { "render/image" } else { "object" };
    let url = Value::from(format!("/{tree}/sign/{url}?token={token}"));
    Ok(Reply::json(format!(r#"{{"signedURL":{url}}}"#)))
}

/// One line of the answer for many.
#[derive(serde::Serialize)]
struct Line<'a> {
    error: Option<&'static str>,
    path: &'a str,
    #[serde(rename = "signedURL")]
    signed_url: Option<String>,
}

/// `POST /object/sign/{bucket}`.
pub(super) async fn sign_many(cx: &mut Cx, bucket: &str) -> Result<Reply> {
    let fields = cx.document().await?;
    fields.require(&["expiresIn", "paths"])?;
    fields.integer("expiresIn", 1, None)?;
    let paths = fields.texts("paths", 1, Some(MAX_PATHS))?.unwrap_or_default();
    let caller = cx.caller(NoHeader::Missing)?;
    let end = expiry(&fields)?;
    let found = cx.find_bucket(bucket)?.filter(|_| cx.service.frees(&caller));
    let snapshot = cx.service.storage.snapshot()?;
    let mut lines = Vec::with_capacity(paths.len());
    for path in &paths {
        let exists = match &found {
            Some(bucket) => bucket.object(&snapshot, path)?.is_some(),
            None => false,
        };
        lines.push(if exists {
            let url = format!("{bucket}/{path}");
            let token = download_token(cx, &url, end, None);
            Line { error: None, path, signed_url: Some(format!("/object/sign/{url}?token={token}")) }
        } else {
            let error = "Either the object does not exist or you do not have access to it";
            Line { error: Some(error), path, signed_url: None }
        });
    }
    Ok(Reply::json(document(&lines)?))
}

/// `POST /object/upload/sign/{bucket}/{key}`.
pub(super) async fn sign_upload(cx: &mut Cx, place: &Place) -> Result<Reply> {
    cx.json(NoBody::Refused).await?;
    let caller = cx.caller(NoHeader::Missing)?;
    names::check_bucket(&place.bucket)?;
    let upsert = cx.upsert();
    let bucket = cx.find_bucket(&place.bucket)?.ok_or_else(Fail::no_related)?;
    let target = Target { bucket, key: place.key.clone(), upsert };
    target.check(&cx.service, &caller)?;
    let url = format!("{}/{}", place.bucket, place.key);
    let owner = match &caller.sub {
        Some(sub) => format!(r#""owner":{},"#, Value::from(sub.as_str())),
        None => String::new(),
    };
    let now = unix_now();
    let end = now.saturating_add_unsigned(cx.service.settings.signed_upload_lifetime.as_secs());
    let claims = format!(
        r#"{{{owner}"url":{},"upsert":{upsert},"scope":"upload","iat":{now},"exp":{end}}}"#,
        Value::from(url.as_str())
    );
    let token = jwt::sign(&cx.service.settings.jwt_secret, r#"{"alg":"HS256"}"#, &claims);
    let url = Value::from(format!("/object/upload/sign/{url}?token={token}"));
    Ok(Reply::json(format!(r#"{{"url":{url},"token":"{token}"}}"#)))
}

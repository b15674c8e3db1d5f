//! Uploads in one request: raw bodies and forms.

use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::Value;

use super::caller::Caller;
use super::cx::{Cx, NoHeader};
use super::error::{Fail, Result};
use super::form::{Form, boundary};
use super::names::{self, PLACEHOLDER};
use super::route::Place;
use super::rows::{Bucket, Object};
use super::sign;
use super::store::{About, Receiver, Target};
use super::time::uuid;
use crate::aistore::reply::Reply;

/// Fields that a form may have beside the file.
const MAX_FIELDS: usize = 10;

/// `POST` and `PUT /object/{bucket}/{key}`.
pub(super) async fn upload(cx: &mut Cx, place: &Place) -> Result<Reply> {
    let caller = cx.caller(NoHeader::Missing)?;
    let upsert = cx.method == Method::PUT || cx.upsert();
    let object = receive(cx, place, upsert, Some(&caller), caller.sub.clone()).await?;
    let key = Value::from(format!("{}/{}", place.bucket, place.key));
    Ok(Reply::json(format!(r#"{{"Key":{key},"Id":"{}"}}"#, object.id)))
}

/// `PUT /object/upload/sign/{bucket}/{key}`.
pub(super) async fn upload_signed(cx: &mut Cx, place: &Place) -> Result<Reply> {
    let permit = sign::upload_permit(cx, place)?;
    receive(cx, place, permit.upsert, None, permit.owner).await?;
    let key = Value::from(format!("{}/{}", place.bucket, place.key));
    Ok(Reply::json(format!(r#"{{"Key":{key}}}"#)))
}

/// The most bytes that an object of this key may have.
pub(super) fn size_limit(cx: &Cx, bucket: &Bucket, key: &str) -> u64 {
    if key.ends_with(PLACEHOLDER) {
        return 0;
    }
    let global = cx.service.settings.file_size_limit;
    bucket.file_size_limit.map_or(global, |limit| limit.min(global))
}

/// Checks a media type against the bucket's rules.
pub(super) fn check_mime(bucket: &Bucket, key: &str, mime: &str) -> Result<()> {
    match &bucket.allowed_mime_types {
        Some(rules) if !rules.is_empty() && !key.ends_with(PLACEHOLDER) => names::check_mime(mime, rules),
        _ => Ok(()),
    }
}

/// Stores what the request carries; without a caller, rights were checked when the URL was signed.
async fn receive(
    cx: &mut Cx,
    place: &Place,
    upsert: bool,
    caller: Option<&Caller>,
    owner: Option<String>,
) -> Result<Object> {
    let bucket = cx.bucket(&place.bucket)?;
    let robots = cx.text("x-robots-tag");
    if let Some(tag) = &robots {
        names::check_robots(tag)?;
    }
    let limit = size_limit(cx, &bucket, &place.key);
    let target = Target { bucket, key: place.key.clone(), upsert };
    let about = About { mimetype: String::new(), cache_control: None, robots, user_metadata: None, owner };
    let kind = cx.text(CONTENT_TYPE.as_str());
    match kind.as_deref().filter(|k| k.starts_with("multipart/form-data")).map(boundary) {
        Some(boundary) => from_form(cx, target, about, limit, caller, boundary).await,
        None => from_body(cx, target, about, limit, caller, kind).await,
    }
}

fn before_bytes(cx: &Cx, target: &Target, caller: Option<&Caller>) -> Result<()> {
    names::check_key(&target.key)?;
    target.check(&cx.service, caller.unwrap_or(&Caller::service()))?;
    target.check_key(&cx.service, &uuid())
}

async fn from_body(
    cx: &mut Cx,
    target: Target,
    about: About,
    limit: u64,
    caller: Option<&Caller>,
    kind: Option<String>,
) -> Result<Object> {
    let mimetype = kind.unwrap_or_else(|| "application/octet-stream".into());
    check_mime(&target.bucket, &target.key, &mimetype)?;
    if cx.body.known_len().is_some_and(|n| n > limit) {
        return Err(Fail::too_large());
    }
    before_bytes(cx, &target, caller)?;
    let about = About {
        mimetype,
        cache_control: cx.text(CACHE_CONTROL.as_str()),
        user_metadata: Some(cx.user_metadata().unwrap_or_else(|| Value::Object(serde_json::Map::new()))),
        ..about
    };
    let mut receiver = Receiver::new(&cx.service, limit, cx.plan.no_space_at())?;
    receiver.take(&mut cx.body).await?;
    let (body, stored) = receiver.finish()?;
    target.commit(&cx.service, body, stored, about).await
}

/// Text fields of a form.
#[derive(Debug, Default)]
struct Texts {
    cache_control: Option<String>,
    metadata: Option<String>,
    user_metadata: Option<String>,
    content_type: Option<String>,
    seen: usize,
}

impl Texts {
    async fn take(&mut self, name: &str, form: &mut Form<'_>) -> Result<()> {
        let value = form.field().await?;
        self.seen += 1;
        if self.seen > MAX_FIELDS {
            return Err(Fail::request("reach fields limit").close());
        }
        let place = match name {
            "cacheControl" => &mut self.cache_control,
            "metadata" => &mut self.metadata,
            "userMetadata" => &mut self.user_metadata,
            "contentType" => &mut self.content_type,
            _ => return Ok(()),
        };
        *place = Some(value);
        Ok(())
    }

    fn user_metadata(&self) -> Value {
        let text = self.metadata.as_ref().or(self.user_metadata.as_ref());
        let value = text.and_then(|t| serde_json::from_str::<Value>(t).ok()).filter(Value::is_object);
        value.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    fn cache_control(&self) -> Option<String> {
        let value = self.cache_control.as_deref().filter(|v| !v.is_empty())?;
        Some(format!("max-age={value}"))
    }
}

async fn from_form(
    cx: &mut Cx,
    target: Target,
    about: About,
    limit: u64,
    caller: Option<&Caller>,
    boundary: Option<String>,
) -> Result<Object> {
    let nothing = || Fail::request("No content provided");
    let boundary = boundary.ok_or_else(nothing)?;
    // Checks need the rest of the request while the form borrows its body.
    let service = std::sync::Arc::clone(&cx.service);
    let no_space_at = cx.plan.no_space_at();
    if cx.body.known_len() == Some(0) {
        return Err(nothing());
    }
    let mut texts = Texts::default();
    let mut form = Form::new(&mut cx.body, &boundary);
    let part = loop {
        let head = form.next().await?.ok_or_else(nothing)?;
        if head.filename.is_some() {
            break head;
        }
        texts.take(&head.name, &mut form).await?;
    };
    let own = part.content_type.as_deref().map_or_else(|| "text/plain".into(), bare_type);
    check_mime(&target.bucket, &target.key, texts.content_type.as_ref().unwrap_or(&own))?;
    names::check_key(&target.key)?;
    target.check(&service, caller.unwrap_or(&Caller::service()))?;
    target.check_key(&service, &uuid())?;
    let mut receiver = Receiver::new(&service, limit, no_space_at)?;
    let mut excess = false;
    while let Some(bytes) = form.chunk().await? {
        // What is too long is read to its end all the same, and then refused.
        excess = excess || receiver.write(&bytes).map_or_else(too_large, |()| Ok(false))?;
    }
    while let Some(head) = form.next().await? {
        if head.filename.is_none() {
            texts.take(&head.name, &mut form).await?;
        }
    }
    if excess {
        return Err(Fail::too_large());
    }
    let about = About {
        mimetype: texts.content_type.clone().unwrap_or(own),
        cache_control: texts.cache_control(),
        user_metadata: Some(texts.user_metadata()),
        ..about
    };
    let (body, stored) = receiver.finish()?;
    target.commit(&service, body, stored, about).await
}

/// The type of a part without parameters, in lower case: what the original's parser makes of it.
fn bare_type(header: &str) -> String {
    header.split(';').next().unwrap_or(header).trim().to_ascii_lowercase()
}

/// True for the refusal of a body that is too long; other errors stay.
fn too_large(fail: Fail) -> Result<bool> {
    if fail.status == 413 { Ok(true) } else { Err(fail) }
}

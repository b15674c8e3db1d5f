//! Resumable uploads: tus 1.0.0 with creation, creation-with-upload, deferred length, termination and expiration.
//!
//! What arrives is committed at least once per mebibyte, so that a killed server or a broken connection loses little,
//! and `HEAD` never tells of bytes that are not there.

mod answer;
mod append;
mod create;
mod lock;
mod metadata;
mod upload;

pub(super) use lock::Locks;
pub(super) use upload::drop_uploads;

use futures_util::StreamExt as _;
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, CONNECTION};
use http::{HeaderValue, Method, StatusCode};

use super::caller::Caller;
use super::cx::{Cx, NoHeader};
use super::error::{Fail, Result};
use super::route::Place;
use super::rows::Bucket;
use super::store::Target;
use super::{names, sign};
use crate::aistore::reply::Reply;
use crate::http::Source;
use answer::{failed, ok, refused_header};
use metadata::Metadata;
use upload::Upload;

/// Who writes, and what was settled when the URL was signed.
#[derive(Clone, Debug)]
struct Writer {
    caller: Caller,
    /// A signed URL settles this; otherwise it is asked for by each request.
    upsert: bool,
    owner: Option<String>,
    signed: bool,
}

/// `/upload/resumable`.
pub(super) async fn handle(cx: &mut Cx, signed: bool, id: Option<String>) -> Result<Reply> {
    if cx.method == Method::OPTIONS {
        return Ok(options(cx));
    }
    // A token that is no good is answered before the protocol is looked at.
    let caller = if signed { None } else { Some(cx.caller(NoHeader::BadToken).map_err(Fail::unordered)?) };
    if let Some(refused) = refused_header(cx) {
        return Ok(refused);
    }
    let result = match (cx.method.as_str(), id) {
        ("POST", None) => create::create(cx, caller).await,
        ("HEAD", Some(id)) => head(cx, caller, &id).await,
        ("PATCH", Some(id)) => append::append(cx, caller, &id).await,
        ("DELETE", Some(id)) => terminate(cx, caller, &id).await,
        _ => Err(problem(404, "Not found\n")),
    };
    match result {
        Err(fail) if !fail.abort => Ok(closed_if_patch(cx, failed(&fail))),
        other => other,
    }
}

/// A failed PATCH ends its connection: the rest of its body is of no use.
fn closed_if_patch(cx: &Cx, mut reply: Reply) -> Reply {
    if cx.method == Method::PATCH {
        reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// A refusal of the protocol itself.
fn problem(status: u16, message: &str) -> Fail {
    Fail::new(status, "TusError", message, "TusError")
}

fn not_found() -> Fail {
    problem(404, "The file for this url was not found\n")
}

fn gone() -> Fail {
    problem(410, "The file for this url no longer exists\n")
}

fn options(cx: &Cx) -> Reply {
    const MORE: &str = "Authorization, X-Upsert, Upload-Expires, ApiKey, x-signature";
    let allowed = format!("{} {MORE}", answer::EXPOSED);
    ok(StatusCode::NO_CONTENT)
        .with(ACCESS_CONTROL_ALLOW_HEADERS, &allowed)
        .with(http::header::ACCESS_CONTROL_ALLOW_METHODS, "POST, HEAD, PATCH, OPTIONS, DELETE")
        .with(http::header::ACCESS_CONTROL_MAX_AGE, "86400")
        .with(
            answer::TUS_EXTENSION,
            "creation,creation-with-upload,creation-defer-length,termination,expiration",
        )
        .with(answer::TUS_MAX_SIZE, &cx.service.settings.file_size_limit.to_string())
        .with(answer::TUS_VERSION, "1.0.0")
}

impl Writer {
    /// Who writes to a place: the caller, or the bearer of a signature for it.
    fn find(cx: &Cx, caller: Option<Caller>, place: &Place) -> Result<Self> {
        if let Some(caller) = caller {
            let owner = caller.sub.clone();
            return Ok(Self { caller, upsert: cx.upsert(), owner, signed: false });
        }
        let token = cx.header("x-signature").ok_or_else(|| Fail::request("Missing x-signature header"))?;
        let permit = sign::upload_token(cx, token, place)?;
        Ok(Self {
            caller: Caller::service(),
            // Duplicates are looked for when the URL is signed, and not again.
            upsert: true,
            owner: permit.owner,
            signed: true,
        })
    }

    /// Where the object goes, if the writer may write there.
    fn target(&self, cx: &Cx, place: &Place) -> Result<Target> {
        names::check_bucket(&place.bucket)?;
        let bucket =
            Bucket::find(&cx.service.storage.snapshot()?, &place.bucket)?.ok_or_else(Fail::no_bucket)?;
        let target = Target { bucket, key: place.key.clone(), upsert: self.upsert };
        target.check(&cx.service, &self.caller)?;
        Ok(target)
    }
}

async fn head(cx: &Cx, caller: Option<Caller>, id: &str) -> Result<Reply> {
    let (place, version) = upload::decode_id(id)?;
    Writer::find(cx, caller, &place)?;
    let held = cx.service.uploads.acquire(&version, cx.service.settings.lock_wait).await?;
    let upload = Upload::find(cx, &place, &version)?;
    drop(held);
    let mut reply = ok(StatusCode::OK)
        .with(http::header::CONTENT_TYPE, answer::PLAIN)
        .with(http::header::CACHE_CONTROL, "no-store")
        .with(answer::UPLOAD_OFFSET, &upload.offset.to_string())
        .with(answer::UPLOAD_METADATA, &upload.metadata);
    match upload.length {
        Some(length) => reply.set(answer::UPLOAD_LENGTH, &length.to_string()),
        None => reply.set(answer::UPLOAD_DEFER_LENGTH, "1"),
    }
    upload.set_expiry(cx, &mut reply);
    // No length is told: it would not be the upload's.
    Ok(reply.source(Source::stream(None, futures_util::stream::empty().boxed())))
}

async fn terminate(cx: &Cx, caller: Option<Caller>, id: &str) -> Result<Reply> {
    let (place, version) = upload::decode_id(id)?;
    Writer::find(cx, caller, &place)?.target(cx, &place)?;
    let held = cx.service.uploads.acquire(&version, cx.service.settings.lock_wait).await?;
    let upload = Upload::find(cx, &place, &version)?;
    if upload.complete {
        return Err(problem(400, "Cannot terminate an already completed upload"));
    }
    let key = Upload::row_key(&version);
    cx.service.storage.write(move |tables| tables.remove_row::<Upload>(&key)).await?;
    held.forget();
    Ok(ok(StatusCode::NO_CONTENT))
}

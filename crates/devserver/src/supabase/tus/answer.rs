//! Headers of the protocol, and how its answers look.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE};
use http::{HeaderName, Method, StatusCode};

use super::metadata::Metadata;
use crate::aistore::reply::Reply;
use crate::supabase::cx::Cx;
use crate::supabase::error::Fail;

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(super) const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const TUS_COMPLETE: HeaderName = HeaderName::from_static("tus-complete");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");

pub(super) const VERSION: &str = "1.0.0";
pub(super) const PLAIN: &str = "text/plain;charset=UTF-8";
/// The type of bytes that belong to an upload.
pub(super) const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// Headers that scripts in browsers may see.
pub(super) const EXPOSED: &str = "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, \
     Tus-Resumable, Tus-Version, Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, \
     X-HTTP-Method-Override, X-Requested-With, X-Forwarded-Host, X-Forwarded-Proto, Forwarded,";

fn bare(status: StatusCode) -> Reply {
    Reply::new(status).with(TUS_RESUMABLE, VERSION)
}

/// An answer without a body.
pub(super) fn ok(status: StatusCode) -> Reply {
    bare(status).with(ACCESS_CONTROL_ALLOW_ORIGIN, "*").with(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)
}

/// A refusal: the reason as text, with its own status.
pub(super) fn failed(fail: &Fail) -> Reply {
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ok(status).with(CONTENT_TYPE, PLAIN).body(fail.message.clone())
}

/// The refusal of a request whose headers are not those of the protocol; such answers are not for scripts.
pub(super) fn refused_header(cx: &Cx) -> Option<Reply> {
    let refused = |status, text: String| Some(bare(status).with(CONTENT_TYPE, PLAIN).body(text));
    if cx.header(TUS_RESUMABLE.as_str()).is_none() {
        return refused(StatusCode::PRECONDITION_FAILED, "Tus-Resumable Required\n".into());
    }
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let good = |name: &HeaderName, text: &str| match name.as_str() {
        "tus-resumable" => text == VERSION,
        "upload-offset" | "upload-length" => whole(text),
        "upload-defer-length" => text == "1",
        "upload-metadata" => Metadata::parse(text).is_some(),
        // The type of other requests counts as absent.
        "content-type" => cx.method != Method::PATCH || text == OFFSET_STREAM,
        _ => true,
    };
    let checked = [
        &TUS_RESUMABLE,
        &UPLOAD_OFFSET,
        &UPLOAD_LENGTH,
        &UPLOAD_DEFER_LENGTH,
        &UPLOAD_METADATA,
        &CONTENT_TYPE,
    ];
    let name = checked.into_iter().find(|name| {
        cx.headers.get(*name).is_some_and(|value| !value.to_str().is_ok_and(|text| good(name, text)))
    })?;
    refused(StatusCode::BAD_REQUEST, format!("Invalid {name}\n"))
}

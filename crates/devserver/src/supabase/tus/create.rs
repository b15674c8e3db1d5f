//! Making an upload, with its first bytes or without.

use http::StatusCode;
use http::header::{CONTENT_TYPE, HOST, LOCATION};

use super::answer::{
    OFFSET_STREAM, PLAIN, TUS_COMPLETE, UPLOAD_DEFER_LENGTH, UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_OFFSET,
    ok,
};
use super::upload::{Upload, encode_id};
use super::{Metadata, Writer, append, problem};
use crate::aistore::reply::Reply;
use crate::supabase::caller::Caller;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::names;
use crate::supabase::route::Place;
use crate::supabase::time::{now, uuid};
use crate::supabase::upload::{check_mime, size_limit};

pub(super) fn too_large() -> Fail {
    problem(413, "Maximum size exceeded\n")
}

/// `POST`.
pub(super) async fn create(cx: &mut Cx, caller: Option<Caller>) -> Result<Reply> {
    if cx.header("upload-concat").is_some() {
        let message =
            "Concatenation extension is not (yet) supported. Disable parallel uploads in the tus client.\n";
        return Err(problem(501, message));
    }
    let length = cx.header(UPLOAD_LENGTH.as_str()).map(|n| n.parse::<u64>().unwrap_or(u64::MAX));
    if length.is_some() == cx.header(UPLOAD_DEFER_LENGTH.as_str()).is_some() {
        return Err(problem(400, "Upload-Length or Upload-Defer-Length header required\n"));
    }
    let header =
        cx.header(UPLOAD_METADATA.as_str()).ok_or_else(|| Fail::request("Metadata header is required"))?;
    let metadata = Metadata::parse(header).unwrap_or_default();
    let text = |name: &str| metadata.get(name).unwrap_or_default().to_owned();
    let place = Place { bucket: text("bucketName"), key: text("objectName") };
    names::check_bucket(&place.bucket)?;
    names::check_key(&place.key)?;
    let writer = Writer::find(cx, caller, &place)?;
    let target = writer.target(cx, &place)?;
    let version = uuid();
    target.check_key(&cx.service, &version)?;
    let limit = size_limit(cx, &target.bucket, &place.key);
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mimetype = metadata.get("contentType").map(str::to_owned);
    if let Some(mime) = &mimetype {
        check_mime(&target.bucket, &place.key, mime)?;
    }
    let upload = Upload {
        bucket: place.bucket.clone(),
        number: target.bucket.number,
        key: place.key.clone(),
        version: version.clone(),
        length,
        offset: 0,
        mimetype: mimetype.unwrap_or_else(|| "application/octet-stream".into()),
        cache_control: metadata.cache_control(),
        user_metadata: metadata.user(),
        metadata: metadata.told(),
        owner: writer.owner.clone(),
        created_at: now(),
        complete: false,
    };
    let (key, row) = (Upload::row_key(&version), upload.clone());
    cx.service.storage.write(move |tables| tables.put_row(&key, &row, &[])).await?;
    let mut reply = ok(StatusCode::CREATED)
        .with(CONTENT_TYPE, PLAIN)
        .with(LOCATION, &location(cx, writer.signed, &encode_id(&place, &version)));
    let with_bytes = cx.header(CONTENT_TYPE.as_str()) == Some(OFFSET_STREAM);
    let upload = if with_bytes || length == Some(0) {
        append::receive(cx, &target, upload, limit).await?
    } else {
        upload
    };
    if with_bytes {
        reply.set(UPLOAD_OFFSET, &upload.offset.to_string());
    }
    if upload.complete {
        reply.set(TUS_COMPLETE, "1");
    }
    upload.set_expiry(cx, &mut reply);
    Ok(reply)
}

/// The absolute URL of an upload, as the client sees this server.
fn location(cx: &Cx, signed: bool, id: &str) -> String {
    let forwarded = |name: &str| {
        let header = cx.header("forwarded")?.split(',').next()?;
        let pair = header
            .split(';')
            .filter_map(|p| p.split_once('='))
            .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))?;
        Some(pair.1.trim().trim_matches('"').to_owned())
    };
    let named = |name: &str| cx.header(name).map(|v| v.split(',').next().unwrap_or(v).trim().to_owned());
    let proto = forwarded("proto").or_else(|| named("x-forwarded-proto")).filter(|p| p == "https");
    let host = forwarded("host").or_else(|| {
        let host = named("x-forwarded-host")?;
        let port = named("x-forwarded-port").filter(|p| p != "80" && p != "443" && !host.contains(':'));
        Some(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
    });
    let host = host.or_else(|| cx.text(HOST.as_str())).unwrap_or_default();
    let proto = proto.as_deref().unwrap_or("http");
    let sign = if signed { "sign/" } else { "" };
    format!("{proto}://{host}{}/upload/resumable/{sign}{id}", cx.prefix)
}

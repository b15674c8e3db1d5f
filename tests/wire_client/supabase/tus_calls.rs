//! Calls of resumable uploads.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use longshore_core_types::Result;
use longshore_supabase::{Client, Resumable};
use serde_json::{Map, Value, json};

use super::{calls::Call, wanted};
use crate::recorded::{Body, Request, Response};

/// What lets the request in.
#[derive(Clone)]
enum Permit {
    Caller(bool),
    Token(String),
}

impl Permit {
    fn on(self, resumable: Resumable) -> Resumable {
        match self {
            Self::Caller(upsert) => resumable.upsert(upsert),
            Self::Token(token) => resumable.token(token),
        }
    }
}

pub(crate) fn read(request: &Request, segments: &[&str]) -> Option<Call> {
    (request.header("tus-resumable")? == "1.0.0" && !request.path.contains('?')).then_some(())?;
    let (signed, rest) = match segments[2..] {
        ["sign", ref rest @ ..] => (true, rest),
        ref rest => (false, rest),
    };
    let permit = match (signed, request.header("x-signature")) {
        (true, Some(token)) => Permit::Token(token.to_owned()),
        (false, None) => Permit::Caller(request.header("x-upsert") == Some("true")),
        _ => return None,
    };
    match (request.method.as_str(), rest) {
        ("POST", []) => create(request, permit),
        (method, [id]) if !id.is_empty() => on_upload(request, method, (*id).to_owned(), permit),
        _ => None,
    }
}

fn create(request: &Request, permit: Permit) -> Option<Call> {
    // The client sends no bytes with it, and knows no further extension.
    (request.header("content-type").is_none() && request.header("upload-concat").is_none()).then_some(())?;
    let length = match (request.header("upload-length"), request.header("upload-defer-length")) {
        (Some(length), None) => Some(length.parse::<u64>().ok()?),
        (None, Some("1")) => None,
        _ => return None,
    };
    let mut pairs = Map::new();
    for pair in request.header("upload-metadata")?.split(',') {
        let (name, value) = pair.split_once(' ')?;
        let value = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        pairs.insert(name.to_owned(), value.into());
    }
    let mut take = |name: &str| pairs.remove(name).and_then(|value| value.as_str().map(str::to_owned));
    let (bucket, key) = (take("bucketName")?, take("objectName")?);
    let (kind, cache) = (take("contentType"), take("cacheControl"));
    if cache.as_deref().is_some_and(|cache| cache.parse::<u64>().is_err()) {
        return None;
    }
    let metadata = match take("metadata") {
        None => None,
        Some(text) => Some(serde_json::from_str::<Value>(&text).ok()?.as_object()?.clone()),
    };
    pairs.is_empty().then_some(())?;
    Some(Call::new(wanted::begun, move |client| async move {
        let mut resumable = permit.on(client.bucket(bucket)?.resumable(key));
        if let Some(kind) = kind {
            resumable = resumable.content_type(kind);
        }
        if let Some(cache) = cache {
            resumable = resumable.cache_control(format!("max-age={cache}"));
        }
        if let Some(metadata) = metadata {
            resumable = resumable.metadata(metadata);
        }
        Ok(json!(resumable.create(length).await?.id()))
    }))
}

fn begun(client: &Client, id: &str, permit: Permit) -> Result<longshore_supabase::ResumableUpload> {
    let decoded = URL_SAFE_NO_PAD.decode(id).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (bucket, key) = match decoded.as_deref().and_then(|text| text.split_once('/')) {
        Some((bucket, rest)) => (bucket, rest.rsplit_once('/').map_or(rest, |(key, _)| key)),
        // An id that names nothing is for the client to refuse.
        None => ("bucket", "key"),
    };
    permit.on(client.bucket(bucket)?.resumable(key)).resume(id)
}

fn on_upload(request: &Request, method: &str, id: String, permit: Permit) -> Option<Call> {
    match method {
        "HEAD" => Some(Call::new(wanted::progress, move |client| async move {
            let progress = begun(&client, &id, permit)?.progress().await?;
            Ok(json!([progress.offset, progress.length]))
        })),
        "PATCH" => {
            let sent = request.header("content-type")? == "application/offset+octet-stream";
            // The length of the whole goes with bytes of it never, and alone after a question.
            (sent && request.header("upload-length").is_none()).then_some(())?;
            let start: u64 = request.header("upload-offset")?.parse().ok()?;
            let Body::Bytes(body) = request.body() else { return None };
            Some(Call::new(wanted::reached, move |client| async move {
                let end = begun(&client, &id, permit)?.send(start, body).await?;
                Ok(json!(end))
            }))
        }
        "DELETE" => {
            let mut call = Call::new(wanted::nothing, move |client| async move {
                begun(&client, &id, permit)?.abort().await.map(|()| Value::Null)
            });
            // Where an object is in the way, it is asked once more with the right to replace it.
            call.afterwards.push(Response {
                status: 400,
                headers: std::collections::BTreeMap::new(),
                body: "Cannot terminate an already completed upload".into(),
            });
            Some(call)
        }
        _ => None,
    }
}

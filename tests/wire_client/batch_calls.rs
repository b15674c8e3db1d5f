//! Reads of many objects.

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use longshore_aistore::{ArchiveFormat, BatchItem, BucketRef, Provider};
use longshore_core_types::{ErrorKind, Result};
use serde_json::{Value, json};

use crate::{
    calls::{Call, Pairs},
    recorded::Request,
    wanted,
};

struct Input {
    bucket: BucketRef,
    name: String,
    member: Option<String>,
    start: u64,
    length: Option<u64>,
    opaque: Option<Vec<u8>>,
}

fn input(value: &Value) -> Option<Input> {
    let mut map = value.as_object()?.clone();
    let mut text = |name: &str| map.remove(name).and_then(|value| value.as_str().map(str::to_owned));
    let (name, bucket, provider) = (text("objname")?, text("bucket")?, text("provider")?);
    let member = text("archpath");
    let opaque = match text("opaque") {
        Some(text) => Some(STANDARD.decode(text).ok()?),
        None => None,
    };
    let start = map.remove("start").map_or(Some(0), |value| value.as_u64())?;
    let length = match map.remove("length") {
        // To the end, which the client says where there is a start.
        Some(value) if value == -1 && start > 0 => None,
        Some(value) => Some(value.as_u64()?),
        None => None,
    };
    (map.is_empty() && (start == 0 || value.get("length").is_some())).then_some(())?;
    // A member and a range at once is nothing that the client asks for.
    (member.is_none() || (start == 0 && length.is_none())).then_some(())?;
    let provider = Provider::ALL.into_iter().find(|known| known.as_str() == provider)?;
    Some(Input { bucket: BucketRef::new(provider, bucket).ok()?, name, member, start, length, opaque })
}

pub(crate) fn batch_call(request: &Request, bucket: &str, mut pairs: Pairs) -> Option<Call> {
    (request.method == "GET").then_some(())?;
    let mut body = request.json().as_object()?.clone();
    let inputs: Vec<Input> = body.remove("in")?.as_array()?.iter().map(input).collect::<Option<_>>()?;
    let mime = body.remove("mime")?;
    let (go_on, names_only) = (body.remove("coer")?.as_bool()?, body.remove("onob")?.as_bool()?);
    let streaming = body.remove("strm")?.as_bool()?;
    body.is_empty().then_some(())?;
    let format = ArchiveFormat::ALL.into_iter().find(|format| mime == format.as_str())?;
    let named = match bucket {
        "" => None,
        name => {
            let provider = pairs.take("provider")?;
            let provider = Provider::ALL.into_iter().find(|known| known.as_str() == provider)?;
            Some(BucketRef::new(provider, name).ok()?)
        }
    };
    pairs.end()?;
    let want = match (format == ArchiveFormat::Tar, streaming) {
        (true, true) => wanted::batch,
        (true, false) => wanted::described_batch,
        (false, true) => wanted::archive,
        (false, false) => wanted::described_archive,
    };
    Some(Call::new(want, move |client| async move {
        let mut call = client.batch().continue_on_error(go_on).names_only(names_only).described(!streaming);
        if let Some(bucket) = &named {
            call = call.bucket(bucket);
        }
        for input in inputs {
            let object = client.bucket_ref(input.bucket).object(input.name)?;
            call = match (input.member, input.start, input.length) {
                (Some(member), ..) => call.member(&object, member),
                (None, 0, None) => call.object(&object),
                // The recorded calls ask for nothing else first; their object has ten bytes.
                (None, start, length) => call.range_of(&object, 10, start, length),
            };
            if let Some(opaque) = input.opaque {
                call = call.opaque(opaque);
            }
        }
        if format != ArchiveFormat::Tar {
            let chunks: Vec<Result<bytes::Bytes>> = call.raw(format).await?.collect().await;
            let chunks: Vec<bytes::Bytes> = chunks.into_iter().collect::<Result<_>>()?;
            return Ok(wanted::digest(&chunks.concat()));
        }
        let mut items = call.await?;
        let mut all = Vec::new();
        while let Some(BatchItem { result, .. }) = items.next().await {
            all.push(match result {
                Ok(result) => wanted::digest(&result.bytes().await?),
                Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable && error.attempts() == 0 => {
                    return Err(error);
                }
                Err(error) => match error.kind() {
                    ErrorKind::NotFound => json!(["missing"]),
                    ErrorKind::Unavailable => json!(["stopped"]),
                    ErrorKind::RangeNotSatisfiable => json!(["other length"]),
                    kind => json!([format!("{kind:?}")]),
                },
            });
        }
        Ok(all.into())
    }))
}

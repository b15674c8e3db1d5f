//! Calls on objects.

use std::{collections::BTreeMap, num::NonZeroU64};

use longshore_aistore::{
    ArchiveFormat, ArchiveMode, BlobRead, BucketRef, EtlCall, HeadProp, Presence, Provider,
};
use longshore_blob_api::{
    BlobStore, GetOptions, MultipartId, MultipartRef, PartNumber, PartReceipt, PutOptions,
};
use longshore_core_types::{ByteRange, Checksum, ChecksumKind, ErrorKind, Namespace, ObjectKey, Payload};
use serde_json::{Value, json};

use crate::{
    calls::{Call, Pairs, Place},
    recorded::{Request, Response},
    wanted,
};

fn bytes(request: &Request) -> Payload {
    Payload::from(request.body().bytes())
}

/// Headers that change what an object call means.
pub(crate) fn only_headers(request: &Request, allowed: &[&str]) -> Option<()> {
    let meant = ["range", "if-match", "if-none-match", "if-modified-since", "if-range", "expect"];
    let is_meant = |name: &str| meant.contains(&name) || name.starts_with("ais-");
    let odd = request.headers.keys().find(|name| is_meant(name) && !allowed.contains(&name.as_str()));
    odd.is_none().then_some(())
}

pub(crate) fn object_call(
    request: &Request,
    place: Place,
    name: String,
    mut pairs: Pairs,
    verify: bool,
) -> Option<Call> {
    match request.method.as_str() {
        "HEAD" => head(request, place, name, pairs),
        "GET" => get(request, place, name, pairs, verify),
        "PUT" if pairs.0.iter().any(|(key, _)| key == "object_to") => copy(request, place, name, pairs),
        "PUT" if pairs.0.iter().any(|(key, _)| key == "uploadId") => part(request, place, &name, pairs),
        "PUT" if pairs.0.iter().any(|(key, _)| key == "append_type") => append(request, place, name, pairs),
        "PUT" => put(request, place, name, pairs),
        "PATCH" => {
            only_headers(request, &[])?;
            let replace = pairs.flag("set-new-custom")?;
            pairs.end()?;
            let (action, of, value) = action(request)?;
            (action.is_empty() && of.is_empty()).then_some(())?;
            let custom: BTreeMap<String, String> = serde_json::from_value(value).ok()?;
            Some(Call::new(wanted::nothing, move |client| async move {
                let object = place.object(&client, &name)?;
                if replace {
                    object.replace_custom(&custom).await?;
                } else {
                    object.set_custom(&custom).await?;
                }
                Ok(Value::Null)
            }))
        }
        "DELETE" => delete(request, place, name, pairs),
        "POST" => object_action(request, place, name, pairs),
        _ => None,
    }
}

/// Action, name and value of an action message, all three of them there.
pub(crate) fn action(request: &Request) -> Option<(String, String, Value)> {
    let Value::Object(mut map) = request.json() else { return None };
    let text = |value: Value| value.as_str().map(str::to_owned);
    let parts =
        (map.remove("action").and_then(text)?, map.remove("name").and_then(text)?, map.remove("value")?);
    map.is_empty().then_some(parts)
}

fn head(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    let props = match pairs.take("props") {
        None => None,
        Some(text) => {
            let find = |word: &str| HeadProp::ALL.iter().copied().find(|prop| prop.as_str() == word);
            Some(text.split(',').map(find).collect::<Option<Vec<_>>>()?)
        }
    };
    let presence = match pairs.take("presence") {
        None => None,
        Some(number) => Some(presence(&number)?),
    };
    let latest = pairs.flag("latest-ver")?;
    pairs.end()?;
    let Some(props) = props else {
        (presence.is_none() && !latest).then_some(())?;
        return Some(Call::new(wanted::object_head, move |client| async move {
            Ok(wanted::props(&place.object(&client, &name)?.head_v1().await?))
        }));
    };
    Some(Call::new(wanted::object_head, move |client| async move {
        let mut call = place.object(&client, &name)?.head_with().props(props).latest(latest);
        if let Some(presence) = presence {
            call = call.presence(presence);
        }
        Ok(wanted::props(&call.await?))
    }))
}

pub(crate) fn presence(number: &str) -> Option<Presence> {
    Some(match number {
        "0" => Presence::Exists,
        "1" => Presence::ExistsNoProps,
        "2" => Presence::Present,
        "3" => Presence::PresentNoProps,
        "4" => Presence::PresentInCluster,
        "5" => Presence::Outside,
        _ => return None,
    })
}

/// A `Range` header that the client can write, or would refuse to.
fn range(header: &str) -> Option<ByteRange> {
    let spec = header.strip_prefix("bytes=")?;
    if spec.is_empty() {
        return Some(ByteRange::Bounded { start: 0, end: 0 });
    }
    let (first, last) = spec.split_once('-')?;
    Some(match (first.is_empty(), last.is_empty()) {
        (false, false) => {
            ByteRange::Bounded { start: first.parse().ok()?, end: last.parse::<u64>().ok()?.checked_add(1)? }
        }
        (false, true) => ByteRange::From(first.parse().ok()?),
        (true, false) => ByteRange::Suffix(last.parse().ok()?),
        (true, true) => return None,
    })
}

fn get(request: &Request, place: Place, name: String, mut pairs: Pairs, verify: bool) -> Option<Call> {
    only_headers(
        request,
        &[
            "range",
            "if-match",
            "if-none-match",
            "ais-blob-download",
            "ais-blob-threshold",
            "ais-blob-workers",
        ],
    )?;
    let range = match request.header("range") {
        None => None,
        Some(header) => Some(range(header)?),
    };
    if request.header("if-match").is_some() || request.header("if-none-match").is_some() {
        pairs.end()?;
        let mut options = GetOptions::default();
        options.if_match = request.header("if-match").map(str::to_owned);
        options.if_none_match = request.header("if-none-match").map(str::to_owned);
        let key = ObjectKey::new(name).ok()?;
        return Some(Call::new(wanted::nothing, move |client| async move {
            place.bucket(&client)?.store().get(&key, options).await.map(|_| Value::Null)
        }));
    }
    let (member, pattern) = (pairs.take("archpath"), pairs.take("archregx"));
    let mode = match pairs.take("archmode") {
        None => None,
        Some(word) => Some(archive_mode(&word)?),
    };
    let format = match pairs.take("archmime") {
        None => None,
        Some(word) => Some(ArchiveFormat::ALL.into_iter().find(|format| format.as_str() == word)?),
    };
    (mode.is_some() == pattern.is_some()).then_some(())?;
    (member.is_none() || pattern.is_none()).then_some(())?;
    let etl = etl(&mut pairs);
    let (latest, validate) = (pairs.flag("latest-ver")?, pairs.flag("validate-checksum")?);
    let blob = blob(request, place.is_remote())?;
    pairs.end()?;
    Some(Call::new(wanted::object_get, move |client| async move {
        // Where the recording kept only the length of the body, its checksum cannot be verified.
        let mut call =
            place.object(&client, &name)?.get().verify(verify).latest(latest).validate_checksum(validate);
        if let Some(range) = range {
            call = call.range(range);
        }
        if let Some(member) = member {
            call = call.archpath(member);
        }
        if let (Some(mode), Some(pattern)) = (mode, pattern) {
            call = call.matching(mode, pattern);
        }
        if let Some(format) = format {
            call = call.archive_format(format);
        }
        if let Some(etl) = etl {
            call = call.etl(etl);
        }
        if let Some(blob) = blob {
            call = call.blob(blob);
        }
        let reader = call.await?;
        let head = wanted::props(reader.props());
        let range = reader.range().map(|range| json!([range.start, range.end]));
        Ok(json!({"head": head, "range": range, "body": wanted::digest(&reader.bytes().await?)}))
    }))
}

fn archive_mode(word: &str) -> Option<ArchiveMode> {
    Some(match word {
        "regexp" => ArchiveMode::Regexp,
        "prefix" => ArchiveMode::Prefix,
        "suffix" => ArchiveMode::Suffix,
        "substr" => ArchiveMode::Substring,
        "wdskey" => ArchiveMode::WdsKey,
        _ => return None,
    })
}

fn etl(pairs: &mut Pairs) -> Option<EtlCall> {
    let mut etl = EtlCall::new(pairs.take("etl_name")?);
    for name in pairs.take("etl_pipeline").iter().flat_map(|names| names.split(',')) {
        etl = etl.then(name);
    }
    Some(match pairs.take("etl_args") {
        Some(args) => etl.with_args(args),
        None => etl,
    })
}

/// `Some(None)`: no blob download. The client always sends a threshold, so a request without one is no call.
#[allow(clippy::option_option)]
fn blob(request: &Request, remote: bool) -> Option<Option<BlobRead>> {
    match (request.header("ais-blob-download"), request.header("ais-blob-threshold")) {
        (None, None) => Some(None),
        (Some("true"), threshold) => {
            // The client always sends one: without it a read of what the cluster holds answers nothing.
            let threshold: NonZeroU64 = threshold.map_or(Some(NonZeroU64::MIN), |t| t.parse().ok())?;
            (!remote || request.header("ais-blob-threshold").is_some()).then_some(())?;
            let mut blob = BlobRead::default().with_threshold(threshold);
            if let Some(workers) = request.header("ais-blob-workers") {
                blob = blob.with_workers(workers.parse().ok()?);
            }
            Some(Some(blob))
        }
        _ => None,
    }
}

fn put(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &["ais-custom-md", "if-none-match"])?;
    let fresh = pairs.flag("skip_vc")?;
    pairs.end()?;
    let body = bytes(request);
    if request.header("if-none-match").is_some() {
        let key = ObjectKey::new(name).ok()?;
        let options = PutOptions::default().with_create_only();
        return Some(Call::new(wanted::nothing, move |client| async move {
            place.bucket(&client)?.store().put(&key, body, options).await.map(|_| Value::Null)
        }));
    }
    let mut custom = Vec::new();
    if let Some(joined) = request.header("ais-custom-md") {
        for line in crate::network::custom_lines(joined) {
            let (key, value) = line.split_once('=')?;
            custom.push((key.to_owned(), value.to_owned()));
        }
    }
    let verify = request.body().is_complete();
    Some(Call::new(wanted::object_put, move |client| async move {
        let mut call = place.object(&client, &name)?.put(body).fresh(fresh).verify(verify);
        for (key, value) in custom {
            call = call.custom(key, value);
        }
        Ok(wanted::props(&call.await?))
    }))
}

/// One step of a session of appends; the steps before it are made up.
fn append(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &["ais-checksum-type", "ais-checksum-value"])?;
    let kind = pairs.take("append_type")?;
    let handle = pairs.take("append_handle")?;
    pairs.end()?;
    let checksum = match (request.header("ais-checksum-type"), request.header("ais-checksum-value")) {
        (None, None) => None,
        (Some("xxhash2"), Some(value)) => Some(Checksum::from_hex(ChecksumKind::XxHash64, value).ok()?),
        _ => return None,
    };
    let body = bytes(request);
    match kind.as_str() {
        "append" if checksum.is_none() => Some(Call::new(wanted::appended, move |client| async move {
            let mut session = place.object(&client, &name)?.resume_append(&handle)?;
            session.append(body).await?;
            Ok(json!(session.handle().is_some()))
        })),
        "flush" if body.is_empty() => Some(Call::new(wanted::appended, move |client| async move {
            if handle.is_empty() {
                return Err(longshore_core_types::Error::new(ErrorKind::InvalidInput, "nothing to flush"));
            }
            let mut session = place.object(&client, &name)?.resume_append(&handle)?;
            match checksum {
                Some(checksum) => session.flush_with_checksum(&checksum).await?,
                None => session.flush().await?,
            }
            Ok(json!(session.handle().is_some()))
        })),
        _ => None,
    }
}

fn copy(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    request.body().bytes().is_empty().then_some(())?;
    let to = pairs.take("object_to")?;
    let etl = etl(&mut pairs);
    let (latest, sync) = (pairs.flag("latest-ver")?, pairs.flag("synchronize")?);
    pairs.end()?;
    let (bucket, key) = uname(&to)?;
    Some(Call::new(wanted::nothing, move |client| async move {
        let to = client.bucket_ref(bucket).object(key)?;
        let mut call = place.object(&client, &name)?.copy_to(&to).latest(latest).sync(sync);
        if let Some(etl) = etl {
            call = call.etl(etl);
        }
        call.await.map(|()| Value::Null)
    }))
}

/// `provider/@uuid#namespace/bucket/object`.
pub(crate) fn uname(text: &str) -> Option<(BucketRef, String)> {
    let mut parts = text.splitn(4, '/');
    let provider = Provider::parse(parts.next()?).ok()?;
    let namespace = Namespace::parse(parts.next()?).ok()?;
    let bucket = BucketRef::new(provider, parts.next()?).ok()?;
    Some((bucket.in_namespace(namespace), parts.next()?.to_owned()))
}

pub(crate) fn upload(name: &str, id: &str) -> Option<MultipartRef> {
    Some(MultipartRef { key: ObjectKey::new(name).ok()?, id: MultipartId::new(id) })
}

fn part(request: &Request, place: Place, name: &str, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    let upload = upload(name, &pairs.take("uploadId")?)?;
    let number: u32 = pairs.take("partNumber")?.parse().ok()?;
    pairs.end()?;
    let body = bytes(request);
    let mut call = Call::new(wanted::part, move |client| async move {
        let store = place.bucket(&client)?.store();
        let receipt = store.upload_part(&upload, PartNumber::new(number)?, body).await?;
        Ok(json!({"number": receipt.number.get()}))
    });
    // The client did not begin the upload, so it looks first at what the server has.
    call.beforehand.push(Response::made(200, "<ListPartsResult></ListPartsResult>"));
    Some(call)
}

fn delete(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    if let Some(id) = pairs.take("uploadId") {
        pairs.end()?;
        let (action, of, value) = action(request)?;
        (action == "mpt-abort" && of.is_empty() && value.is_null()).then_some(())?;
        let upload = upload(&name, &id)?;
        return Some(Call::new(wanted::abort, move |client| async move {
            place.bucket(&client)?.store().abort_multipart(&upload).await.map(|()| Value::Null)
        }));
    }
    pairs.end()?;
    if request.body().bytes().is_empty() {
        return Some(Call::new(wanted::nothing, move |client| async move {
            place.object(&client, &name)?.delete().await.map(|()| Value::Null)
        }));
    }
    let (action, of, value) = action(request)?;
    (action == "evict-listrange" && of.is_empty() && value.is_null()).then_some(())?;
    Some(Call::new(wanted::nothing, move |client| async move {
        place.object(&client, &name)?.evict().await.map(|()| Value::Null)
    }))
}

fn object_action(request: &Request, place: Place, name: String, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    let (action, of, value) = action(request)?;
    if action == "mpt-complete" {
        let upload = upload(&name, &pairs.take("uploadId")?)?;
        pairs.end()?;
        let parts = value.as_array()?.iter().map(|part| {
            (part["etag"] == "").then_some(())?;
            Some(PartReceipt::new(
                PartNumber::new(u32::try_from(part["part-number"].as_u64()?).ok()?).ok()?,
                1,
            ))
        });
        let parts: Vec<PartReceipt> = parts.collect::<Option<_>>()?;
        let size = parts.len();
        let mut call = Call::new(wanted::nothing, move |client| async move {
            place.bucket(&client)?.store().complete_multipart(&upload, parts).await.map(|_| Value::Null)
        });
        call.afterwards.push(Response {
            status: 200,
            headers: BTreeMap::from([("content-length".to_owned(), size.to_string())]),
            body: Value::Null,
        });
        return Some(call);
    }
    pairs.end()?;
    value.is_null().then_some(())?;
    match action.as_str() {
        "rename-obj" => Some(Call::new(wanted::nothing, move |client| async move {
            place.object(&client, &name)?.rename(of).await.map(|_| Value::Null)
        })),
        "check-lock" => Some(Call::new(wanted::lock, move |client| async move {
            Ok(json!(format!("{:?}", place.object(&client, &name)?.lock_state().await?)))
        })),
        "mpt-upload" => {
            let key = ObjectKey::new(name).ok()?;
            Some(Call::new(wanted::text, move |client| async move {
                let store = place.bucket(&client)?.store();
                let id = store.create_multipart(&key, PutOptions::default()).await?;
                Ok(json!(id.as_str()))
            }))
        }
        _ => None,
    }
}

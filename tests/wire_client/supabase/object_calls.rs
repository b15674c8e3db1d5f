//! Calls on objects.

use std::time::Duration;

use longshore_core_types::{ByteRange, Payload, Result};
use longshore_supabase::{Access, Format, Resize, SortColumn, SortOrder, Transform, UploadFile};
use serde_json::{Map, Value, json};

use super::{
    calls::{Call, body, from_base64, name, no_body},
    wanted,
};
use crate::{calls::Pairs, recorded::Request};

pub(crate) fn read(request: &Request, segments: &[&str]) -> Option<Call> {
    let mut pairs = Pairs(request.target().1);
    let call = match (request.method.as_str(), segments) {
        ("GET", ["render", "image", access, bucket, key @ ..]) => {
            let access = match *access {
                "authenticated" => Access::Authenticated,
                "public" => Access::Public,
                _ => return None,
            };
            let transform = transform(&mut pairs)?;
            download(request, name(&[bucket])?, name(key)?, access, Some(transform), pairs.0.split_off(0))?
        }
        ("GET", ["object", "info", rest @ ..]) => {
            let (access, bucket, key) = place(rest)?;
            Call::new(wanted::info, move |client| async move {
                Ok(wanted::of_info(&client.bucket(bucket)?.info_by(key, access).await?))
            })
        }
        ("GET", ["object", "sign", ..]) => return None,
        ("GET", ["object", rest @ ..]) => {
            let (access, bucket, key) = place(rest)?;
            download(request, bucket, key, access, None, pairs.0.split_off(0))?
        }
        ("POST", ["object", "list", bucket]) => list(name(&[bucket])?, body(request)?)?,
        ("POST", ["object", "list-v2", bucket]) => list_v2(name(&[bucket])?, body(request)?)?,
        ("POST", ["object", "move"]) => relocate(body(request)?)?,
        ("POST", ["object", "copy"]) => copy(request, body(request)?)?,
        ("POST", ["object", "sign", bucket]) => sign_many(name(&[bucket])?, body(request)?)?,
        ("POST", ["object", "sign", bucket, key @ ..]) => sign(name(&[bucket])?, name(key)?, body(request)?)?,
        ("POST", ["object", "upload", "sign", bucket, key @ ..]) => {
            no_body(request)?;
            let (bucket, key) = (name(&[bucket])?, name(key)?);
            let upsert = request.header("x-upsert") == Some("true");
            Call::new(wanted::signed_upload, move |client| async move {
                let signed = client.bucket(bucket)?.create_signed_upload_url(key, upsert).await?;
                Ok(json!([signed.url.expose(), signed.token.expose()]))
            })
        }
        ("PUT", ["object", "upload", "sign", bucket, key @ ..]) => {
            let (bucket, key, token) = (name(&[bucket])?, name(key)?, pairs.take("token")?);
            upload(request, move |client, body| {
                Ok(client.bucket(bucket)?.upload_to_signed_url(key, token, body))
            })?
        }
        ("POST" | "PUT", ["object", bucket, key @ ..]) => {
            let (bucket, key) = (name(&[bucket])?, name(key)?);
            let update = request.method == "PUT";
            let upsert = request.header("x-upsert") == Some("true");
            upload(request, move |client, body| {
                let bucket = client.bucket(bucket)?;
                Ok(if update { bucket.update(key, body) } else { bucket.upload(key, body).upsert(upsert) })
            })?
        }
        ("DELETE", ["object", bucket]) => {
            let (bucket, names) = (name(&[bucket])?, texts(body(request)?.get("prefixes")?)?);
            // The client puts no more into one request, and sends none without a name.
            (1..=1000).contains(&names.len()).then_some(())?;
            Call::new(wanted::files, |client| async move {
                let removed = client.bucket(bucket)?.remove(names).await?;
                Ok(removed.iter().map(wanted::of_file).collect())
            })
        }
        ("DELETE", ["object", bucket, key @ ..]) => {
            no_body(request)?;
            (request.header("content-type").is_none()).then_some(())?;
            let (bucket, key) = (name(&[bucket])?, name(key)?);
            Call::new(wanted::nothing, |client| async move {
                client.bucket(bucket)?.delete(key).await.map(|()| Value::Null)
            })
        }
        _ => return None,
    };
    pairs.end()?;
    Some(call)
}

fn place(rest: &[&str]) -> Option<(Access, String, String)> {
    let (access, rest) = match rest {
        ["authenticated", rest @ ..] => (Access::Authenticated, rest),
        ["public", rest @ ..] => (Access::Public, rest),
        rest => (Access::Tolerant, rest),
    };
    let (bucket, key) = rest.split_first()?;
    Some((access, name(&[bucket])?, name(key)?))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    Some(match (first, last) {
        ("", length) => ByteRange::Suffix(number(length)?),
        (start, "") => ByteRange::From(number(start)?),
        (start, last) => ByteRange::from(number(start)?..number(last)? + 1),
    })
}

fn download(
    request: &Request,
    bucket: String,
    key: String,
    access: Access,
    transform: Option<Transform>,
    query: Vec<(String, String)>,
) -> Option<Call> {
    let unknown = ["if-modified-since", "if-unmodified-since", "if-match", "if-range"];
    unknown.iter().all(|name| request.header(name).is_none()).then_some(())?;
    let range = match request.header("range") {
        None => None,
        Some(text) => Some(range(text)?),
    };
    let etag = request.header("if-none-match").map(str::to_owned);
    Some(Call::new(wanted::content, move |client| async move {
        let mut download = client.bucket(bucket)?.download(key).access(access);
        if let Some(range) = range {
            download = download.range(range);
        }
        if let Some(etag) = etag {
            download = download.if_none_match(etag);
        }
        if let Some(transform) = transform {
            download = download.transform(transform);
        }
        for (name, value) in query {
            download = download.query(name, value);
        }
        let reader = download.await?;
        let (meta, range) = (reader.meta().clone(), reader.range());
        let bytes = reader.bytes().await?;
        let attributes = &meta.attributes;
        Ok(json!([
            bytes.to_vec(),
            [range.start, range.end, meta.size],
            meta.etag,
            attributes.content_type,
            attributes.cache_control,
        ]))
    }))
}

fn transform(pairs: &mut Pairs) -> Option<Transform> {
    let mut transform = Transform::new();
    for name in ["width", "height"] {
        if let Some(text) = pairs.take(name) {
            let pixels = text.parse().ok()?;
            transform = if name == "width" { transform.width(pixels) } else { transform.height(pixels) };
        }
    }
    if let Some(text) = pairs.take("quality") {
        transform = transform.quality(text.parse().ok()?);
    }
    transform = match pairs.take("resize") {
        None => transform,
        Some(word) => transform.resize(resize(&word)?),
    };
    Some(match pairs.take("format") {
        None => transform,
        Some(word) => transform.format(format(&word)?),
    })
}

fn resize(word: &str) -> Option<Resize> {
    Some(match word {
        "cover" => Resize::Cover,
        "contain" => Resize::Contain,
        "fill" => Resize::Fill,
        _ => return None,
    })
}

fn format(word: &str) -> Option<Format> {
    Some(match word {
        "origin" => Format::Origin,
        "avif" => Format::Avif,
        "webp" => Format::Webp,
        _ => return None,
    })
}

#[expect(clippy::option_option, reason = "a sort, none, or one that the client has no words for")]
fn sort(value: Option<Value>) -> Option<Option<(SortColumn, SortOrder)>> {
    let Some(value) = value else { return Some(None) };
    let column = match value["column"].as_str()? {
        "name" => SortColumn::Name,
        "updated_at" => SortColumn::UpdatedAt,
        "created_at" => SortColumn::CreatedAt,
        "last_accessed_at" => SortColumn::LastAccessedAt,
        _ => return None,
    };
    let order = match value.get("order").map(Value::as_str) {
        None | Some(Some("asc")) => SortOrder::Ascending,
        Some(Some("desc")) => SortOrder::Descending,
        _ => return None,
    };
    Some(Some((column, order)))
}

fn list(bucket: String, mut map: Map<String, Value>) -> Option<Call> {
    let text = |value: Option<Value>| value.map(|value| value.as_str().map(str::to_owned));
    let prefix = text(map.remove("prefix"))??;
    let search = match text(map.remove("search")) {
        None => None,
        Some(search) => Some(search?),
    };
    let limit = map.remove("limit").map(|n| n.as_u64().and_then(|n| u32::try_from(n).ok()));
    let offset = map.remove("offset").map(|n| n.as_u64());
    let sort = sort(map.remove("sortBy"))?;
    map.is_empty().then_some(())?;
    if matches!(limit, Some(None)) || matches!(offset, Some(None)) {
        return None;
    }
    Some(Call::new(wanted::files, move |client| async move {
        let mut list = client.bucket(bucket)?.list(prefix);
        if let Some(limit) = limit.flatten() {
            list = list.limit(limit);
        }
        if let Some(offset) = offset.flatten() {
            list = list.offset(offset);
        }
        if let Some(search) = search {
            list = list.search(search);
        }
        if let Some((column, order)) = sort {
            list = list.sort_by(column, order);
        }
        Ok(list.await?.iter().map(wanted::of_file).collect())
    }))
}

fn list_v2(bucket: String, mut map: Map<String, Value>) -> Option<Call> {
    let text = |value: Option<Value>| match value {
        None => Some(None),
        Some(Value::String(text)) => Some(Some(text)),
        Some(_) => None,
    };
    let (prefix, cursor) = (text(map.remove("prefix"))?, text(map.remove("cursor"))?);
    let limit = match map.remove("limit") {
        None => None,
        Some(limit) => Some(u32::try_from(limit.as_u64()?).ok()?),
    };
    let folders = match map.remove("with_delimiter") {
        None => None,
        Some(folders) => Some(folders.as_bool()?),
    };
    let has_order = map.get("sortBy").is_none_or(|sort| sort.get("order").is_some());
    let sort = sort(map.remove("sortBy"))?;
    (map.is_empty() && has_order).then_some(())?;
    Some(Call::new(wanted::page, move |client| async move {
        let mut list = client.bucket(bucket)?.list_v2();
        if let Some(prefix) = prefix {
            list = list.prefix(prefix);
        }
        if let Some(cursor) = cursor {
            list = list.cursor(cursor);
        }
        if let Some(limit) = limit {
            list = list.limit(limit);
        }
        if let Some(folders) = folders {
            list = list.folders(folders);
        }
        if let Some((column, order)) = sort {
            list = list.sort_by(column, order);
        }
        let page = list.await?;
        let objects: Value = page.objects.iter().map(wanted::of_file).collect();
        Ok(json!([objects, page.folders, page.has_next, page.next_cursor]))
    }))
}

/// Source bucket, source, destination bucket, destination.
fn ends(map: &mut Map<String, Value>) -> Option<[String; 4]> {
    let mut take = |key: &str| map.remove(key)?.as_str().map(str::to_owned);
    let (bucket, from, to) = (take("bucketId")?, take("sourceKey")?, take("destinationKey")?);
    let other = take("destinationBucket").unwrap_or_else(|| bucket.clone());
    Some([bucket, from, other, to])
}

fn relocate(mut map: Map<String, Value>) -> Option<Call> {
    let [bucket, from, other, to] = ends(&mut map)?;
    map.is_empty().then_some(())?;
    Some(Call::new(wanted::nothing, |client| async move {
        client.bucket(bucket)?.rename(from, to).to_bucket(other).await.map(|()| Value::Null)
    }))
}

fn copy(request: &Request, mut map: Map<String, Value>) -> Option<Call> {
    let [bucket, from, other, to] = ends(&mut map)?;
    let replaced = match map.remove("copyMetadata") {
        None => None,
        Some(Value::Bool(false)) => {
            // The client says both headers and the metadata, or nothing.
            let headers = map.remove("metadata")?;
            let text = |name: &str| headers[name].as_str().map(str::to_owned);
            let metadata = from_base64(request.header("x-metadata")?)?;
            Some((text("cacheControl")?, text("mimetype")?, metadata.as_object()?.clone()))
        }
        Some(_) => return None,
    };
    (map.is_empty() && (replaced.is_some() || request.header("x-metadata").is_none())).then_some(())?;
    let upsert = request.header("x-upsert") == Some("true");
    Some(Call::new(wanted::file, move |client| async move {
        let mut copy = client.bucket(bucket)?.copy(from, to).to_bucket(other).upsert(upsert);
        if let Some((cache, kind, metadata)) = replaced {
            copy = copy.cache_control(cache).content_type(kind).metadata(metadata);
        }
        Ok(wanted::of_file(&copy.await?))
    }))
}

fn seconds(value: Option<Value>) -> Option<Duration> {
    let value = value?;
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

fn sign(bucket: String, key: String, mut map: Map<String, Value>) -> Option<Call> {
    let time = seconds(map.remove("expiresIn"))?;
    map.remove("download");
    let transform = match map.remove("transform") {
        None => None,
        Some(Value::Object(map)) => {
            let pairs = map.into_iter().map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            });
            let mut pairs = Pairs(pairs.collect());
            let transform = transform(&mut pairs)?;
            pairs.end()?;
            Some(transform)
        }
        Some(_) => return None,
    };
    map.is_empty().then_some(())?;
    Some(Call::new(wanted::signed, move |client| async move {
        let mut sign = client.bucket(bucket)?.create_signed_url(key, time);
        if let Some(transform) = transform {
            sign = sign.transform(transform);
        }
        Ok(json!(sign.await?.expose()))
    }))
}

fn sign_many(bucket: String, mut map: Map<String, Value>) -> Option<Call> {
    let (time, paths) = (seconds(map.remove("expiresIn"))?, texts(&map.remove("paths")?)?);
    map.remove("download");
    (map.is_empty() && (1..=1000).contains(&paths.len())).then_some(())?;
    Some(Call::new(wanted::signed_many, move |client| async move {
        let entries = client.bucket(bucket)?.create_signed_urls(paths, time).await?;
        let entry = |entry: longshore_supabase::SignedEntry| match entry.result {
            Ok(url) => json!([entry.path, url.expose(), null]),
            Err(error) => json!([entry.path, null, error.message()]),
        };
        Ok(entries.into_iter().map(entry).collect())
    }))
}

/// An upload of bytes as they are. Forms are for browsers.
fn upload<F>(request: &Request, make: F) -> Option<Call>
where
    F: FnOnce(&longshore_supabase::Client, Payload) -> Result<UploadFile> + 'static,
{
    let header = |name: &str| request.header(name).map(str::to_owned);
    let (kind, cache, robots) = (header("content-type"), header("cache-control"), header("x-robots-tag"));
    kind.as_deref().is_none_or(|kind| !kind.starts_with("multipart/form-data")).then_some(())?;
    let metadata = match header("x-metadata") {
        None => None,
        Some(text) => Some(from_base64(&text)?.as_object()?.clone()),
    };
    let body = request.body().bytes();
    Some(Call::new(wanted::uploaded, move |client| async move {
        let mut upload = make(&client, body.into())?;
        if let Some(kind) = kind {
            upload = upload.content_type(kind);
        }
        if let Some(cache) = cache {
            upload = upload.cache_control(cache);
        }
        if let Some(robots) = robots {
            upload = upload.robots_tag(robots);
        }
        if let Some(metadata) = metadata {
            upload = upload.metadata(metadata);
        }
        let stored = upload.await?;
        Ok(json!([stored.full_path, stored.id]))
    }))
}

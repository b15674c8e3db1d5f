//! Multipart uploads.

use http::HeaderName;
use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ETAG};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::{about, copy_source, target};
use super::xml::{Element, records};
use super::{Call, document, number, payload, visible};
use crate::aistore::reply::Reply;
use crate::checksum::{ChecksumKind, Hasher};
use crate::storage::{Row, StorageError, Tables};
use crate::supabase::caller::Caller;
use crate::supabase::change::{source, transfer};
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::read::Span;
use crate::supabase::rows::{Bucket, Object};
use crate::supabase::store::{About, Receiver, Stored, Target, quoted_md5};
use crate::supabase::time::{Micros, iso, now, uuid};
use crate::supabase::upload::{check_mime, size_limit};

const UPLOADS: &[u8] = b"supabase/m/";
const PARTS: &[u8] = b"supabase/p/";
const MAX_PART: u64 = 10_000;
const MAX_BODY: usize = 1 << 20;
const CHUNK: usize = 256 * 1024;
const COPY_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");

/// An upload that is not complete.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Upload {
    id: String,
    number: u64,
    key: String,
    mimetype: String,
    cache_control: Option<String>,
    user_metadata: Option<Value>,
    owner: Option<String>,
    created_at: Micros,
}

/// One of its parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    number: u64,
    /// Without quotes.
    etag: String,
    size: u64,
    created_at: Micros,
}

impl Upload {
    fn row_key(id: &str) -> Vec<u8> {
        [UPLOADS, id.as_bytes()].concat()
    }

    fn parts_key(id: &str) -> Vec<u8> {
        [PARTS, id.as_bytes(), b"/"].concat()
    }

    fn part_key(id: &str, number: u64) -> Vec<u8> {
        [Self::parts_key(id), number.to_be_bytes().to_vec()].concat()
    }
}

/// True if uploads to a bucket are under way.
pub(in crate::supabase) fn uploads_of(
    tables: &Tables<'_>,
    number: u64,
) -> std::result::Result<bool, StorageError> {
    let all = tables.rows::<Upload>(UPLOADS, UPLOADS, usize::MAX)?;
    Ok(all.iter().any(|(_, row)| row.value.number == number))
}

fn no_upload() -> Fail {
    Fail::new(404, "NoSuchUpload", "Upload not found", "NoSuchUpload")
}

/// The upload that a request names.
fn find(cx: &Cx, bucket: &Bucket, key: &str) -> Result<Upload> {
    let id = cx.parameter("uploadId").unwrap_or_default();
    let row: Option<Row<Upload>> = cx.service.storage.snapshot()?.row(&Upload::row_key(id))?;
    let upload = row.map(|row| row.value).filter(|u| u.number == bucket.number && u.key == key);
    upload.ok_or_else(no_upload)
}

fn parts(cx: &Cx, upload: &Upload) -> Result<Vec<Row<Part>>> {
    let snapshot = cx.service.storage.snapshot()?;
    let walk = snapshot.row_walk(&Upload::parts_key(&upload.id))?;
    let rows = walk.from::<Part>(b"")?.map(|entry| entry.map(|(_, row)| row));
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

pub(super) async fn create(cx: &mut Cx, call: Call) -> Result<Reply> {
    cx.body.discard().await?;
    let target = target(cx, &call)?;
    let about = about(cx, call.caller.sub);
    check_mime(&target.bucket, &target.key, &about.mimetype)?;
    let id = uuid();
    let upload = Upload {
        id: id.clone(),
        number: target.bucket.number,
        key: target.key.clone(),
        mimetype: about.mimetype,
        cache_control: about.cache_control,
        user_metadata: about.user_metadata,
        owner: about.owner,
        created_at: now(),
    };
    let step = move |tables: &mut Tables<'_>| tables.put_row(&Upload::row_key(&upload.id), &upload, &[]);
    cx.service.storage.write(step).await?;
    let result =
        Element::default().text("Bucket", &target.bucket.id).text("Key", &target.key).text("UploadId", id);
    Ok(document(result.document("InitiateMultipartUploadResult")))
}

pub(super) async fn upload_part(cx: &mut Cx, call: Call, copies: bool) -> Result<Reply> {
    let number = number(cx, "partNumber", 1, Some(MAX_PART))?;
    let number =
        number.ok_or_else(|| Fail::request("Querystring must have required property 'partNumber'"))?;
    let target = target(cx, &call)?;
    let upload = find(cx, &target.bucket, &target.key)?;
    let others = parts(cx, &upload)?.into_iter().filter(|p| p.value.number != number);
    let taken: u64 = others.map(|p| p.value.size).sum();
    let limit = size_limit(cx, &target.bucket, &target.key).saturating_sub(taken);
    let (body, stored) = if copies {
        let from = copy_source(cx)?;
        let (row, reader) = source(cx, &from, cx.service.frees(&call.caller))?;
        let span = match cx.header(COPY_RANGE.as_str()) {
            Some(range) => exact_span(range, row.value.size)?,
            None => Span { start: 0, len: row.value.size },
        };
        let receiver = Receiver::new(&cx.service, limit, cx.plan.no_space_at())?;
        transfer(reader.reopen(span.start, span.len), receiver).await?
    } else {
        if payload::length(cx).is_some_and(|n| n > limit) {
            return Err(Fail::too_large());
        }
        let mut receiver = Receiver::new(&cx.service, limit, cx.plan.no_space_at())?;
        payload::take(cx, call.chunks, &mut receiver).await?;
        receiver.finish()?
    };
    let etag = stored.etag.trim_matches('"').to_owned();
    let part = Part { number, etag: etag.clone(), size: stored.size, created_at: now() };
    let id = upload.id.clone();
    let step = move |tables: &mut Tables<'_>| {
        if tables.row::<Upload>(&Upload::row_key(&id))?.is_none() {
            return Ok(false);
        }
        let pieces: Vec<_> = Some(body.piece()).into_iter().filter(|p| p.len > 0).collect();
        tables.put_row(&Upload::part_key(&id, part.number), &part, &pieces)?;
        if !pieces.is_empty() {
            body.keep();
        }
        Ok(true)
    };
    if !cx.service.storage.write(step).await? {
        return Err(no_upload());
    }
    if copies {
        let result = Element::default().text("ETag", etag).text("LastModified", iso(now()));
        return Ok(document(result.document("CopyPartResult")));
    }
    Ok(Reply::ok().with(ETAG, &etag).with(ACCESS_CONTROL_EXPOSE_HEADERS, "etag"))
}

/// A range of a source that has to lie inside it.
fn exact_span(range: &str, size: u64) -> Result<Span> {
    let outside = || Fail::new(400, "InvalidRange", "invalid range provided", "InvalidRange");
    let ends = range.strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(outside)?;
    let last: u64 = ends.1.parse().map_err(|_| outside())?;
    if last >= size {
        return Err(outside());
    }
    Span::parse(range, size).map_err(|_| outside())
}

pub(super) fn list_parts(cx: &Cx, call: &Call) -> Result<Reply> {
    let most = number(cx, "max-parts", 1, None)?.unwrap_or(1000).min(1000);
    let after = number(cx, "part-number-marker", 0, None)?.unwrap_or(0);
    let bucket = visible(cx, &call.caller, &call.place.bucket)?;
    let upload = find(cx, &bucket, &call.place.key)?;
    let mut found = parts(cx, &upload)?;
    found.retain(|part| part.value.number > after);
    let more = found.len() as u64 > most;
    found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|part| part.value.number.to_string());
    let list = Element::default()
        .text("Bucket", &bucket.id)
        .text("Key", &upload.key)
        .text("UploadId", &upload.id)
        .maybe("NextPartNumberMarker", next.as_deref())
        .text("MaxParts", most.to_string())
        .text("IsTruncated", more.to_string())
        .each(&found, |list, part| {
            let shown = Element::default()
                .text("PartNumber", part.value.number.to_string())
                .text("LastModified", iso(part.value.created_at))
                .text("ETag", &part.value.etag);
            list.child("Part", &shown)
        });
    Ok(document(list.document("ListPartsResult")))
}

pub(super) fn list_uploads(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    let most = number(cx, "max-uploads", 1, None)?.unwrap_or(1000).min(1000);
    let prefix = cx.parameter("prefix").unwrap_or_default().to_owned();
    let bucket = visible(cx, caller, id)?;
    let snapshot = cx.service.storage.snapshot()?;
    let walk = snapshot.row_walk(UPLOADS)?;
    let mut found = Vec::new();
    for entry in walk.from::<Upload>(b"")? {
        let upload = entry?.1.value;
        if upload.number == bucket.number && upload.key.starts_with(&prefix) {
            found.push(upload);
        }
    }
    found.sort_by(|a, b| (&a.key, a.created_at).cmp(&(&b.key, b.created_at)));
    let marker = (cx.parameter("key-marker"), cx.parameter("upload-id-marker"));
    if let (Some(key), after) = marker {
        let at = found.iter().position(|u| u.key == key && Some(u.id.as_str()) == after);
        match at {
            Some(at) => drop(found.drain(..=at)),
            None => found.retain(|u| u.key.as_str() > key),
        }
    }
    let more = found.len() as u64 > most;
    found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let list =
        Element::default().text("Name", &bucket.id).text("Prefix", &prefix).each(&found, |list, upload| {
            let shown = Element::default()
                .text("Key", &upload.key)
                .text("Initiated", iso(upload.created_at))
                .text("UploadId", &upload.id)
                .text("StorageClass", "STANDARD");
            list.child("Upload", &shown)
        });
    let next = found.last().filter(|_| more);
    let list = list
        .text("IsTruncated", more.to_string())
        .text("MaxUploads", most.to_string())
        .text("KeyCount", found.len().to_string())
        .maybe("NextKeyMarker", next.map(|u| u.key.as_str()))
        .maybe("NextUploadIdMarker", next.map(|u| u.id.as_str()));
    Ok(document(list.document("ListMultipartUploadsResult")))
}

/// The parts that a request wants joined; without a list, all.
fn wanted(upload: &Upload, body: &str, have: Vec<Row<Part>>) -> Result<Vec<Row<Part>>> {
    let listed = if body.trim().is_empty() { Vec::new() } else { records(body, "Part")? };
    if listed.is_empty() {
        return Ok(have);
    }
    let mut chosen = Vec::with_capacity(listed.len());
    for record in listed {
        let field = |name: &str| record.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
        let number: u64 = field("PartNumber").parse().unwrap_or(0);
        let part = have.iter().find(|part| part.value.number == number).ok_or_else(|| {
            let message = format!("Part {number} is missing for upload id {}", upload.id);
            Fail::new(400, "MissingPart", message, "MissingPart")
        })?;
        if field("ETag").trim_matches('"') != part.value.etag {
            let message = format!("Invalid ETag for part {number}");
            return Err(Fail::new(400, "InvalidChecksum", message, "InvalidChecksum"));
        }
        chosen.push(part.clone());
    }
    Ok(chosen)
}

pub(super) async fn complete(cx: &mut Cx, call: Call) -> Result<Reply> {
    let mut body = cx.body.collect(MAX_BODY).await?.ok_or_else(Fail::too_large)?;
    // A body that is not said to be XML is not read, so that all parts are taken.
    let kind = cx.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    if !["application/xml", "text/xml"].iter().any(|xml| kind.starts_with(xml)) {
        body.clear();
    }
    let target = target(cx, &call)?;
    let upload = find(cx, &target.bucket, &target.key)?;
    let chosen = wanted(&upload, &String::from_utf8_lossy(&body), parts(cx, &upload)?)?;
    if chosen.is_empty() {
        return Err(Fail::new(400, "MissingPart", "The upload has no parts", "MissingPart"));
    }
    let etag = quoted_md5(&hash(cx, &upload, &chosen).await?);
    let size = chosen.iter().map(|part| part.value.size).sum();
    let stored = Stored { size, etag: etag.clone(), last_modified: now() };
    let result = Element::default()
        .text("Location", format!("{}/{}", target.bucket.id, target.key))
        .text("Bucket", &target.bucket.id)
        .text("Key", &target.key)
        .text("ETag", etag);
    join(cx, target, upload, chosen, stored).await?;
    Ok(document(result.document("CompleteMultipartUploadResult")))
}

/// Makes parts the object; their files become its pieces.
async fn join(
    cx: &Cx,
    target: Target,
    upload: Upload,
    chosen: Vec<Row<Part>>,
    stored: Stored,
) -> Result<Object> {
    let about = About {
        mimetype: upload.mimetype,
        cache_control: upload.cache_control,
        robots: None,
        user_metadata: upload.user_metadata,
        owner: upload.owner,
    };
    let id = upload.id;
    let step = move |tables: &mut Tables<'_>| {
        if tables.row::<Upload>(&Upload::row_key(&id))?.is_none() {
            return Ok(Err(no_upload()));
        }
        for part in &chosen {
            let now = tables.row::<Part>(&Upload::part_key(&id, part.value.number))?;
            if now.is_none_or(|now| now.pieces != part.pieces) {
                let message = format!("Part {} was replaced meanwhile", part.value.number);
                return Ok(Err(Fail::new(409, "InvalidChecksum", message, "InvalidChecksum")));
            }
        }
        let pieces: Vec<_> = chosen.iter().flat_map(|part| part.pieces.iter().copied()).collect();
        let object = match target.put(tables, uuid(), &stored, &about, &pieces)? {
            Ok(object) => object,
            Err(fail) => return Ok(Err(fail)),
        };
        for part in &chosen {
            tables.take_row::<Part>(&Upload::part_key(&id, part.value.number))?;
        }
        drop_upload(tables, &id)?;
        Ok(Ok(object))
    };
    cx.service.storage.write(step).await?
}

/// Removes an upload and what is left of its parts.
fn drop_upload(tables: &mut Tables<'_>, id: &str) -> std::result::Result<bool, StorageError> {
    let prefix = Upload::parts_key(id);
    for (key, _) in tables.rows::<Part>(&prefix, &prefix, usize::MAX)? {
        tables.remove_row::<Part>(&key)?;
    }
    Ok(tables.remove_row::<Upload>(&Upload::row_key(id))?.is_some())
}

/// Hashes the parts as one.
async fn hash(cx: &Cx, upload: &Upload, chosen: &[Row<Part>]) -> Result<Hasher> {
    let mut readers = Vec::with_capacity(chosen.len());
    for part in chosen {
        let whole = |row: &Row<Part>| Ok::<_, Fail>((0, row.value.size));
        let key = Upload::part_key(&upload.id, part.value.number);
        let (_, reader) = cx.service.storage.open_row(&key, whole)?.ok_or_else(no_upload)??;
        readers.push(reader);
    }
    let work = move || -> Result<Hasher> {
        let mut hasher = Hasher::new(ChecksumKind::Md5);
        for mut reader in readers {
            while let Some(bytes) = reader.read(CHUNK)? {
                hasher.update(&bytes);
            }
        }
        Ok(hasher)
    };
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

pub(super) async fn abort(cx: &Cx, call: &Call) -> Result<Reply> {
    let bucket = visible(cx, &call.caller, &call.place.bucket)?;
    let upload = find(cx, &bucket, &call.place.key)?;
    let gone = cx.service.storage.write(move |tables| drop_upload(tables, &upload.id)).await?;
    if gone { Ok(Reply::ok()) } else { Err(no_upload()) }
}

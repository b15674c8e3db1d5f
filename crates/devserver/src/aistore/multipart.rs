//! Native multipart uploads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use md5::Digest as _;
use serde_json::Value;

use super::actmsg::Action;
use super::cloud::upload;
use super::error::{Fail, Result};
use super::gojson::{self, Schema};
use super::ids::{now, short_id};
use super::node::Cx;
use super::objects::{Object, Overwrite};
use super::reply::Reply;
use crate::checksum::{Checksum, ChecksumKind, Hasher, combine_crc32c};
use crate::storage::{ObjectRecord, PartRecord, StorageError, UploadRecord};
use crate::sync::lock;

const MAX_PART: i64 = 9999;

/// Checksums of uploads whose parts have come in order so far. They live in memory only: an upload that outlives its
/// server gets the checksum of one whose parts came in any order.
#[derive(Debug, Default)]
pub(crate) struct RunningHashes {
    map: Mutex<HashMap<String, Running>>,
}

#[derive(Debug)]
struct Running {
    next: u32,
    hasher: Option<Hasher>,
}

impl RunningHashes {
    fn begin(&self, id: &str, kind: ChecksumKind) {
        lock(&self.map).insert(id.to_owned(), Running { next: 1, hasher: Some(Hasher::new(kind)) });
    }

    /// Takes the hasher out for part `number` if that is next; otherwise the order is broken for good.
    fn take(&self, id: &str, number: u32) -> Option<Hasher> {
        let mut map = lock(&self.map);
        let running = map.get_mut(id)?;
        let hasher = running.hasher.take();
        if running.next == number {
            return hasher;
        }
        running.next = 0;
        None
    }

    /// Gives the hasher back after the part.
    fn put_back(&self, id: &str, hasher: Hasher) {
        if let Some(running) = lock(&self.map).get_mut(id)
            && running.next != 0
        {
            running.next += 1;
            running.hasher = Some(hasher);
        }
    }

    fn end(&self, id: &str) -> Option<Hasher> {
        lock(&self.map).remove(id)?.hasher
    }

    /// The checksum of all parts, if they came in order.
    fn peek(&self, id: &str) -> Option<Hasher> {
        lock(&self.map).get(id)?.hasher.clone()
    }
}

/// Who began an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Native,
    S3,
}

/// `mpt-upload`: starts an upload and answers with its id.
pub(crate) async fn create(cx: &Cx, object: &Object) -> Result<Reply> {
    Ok(Reply::text(begin(cx, object, Dialect::Native).await?))
}

/// Marks uploads of the S3 endpoint.
const BY_S3: &str = "s3";

/// Starts an upload; returns its id.
pub(crate) async fn begin(cx: &Cx, object: &Object, dialect: Dialect) -> Result<String> {
    let mut id = short_id();
    let mut custom =
        if dialect == Dialect::S3 { vec![(BY_S3.to_owned(), String::new())] } else { Vec::new() };
    if let Some((longer, origin)) = upload::begin(cx, object).await? {
        id = longer;
        custom.push(origin);
    }
    let record = UploadRecord { key: object.key.clone(), started: now(), custom };
    let stored = id.clone();
    cx.cluster.storage.write(move |t| t.put_upload(&stored, &record)).await?;
    cx.cluster.hashes.begin(&id, object.bucket.checksum());
    Ok(id)
}

/// `o[bucket/name(-)]`, how messages about uploads name an object.
fn short_name(object: &Object) -> String {
    format!("o[{}/{}(-)]", object.bucket.name.name, object.key.name)
}

fn unknown(object: &Object, id: &str) -> Fail {
    Fail::not_found(format!("{}: {id} does not exist", short_name(object)))
}

fn manifest(object: &Object, id: &str) -> String {
    format!("chunk-manifest[{}, id={id}]", object.display())
}

/// PUT of a part.
pub(crate) async fn put_part(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let id = cx.query.value("uploadId").to_owned();
    let number = cx.query.value("partNumber");
    let number: i64 = number.parse().map_err(|_| {
        Fail::bad(format!("{}: invalid part number {number:?} for uploadID {id:?}", short_name(object)))
    })?;
    let snapshot = cx.cluster.storage.snapshot()?;
    let begun = snapshot.upload(&id)?.filter(|u| u.key == object.key);
    let begun = begun.ok_or_else(|| unknown(object, &id))?;
    let refuse = |what: String| {
        Fail::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{}: {what}", manifest(object, &id)))
    };
    if number > MAX_PART {
        return Err(refuse(format!("chunk number ({number}) exceeds the maximum allowed ({MAX_PART})")));
    }
    let number = u32::try_from(number)
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| refuse(format!("invalid chunk number ({number})")))?;
    let size = cx.body.known_len().unwrap_or(0);
    if size == 0 {
        return Err(Fail::bad(format!("{}: put-part invalid size ({size})", object.display())));
    }
    if snapshot.parts(&id)?.iter().any(|(n, _)| *n == number) {
        return Err(sent_twice(number, &id));
    }
    drop(snapshot);
    let running = cx.cluster.hashes.take(&id, number);
    let (part, hasher, body) = receive_part(cx, running).await?;
    upload::part(cx, object, &begun, number, &body).await?;
    let (key, part_of) = (object.key.clone(), id.clone());
    let outcome = cx
        .cluster
        .storage
        .write(move |tables| {
            // Another request may have come first while the bytes were on their way.
            if tables.upload(&part_of)?.is_none_or(|u| u.key != key) {
                return Ok(Outcome::Gone);
            }
            if tables.part(&part_of, number)?.is_some() {
                return Ok(Outcome::Twice);
            }
            tables.put_part(&part_of, number, &part)?;
            body.keep();
            Ok(Outcome::Stored)
        })
        .await?;
    match outcome {
        Outcome::Gone => Err(unknown(object, &id)),
        Outcome::Twice => Err(sent_twice(number, &id)),
        Outcome::Stored => {
            if let Some(hasher) = hasher {
                cx.cluster.hashes.put_back(&id, hasher);
            }
            Ok(Reply::ok())
        }
    }
}

enum Outcome {
    Stored,
    Gone,
    Twice,
}

/// The original answers 200 and loses the part's data.
fn sent_twice(number: u32, id: &str) -> Fail {
    Fail::bad(format!(
        "part {number} of upload {id} was sent already: a second one makes AIStore lose the part's data; abort the \
         upload and start anew"
    ))
}

async fn receive_part(
    cx: &mut Cx,
    mut running: Option<Hasher>,
) -> Result<(PartRecord, Option<Hasher>, crate::storage::BodyWriter)> {
    let mut body = cx.cluster.storage.create_body()?;
    body.fail_at(cx.plan.no_space_at());
    let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    let mut md5 = md5::Md5::new();
    while let Some(bytes) = cx.body.next().await? {
        crc.update(&bytes);
        md5.update(&bytes);
        if let Some(hasher) = &mut running {
            hasher.update(&bytes);
        }
        body.write(&bytes)?;
    }
    body.finish()?;
    let part = PartRecord {
        piece: body.piece(),
        crc32c: u32::try_from(crc.finalize()).unwrap_or_default(),
        md5: md5.finalize().into(),
        chosen: None,
    };
    Ok((part, running, body))
}

/// `mpt-complete`: the parts become the object.
pub(crate) async fn complete(cx: &Cx, object: &Object, action: &Action) -> Result<Reply> {
    complete_as(cx, object, action, Vec::new()).await
}

/// As [`complete`], with metadata for the object.
pub(crate) async fn complete_as(
    cx: &Cx,
    object: &Object,
    action: &Action,
    mut custom: Vec<(String, String)>,
) -> Result<Reply> {
    let id = cx.query.value("uploadId").to_owned();
    let numbers = requested(action)?;
    let snapshot = cx.cluster.storage.snapshot()?;
    if let Some(begun) = snapshot.upload(&id)?.filter(|u| u.key == object.key) {
        let parts = snapshot.parts(&id)?;
        check_set(numbers.clone(), &parts)?;
        // What is written where the object lives names it.
        let origin = upload::complete(cx, object, &begun, &parts).await?;
        custom.retain(|(name, _)| origin.iter().all(|(n, _)| n != name));
        custom.extend(origin);
    }
    drop(snapshot);
    let (key, bucket) = (object.key.clone(), Arc::clone(&object.bucket));
    let running = cx.cluster.hashes.peek(&id);
    let (gone, stored) = (unknown(object, &id), id.clone());
    cx.cluster
        .storage
        .write(move |tables| -> std::result::Result<Result<()>, StorageError> {
            if tables.upload(&stored)?.is_none_or(|u| u.key != key) {
                return Ok(Err(gone));
            }
            let parts = tables.parts(&stored)?;
            if let Err(fail) = check_set(numbers, &parts) {
                return Ok(Err(fail));
            }
            let time = now();
            let mut record = ObjectRecord {
                size: parts.iter().map(|(_, p)| p.piece.len).sum(),
                checksum: whole_checksum(running, &parts, bucket.checksum()),
                version: None,
                atime: time,
                mtime: time,
                custom: Vec::new(),
                pieces: parts.iter().map(|(_, p)| p.piece).collect(),
                chunked: true,
            };
            let old = tables.object(&key)?;
            let overwrite = Overwrite { custom, ..Overwrite::default() };
            overwrite.apply(&bucket, &mut record, old.as_ref());
            tables.put_object(&key, &record)?;
            tables.remove_upload(&stored, true)?;
            Ok(Ok(()))
        })
        .await??;
    cx.cluster.hashes.end(&id);
    Ok(Reply::ok())
}

fn whole_checksum(
    running: Option<Hasher>,
    parts: &[(u32, PartRecord)],
    kind: ChecksumKind,
) -> Option<Checksum> {
    if kind == ChecksumKind::None {
        return None;
    }
    if let Some(hasher) = running {
        return hasher.finish();
    }
    let sum = combine_crc32c(parts.iter().map(|(_, p)| (p.crc32c, p.piece.len)));
    Some(Checksum { kind: ChecksumKind::Crc32c, value: format!("{sum:08x}") })
}

/// The part numbers that the client names, `None` for no list at all.
fn requested(action: &Action) -> Result<Option<Vec<i64>>> {
    if action.value.is_null() {
        return Ok(None);
    }
    gojson::check(gojson::encode_sorted(&action.value).as_bytes(), Schema::List("apc.MptCompletedParts"))
        .map_err(Fail::bad)?;
    let Value::Array(items) = &action.value else { return Ok(None) };
    Ok(Some(items.iter().map(|i| i["part-number"].as_i64().unwrap_or_default()).collect()))
}

fn check_set(numbers: Option<Vec<i64>>, parts: &[(u32, PartRecord)]) -> Result<()> {
    let mut numbers = numbers.ok_or_else(|| Fail::bad("nil parts list"))?;
    if parts.is_empty() {
        return Err(Fail::bad("no chunks"));
    }
    if numbers.len() != parts.len() {
        return Err(Fail::bad(format!(
            "partial completion is not allowed: requested {} parts, have {}",
            numbers.len(),
            parts.len()
        )));
    }
    let count = parts.len();
    for (index, (number, _)) in parts.iter().enumerate() {
        if *number as usize != index + 1 {
            return Err(Fail::bad(format!("chunk at ({index}) has invalid number {number} (count={count})")));
        }
    }
    numbers.sort_unstable();
    for (index, number) in numbers.iter().enumerate() {
        if usize::try_from(*number).ok() != Some(index + 1) {
            return Err(Fail::bad(format!(
                "parts must be exactly 1..{count}: got {number} at position {index}"
            )));
        }
    }
    Ok(())
}

/// The parts that an upload has, and who began it.
pub(crate) fn parts(cx: &Cx, object: &Object, id: &str) -> Result<(Dialect, Vec<(u32, PartRecord)>)> {
    let snapshot = cx.cluster.storage.snapshot()?;
    let upload = snapshot.upload(id)?.filter(|u| u.key == object.key).ok_or_else(|| unknown(object, id))?;
    let by_s3 = upload.custom.iter().any(|(name, _)| name == BY_S3);
    Ok((if by_s3 { Dialect::S3 } else { Dialect::Native }, snapshot.parts(id)?))
}

/// MD5 of a part.
pub(crate) fn part_hex(part: &PartRecord) -> String {
    crate::checksum::hex(&part.md5)
}

/// `mpt-abort`: forgets an upload and its parts.
pub(crate) async fn abort(cx: &Cx, object: &Object) -> Result<Reply> {
    const SHORTEST: usize = 8;
    let id = cx.query.value("uploadId").to_owned();
    if id.len() < SHORTEST {
        return Err(Fail::bad(format!(
            "chunk-manifest ID {id:?} is too short (expecting >= {SHORTEST} chars)"
        )));
    }
    if let Some(begun) = cx.cluster.storage.snapshot()?.upload(&id)?.filter(|u| u.key == object.key) {
        upload::abort(cx, object, &begun).await?;
    }
    let (key, stored) = (object.key.clone(), id.clone());
    let found = cx
        .cluster
        .storage
        .write(move |tables| {
            if tables.upload(&stored)?.is_none_or(|u| u.key != key) {
                return Ok(false);
            }
            tables.remove_upload(&stored, false)?;
            Ok(true)
        })
        .await?;
    cx.cluster.hashes.end(&id);
    if found {
        return Ok(Reply::ok());
    }
    let message = format!(
        "failed to load partial {}: open /ais/mp1/{}/@ais/{}/%ut/{}.{id}: no such file or directory",
        manifest(object, &id),
        cx.node().id,
        object.bucket.name.name,
        object.key.name
    );
    Err(Fail::not_found(message).tcode("wrapError"))
}

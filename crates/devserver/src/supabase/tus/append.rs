//! Bytes that arrive, and the object that they become in the end.

use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::answer::{TUS_COMPLETE, UPLOAD_LENGTH, UPLOAD_OFFSET, ok};
use super::create::too_large;
use super::lock::{Held, Running};
use super::upload::{Upload, decode_id};
use super::{Writer, problem};
use crate::aistore::reply::Reply;
use crate::checksum::{ChecksumKind, Hasher};
use crate::http::Abort;
use crate::storage::{BodyWriter, Row, Storage, Tables};
use crate::supabase::caller::Caller;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::store::{Stored, Target, quoted_md5};
use crate::supabase::time::now;
use crate::supabase::upload::size_limit;

/// Bytes after which what has arrived is committed.
const CHECKPOINT: u64 = 1 << 20;
const CHUNK: usize = 256 * 1024;

/// `PATCH`.
pub(super) async fn append(cx: &mut Cx, caller: Option<Caller>, id: &str) -> Result<Reply> {
    let offset = cx.header(UPLOAD_OFFSET.as_str());
    let offset = offset.ok_or_else(|| problem(403, "Upload-Offset header required\n"))?;
    let offset: u64 = offset.parse().unwrap_or(u64::MAX);
    if cx.header(CONTENT_TYPE.as_str()).is_none() {
        return Err(problem(403, "Content-Type header required\n"));
    }
    let (place, version) = decode_id(id)?;
    let target = Writer::find(cx, caller, &place)?.target(cx, &place)?;
    let held = cx.service.uploads.acquire(&version, cx.service.settings.lock_wait).await?;
    let mut upload = Upload::find(cx, &place, &version)?;
    if upload.offset != offset {
        return Err(problem(409, "Upload-Offset conflict\n"));
    }
    let limit = size_limit(cx, &target.bucket, &place.key);
    if let Some(length) = cx.header(UPLOAD_LENGTH.as_str()) {
        let length: u64 = length.parse().unwrap_or(u64::MAX);
        if upload.length.is_some() || length < upload.offset {
            return Err(problem(400, "Upload-Length or Upload-Defer-Length header required\n"));
        }
        if length > limit {
            return Err(too_large());
        }
        upload.length = Some(length);
    }
    let upload = if upload.complete {
        let announced = cx.body.known_len();
        if announced != Some(0) && cx.body.next().await?.is_some() {
            return Err(problem(413, "upload's size exceeded\n"));
        }
        upload
    } else {
        write(cx, &target, upload, limit, held).await?
    };
    let mut reply = ok(StatusCode::NO_CONTENT).with(UPLOAD_OFFSET, &upload.offset.to_string());
    if upload.complete {
        reply.set(TUS_COMPLETE, "1");
    }
    upload.set_expiry(cx, &mut reply);
    Ok(reply)
}

/// Takes the bytes that come with a new upload.
pub(super) async fn receive(cx: &mut Cx, target: &Target, upload: Upload, limit: u64) -> Result<Upload> {
    let held = cx.service.uploads.acquire(&upload.version, cx.service.settings.lock_wait).await?;
    write(cx, target, upload, limit, held).await
}

/// Appends what the request carries, and makes it the object if it was the last of it.
async fn write(cx: &mut Cx, target: &Target, upload: Upload, limit: u64, mut held: Held) -> Result<Upload> {
    let most = upload.length.unwrap_or(limit);
    let excess = || {
        if upload.length.is_some() { problem(413, "upload's size exceeded\n") } else { too_large() }
    };
    let room = most.saturating_sub(upload.offset);
    if cx.body.known_len().is_some_and(|n| n > room) {
        return Err(excess());
    }
    let running = held.running().take().filter(|r| r.offset == upload.offset);
    let start = (upload.offset == 0).then(|| Hasher::new(ChecksumKind::Md5));
    let hasher = running.map(|r| r.hasher).or(start);
    let too_much = excess();
    let mut part = Part::new(&cx.service.storage, upload, hasher, cx.plan.no_space_at())?;
    let result = loop {
        let next = tokio::select! {
            next = cx.body.next() => next,
            () = held.asked_to_let_go() => Err(Abort),
        };
        match next {
            Ok(Some(bytes)) if part.upload.offset + part.fresh() + bytes.len() as u64 > most => {
                break Err(too_much);
            }
            Ok(Some(bytes)) => {
                if let Err(fail) = part.write(&bytes).await {
                    break Err(fail);
                }
            }
            Ok(None) => break Ok(()),
            Err(Abort) => break Err(Fail::abort()),
        }
    };
    // Whatever ended it: what has arrived counts. Where nothing has and the length is reached, only the completion notes
    // that length: a client that is gone between the two would find an upload that looks complete, and no object.
    let whole = part.fresh() == 0 && part.upload.length == Some(part.upload.offset);
    let committed = if whole { Ok(()) } else { part.commit().await };
    *held.running() = part.running();
    result?;
    committed?;
    let Part { upload, hasher, .. } = part;
    if upload.length != Some(upload.offset) {
        return Ok(upload);
    }
    let upload = complete(cx, target, upload, hasher).await?;
    held.forget();
    Ok(upload)
}

/// The bytes of one request on their way to the disk.
struct Part<'s> {
    storage: &'s Storage,
    body: BodyWriter,
    upload: Upload,
    /// Bytes of this part that are committed.
    committed: u64,
    /// `None` if an earlier process has seen bytes that this one has not.
    hasher: Option<Hasher>,
}

impl<'s> Part<'s> {
    fn new(
        storage: &'s std::sync::Arc<Storage>,
        upload: Upload,
        hasher: Option<Hasher>,
        no_space_at: Option<u64>,
    ) -> Result<Self> {
        let mut body = storage.create_body()?;
        body.fail_at(no_space_at);
        Ok(Self { storage, body, upload, committed: 0, hasher })
    }

    /// Bytes that are not committed.
    fn fresh(&self) -> u64 {
        self.body.len() - self.committed
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.body.write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if self.fresh() >= CHECKPOINT { self.commit().await } else { Ok(()) }
    }

    /// Makes what has arrived part of the upload.
    async fn commit(&mut self) -> Result<()> {
        let fresh = self.fresh();
        self.body.finish()?;
        let upload = Upload { offset: self.upload.offset + fresh, ..self.upload.clone() };
        // Held before the row refers to it: nobody may be there any more when it does.
        let piece = if self.body.len() > 0 { self.body.hold() } else { self.body.piece() };
        let (key, value) = (Upload::row_key(&upload.version), upload.clone());
        let step = move |tables: &mut Tables<'_>| {
            let Some(row) = tables.row::<Upload>(&key)? else { return Ok(false) };
            let mut pieces = row.pieces;
            pieces.retain(|p| p.id != piece.id);
            if piece.len > 0 {
                pieces.push(piece);
            }
            tables.put_row(&key, &value, &pieces)?;
            Ok(true)
        };
        if !self.storage.write(step).await? {
            return Err(super::not_found());
        }
        self.upload = upload;
        self.committed = self.body.len();
        Ok(())
    }

    /// The hash so far, if it covers just what is committed.
    fn running(&self) -> Option<Running> {
        let hasher = self.hasher.clone().filter(|_| self.fresh() == 0)?;
        Some(Running { offset: self.upload.offset, hasher })
    }
}

/// Makes the bytes of an upload the object.
async fn complete(cx: &Cx, target: &Target, upload: Upload, hasher: Option<Hasher>) -> Result<Upload> {
    let hasher = match hasher {
        Some(hasher) => hasher,
        None => hash(cx, &upload).await?,
    };
    let stored = Stored { size: upload.offset, etag: quoted_md5(&hasher), last_modified: now() };
    let target = target.clone();
    let step = move |tables: &mut Tables<'_>| {
        let key = Upload::row_key(&upload.version);
        let Some(row) = tables.row::<Upload>(&key)? else { return Ok(Err(super::not_found())) };
        let put = target.put(tables, upload.version.clone(), &stored, &upload.about(), &row.pieces)?;
        Ok(match put {
            Ok(_) => {
                // The bodies are the object's from now on.
                tables.take_row::<Upload>(&key)?;
                let upload = Upload { complete: true, ..upload };
                tables.put_row(&key, &upload, &[])?;
                Ok(upload)
            }
            Err(fail) => Err(fail),
        })
    };
    cx.service.storage.write(step).await?
}

/// Hashes what an earlier process has received.
async fn hash(cx: &Cx, upload: &Upload) -> Result<Hasher> {
    let whole = |row: &Row<Upload>| Ok::<_, Fail>((0, row.value.offset));
    let opened = cx.service.storage.open_row(&Upload::row_key(&upload.version), whole)?;
    let (_, mut reader) = opened.ok_or_else(super::not_found)??;
    let work = move || -> Result<Hasher> {
        let mut hasher = Hasher::new(ChecksumKind::Md5);
        while let Some(bytes) = reader.read(CHUNK)? {
            hasher.update(&bytes);
        }
        Ok(hasher)
    };
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

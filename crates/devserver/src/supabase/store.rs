//! Objects becoming what they are: one transaction each.

use super::Service;
use super::caller::Caller;
use super::error::{Fail, Result};
use super::names;
use super::rows::{Bucket, Object};
use super::time::{Micros, now, uuid};
use crate::checksum::{ChecksumKind, Hasher};
use crate::http::ReqBody;
use crate::storage::{BodyWriter, Piece, StorageError, Tables};

/// What a write says about an object, beside its bytes.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) mimetype: String,
    pub(super) cache_control: Option<String>,
    pub(super) robots: Option<String>,
    pub(super) user_metadata: Option<serde_json::Value>,
    pub(super) owner: Option<String>,
}

/// Bytes that are stored, but are no object yet.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) last_modified: Micros,
}

/// A body that is being received.
#[derive(Debug)]
pub(super) struct Receiver {
    body: BodyWriter,
    hasher: Hasher,
    limit: u64,
}

impl Receiver {
    /// `limit` is the most bytes that it takes.
    pub(super) fn new(service: &Service, limit: u64, no_space_at: Option<u64>) -> Result<Self> {
        let mut body = service.storage.create_body()?;
        body.fail_at(no_space_at);
        Ok(Self { body, hasher: Hasher::new(ChecksumKind::Md5), limit })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.body.len() + bytes.len() as u64 > self.limit {
            return Err(Fail::too_large());
        }
        self.hasher.update(bytes);
        Ok(self.body.write(bytes)?)
    }

    /// Takes everything that a request carries.
    pub(super) async fn take(&mut self, from: &mut ReqBody) -> Result<()> {
        while let Some(bytes) = from.next().await? {
            self.write(&bytes)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(BodyWriter, Stored)> {
        self.body.finish()?;
        let stored = Stored { size: self.body.len(), etag: quoted_md5(&self.hasher), last_modified: now() };
        Ok((self.body, stored))
    }
}

/// The `ETag` of what was hashed.
pub(super) fn quoted_md5(hasher: &Hasher) -> String {
    format!("\"{}\"", hasher.finish().map(|c| c.value).unwrap_or_default())
}

/// Where and how an object is written.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) bucket: Bucket,
    pub(super) key: String,
    /// Replaces what is there.
    pub(super) upsert: bool,
}

impl Target {
    /// Refuses what the caller may not write, before any byte is read; the transaction asks again.
    pub(super) fn check(&self, service: &Service, caller: &Caller) -> Result<()> {
        let exists = self.bucket.object(&service.storage.snapshot()?, &self.key)?.is_some();
        if exists && !self.upsert {
            return Err(Fail::exists("KeyAlreadyExists"));
        }
        if service.frees(caller) { Ok(()) } else { Err(Fail::row_security()) }
    }

    /// Refuses keys that cannot be stored; `version` is the one that the object would get.
    pub(super) fn check_key(&self, service: &Service, version: &str) -> Result<()> {
        names::check_segments(&service.settings.project, &self.bucket.id, &self.key, version)
    }

    /// Puts the object where it belongs, in a transaction. Identity and time of creation of what it replaces stay.
    pub(super) fn put(
        &self,
        tables: &mut Tables<'_>,
        version: String,
        stored: &Stored,
        about: &About,
        pieces: &[Piece],
    ) -> std::result::Result<Result<Object>, StorageError> {
        let bucket = tables.row::<Bucket>(&Bucket::key(&self.bucket.id))?;
        if bucket.is_none_or(|row| row.value.number != self.bucket.number) {
            return Ok(Err(Fail::no_bucket()));
        }
        let key = self.bucket.object_key(&self.key);
        let old = tables.row::<Object>(&key)?.map(|row| row.value);
        if old.is_some() && !self.upsert {
            return Ok(Err(Fail::exists("KeyAlreadyExists")));
        }
        let at = now();
        let object = Object {
            id: old.as_ref().map_or_else(uuid, |o| o.id.clone()),
            version,
            owner: about.owner.clone(),
            size: stored.size,
            etag: stored.etag.clone(),
            mimetype: about.mimetype.clone(),
            cache_control: about.cache_control.clone(),
            robots: about.robots.clone(),
            last_modified: stored.last_modified,
            created_at: old.as_ref().map_or(at, |o| o.created_at),
            updated_at: at,
            accessed_at: old.as_ref().map_or(at, |o| o.accessed_at),
            user_metadata: about.user_metadata.clone(),
        };
        tables.put_row(&key, &object, pieces)?;
        Ok(Ok(object))
    }

    /// Makes a received body the object.
    pub(super) async fn commit(
        self,
        service: &Service,
        body: BodyWriter,
        stored: Stored,
        about: About,
    ) -> Result<Object> {
        let version = uuid();
        let write = move |tables: &mut Tables<'_>| {
            let pieces: Vec<_> = Some(body.piece()).into_iter().filter(|p| p.len > 0).collect();
            let result = self.put(tables, version, &stored, &about, &pieces)?;
            if result.is_ok() && !pieces.is_empty() {
                body.keep();
            }
            Ok(result)
        };
        service.storage.write(write).await?
    }
}

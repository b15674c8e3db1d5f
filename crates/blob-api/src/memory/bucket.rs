//! Objects and their conditions.

use std::{collections::BTreeMap, time::SystemTime};

use bytes::Bytes;
use longshore_core_types::{
    Attributes, Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, ObjectMeta, Result, checksum::Hasher,
};

use super::multipart::Upload;
use crate::{DeleteOptions, Pin, PutOptions, PutResult};

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<ObjectKey, Object>,
    pub(super) uploads: BTreeMap<u64, Upload>,
}

pub(super) struct Object {
    pub(super) data: Bytes,
    pub(super) attributes: Attributes,
    pub(super) checksums: Vec<Checksum>,
    etag: String,
    version: u64,
    modified: SystemTime,
}

/// What must hold for a call to go on.
pub(super) enum Condition<'a> {
    Match(&'a str),
    NoneMatch(&'a str),
    Pin(&'a Pin),
}

impl Object {
    pub(super) fn meta(&self, key: &ObjectKey) -> ObjectMeta {
        let mut meta = self.listed(key);
        meta.version = Some(self.version.to_string());
        meta.checksums.clone_from(&self.checksums);
        meta.attributes = self.attributes.clone();
        meta
    }

    /// What a listing says without being asked for more.
    pub(super) fn listed(&self, key: &ObjectKey) -> ObjectMeta {
        let mut meta = ObjectMeta::new(key.clone(), self.data.len() as u64);
        meta.last_modified = Some(self.modified);
        meta.etag = Some(self.etag.clone());
        meta
    }

    fn check(&self, key: &ObjectKey, condition: &Condition<'_>) -> Result<()> {
        let failed = || Err(Error::new(ErrorKind::PreconditionFailed, "the object is another one by now"));
        match condition {
            Condition::Match(etag) if *etag != self.etag => failed(),
            Condition::Pin(pin) if !pin.matches(&self.meta(key)) => failed(),
            Condition::NoneMatch(etag) if *etag == self.etag => {
                Err(Error::new(ErrorKind::NotModified, "the object is still the same"))
            }
            _ => Ok(()),
        }
    }
}

impl Bucket {
    /// The object, if it is there and the conditions hold.
    pub(super) fn find<'a>(
        &self,
        key: &ObjectKey,
        conditions: impl IntoIterator<Item = Condition<'a>>,
    ) -> Result<&Object> {
        let object = self
            .objects
            .get(key)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such object"))?;
        conditions.into_iter().try_for_each(|condition| object.check(key, &condition))?;
        Ok(object)
    }

    pub(super) fn put(
        &mut self,
        key: &ObjectKey,
        data: Bytes,
        opts: &PutOptions,
        version: u64,
    ) -> Result<PutResult> {
        if opts.create_only && self.objects.contains_key(key) {
            return Err(Error::new(ErrorKind::AlreadyExists, "the object exists already"));
        }
        self.check_current(key, opts.if_match.as_deref())?;
        if let Some(stated) = &opts.checksum {
            let found = checksum(stated.kind(), &data);
            if found != *stated {
                let message = format!("the body has the checksum {found}, not {stated}");
                return Err(Error::new(ErrorKind::ChecksumMismatch, message));
            }
        }
        let crc = checksum(ChecksumKind::Crc32c, &data);
        let object = Object {
            etag: format!("\"{version:x}-{}\"", crc.to_hex()),
            checksums: vec![crc],
            attributes: opts.attributes.clone(),
            modified: SystemTime::now(),
            version,
            data,
        };
        let meta = object.meta(key);
        self.objects.insert(key.clone(), object);
        Ok(PutResult {
            etag: meta.etag,
            version: meta.version,
            checksums: meta.checksums,
            last_modified: meta.last_modified,
        })
    }

    pub(super) fn delete(&mut self, key: &ObjectKey, opts: &DeleteOptions) -> Result<()> {
        self.check_current(key, opts.if_match.as_deref())?;
        self.objects.remove(key);
        Ok(())
    }

    /// A condition on the object that a change would replace: a missing one fails it too.
    fn check_current(&self, key: &ObjectKey, etag: Option<&str>) -> Result<()> {
        let Some(etag) = etag else { return Ok(()) };
        match self.objects.get(key) {
            Some(object) => object.check(key, &Condition::Match(etag)),
            None => Err(Error::new(ErrorKind::PreconditionFailed, "there is no such object any more")),
        }
    }
}

pub(super) fn checksum(kind: ChecksumKind, data: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(kind);
    hasher.update(data);
    hasher.finish()
}

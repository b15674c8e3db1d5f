//! Typed access to the database inside a write transaction and in a snapshot.

use std::ops::Range;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::records::{ObjectKey, ObjectRecord, PartRecord, Piece, Service, UploadRecord, encode_key};
use super::rows::{self, ROWS, RowTable};
use super::{Result, StorageError};

type Bytes = &'static [u8];

const META: TableDefinition<'static, &str, Bytes> = TableDefinition::new("meta");
const BUCKETS: TableDefinition<'static, &str, Bytes> = TableDefinition::new("buckets");
const OBJECTS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("objects");
const UPLOADS: TableDefinition<'static, &str, Bytes> = TableDefinition::new("uploads");
const AUTHN: TableDefinition<'static, &str, Bytes> = TableDefinition::new("authn");
const SERVICES: TableDefinition<'static, (&str, &str), Bytes> = TableDefinition::new("services");
const PARTS: TableDefinition<'static, (&str, u32), Bytes> = TableDefinition::new("parts");

pub(super) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec(value).map_err(|e| StorageError::Corrupt(e.to_string()))
}

pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    rmp_serde::from_slice(bytes).map_err(|e| StorageError::Corrupt(e.to_string()))
}

/// All tables inside one write transaction.
pub(crate) struct Tables<'t> {
    meta: Table<'t, &'static str, Bytes>,
    buckets: Table<'t, &'static str, Bytes>,
    objects: Table<'t, Bytes, Bytes>,
    uploads: Table<'t, &'static str, Bytes>,
    parts: Table<'t, (&'static str, u32), Bytes>,
    authn: Table<'t, &'static str, Bytes>,
    services: Table<'t, (&'static str, &'static str), Bytes>,
    pub(super) rows: RowTable<'t>,
    pub(super) doomed: Vec<u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            meta: txn.open_table(META)?,
            buckets: txn.open_table(BUCKETS)?,
            objects: txn.open_table(OBJECTS)?,
            uploads: txn.open_table(UPLOADS)?,
            parts: txn.open_table(PARTS)?,
            authn: txn.open_table(AUTHN)?,
            services: txn.open_table(SERVICES)?,
            rows: txn.open_table(ROWS)?,
            doomed: Vec::new(),
        })
    }

    /// Bodies to remove once the transaction is committed.
    pub(super) fn take_doomed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.doomed)
    }

    pub(crate) fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.meta.insert(name, value)?;
        Ok(())
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.meta.get(name)?.map(|v| v.value().to_vec()))
    }

    /// Stores or, without a value, removes a record of the AuthN service.
    pub(crate) fn set_authn(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        match value {
            Some(value) => drop(self.authn.insert(key, value)?),
            None => drop(self.authn.remove(key)?),
        }
        Ok(())
    }

    /// Stores or, without a value, removes a record that only its service understands.
    pub(crate) fn set_record(&mut self, service: Service, key: &str, value: Option<&[u8]>) -> Result<()> {
        let key = (service.name(), key);
        match value {
            Some(value) => drop(self.services.insert(key, value)?),
            None => drop(self.services.remove(key)?),
        }
        Ok(())
    }

    /// True if the bucket holds no object.
    pub(crate) fn is_empty(&self, bucket: u64) -> Result<bool> {
        let (start, end) = bucket_range(bucket);
        Ok(self.objects.range(start.as_slice()..end.as_slice())?.next().is_none())
    }

    pub(crate) fn put_bucket(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.buckets.insert(name, value)?;
        Ok(())
    }

    pub(crate) fn remove_bucket(&mut self, name: &str) -> Result<()> {
        self.buckets.remove(name)?;
        Ok(())
    }

    pub(crate) fn object(&self, key: &ObjectKey) -> Result<Option<ObjectRecord>> {
        self.objects.get(key.encode().as_slice())?.map(|v| unpack(v.value())).transpose()
    }

    /// Stores an object; the pieces of the one it replaces are removed unless the new one refers to them.
    pub(crate) fn put_object(&mut self, key: &ObjectKey, record: &ObjectRecord) -> Result<()> {
        let packed = pack(record)?;
        let old = self.objects.insert(key.encode().as_slice(), packed.as_slice())?;
        if let Some(old) = old {
            let old: ObjectRecord = unpack(old.value())?;
            // A file may go on with another length: the object was extended in place.
            let gone = old.pieces.iter().map(|p| p.id).filter(|id| record.pieces.iter().all(|p| p.id != *id));
            self.doomed.extend(gone);
        }
        Ok(())
    }

    /// Takes an object out without removing its body.
    pub(crate) fn take_object(&mut self, key: &ObjectKey) -> Result<Option<ObjectRecord>> {
        self.objects.remove(key.encode().as_slice())?.map(|v| unpack(v.value())).transpose()
    }

    /// Removes an object and its body; false if there is none.
    pub(crate) fn remove_object(&mut self, key: &ObjectKey) -> Result<bool> {
        let Some(old) = self.take_object(key)? else { return Ok(false) };
        self.doomed.extend(old.pieces.iter().map(|p| p.id));
        Ok(true)
    }

    /// Removes up to `limit` objects of a bucket, whatever their slot; returns how many there were.
    pub(crate) fn purge_objects(&mut self, bucket: u64, limit: usize) -> Result<usize> {
        let (start, end) = bucket_range(bucket);
        let mut keys = Vec::new();
        for entry in self.objects.range(start.as_slice()..end.as_slice())?.take(limit) {
            let (key, value) = entry?;
            let record: ObjectRecord = unpack(value.value())?;
            self.doomed.extend(record.pieces.iter().map(|p| p.id));
            keys.push(key.value().to_vec());
        }
        for key in &keys {
            self.objects.remove(key.as_slice())?;
        }
        Ok(keys.len())
    }

    pub(crate) fn put_upload(&mut self, id: &str, record: &UploadRecord) -> Result<()> {
        self.uploads.insert(id, pack(record)?.as_slice())?;
        Ok(())
    }

    pub(crate) fn upload(&self, id: &str) -> Result<Option<UploadRecord>> {
        self.uploads.get(id)?.map(|v| unpack(v.value())).transpose()
    }

    pub(crate) fn part(&self, id: &str, number: u32) -> Result<Option<PartRecord>> {
        self.parts.get((id, number))?.map(|v| unpack(v.value())).transpose()
    }

    pub(crate) fn parts(&self, id: &str) -> Result<Vec<(u32, PartRecord)>> {
        collect_parts(&self.parts, id)
    }

    pub(crate) fn put_part(&mut self, id: &str, number: u32, part: &PartRecord) -> Result<()> {
        self.parts.insert((id, number), pack(part)?.as_slice())?;
        Ok(())
    }

    /// Stores a part in place of one with the same number, whose body is removed.
    pub(crate) fn replace_part(&mut self, id: &str, number: u32, part: &PartRecord) -> Result<()> {
        self.doomed.extend(self.part(id, number)?.map(|old| old.piece.id));
        self.put_part(id, number, part)
    }

    /// Forgets an upload whose object now owns `kept`; the bodies of other parts are removed.
    pub(crate) fn finish_upload(&mut self, id: &str, kept: &[Piece]) -> Result<()> {
        let gone = self.parts(id)?.into_iter().map(|(_, part)| part.piece).filter(|p| !kept.contains(p));
        self.doomed.extend(gone.map(|p| p.id));
        self.remove_upload(id, true)
    }

    /// Forgets an upload; its parts' files stay if `keep_bodies`, because an object now owns them.
    pub(crate) fn remove_upload(&mut self, id: &str, keep_bodies: bool) -> Result<()> {
        for (number, part) in self.parts(id)? {
            self.parts.remove((id, number))?;
            if !keep_bodies {
                self.doomed.push(part.piece.id);
            }
        }
        self.uploads.remove(id)?;
        Ok(())
    }
}

impl std::fmt::Debug for Tables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("doomed", &self.doomed.len()).finish_non_exhaustive()
    }
}

fn bucket_range(bucket: u64) -> (Vec<u8>, Vec<u8>) {
    (encode_key(bucket, 0, b""), encode_key(bucket + 1, 0, b""))
}

fn collect_parts(
    table: &impl ReadableTable<(&'static str, u32), Bytes>,
    id: &str,
) -> Result<Vec<(u32, PartRecord)>> {
    let mut all = Vec::new();
    for entry in table.range((id, 0)..=(id, u32::MAX))? {
        let (key, record) = entry?;
        all.push((key.value().1, unpack(record.value())?));
    }
    Ok(all)
}

/// A consistent view of the database.
pub(crate) struct Snapshot {
    txn: ReadTransaction,
}

impl Snapshot {
    pub(super) fn new(txn: ReadTransaction) -> Self {
        Self { txn }
    }

    /// All records of the AuthN service.
    pub(crate) fn authn(&self) -> Result<Vec<(String, Vec<u8>)>> {
        self.all(AUTHN)
    }

    /// All records of a service, in order of their keys.
    pub(crate) fn records(&self, service: Service) -> Result<Vec<(String, Vec<u8>)>> {
        let table = self.txn.open_table(SERVICES)?;
        let mut all = Vec::new();
        for entry in table.range((service.name(), "")..)? {
            let (key, value) = entry?;
            if key.value().0 != service.name() {
                break;
            }
            all.push((key.value().1.to_owned(), value.value().to_vec()));
        }
        Ok(all)
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.txn.open_table(META)?.get(name)?.map(|v| v.value().to_vec()))
    }

    pub(crate) fn buckets(&self) -> Result<Vec<(String, Vec<u8>)>> {
        self.all(BUCKETS)
    }

    fn all(&self, table: TableDefinition<'static, &'static str, Bytes>) -> Result<Vec<(String, Vec<u8>)>> {
        let table = self.txn.open_table(table)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            let (name, value) = entry?;
            all.push((name.value().to_owned(), value.value().to_vec()));
        }
        Ok(all)
    }

    pub(crate) fn object(&self, key: &ObjectKey) -> Result<Option<ObjectRecord>> {
        let table = self.txn.open_table(OBJECTS)?;
        table.get(key.encode().as_slice())?.map(|v| unpack(v.value())).transpose()
    }

    pub(crate) fn upload(&self, id: &str) -> Result<Option<UploadRecord>> {
        let table = self.txn.open_table(UPLOADS)?;
        table.get(id)?.map(|v| unpack(v.value())).transpose()
    }

    pub(crate) fn uploads(&self) -> Result<Vec<(String, UploadRecord)>> {
        let table = self.txn.open_table(UPLOADS)?;
        let mut all = Vec::new();
        for entry in table.iter()? {
            let (id, record) = entry?;
            all.push((id.value().to_owned(), unpack(record.value())?));
        }
        Ok(all)
    }

    pub(crate) fn part(&self, id: &str, number: u32) -> Result<Option<PartRecord>> {
        let table = self.txn.open_table(PARTS)?;
        table.get((id, number))?.map(|v| unpack(v.value())).transpose()
    }

    pub(crate) fn parts(&self, id: &str) -> Result<Vec<(u32, PartRecord)>> {
        collect_parts(&self.txn.open_table(PARTS)?, id)
    }

    /// The bucket's objects in order of name, from `from` on (inclusive), to be walked entry by entry.
    pub(crate) fn walk(&self, bucket: u64) -> Result<Walk> {
        Ok(Walk { table: self.txn.open_table(OBJECTS)?, bucket })
    }

    /// Calls `each` with every body in use.
    pub(super) fn for_each_body(&self, mut each: impl FnMut(u64)) -> Result<()> {
        for entry in self.txn.open_table(OBJECTS)?.iter()? {
            let record: ObjectRecord = unpack(entry?.1.value())?;
            record.pieces.iter().for_each(|p| each(p.id));
        }
        for entry in self.txn.open_table(PARTS)?.iter()? {
            let record: PartRecord = unpack(entry?.1.value())?;
            each(record.piece.id);
        }
        rows::for_each_body(&self.row_table()?, each)
    }

    pub(super) fn row_table(&self) -> Result<ReadOnlyTable<Bytes, Bytes>> {
        Ok(self.txn.open_table(ROWS)?)
    }

    /// Those of the bucket ids that own an object, existing or not.
    pub(super) fn buckets_with_objects(&self, ids: Range<u64>) -> Result<Vec<u64>> {
        let table = self.txn.open_table(OBJECTS)?;
        let mut found = Vec::new();
        let mut from = ids.start;
        let end = encode_key(ids.end, 0, b"");
        loop {
            let start = encode_key(from, 0, b"");
            let mut rest = table.range(start.as_slice()..end.as_slice())?;
            let Some(entry) = rest.next() else { return Ok(found) };
            let entry = entry?;
            let mut id = [0; 8];
            id.copy_from_slice(&entry.0.value()[..8]);
            let bucket = u64::from_be_bytes(id);
            found.push(bucket);
            from = bucket + 1;
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// An ordered walk over one bucket.
pub(crate) struct Walk {
    table: ReadOnlyTable<Bytes, Bytes>,
    bucket: u64,
}

impl Walk {
    /// Objects whose name is at least `from`, in byte order.
    pub(crate) fn from(
        &self,
        from: &str,
    ) -> Result<impl Iterator<Item = Result<(String, ObjectRecord)>> + '_> {
        let start = encode_key(self.bucket, 0, from.as_bytes());
        let end = encode_key(self.bucket, 1, b"");
        let range = self.table.range(start.as_slice()..end.as_slice())?;
        Ok(range.map(|entry| {
            let (key, value) = entry?;
            let name = std::str::from_utf8(&key.value()[9..])
                .map_err(|e| StorageError::Corrupt(e.to_string()))?
                .to_owned();
            Ok((name, unpack(value.value())?))
        }))
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

//! Rows of services that are no AIStore cluster: a key, a value of their own, and the bodies that belong to it.
//!
//! A key begins with a prefix of its service, so that services neither see nor sweep each other's rows. Bodies are the
//! same files as elsewhere: they are swept unless a row refers to them, and removed after the commit that drops them.

use redb::{ReadOnlyTable, ReadableTable, Table, TableDefinition};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bodies::BodyReader;
use super::records::Piece;
use super::tables::{Snapshot, Tables, pack, unpack};
use super::{Result, Storage};

pub(super) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

pub(super) type RowTable<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// A stored value and its bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<T> {
    pub(crate) value: T,
    pub(crate) pieces: Vec<Piece>,
}

/// A row with its key.
pub(crate) type Found<T> = (Vec<u8>, Row<T>);

/// A row whose bodies are open, or why they were not opened.
pub(crate) type Opened<T, E> = std::result::Result<(Row<T>, BodyReader), E>;

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Row<T>> {
    let (pieces, value) = unpack(bytes)?;
    Ok(Row { value, pieces })
}

/// The first key behind all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

impl Tables<'_> {
    /// Looks a row up.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<Row<T>>> {
        self.rows.get(key)?.map(|v| decode(v.value())).transpose()
    }

    /// Stores a row; bodies of the one it replaces are removed unless the new one refers to them.
    pub(crate) fn put_row<T: Serialize>(&mut self, key: &[u8], value: &T, pieces: &[Piece]) -> Result<()> {
        let packed = pack(&(pieces, value))?;
        let old = self.rows.insert(key, packed.as_slice())?;
        let old: Option<(Vec<Piece>, IgnoredAny)> = old.map(|v| unpack(v.value())).transpose()?;
        if let Some((old, _)) = old {
            self.doomed.extend(old.iter().filter(|p| !pieces.iter().any(|q| q.id == p.id)).map(|p| p.id));
        }
        Ok(())
    }

    /// Takes a row out without removing its bodies.
    pub(crate) fn take_row<T: DeserializeOwned>(&mut self, key: &[u8]) -> Result<Option<Row<T>>> {
        self.rows.remove(key)?.map(|v| decode(v.value())).transpose()
    }

    /// Removes a row and its bodies, and returns what it was.
    pub(crate) fn remove_row<T: DeserializeOwned>(&mut self, key: &[u8]) -> Result<Option<Row<T>>> {
        let row = self.take_row::<T>(key)?;
        if let Some(row) = &row {
            self.doomed.extend(row.pieces.iter().map(|p| p.id));
        }
        Ok(row)
    }

    /// At most `limit` rows whose keys begin with `prefix` and follow `after`, in order.
    pub(crate) fn rows<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Found<T>>> {
        let (start, end) = (prefix.max(after).to_vec(), end_of(prefix));
        let mut found = Vec::new();
        for entry in self.rows.range(start.as_slice()..end.as_slice())? {
            if found.len() == limit {
                break;
            }
            let (key, value) = entry?;
            if key.value() != after {
                found.push((key.value().to_vec(), decode(value.value())?));
            }
        }
        Ok(found)
    }
}

impl Snapshot {
    /// Looks a row up.
    pub(crate) fn row<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<Row<T>>> {
        self.row_table()?.get(key)?.map(|v| decode(v.value())).transpose()
    }

    /// The rows whose keys begin with `prefix`, to be walked.
    pub(crate) fn row_walk(&self, prefix: &[u8]) -> Result<RowWalk> {
        Ok(RowWalk { table: self.row_table()?, prefix: prefix.to_vec() })
    }
}

/// An ordered walk over the rows of one prefix.
pub(crate) struct RowWalk {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    prefix: Vec<u8>,
}

impl RowWalk {
    fn key(&self, rest: &[u8]) -> Vec<u8> {
        [&self.prefix, rest].concat()
    }

    /// Rows from `from` on, in order; keys are told without the prefix.
    pub(crate) fn from<'a, T: DeserializeOwned + 'a>(
        &'a self,
        from: &[u8],
    ) -> Result<impl Iterator<Item = Result<Found<T>>> + 'a> {
        let (start, end) = (self.key(from), end_of(&self.prefix));
        let range = self.table.range(start.as_slice()..end.as_slice())?;
        Ok(range.map(|entry| {
            let (key, value) = entry?;
            Ok((key.value()[self.prefix.len()..].to_vec(), decode(value.value())?))
        }))
    }

    /// Rows before `before`, or all of them, in reverse order; keys are told without the prefix.
    pub(crate) fn back<'a, T: DeserializeOwned + 'a>(
        &'a self,
        before: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<Found<T>>> + 'a> {
        let end = before.map_or_else(|| end_of(&self.prefix), |rest| self.key(rest));
        let range = self.table.range(self.prefix.as_slice()..end.as_slice())?;
        Ok(range.rev().map(|entry| {
            let (key, value) = entry?;
            Ok((key.value()[self.prefix.len()..].to_vec(), decode(value.value())?))
        }))
    }
}

impl std::fmt::Debug for RowWalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowWalk").finish_non_exhaustive()
    }
}

/// Calls `each` with every body that a row refers to.
pub(super) fn for_each_body(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    mut each: impl FnMut(u64),
) -> Result<()> {
    for entry in table.iter()? {
        let (pieces, _): (Vec<Piece>, IgnoredAny) = unpack(entry?.1.value())?;
        for piece in pieces {
            each(piece.id);
        }
    }
    Ok(())
}

impl Storage {
    /// Looks a row up and opens the range of its bodies that `range` chooses; as
    /// [`open_object`](Self::open_object) does, also while the row is being replaced.
    pub(crate) fn open_row<T: DeserializeOwned, E>(
        &self,
        key: &[u8],
        range: impl Fn(&Row<T>) -> std::result::Result<(u64, u64), E>,
    ) -> Result<Option<Opened<T, E>>> {
        loop {
            let Some(row) = self.snapshot()?.row::<T>(key)? else { return Ok(None) };
            let pin = self.bodies.pin(&row.pieces);
            if self.snapshot()?.row::<IgnoredAny>(key)?.is_none_or(|now| now.pieces != row.pieces) {
                continue;
            }
            let (start, len) = match range(&row) {
                Ok(range) => range,
                Err(e) => return Ok(Some(Err(e))),
            };
            let mut reader = BodyReader::new(pin, row.pieces.clone(), start, len);
            reader.open_first()?;
            return Ok(Some(Ok((row, reader))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_of_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path(), false).unwrap();
        for key in ["a1", "b1", "b2", "b3", "c1"] {
            storage.write(move |t| t.put_row(key.as_bytes(), &key.to_owned(), &[])).await.unwrap();
        }
        let snapshot = storage.snapshot().unwrap();
        let walk = snapshot.row_walk(b"b").unwrap();
        let names = |found: Vec<Found<String>>| found.into_iter().map(|(_, r)| r.value).collect::<Vec<_>>();
        let ahead = walk.from::<String>(b"2").unwrap().collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(names(ahead), ["b2", "b3"]);
        let back = walk.back::<String>(Some(b"3")).unwrap().collect::<Result<Vec<_>>>().unwrap();
        assert_eq!(names(back), ["b2", "b1"]);
        let some = storage.write(|t| t.rows::<String>(b"b", b"b1", 1)).await.unwrap();
        assert_eq!(names(some), ["b2"]);
        assert_eq!(snapshot.row::<String>(b"c1").unwrap().unwrap().value, "c1");
    }

    #[tokio::test]
    async fn bodies_follow_their_rows() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path(), false).unwrap();
        let put = async |text: &'static str| {
            let mut body = storage.create_body().unwrap();
            body.write(text.as_bytes()).unwrap();
            storage.write(move |t| t.put_row(b"k", &text.to_owned(), &[body.keep()])).await.unwrap();
        };
        let read = || {
            let whole = |row: &Row<String>| Ok::<_, ()>((0, row.pieces[0].len));
            let (row, mut body) = storage.open_row(b"k", whole).unwrap().unwrap().unwrap();
            (row.value, body.read(100).unwrap().unwrap())
        };
        put("one").await;
        let (_, mut open) =
            storage.open_row::<String, ()>(b"k", |row| Ok((0, row.pieces[0].len))).unwrap().unwrap().unwrap();
        put("other").await;
        assert_eq!(&open.read(100).unwrap().unwrap()[..], b"one");
        let (value, bytes) = read();
        assert_eq!((value.as_str(), &bytes[..]), ("other", &b"other"[..]));
        drop(open);
        drop(storage);
        // What the row refers to survives the sweep.
        let storage = Storage::open(dir.path(), false).unwrap();
        assert!(storage.open_row::<String, ()>(b"k", |_| Ok((0, 5))).unwrap().is_some());
    }
}

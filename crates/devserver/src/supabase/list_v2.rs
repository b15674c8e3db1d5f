//! The second listing: by cursor, flat or with folders.
//!
//! Two defects of the original are kept, because clients have to cope with them: with folders and in order of name, a
//! page that ends on object `a` is followed by one that begins at `a/`, so that `a-b` and `a.txt` are lost; and in
//! descending order a folder with a single object is lost behind a file.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::cx::{Cx, NoHeader};
use super::error::{Fail, Result};
use super::rows::{Bucket, Metadata, Object, document};
use super::time::{Micros, iso, iso_exact, parse_iso};
use crate::aistore::reply::Reply;
use crate::storage::{Row, Snapshot};

const MAX_LIMIT: i64 = 1000;
/// Sorts behind all that may be part of a key.
const LAST: &str = "\u{7f}";

/// Where the page before ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Key of an object, or path of a folder without its slash.
    pub(super) last: String,
    pub(super) order: Option<String>,
    pub(super) column: Option<String>,
    /// Its time, where times are sorted by.
    pub(super) after: Option<Micros>,
}

impl Cursor {
    pub(super) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?;
        let line = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned);
        Some(Self {
            last: line("l:")?,
            order: line("o:"),
            column: line("c:"),
            after: match line("a:") {
                Some(time) => Some(parse_iso(&time)?),
                None => None,
            },
        })
    }

    pub(super) fn encode(&self) -> String {
        let mut lines = vec![format!("l:{}", self.last)];
        lines.extend(self.order.as_ref().map(|o| format!("o:{o}")));
        lines.extend(self.column.as_ref().map(|c| format!("c:{c}")));
        lines.extend(self.after.map(|a| format!("a:{}", iso_exact(a))));
        BASE64_STANDARD.encode(lines.join("\n"))
    }
}

/// A row of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// With its slash; with the time of its first object, where times are sorted by.
    Folder(String, Option<Micros>),
    Object(String, Box<Object>),
}

impl Entry {
    /// As a cursor names it.
    pub(super) fn mark(&self) -> &str {
        match self {
            Self::Folder(path, _) => path.strip_suffix('/').unwrap_or(path),
            Self::Object(name, _) => name,
        }
    }
}

/// What is listed, and how.
#[derive(Debug)]
struct Wanted {
    prefix: String,
    delimiter: bool,
    /// The column of times to sort by.
    time: Option<Column>,
    descending: bool,
    cursor: Option<Cursor>,
    /// Rows to find: one more than the page holds.
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Created,
    Updated,
}

impl Wanted {
    /// The folder below the prefix that a key belongs to.
    fn folder<'k>(&self, key: &'k str) -> Option<&'k str> {
        if !self.delimiter {
            return None;
        }
        let at = key[self.prefix.len()..].find('/')?;
        Some(&key[..=self.prefix.len() + at])
    }
}

/// The objects of one bucket, in the order of their keys.
struct Objects<'a> {
    snapshot: &'a Snapshot,
    bucket: &'a Bucket,
}

impl Objects<'_> {
    /// Calls `each` for the objects from `from` on that begin with `prefix`, until it says so.
    fn ahead(&self, prefix: &str, from: &str, mut each: impl FnMut(String, Object) -> bool) -> Result<()> {
        let walk = self.snapshot.row_walk(&self.bucket.objects())?;
        for entry in walk.from::<Object>(from.max(prefix).as_bytes())? {
            let (key, row) = entry?;
            let key = String::from_utf8_lossy(&key).into_owned();
            if !key.starts_with(prefix) || !each(key, row.value) {
                break;
            }
        }
        Ok(())
    }

    /// The same backwards, for those before `before`.
    fn back(
        &self,
        prefix: &str,
        before: Option<&str>,
        mut each: impl FnMut(String, Object) -> bool,
    ) -> Result<()> {
        let end = format!("{prefix}{LAST}");
        let before = before.map_or(end.as_str(), |b| b.min(end.as_str()));
        let walk = self.snapshot.row_walk(&self.bucket.objects())?;
        for entry in walk.back::<Object>(Some(before.as_bytes()))? {
            let (key, row) = entry?;
            let key = String::from_utf8_lossy(&key).into_owned();
            if !key.starts_with(prefix) || !each(key, row.value) {
                break;
            }
        }
        Ok(())
    }

    fn any_below(&self, folder: &str) -> Result<bool> {
        let mut found = false;
        self.ahead(folder, folder, |_, _| {
            found = true;
            false
        })?;
        Ok(found)
    }
}

/// The first key behind a folder, whose path ends in a slash.
fn behind(folder: &str) -> String {
    format!("{}0", folder.strip_suffix('/').unwrap_or(folder))
}

fn by_name(objects: &Objects<'_>, wanted: &Wanted) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut from = match &wanted.cursor {
        Some(cursor) if wanted.delimiter => {
            let folder = format!("{}/", cursor.last);
            // Here objects get lost: the page before may have ended on one.
            if objects.any_below(&folder)? { behind(&folder) } else { folder }
        }
        Some(cursor) => format!("{}\0", cursor.last),
        None => String::new(),
    };
    loop {
        let mut seen = None;
        objects.ahead(&wanted.prefix, &from, |key, object| {
            if let Some(folder) = wanted.folder(&key) {
                seen = Some(folder.to_owned());
                return false;
            }
            found.push(Entry::Object(key, Box::new(object)));
            found.len() < wanted.limit
        })?;
        let Some(folder) = seen else { return Ok(found) };
        from = behind(&folder);
        found.push(Entry::Folder(folder, None));
        if found.len() >= wanted.limit {
            return Ok(found);
        }
    }
}

fn by_name_descending(objects: &Objects<'_>, wanted: &Wanted) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut before = match &wanted.cursor {
        Some(cursor) if wanted.delimiter => {
            let folder = format!("{}/", cursor.last);
            Some(if objects.any_below(&folder)? { folder } else { cursor.last.clone() })
        }
        Some(cursor) => Some(cursor.last.clone()),
        None => None,
    };
    let mut after_file = false;
    loop {
        let mut seen = None;
        objects.back(&wanted.prefix, before.as_deref(), |key, object| {
            if let Some(folder) = wanted.folder(&key) {
                // Here folders get lost: the object that ends a run of files is skipped.
                if std::mem::take(&mut after_file) {
                    return true;
                }
                seen = Some(folder.to_owned());
                return false;
            }
            after_file = true;
            found.push(Entry::Object(key, Box::new(object)));
            found.len() < wanted.limit
        })?;
        let Some(folder) = seen else { return Ok(found) };
        before = Some(folder.clone());
        found.push(Entry::Folder(folder, None));
        if found.len() >= wanted.limit {
            return Ok(found);
        }
    }
}

fn by_time(objects: &Objects<'_>, wanted: &Wanted, column: Column) -> Result<Vec<Entry>> {
    // Time, mark, whether it is a folder: few bytes, as all have to be sorted.
    let mut marks: Vec<(Micros, String, bool)> = Vec::new();
    objects.ahead(&wanted.prefix, "", |key, object| {
        let Some(folder) = wanted.folder(&key) else {
            let at = if column == Column::Created { object.created_at } else { object.updated_at };
            marks.push((at, key, false));
            return true;
        };
        let mark = folder.strip_suffix('/').unwrap_or(folder);
        // Objects of a folder follow one another.
        match marks.iter_mut().rev().find(|(_, _, f)| *f).filter(|(_, m, _)| m == mark) {
            Some((at, _, _)) => *at = (*at).min(object.created_at),
            None => marks.push((object.created_at, mark.to_owned(), true)),
        }
        true
    })?;
    marks.sort();
    if wanted.descending {
        marks.reverse();
    }
    if let Some(cursor) = &wanted.cursor {
        let end = (cursor.after.unwrap_or_default(), cursor.last.as_str());
        marks.retain(|(at, mark, _)| {
            let this = (*at, mark.as_str());
            if wanted.descending { this < end } else { this > end }
        });
    }
    let mut found = Vec::new();
    for (at, mark, folder) in marks.into_iter().take(wanted.limit) {
        if folder {
            found.push(Entry::Folder(mark + "/", Some(at)));
        } else if let Some(Row { value, .. }) = objects.bucket.object(objects.snapshot, &mark)? {
            found.push(Entry::Object(mark, Box::new(value)));
        }
    }
    Ok(found)
}

/// A page in order of name, for whoever else lists.
pub(super) fn page(
    snapshot: &Snapshot,
    bucket: &Bucket,
    prefix: &str,
    delimiter: bool,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Vec<Entry>> {
    let wanted =
        Wanted { prefix: prefix.to_owned(), delimiter, time: None, descending: false, cursor, limit };
    by_name(&Objects { snapshot, bucket }, &wanted)
}

/// A folder, or an object beside folders, as answers show it.
#[derive(Serialize)]
struct Shown<'a> {
    key: &'a str,
    name: &'a str,
    id: Option<&'a str>,
    updated_at: Option<String>,
    created_at: Option<String>,
    last_accessed_at: Option<String>,
    metadata: Option<Metadata<'a>>,
}

/// An object of a flat listing.
#[derive(Serialize)]
struct Flat<'a> {
    id: &'a str,
    name: &'a str,
    metadata: Metadata<'a>,
    updated_at: String,
    created_at: String,
    last_accessed_at: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Either<'a> {
    Flat(Flat<'a>),
    Beside(Shown<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    has_next: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor_key: Option<&'a str>,
    folders: Vec<Shown<'a>>,
    objects: Vec<Either<'a>>,
}

fn last_segment(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn show<'a>(page: &'a [Entry], delimiter: bool, next: Option<(String, &'a str)>) -> Page<'a> {
    let (mut folders, mut objects) = (Vec::new(), Vec::new());
    for entry in page {
        match entry {
            Entry::Folder(path, at) => folders.push(Shown {
                key: last_segment(entry.mark()),
                name: path,
                id: None,
                updated_at: at.map(iso),
                created_at: at.map(iso),
                last_accessed_at: None,
                metadata: None,
            }),
            Entry::Object(name, object) => {
                let (updated_at, created_at) = (iso(object.updated_at), iso(object.created_at));
                let last_accessed_at = iso(object.accessed_at);
                let (id, metadata) = (object.id.as_str(), object.metadata());
                objects.push(if delimiter {
                    Either::Beside(Shown {
                        key: last_segment(name),
                        name,
                        id: Some(id),
                        updated_at: Some(updated_at),
                        created_at: Some(created_at),
                        last_accessed_at: Some(last_accessed_at),
                        metadata: Some(metadata),
                    })
                } else {
                    Either::Flat(Flat { id, name, metadata, updated_at, created_at, last_accessed_at })
                });
            }
        }
    }
    let (next_cursor, next_cursor_key) = next.map_or((None, None), |(c, k)| (Some(c), Some(k)));
    Page { has_next: next_cursor.is_some(), next_cursor, next_cursor_key, folders, objects }
}

/// `POST /object/list-v2/{bucket}`.
pub(super) async fn list(cx: &mut Cx, bucket: &str) -> Result<Reply> {
    let fields = cx.document().await?;
    let prefix = fields.text("prefix")?.unwrap_or_default();
    let limit = fields.integer("limit", 1, None)?.unwrap_or(MAX_LIMIT).min(MAX_LIMIT);
    let cursor = fields.text("cursor")?.filter(|c| !c.is_empty());
    let delimiter = fields.boolean("with_delimiter")?.unwrap_or_default();
    let (mut column, mut order) = (None, None);
    if let Some(sort) = fields.inner("sortBy")? {
        sort.require(&["column"])?;
        column = sort.choice("column", &["name", "updated_at", "created_at"])?.map(str::to_owned);
        order = sort.choice("order", &["asc", "desc"])?.map(str::to_owned);
    }
    let caller = cx.caller(NoHeader::BadToken)?;
    let bad = || Fail::parameter("continuation token");
    let cursor = cursor.map(|c| Cursor::decode(&c).ok_or_else(bad)).transpose()?;
    if let Some(cursor) = &cursor {
        column.clone_from(&cursor.column);
        order = Some(cursor.order.clone().unwrap_or_else(|| "asc".into()));
    }
    let bucket = cx.find_bucket(bucket)?.filter(|_| cx.service.frees(&caller));
    let Some(bucket) = bucket else {
        return Ok(Reply::json(r#"{"hasNext":false,"folders":[],"objects":[]}"#));
    };
    let size = usize::try_from(limit).unwrap_or(1);
    let wanted = Wanted {
        prefix,
        delimiter,
        time: match column.as_deref() {
            Some("created_at") => Some(Column::Created),
            Some("updated_at") => Some(Column::Updated),
            _ => None,
        },
        descending: order.as_deref() == Some("desc"),
        cursor,
        limit: size + 1,
    };
    let snapshot = cx.service.storage.snapshot()?;
    let objects = Objects { snapshot: &snapshot, bucket: &bucket };
    let mut page = match wanted.time {
        Some(column) => by_time(&objects, &wanted, column)?,
        None if wanted.descending => by_name_descending(&objects, &wanted)?,
        None => by_name(&objects, &wanted)?,
    };
    let more = page.len() > size;
    page.truncate(size);
    let next = page.last().filter(|_| more).map(|last| {
        let after = wanted.time.and_then(|column| match last {
            Entry::Folder(_, at) => *at,
            Entry::Object(_, o) if column == Column::Created => Some(o.created_at),
            Entry::Object(_, o) => Some(o.updated_at),
        });
        (Cursor { last: last.mark().to_owned(), order, column, after }.encode(), last.mark())
    });
    Ok(Reply::json(document(&show(&page, delimiter, next))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors() {
        let cursor = Cursor::decode("bDpkaXIKbzphc2M=").unwrap();
        assert_eq!((cursor.last.as_str(), cursor.order.as_deref()), ("dir", Some("asc")));
        assert_eq!(cursor.encode(), "bDpkaXIKbzphc2M=");
        let timed =
            Cursor { after: Some(1_795_264_453_428_765), column: Some("created_at".into()), ..cursor };
        assert_eq!(Cursor::decode(&timed.encode()), Some(timed));
        // The original counts in milliseconds there.
        let text = "l:a\nc:created_at\na:2026-11-21T12:35:22.870Z";
        assert!(Cursor::decode(&BASE64_STANDARD.encode(text)).unwrap().after.is_some());
        assert_eq!(Cursor::decode("bm90LWEtY3Vyc29y"), None);
        assert_eq!(Cursor::decode("!!!"), None);
    }
}

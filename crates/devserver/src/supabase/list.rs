//! The first listing: the immediate children of a folder, by offset.
//!
//! Matching ignores case. In order of name, folders that differ only in case are one; in other orders, folders come
//! first and apart.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cx::{Cx, NoHeader};
use super::error::Result;
use super::rows::{Metadata, Object, document};
use super::time::iso;
use crate::aistore::reply::Reply;

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1500;

/// A row of the answer.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    id: Option<&'a str>,
    updated_at: Option<String>,
    created_at: Option<String>,
    last_accessed_at: Option<String>,
    metadata: Option<Metadata<'a>>,
}

/// A child of the folder: a file, or a folder if there is no object.
#[derive(Clone, Debug)]
struct Child {
    name: String,
    object: Option<Object>,
}

impl Child {
    fn show(&self) -> Shown<'_> {
        let object = self.object.as_ref();
        Shown {
            name: &self.name,
            id: object.map(|o| o.id.as_str()),
            updated_at: object.map(|o| iso(o.updated_at)),
            created_at: object.map(|o| iso(o.created_at)),
            last_accessed_at: object.map(|o| iso(o.accessed_at)),
            metadata: object.map(Object::metadata),
        }
    }
}

/// What is listed, and how.
#[derive(Debug)]
struct Wanted {
    /// The folder, with its slash.
    prefix: String,
    /// Folder and start of the child's name, in lower case.
    start: String,
    column: &'static str,
    descending: bool,
}

impl Wanted {
    fn matches(&self, key: &str) -> bool {
        let mut lower = key.chars().flat_map(char::to_lowercase);
        self.start.chars().all(|c| lower.next() == Some(c))
    }

    /// The child of the folder that a key belongs to, and whether that is a folder.
    fn child<'k>(&self, key: &'k str) -> (&'k str, bool) {
        // Keys are ASCII: lower case is as long.
        let rest = &key[self.start.len()..];
        match rest.find('/') {
            Some(at) => (&key[self.prefix.len()..self.start.len() + at], true),
            None => (&key[self.prefix.len()..], false),
        }
    }
}

/// Children in order of their names.
#[derive(Debug, Default)]
struct Children {
    folders: BTreeMap<String, Child>,
    files: Vec<Child>,
}

impl Children {
    fn add(&mut self, wanted: &Wanted, key: &str, object: Object) {
        if !wanted.matches(key) {
            return;
        }
        let (name, folder) = wanted.child(key);
        if !folder {
            self.files.push(Child { name: name.to_owned(), object: Some(object) });
            return;
        }
        let group = if wanted.column == "name" { name.to_lowercase() } else { name.to_owned() };
        let child = Child { name: name.to_owned(), object: None };
        // Of those that differ in case, the last in the order of bytes stands for all.
        match self.folders.entry(group) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(child);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                if name > entry.get().name.as_str() {
                    entry.insert(child);
                }
            }
        }
    }

    fn sorted(self, wanted: &Wanted) -> Vec<Child> {
        let Self { folders, mut files } = self;
        let folders = folders.into_values();
        if wanted.column == "name" {
            let mut all: Vec<_> = folders.chain(files).collect();
            // A folder's slash counts: `a b` comes before `a/`.
            let slash = |c: &Child| if c.object.is_none() { "/" } else { "" };
            all.sort_by_cached_key(|c| c.name.to_lowercase() + slash(c));
            if wanted.descending {
                all.reverse();
            }
            return all;
        }
        files.sort_by_key(|c| {
            c.object.as_ref().map(|o| match wanted.column {
                "updated_at" => o.updated_at,
                "created_at" => o.created_at,
                _ => o.accessed_at,
            })
        });
        let mut folders: Vec<_> = folders.collect();
        if wanted.descending {
            folders.reverse();
            files.reverse();
        }
        folders.into_iter().chain(files).collect()
    }
}

/// `POST /object/list/{bucket}`.
pub(super) async fn list(cx: &mut Cx, bucket: &str) -> Result<Reply> {
    const COLUMNS: &[&str] = &["name", "updated_at", "created_at", "last_accessed_at"];
    let fields = cx.document().await?;
    fields.require(&["prefix"])?;
    let mut prefix = fields.text("prefix")?.unwrap_or_default();
    let limit = fields.integer("limit", 1, None)?.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let offset = fields.integer("offset", 0, None)?.unwrap_or(0);
    let (mut column, mut order) = ("name", None);
    if let Some(sort) = fields.inner("sortBy")? {
        sort.require(&["column"])?;
        column = sort.choice("column", COLUMNS)?.unwrap_or("name");
        order = sort.choice("order", &["asc", "desc"])?;
    }
    let search = fields.text("search")?.unwrap_or_default();
    let caller = cx.caller(NoHeader::Missing)?;
    let bucket = cx.find_bucket(bucket)?.filter(|_| cx.service.frees(&caller));
    let Some(bucket) = bucket else { return Ok(Reply::json("[]")) };
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let start = format!("{prefix}{search}").to_lowercase();
    let wanted = Wanted { prefix, start, column, descending: order == Some("desc") };
    let snapshot = cx.service.storage.snapshot()?;
    let walk = snapshot.row_walk(&bucket.objects())?;
    let mut children = Children::default();
    for entry in walk.from::<Object>(b"")? {
        let (key, row) = entry?;
        children.add(&wanted, &String::from_utf8_lossy(&key), row.value);
    }
    let count = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let sorted = children.sorted(&wanted);
    let page: Vec<_> = sorted.iter().skip(count(offset)).take(count(limit)).map(Child::show).collect();
    Ok(Reply::json(document(&page)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str, search: &str, column: &'static str, descending: bool) -> Vec<String> {
        const KEYS: [&str; 9] = [
            "C.txt",
            "Dir/upper.txt",
            "a.txt",
            "b.txt",
            "dir/one.txt",
            "dir/sub/deep.txt",
            "dir/two.txt",
            "dirfile.txt",
            "z_1/x",
        ];
        let start = format!("{prefix}{search}").to_lowercase();
        let wanted = Wanted { prefix: prefix.into(), start, column, descending };
        let mut children = Children::default();
        for (at, key) in (0..).zip(KEYS) {
            let object = Object {
                id: String::new(),
                version: String::new(),
                owner: None,
                size: 0,
                etag: String::new(),
                mimetype: String::new(),
                cache_control: None,
                robots: None,
                last_modified: at,
                created_at: at,
                updated_at: at,
                accessed_at: at,
                user_metadata: None,
            };
            children.add(&wanted, key, object);
        }
        let slash = |c: Child| if c.object.is_none() { c.name + "/" } else { c.name };
        children.sorted(&wanted).into_iter().map(slash).collect()
    }

    #[test]
    fn by_name_case_does_not_count() {
        let root = ["a.txt", "b.txt", "C.txt", "dir/", "dirfile.txt", "z_1/"];
        assert_eq!(names("", "", "name", false), root);
        assert_eq!(names("dir/", "", "name", false), ["one.txt", "sub/", "two.txt", "upper.txt"]);
        assert_eq!(names("", "dir/t", "name", false), ["dir/two.txt"]);
        assert_eq!(names("", "dir", "name", true), ["dirfile.txt", "dir/"]);
        assert!(names("", "txt", "name", false).is_empty());
    }

    #[test]
    fn by_time_folders_come_first() {
        let expected = ["Dir/", "dir/", "z_1/", "C.txt", "a.txt", "b.txt", "dirfile.txt"];
        assert_eq!(names("", "", "created_at", false), expected);
        assert_eq!(names("", "d", "created_at", true), ["dir/", "Dir/", "dirfile.txt"]);
    }
}

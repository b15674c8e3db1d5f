//! What is stored, where, and how it is shown.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{Fail, Result};
use super::time::{Micros, is_uuid, iso};
use crate::storage::{Row, Snapshot, StorageError, Tables};

const BUCKETS: &[u8] = b"supabase/b/";
const OBJECTS: &[u8] = b"supabase/o/";
/// Row: the number that the next bucket gets.
const NEXT: &[u8] = b"supabase/next";

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// Under which its objects are filed; never used twice.
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) owner: Option<String>,
    pub(super) public: bool,
    pub(super) file_size_limit: Option<u64>,
    pub(super) allowed_mime_types: Option<Vec<String>>,
    pub(super) created_at: Micros,
    pub(super) updated_at: Micros,
}

impl Bucket {
    pub(super) fn key(id: &str) -> Vec<u8> {
        [BUCKETS, id.as_bytes()].concat()
    }

    pub(super) fn find(snapshot: &Snapshot, id: &str) -> Result<Option<Self>> {
        Ok(snapshot.row(&Self::key(id))?.map(|row| row.value))
    }

    /// All buckets, oldest first.
    pub(super) fn all(snapshot: &Snapshot) -> Result<Vec<Self>> {
        let walk = snapshot.row_walk(BUCKETS)?;
        let all = walk.from::<Self>(b"")?.map(|entry| entry.map(|(_, row)| row.value));
        let mut all = all.collect::<std::result::Result<Vec<_>, _>>()?;
        all.sort_by_key(|b| b.number);
        Ok(all)
    }

    /// The same inside a transaction.
    pub(super) fn in_tables(tables: &Tables<'_>) -> std::result::Result<Vec<Self>, StorageError> {
        let all = tables.rows::<Self>(BUCKETS, BUCKETS, usize::MAX)?;
        Ok(all.into_iter().map(|(_, row)| row.value).collect())
    }

    /// Takes the number for a new bucket.
    pub(super) fn take_number(tables: &mut Tables<'_>) -> std::result::Result<u64, StorageError> {
        let number = tables.row::<u64>(NEXT)?.map_or(1, |row| row.value);
        tables.put_row(NEXT, &(number + 1), &[])?;
        Ok(number)
    }

    /// Where the bucket's objects are filed.
    pub(super) fn objects(&self) -> Vec<u8> {
        [OBJECTS, &self.number.to_be_bytes()].concat()
    }

    pub(super) fn object_key(&self, name: &str) -> Vec<u8> {
        [&self.objects(), name.as_bytes()].concat()
    }

    pub(super) fn object(&self, snapshot: &Snapshot, name: &str) -> Result<Option<Row<Object>>> {
        Ok(snapshot.row(&self.object_key(name))?)
    }

    /// As the API shows it; lists tell the type too.
    pub(super) fn show(&self, with_type: bool) -> Shown<'_> {
        Shown {
            id: &self.id,
            name: &self.name,
            owner: self.owner.as_deref().unwrap_or_default(),
            public: self.public,
            kind: with_type.then_some("STANDARD"),
            file_size_limit: self.file_size_limit,
            allowed_mime_types: self.allowed_mime_types.as_deref(),
            created_at: iso(self.created_at),
            updated_at: iso(self.updated_at),
        }
    }
}

/// A bucket as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    owner: &'a str,
    public: bool,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    file_size_limit: Option<u64>,
    allowed_mime_types: Option<&'a [String]>,
    created_at: String,
    updated_at: String,
}

/// An object, but for its bytes. Names are the keys of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) id: String,
    /// Renewed by every write.
    pub(super) version: String,
    /// `sub` of who wrote it.
    pub(super) owner: Option<String>,
    pub(super) size: u64,
    /// With its quotes.
    pub(super) etag: String,
    pub(super) mimetype: String,
    pub(super) cache_control: Option<String>,
    pub(super) robots: Option<String>,
    /// When the bytes were written.
    pub(super) last_modified: Micros,
    pub(super) created_at: Micros,
    pub(super) updated_at: Micros,
    pub(super) accessed_at: Micros,
    pub(super) user_metadata: Option<Value>,
}

impl Object {
    pub(super) fn cache_control(&self) -> &str {
        self.cache_control.as_deref().unwrap_or("no-cache")
    }

    /// System metadata.
    pub(super) fn metadata(&self) -> Metadata<'_> {
        Metadata {
            etag: &self.etag,
            size: self.size,
            mimetype: &self.mimetype,
            cache_control: self.cache_control(),
            last_modified: iso(self.last_modified),
            content_length: self.size,
            http_status_code: 200,
            robots: self.robots.as_deref(),
        }
    }

    /// The row as deletions and copies show it.
    pub(super) fn show<'a>(&'a self, bucket: &'a str, name: &'a str) -> ShownObject<'a> {
        let owner = self.owner.as_deref().unwrap_or_default();
        ShownObject {
            name,
            bucket_id: bucket,
            owner: if is_uuid(owner) { owner } else { "" },
            owner_id: owner,
            version: &self.version,
            id: &self.id,
            updated_at: iso(self.updated_at),
            created_at: iso(self.created_at),
            last_accessed_at: iso(self.accessed_at),
            metadata: self.metadata(),
            user_metadata: self.user_metadata.as_ref(),
        }
    }

    /// What `info` answers.
    pub(super) fn info(&self, bucket: &str, name: &str) -> Value {
        json!({
            "id": self.id,
            "name": name,
            "version": self.version,
            "bucket_id": bucket,
            "size": self.size,
            "content_type": self.mimetype,
            "cache_control": self.cache_control(),
            "etag": self.etag,
            "metadata": self.user_metadata,
            "last_modified": iso(self.updated_at),
            "created_at": iso(self.created_at),
        })
    }
}

/// System metadata as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Metadata<'a> {
    #[serde(rename = "eTag")]
    etag: &'a str,
    size: u64,
    mimetype: &'a str,
    #[serde(rename = "cacheControl")]
    cache_control: &'a str,
    #[serde(rename = "lastModified")]
    last_modified: String,
    #[serde(rename = "contentLength")]
    content_length: u64,
    #[serde(rename = "httpStatusCode")]
    http_status_code: u16,
    #[serde(rename = "xRobotsTag", skip_serializing_if = "Option::is_none")]
    robots: Option<&'a str>,
}

/// An object's row as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct ShownObject<'a> {
    name: &'a str,
    bucket_id: &'a str,
    owner: &'a str,
    owner_id: &'a str,
    version: &'a str,
    id: &'a str,
    updated_at: String,
    created_at: String,
    last_accessed_at: String,
    metadata: Metadata<'a>,
    user_metadata: Option<&'a Value>,
}

/// A document as answers carry it.
pub(super) fn document(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Fail::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_buckets() {
        let bucket = Bucket {
            number: 1,
            id: "b".into(),
            name: "b".into(),
            owner: None,
            public: false,
            file_size_limit: None,
            allowed_mime_types: None,
            created_at: 0,
            updated_at: 0,
        };
        let shown = document(&bucket.show(false)).unwrap();
        let expected = r#"{"id":"b","name":"b","owner":"","public":false,"file_size_limit":null,"allowed_mime_types":null,"created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(shown, expected);
        assert!(document(&bucket.show(true)).unwrap().contains(r#""public":false,"type":"STANDARD","file"#));
    }
}

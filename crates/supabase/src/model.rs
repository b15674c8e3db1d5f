//! What the service says about buckets and objects, and how buckets are described to it.

use std::{collections::BTreeMap, fmt, str::FromStr, time::SystemTime};

use longshore_core_types::{Error, ObjectKey, ObjectMeta, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::names::invalid;

/// A bucket, as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BucketInfo {
    /// Its id, by which every call names it.
    pub id: String,
    /// Its name, which is its id unless it was made otherwise.
    pub name: String,
    /// Id of the user who made it; empty for the service itself.
    #[serde(default, deserialize_with = "null_is_default")]
    pub owner: String,
    /// Whether everybody can read its objects.
    #[serde(default)]
    pub public: bool,
    /// Largest object in bytes; `None`: what the service allows.
    #[serde(default)]
    pub file_size_limit: Option<u64>,
    /// Content types that it takes, such as `image/*`; `None`: all.
    #[serde(default)]
    pub allowed_mime_types: Option<Vec<String>>,
    /// When it was made.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<SystemTime>,
    /// When its description changed.
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<SystemTime>,
    /// `STANDARD`, in lists of newer servers.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// Rules of a bucket. What is `None` stays as it is; `Some(None)` lifts a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketSettings {
    /// Whether everybody can read its objects. A new bucket is private.
    pub public: Option<bool>,
    /// Largest object.
    pub file_size_limit: Option<Option<SizeLimit>>,
    /// Content types that it takes, such as `image/png` or `image/*`. The server compares them letter by letter.
    pub allowed_mime_types: Option<Option<Vec<String>>>,
}

impl BucketSettings {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(Some(SizeLimit::Text(text))) = &self.file_size_limit {
            text.parse::<SizeLimit>()?;
        }
        let types = self.allowed_mime_types.iter().flatten().flatten();
        for kind in types {
            let (main, sub) = kind.split_once('/').unwrap_or((kind, ""));
            if (sub.is_empty() || main.is_empty()) && !kind.ends_with('*') || kind.len() > 1000 {
                return Err(invalid(format!("{kind:?} is not a content type such as image/png or image/*")));
            }
        }
        Ok(())
    }
}

/// A size: bytes, or a number with a decimal unit (`10MB`), which the server rounds to three digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum SizeLimit {
    /// So many bytes.
    Bytes(u64),
    /// A number and `B`, `KB`, `MB` or `GB`.
    Text(String),
}

impl From<u64> for SizeLimit {
    fn from(bytes: u64) -> Self {
        Self::Bytes(bytes)
    }
}

impl FromStr for SizeLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(bytes) = text.parse() {
            return Ok(Self::Bytes(bytes));
        }
        let lower = text.to_ascii_lowercase();
        let units = ["gb", "mb", "kb", "b"];
        let number = units.iter().find_map(|unit| lower.strip_suffix(unit));
        let is_number = |number: &str| {
            let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
            [whole, fraction].iter().all(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        };
        if number.is_some_and(is_number) {
            return Ok(Self::Text(text.to_owned()));
        }
        Err(invalid(format!("{text:?} is not a size such as 1000000, 500KB or 10MB")))
    }
}

/// An object, as lists and other calls describe it.
///
/// A list of one level has folders too: they have a name and no [`id`](Self::id).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileObject {
    /// Its name. In [`list`](crate::Bucket::list) relative to the folder, elsewhere the full one.
    pub name: String,
    /// Its id, which survives overwriting; `None` for a folder.
    #[serde(default)]
    pub id: Option<String>,
    /// The bucket, where the answer tells.
    #[serde(default)]
    pub bucket_id: Option<String>,
    /// Id of the user who made it, where the answer tells.
    #[serde(default)]
    pub owner_id: Option<String>,
    /// Its version, which every write renews, where the answer tells.
    #[serde(default)]
    pub version: Option<String>,
    /// When it was first stored.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<SystemTime>,
    /// When it was stored last.
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<SystemTime>,
    /// Set when it is stored, and not kept up to date.
    #[serde(default, deserialize_with = "time")]
    pub last_accessed_at: Option<SystemTime>,
    /// What the backing store says about its content.
    #[serde(default)]
    pub metadata: Option<FileMetadata>,
    /// The user's own metadata, where the answer tells.
    #[serde(default)]
    pub user_metadata: Option<Value>,
}

/// What the backing store says about the content of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FileMetadata {
    /// Entity tag with its quotes.
    pub e_tag: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Content type.
    pub mimetype: Option<String>,
    /// Value of `Cache-Control`.
    pub cache_control: Option<String>,
    /// When the content was written.
    #[serde(deserialize_with = "time")]
    pub last_modified: Option<SystemTime>,
    /// Size in bytes, once more.
    pub content_length: Option<u64>,
    /// Value of `X-Robots-Tag`.
    pub x_robots_tag: Option<String>,
}

impl FileObject {
    /// The neutral description of it under its full name; `None` for a folder.
    pub(crate) fn to_meta(&self, key: ObjectKey) -> Option<ObjectMeta> {
        self.id.as_ref()?;
        let about = self.metadata.clone().unwrap_or_default();
        let mut meta = ObjectMeta::new(key, about.size.or(about.content_length).unwrap_or_default());
        meta.last_modified = about.last_modified.or(self.updated_at);
        meta.etag = about.e_tag;
        meta.version.clone_from(&self.version);
        meta.attributes.content_type = about.mimetype;
        meta.attributes.cache_control = about.cache_control;
        Some(meta)
    }
}

/// Everything that the service knows about one object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its id, which survives overwriting.
    pub id: String,
    /// Its full name.
    pub name: String,
    /// Its version, which every write renews.
    #[serde(default)]
    pub version: Option<String>,
    /// The bucket.
    #[serde(default)]
    pub bucket_id: Option<String>,
    /// Size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Content type as it was stored.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Value of `Cache-Control`.
    #[serde(default)]
    pub cache_control: Option<String>,
    /// Entity tag with its quotes.
    #[serde(default)]
    pub etag: Option<String>,
    /// The user's own metadata: an object, or nothing.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// When it was stored last.
    #[serde(default, deserialize_with = "time")]
    pub last_modified: Option<SystemTime>,
    /// When it was first stored.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<SystemTime>,
}

impl FileInfo {
    /// The neutral description.
    pub(crate) fn to_meta(&self, key: ObjectKey) -> ObjectMeta {
        let mut meta = ObjectMeta::new(key, self.size.unwrap_or_default());
        meta.last_modified = self.last_modified;
        meta.etag.clone_from(&self.etag);
        meta.version.clone_from(&self.version);
        meta.attributes.content_type.clone_from(&self.content_type);
        meta.attributes.cache_control.clone_from(&self.cache_control);
        meta.attributes.metadata = text_pairs(self.metadata.as_ref());
        meta
    }
}

/// The user's metadata as pairs of texts. A value that is no text is written as JSON.
pub(crate) fn text_pairs(metadata: Option<&Value>) -> BTreeMap<String, String> {
    let Some(Value::Object(pairs)) = metadata else { return BTreeMap::new() };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    pairs.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// What an upload or a copy made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Uploaded {
    /// Bucket and name, with `/` between.
    #[serde(rename = "Key")]
    pub full_path: String,
    /// Id of the object; uploads by signed URL do not tell it.
    #[serde(default, rename = "Id")]
    pub id: Option<String>,
}

impl fmt::Display for Uploaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full_path)
    }
}

/// A moment as the service writes it. What is no moment is none: no call depends on one.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(SystemTime::from))
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!("100".parse::<SizeLimit>().unwrap(), SizeLimit::Bytes(100));
        for text in ["10MB", "1.5kb", "20gb", "7b"] {
            assert_eq!(text.parse::<SizeLimit>().unwrap(), SizeLimit::Text(text.to_owned()));
        }
        for text in ["", "10TB", "10 MB", "-1", "MB", "1.MB", "1e3"] {
            assert!(text.parse::<SizeLimit>().is_err(), "{text}");
            let limit = SizeLimit::Text(text.to_owned());
            let settings = BucketSettings { file_size_limit: Some(Some(limit)), ..BucketSettings::default() };
            assert!(settings.check().is_err(), "{text}");
        }
    }

    #[test]
    fn content_types_of_buckets() {
        let with = |kind: &str| BucketSettings {
            allowed_mime_types: Some(Some(vec![kind.to_owned()])),
            ..BucketSettings::default()
        };
        for kind in ["image/png", "image/*", "*", "*/*", "text/plain;charset=utf-8"] {
            assert!(with(kind).check().is_ok(), "{kind}");
        }
        for kind in ["notamime", "/x", "x/"] {
            assert!(with(kind).check().is_err(), "{kind}");
        }
    }

    #[test]
    fn an_object_of_a_list() {
        let row = r#"{"name":"a.txt","id":"1","updated_at":"2026-11-21T12:40:14.599Z","created_at":null,
            "metadata":{"eTag":"\"9d\"","size":7,"mimetype":"text/plain","cacheControl":"no-cache",
            "lastModified":"2026-11-21T12:40:14.600Z","contentLength":7,"httpStatusCode":200}}"#;
        let file: FileObject = serde_json::from_str(row).unwrap();
        let meta = file.to_meta(ObjectKey::new("dir/a.txt").unwrap()).unwrap();
        assert_eq!((meta.size, meta.etag.as_deref()), (7, Some("\"9d\"")));
        assert_eq!(meta.attributes.content_type.as_deref(), Some("text/plain"));
        let folder: FileObject = serde_json::from_str(r#"{"name":"dir","id":null,"metadata":null}"#).unwrap();
        assert!(folder.to_meta(ObjectKey::new("dir").unwrap()).is_none());
    }

    #[test]
    fn metadata_of_users() {
        let metadata = serde_json::json!({"a": "text", "n": 1, "deep": {"x": null}});
        let pairs = text_pairs(Some(&metadata));
        assert_eq!(pairs["a"], "text");
        assert_eq!((pairs["n"].as_str(), pairs["deep"].as_str()), ("1", r#"{"x":null}"#));
    }
}

//! What a cluster knows about an object.

use std::{collections::BTreeMap, time::SystemTime};

use longshore_blob_api::PutResult;
use longshore_core_types::{Attributes, Checksum, ObjectKey, ObjectMeta};

use super::options::ObjectAt;

/// What a cluster says about one object. Which fields are set depends on what was asked for.
#[doc(alias = "ObjectAttributes")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectProps {
    /// Name of the object.
    pub name: Option<String>,
    /// Name of its bucket.
    pub bucket_name: Option<String>,
    /// Provider of its bucket, as the cluster words it.
    pub bucket_provider: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Checksum of the whole content; `None` in buckets without checksums.
    #[doc(alias = "checksum_value")]
    pub checksum: Option<Checksum>,
    /// The cluster's name of the checksum algorithm, such as `xxhash2`.
    pub checksum_type: Option<String>,
    /// When it was read or written last.
    pub access_time: Option<SystemTime>,
    /// Version: `1`, `2`, ... in buckets of the cluster itself, the backend's own elsewhere.
    #[doc(alias = "obj_version")]
    pub version: Option<String>,
    /// Custom metadata.
    #[doc(alias = "custom_metadata")]
    pub custom: BTreeMap<String, String>,
    /// Whether the cluster holds a copy.
    pub present: Option<bool>,
    /// Target and disk, as the cluster words it.
    pub location: Option<String>,
    /// Number of copies, the original included.
    pub mirror_copies: Option<u64>,
    /// Disks that hold copies.
    pub mirror_paths: Vec<String>,
    /// Erasure coding, if the object is coded.
    pub ec: Option<EcProps>,
    /// Chunks, if the object is stored in chunks.
    pub chunks: Option<ChunkProps>,
    /// When its content changed last.
    pub last_modified: Option<SystemTime>,
    /// Entity tag, with its quotes.
    pub etag: Option<String>,
}

/// How an object is erasure-coded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EcProps {
    /// Generation of the coding.
    pub generation: u64,
    /// Number of data slices.
    pub data_slices: u64,
    /// Number of parity slices.
    pub parity_slices: u64,
    /// Whether it is copied whole instead of sliced.
    pub replicated: bool,
}

/// How an object is stored in chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkProps {
    /// Number of chunks.
    pub count: u64,
    /// Size of the largest chunk in bytes, a good size for ranged reads.
    pub max_chunk_size: u64,
}

/// Custom keys that hold what other stores have headers for.
const CONTENT_KEYS: [&str; 5] =
    ["content-type", "cache-control", "content-encoding", "content-disposition", "content-language"];

/// The attributes as custom metadata: AIStore has no content type and no cache control of its own.
pub(crate) fn custom_of(attributes: &Attributes) -> BTreeMap<String, String> {
    let content = [
        &attributes.content_type,
        &attributes.cache_control,
        &attributes.content_encoding,
        &attributes.content_disposition,
        &attributes.content_language,
    ];
    let content = CONTENT_KEYS.iter().zip(content);
    let content = content.filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
    content.chain(attributes.metadata.clone()).collect()
}

/// Keys that the cluster keeps for an object that lives at a backend, which `source` names.
const BACKEND_KEYS: [&str; 7] =
    ["source", "ETag", "version", "md5", "crc32c", "Last-Modified", "Content-Type"];

/// The reverse of [`custom_of`], without what the cluster itself keeps there.
pub(crate) fn attributes_of(custom: &BTreeMap<String, String>) -> Attributes {
    let mut attributes = Attributes::default();
    let remote = custom.contains_key("source");
    if remote {
        attributes.content_type = custom.get("Content-Type").cloned();
    }
    for (key, value) in custom {
        let value = value.clone();
        match key.as_str() {
            key if remote && BACKEND_KEYS.contains(&key) => {}
            "content-type" => attributes.content_type = Some(value),
            "cache-control" => attributes.cache_control = Some(value),
            "content-encoding" => attributes.content_encoding = Some(value),
            "content-disposition" => attributes.content_disposition = Some(value),
            "content-language" => attributes.content_language = Some(value),
            _ => {
                attributes.metadata.insert(key.clone(), value);
            }
        }
    }
    attributes
}

/// Keys of custom metadata that the user's own may not take, because they hold attributes.
pub(crate) fn is_content_key(key: &str) -> bool {
    CONTENT_KEYS.contains(&key)
}

impl ObjectProps {
    /// Fills in what it is about, which only the first generation of HEAD says.
    pub(crate) fn of(mut self, at: &ObjectAt) -> Self {
        self.name.get_or_insert_with(|| at.key().to_string());
        self.bucket_name.get_or_insert_with(|| at.bucket().name().to_string());
        self.bucket_provider.get_or_insert_with(|| at.bucket().provider().to_string());
        self
    }

    /// The neutral form of it.
    pub fn to_meta(&self, key: ObjectKey) -> ObjectMeta {
        let mut meta = ObjectMeta::new(key, self.size);
        meta.last_modified = self.last_modified;
        meta.etag.clone_from(&self.etag);
        meta.version.clone_from(&self.version);
        meta.checksums = self.checksum.iter().cloned().collect();
        meta.attributes = attributes_of(&self.custom);
        meta.chunk_size = self.chunks.as_ref().map(|c| c.max_chunk_size).filter(|size| *size > 0);
        meta
    }

    pub(crate) fn to_put_result(&self) -> PutResult {
        let mut result = PutResult::default();
        result.etag.clone_from(&self.etag);
        result.version.clone_from(&self.version);
        result.checksums = self.checksum.iter().cloned().collect();
        result.last_modified = self.last_modified;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_the_way_through_custom_metadata() {
        let attributes = Attributes::default()
            .with_content_type("text/plain")
            .with_cache_control("no-cache")
            .with_metadata("color", "blue");
        let custom = custom_of(&attributes);
        assert_eq!(custom["content-type"], "text/plain");
        assert_eq!(attributes_of(&custom), attributes);
    }

    #[test]
    fn what_a_backend_keeps_is_no_metadata_of_the_user() {
        let pairs = [("source", "aws"), ("ETag", "x"), ("Content-Type", "text/plain"), ("color", "blue")];
        let custom = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let attributes = attributes_of(&custom);
        assert_eq!(attributes.content_type.as_deref(), Some("text/plain"));
        assert_eq!(attributes.metadata.len(), 1);
    }
}

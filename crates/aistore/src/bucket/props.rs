//! Properties of buckets.

use longshore_core_types::{ChecksumKind, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    names::BucketRef,
    wire::{bucket::WireBucket, from_json, headers::checksum_name},
};

/// Properties of a bucket, the ones that callers decide by as fields, all of them in [`raw`](Self::raw).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BucketProps {
    /// The cluster's name of the checksum algorithm of new objects, such as `xxhash2`, or `none`.
    pub checksum_type: String,
    /// Whether objects have versions.
    pub versioning: bool,
    /// Number of copies of each object, if mirroring is on.
    pub mirror_copies: Option<u64>,
    /// Whether objects are erasure-coded.
    pub ec_enabled: bool,
    /// Who may do what, where the cluster checks it: one bit for each kind of call.
    pub access: u64,
    /// The bucket outside the cluster that this one is backed by.
    pub backend: Option<BucketRef>,
    /// The cluster's id of the bucket; another bucket of the same name has another.
    pub id: String,
    raw: Value,
}

#[derive(Deserialize)]
struct WireProps {
    #[serde(default)]
    checksum: WireChecksum,
    #[serde(default)]
    versioning: Switch,
    #[serde(default)]
    mirror: Mirror,
    #[serde(default)]
    ec: Switch,
    #[serde(default)]
    access: Value,
    #[serde(default)]
    bid: Value,
    #[serde(default)]
    backend_bck: Option<WireBucket>,
}

#[derive(Default, Deserialize)]
struct WireChecksum {
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
struct Switch {
    #[serde(default)]
    enabled: bool,
}

#[derive(Default, Deserialize)]
struct Mirror {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    copies: u64,
}

/// A 64-bit number that servers write as a string or as a number.
fn loose_u64(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl BucketProps {
    pub(crate) fn from_json(json: &[u8]) -> Result<Self> {
        let raw: Value = from_json(json, "bucket properties")?;
        let wire = WireProps::deserialize(&raw).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the answer is not bucket properties")
                .with_response_excerpt(json)
                .with_source(error)
        })?;
        Ok(Self {
            checksum_type: wire.checksum.kind,
            versioning: wire.versioning.enabled,
            mirror_copies: wire.mirror.enabled.then_some(wire.mirror.copies),
            ec_enabled: wire.ec.enabled,
            // A server that says nothing about access restricts nothing.
            access: loose_u64(&wire.access).unwrap_or(u64::MAX),
            backend: wire.backend_bck.as_ref().and_then(WireBucket::to_ref),
            id: wire.bid.as_str().map_or_else(|| wire.bid.to_string(), str::to_owned),
            raw,
        })
    }

    /// The checksum algorithm of new objects, if this crate can compute it.
    pub fn checksum_kind(&self) -> Option<ChecksumKind> {
        crate::wire::headers::checksum_kind(&self.checksum_type)
    }

    /// Everything that the cluster said.
    pub fn raw(&self) -> &Value {
        &self.raw
    }
}

/// Changes of bucket properties. What is not set stays as it is.
///
/// ```
/// # use longshore_aistore::BucketPatch;
/// # use longshore_core_types::ChecksumKind;
/// let patch = BucketPatch::new().checksum(ChecksumKind::Sha256).versioning(false);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct BucketPatch(Map<String, Value>);

impl BucketPatch {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// The checksum algorithm of new objects. Objects that are there keep theirs.
    pub fn checksum(self, kind: ChecksumKind) -> Self {
        self.set(&["checksum", "type"], json!(checksum_name(kind)))
    }

    /// New objects get no checksum.
    pub fn no_checksum(self) -> Self {
        self.set(&["checksum", "type"], json!("none"))
    }

    /// Whether objects have versions.
    pub fn versioning(self, enabled: bool) -> Self {
        self.set(&["versioning", "enabled"], json!(enabled))
    }

    /// Keeps this many copies of each object on the disks of one target; one turns mirroring off.
    pub fn mirror(self, copies: u64) -> Self {
        let this = self.set(&["mirror", "enabled"], json!(copies > 1));
        if copies > 1 { this.set(&["mirror", "copies"], json!(copies)) } else { this }
    }

    /// Erasure-codes objects into data and parity slices on different targets.
    pub fn erasure_coding(self, data_slices: u64, parity_slices: u64) -> Self {
        self.set(&["ec", "enabled"], json!(true))
            .set(&["ec", "data_slices"], json!(data_slices))
            .set(&["ec", "parity_slices"], json!(parity_slices))
    }

    /// Stops erasure coding of new objects.
    pub fn no_erasure_coding(self) -> Self {
        self.set(&["ec", "enabled"], json!(false))
    }

    /// Who may do what: one bit for each kind of call.
    pub fn access(self, mask: u64) -> Self {
        // A bare number is refused by the server.
        self.set(&["access"], json!(mask.to_string()))
    }

    /// Feature flags.
    pub fn features(self, flags: u64) -> Self {
        self.set(&["features"], json!(flags.to_string()))
    }

    /// Stores objects above `objects_over` bytes in chunks of `chunk_size` bytes; zero stores none so.
    pub fn chunks(self, objects_over: u64, chunk_size: u64) -> Self {
        let this = self.set(&["chunks", "objsize_limit"], json!(format!("{objects_over}B")));
        if objects_over == 0 {
            return this;
        }
        this.set(&["chunks", "chunk_size"], json!(format!("{chunk_size}B")))
    }

    /// Backs the bucket by one outside the cluster; `None` ends that.
    pub fn backend(self, backend: Option<&BucketRef>) -> Self {
        let (name, provider) = match backend {
            Some(bucket) => (bucket.name().as_str(), bucket.provider().as_str()),
            None => ("", ""),
        };
        self.set(&["backend_bck", "name"], json!(name)).set(&["backend_bck", "provider"], json!(provider))
    }

    /// Applies the change although jobs or the layout of the cluster speak against it.
    pub fn force(self) -> Self {
        self.set(&["force"], json!(true))
    }

    /// Any property, by its path in the cluster's own tree. Sizes, durations and 64-bit masks are strings
    /// there; the server refuses what it does not know.
    pub fn set(mut self, path: &[&str], value: Value) -> Self {
        let mut map = &mut self.0;
        if let Some((leaf, parents)) = path.split_last() {
            for parent in parents {
                let child = map.entry(*parent).or_insert_with(|| Value::Object(Map::new()));
                if !child.is_object() {
                    *child = Value::Object(Map::new());
                }
                match child {
                    Value::Object(child) => map = child,
                    _ => return self,
                }
            }
            map.insert((*leaf).to_owned(), value);
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_trees_of_what_changes() {
        let patch = BucketPatch::new().checksum(ChecksumKind::Md5).versioning(false).mirror(2).access(771);
        assert_eq!(
            patch.to_json(),
            json!({"checksum": {"type": "md5"}, "versioning": {"enabled": false},
                   "mirror": {"enabled": true, "copies": 2}, "access": "771"})
        );
    }

    #[test]
    fn numbers_in_either_form() {
        let props = BucketProps::from_json(br#"{"access":771,"bid":"12"}"#).unwrap();
        assert_eq!((props.access, props.id.as_str()), (771, "12"));
        let props = BucketProps::from_json(br#"{"access":"771","checksum":{"type":"none"}}"#).unwrap();
        assert_eq!((props.access, props.checksum_kind()), (771, None));
    }
}

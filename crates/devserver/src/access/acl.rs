//! Access lists as roles, tokens and cluster registrations carry them.

use serde::{Deserialize, Serialize};

use super::bits::Bits;

/// Bits for a cluster; without bits, also the registration of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterAcl {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) alias: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(with = "decimal", skip_serializing_if = "is_zero")]
    pub(crate) perm: Bits,
}

/// Bits for a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BucketAcl {
    pub(crate) bck: BucketRef,
    #[serde(with = "decimal")]
    pub(crate) perm: Bits,
}

/// A bucket as an access list names it; nothing of it is checked or normalised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BucketRef {
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) namespace: NamespaceRef,
}

/// The namespace; its `uuid` is the cluster that the bits are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NamespaceRef {
    pub(crate) uuid: String,
    pub(crate) name: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_zero(bits: &Bits) -> bool {
    *bits == 0
}

/// Bits travel as decimal strings.
mod decimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
    pub(super) fn serialize<S: Serializer>(bits: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(bits)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.parse().map_err(D::Error::custom),
            serde_json::Value::Null => Ok(0),
            _ => Err(D::Error::custom(
                "json: invalid use of ,string struct tag, trying to unmarshal unquoted value into apc.AccessAttrs",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_left_out_of_clusters_only() {
        let cluster = ClusterAcl { id: "c".into(), ..ClusterAcl::default() };
        assert_eq!(serde_json::to_string(&cluster).expect("JSON"), r#"{"id":"c"}"#);
        let bucket = BucketAcl::default();
        assert!(serde_json::to_string(&bucket).expect("JSON").ends_with(r#""perm":"0"}"#));
    }

    #[test]
    fn all_bits_survive() {
        let text = r#"{"id":"c","perm":"18446744073709551615"}"#;
        let cluster: ClusterAcl = serde_json::from_str(text).expect("an entry");
        assert_eq!(cluster.perm, u64::MAX);
        assert_eq!(serde_json::to_string(&cluster).expect("JSON"), text);
        assert!(serde_json::from_str::<ClusterAcl>(r#"{"id":"c","perm":1}"#).is_err());
    }
}

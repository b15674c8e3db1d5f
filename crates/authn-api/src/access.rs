//! What a user may do.

use std::{
    fmt,
    ops::{BitAnd, BitOr, BitOrAssign, Sub},
};

use longshore_core_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of access bits.
///
/// The bits and groups are those of AIStore 5.0 and SDK 2.0. Bits without a name here are kept: the server
/// stores what it is given, and a superuser has all 64.
///
/// ```
/// # use longshore_authn_api::AccessFlags;
/// let flags = AccessFlags::RO | AccessFlags::PUT;
/// assert_eq!(flags.bits(), 775);
/// assert_eq!(flags.describe(), "GET,OBJ_HEAD,PUT,BCK_HEAD,OBJ_LIST");
/// assert!(flags.contains(AccessFlags::GET));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[doc(alias = "AccessAttr")]
pub struct AccessFlags(u64);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl AccessFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// The single bits with their names, lowest first.
            const NAMED: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

bits! {
    /// Read objects.
    GET = 0;
    /// Read the properties of objects.
    OBJ_HEAD = 1;
    /// Write objects.
    PUT = 2;
    /// Append to objects.
    APPEND = 3;
    /// Delete and evict objects.
    OBJ_DELETE = 4;
    /// Rename objects.
    OBJ_MOVE = 5;
    /// Promote files of the cluster's nodes to objects.
    PROMOTE = 6;
    /// Change the custom metadata of objects.
    OBJ_UPDATE = 7;
    /// Read the properties of buckets.
    BCK_HEAD = 8;
    /// List objects.
    OBJ_LIST = 9;
    /// Change the properties of buckets.
    PATCH = 10;
    /// Change who may access a bucket.
    BCK_SET_ACL = 11;
    /// List buckets.
    LIST_BUCKETS = 12;
    /// Read the state of the cluster, jobs included.
    SHOW_CLUSTER = 13;
    /// Create buckets.
    CREATE_BUCKET = 14;
    /// Destroy buckets.
    DESTROY_BUCKET = 15;
    /// Rename buckets.
    MOVE_BUCKET = 16;
    /// Administer the cluster.
    ADMIN = 17;
}

impl AccessFlags {
    /// No access.
    pub const NONE: Self = Self(0);
    /// Read objects and list them.
    #[doc(alias = "ACCESS_RO")]
    pub const RO: Self = Self(Self::GET.0 | Self::OBJ_HEAD.0 | Self::BCK_HEAD.0 | Self::OBJ_LIST.0);
    /// Read and write objects.
    #[doc(alias = "ACCESS_RW")]
    pub const RW: Self =
        Self(Self::RO.0 | Self::PUT.0 | Self::APPEND.0 | Self::OBJ_DELETE.0 | Self::OBJ_MOVE.0);
    /// Administer a bucket.
    #[doc(alias = "ACCESS_BUCKET_ADMIN")]
    pub const BUCKET_ADMIN: Self = Self(Self::PATCH.0 | Self::BCK_SET_ACL.0 | Self::OBJ_UPDATE.0);
    /// See buckets and the state of the cluster. Waiting for jobs needs it.
    #[doc(alias = "CLUSTER_ACCESS_RO")]
    pub const CLUSTER_RO: Self = Self(Self::LIST_BUCKETS.0 | Self::SHOW_CLUSTER.0);
    /// Create, destroy and rename buckets too.
    #[doc(alias = "CLUSTER_ACCESS_RW")]
    pub const CLUSTER_RW: Self =
        Self(Self::CLUSTER_RO.0 | Self::CREATE_BUCKET.0 | Self::DESTROY_BUCKET.0 | Self::MOVE_BUCKET.0);
    /// Every bit that has a name.
    #[doc(alias = "ACCESS_SU")]
    pub const SU: Self = Self((1 << 18) - 1);
    /// Every bit, present and future, as the predefined owners of clusters have.
    pub const ALL: Self = Self(u64::MAX);

    /// From the number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the bits that are set, lowest first, joined by commas. Groups are not named.
    pub fn describe(self) -> String {
        let names = Self::NAMED.iter().filter(|(_, bit)| self.contains(*bit)).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(",")
    }

    /// Reads names as [`describe`](Self::describe) writes them, in any case, and the groups `ro`, `rw`,
    /// `bucket_admin`, `cluster_ro`, `cluster_rw`, `su`, `all` and `none` ([`ErrorKind::InvalidInput`] for
    /// anything else).
    pub fn parse(text: &str) -> Result<Self> {
        let mut flags = Self::NONE;
        for word in text.split(',').map(str::trim) {
            let name = word.to_ascii_uppercase().replace('-', "_");
            flags |= match name.as_str() {
                "NONE" => Self::NONE,
                "RO" => Self::RO,
                "RW" => Self::RW,
                "BUCKET_ADMIN" => Self::BUCKET_ADMIN,
                "CLUSTER_RO" => Self::CLUSTER_RO,
                "CLUSTER_RW" => Self::CLUSTER_RW,
                "SU" => Self::SU,
                "ALL" => Self::ALL,
                name => Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, bit)| *bit).ok_or_else(
                    || {
                        let known: Vec<_> = Self::NAMED.iter().map(|(name, _)| *name).collect();
                        let known = known.join(" ");
                        Error::new(
                            ErrorKind::InvalidInput,
                            format!(
                                "unknown access {word:?} (known: ro rw bucket_admin cluster_ro cluster_rw su all none {known})"
                            ),
                        )
                    },
                )?,
            };
        }
        Ok(flags)
    }
}

impl BitOr for AccessFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for AccessFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for AccessFlags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for AccessFlags {
    type Output = Self;

    /// The bits of `self` that `other` lacks.
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for AccessFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("none"),
            Self::ALL => f.write_str("all"),
            flags => f.write_str(&flags.describe()),
        }
    }
}

impl fmt::Debug for AccessFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessFlags({} {self})", self.0)
    }
}

/// A decimal string, as the service wants it.
impl Serialize for AccessFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccessFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The service knows one form only: digits, no sign, no leading zero.
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let plain = plain && (text == "0" || !text.starts_with('0'));
        text.parse().ok().filter(|_| plain).map(Self).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"a decimal number below 2^64")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_documented_values() {
        for (flags, bits) in [
            (AccessFlags::RO, 771),
            (AccessFlags::RW, 831),
            (AccessFlags::BUCKET_ADMIN, 3200),
            (AccessFlags::CLUSTER_RO, 12288),
            (AccessFlags::CLUSTER_RW, 126_976),
            (AccessFlags::SU, 262_143),
            (AccessFlags::ALL, u64::MAX),
        ] {
            assert_eq!(flags.bits(), bits, "{flags:?}");
        }
    }

    #[test]
    fn overlapping_groups_are_united_not_added() {
        assert_eq!((AccessFlags::RO | AccessFlags::GET).bits(), 771);
    }

    #[test]
    fn the_wire_form_is_a_strict_decimal_string() {
        assert_eq!(serde_json::to_string(&AccessFlags::ALL).unwrap(), "\"18446744073709551615\"");
        let read = |text: &str| serde_json::from_str::<AccessFlags>(text);
        assert_eq!(read("\"18446744073709551615\"").unwrap(), AccessFlags::ALL);
        assert_eq!(read("\"0\"").unwrap(), AccessFlags::NONE);
        for bad in ["771", "\"\"", "\"+1\"", "\"-1\"", "\"007\"", "\"0x1\"", "\"18446744073709551616\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_round_trip() {
        let flags = AccessFlags::RW | AccessFlags::ADMIN;
        assert_eq!(AccessFlags::parse(&flags.describe()).unwrap(), flags);
        assert_eq!(AccessFlags::parse("ro, cluster-ro").unwrap().bits(), 771 + 12288);
        assert_eq!(AccessFlags::NONE.describe(), "");
        assert!(AccessFlags::parse("fly").unwrap_err().to_string().contains("OBJ_LIST"));
    }
}

//! Names of buckets and objects as AIStore accepts them.
//!
//! Everything is checked here, before anything is sent: some names that a gateway would take are stored
//! under another name, or where no listing shows them.

use std::fmt;

use longshore_core_types::{
    BucketName, Error, ErrorKind, Namespace, ObjectKey, Resource, Result, Scheme, StoreUrl,
};

/// Most bytes of all custom keys and values of one object.
pub(crate) const CUSTOM_MAX: usize = 2048;

/// Where the objects of a bucket live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Provider {
    /// In the cluster itself, or in a remote AIStore cluster.
    #[default]
    Ais,
    /// Amazon S3 behind the cluster.
    Aws,
    /// Azure Blob Storage behind the cluster.
    Azure,
    /// Google Cloud Storage behind the cluster.
    Gcp,
    /// Oracle Cloud behind the cluster.
    Oci,
    /// Web sites behind the cluster (servers before 5.0).
    Ht,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ais, Self::Aws, Self::Azure, Self::Gcp, Self::Oci, Self::Ht];

    /// The name that goes over the wire.
    pub fn as_str(self) -> &'static str {
        self.scheme().as_str()
    }

    /// Reads a name or one of the usual aliases `s3`, `gs`, `az`, `oc`
    /// ([`ErrorKind::InvalidInput`] for anything else).
    #[doc(alias = "parse_str")]
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "ais" => Self::Ais,
            "aws" | "s3" => Self::Aws,
            "azure" | "az" => Self::Azure,
            "gcp" | "gs" => Self::Gcp,
            "oci" | "oc" => Self::Oci,
            "ht" => Self::Ht,
            _ => {
                return Err(invalid(format!(
                    "unknown provider {name:?} (known: ais aws azure gcp oci, aliases s3 az gs oc)"
                )));
            }
        })
    }

    /// The scheme of store URLs.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Ais => Scheme::Ais,
            Self::Aws => Scheme::Aws,
            Self::Azure => Scheme::Azure,
            Self::Gcp => Scheme::Gcp,
            Self::Oci => Scheme::Oci,
            Self::Ht => Scheme::Ht,
        }
    }

    /// Most entries that the cluster puts on one page of a listing; larger requests are cut silently.
    pub fn max_page(self) -> u32 {
        match self {
            Self::Ais => 10_000,
            Self::Azure => 5_000,
            Self::Aws | Self::Gcp | Self::Oci | Self::Ht => 1_000,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which bucket: provider, namespace and a name that AIStore accepts.
///
/// ```
/// # use longshore_aistore::{BucketRef, Provider};
/// let bucket: BucketRef = "aws://photos".parse()?;
/// assert_eq!(bucket.provider(), Provider::Aws);
/// assert_eq!("photos".parse::<BucketRef>()?.provider(), Provider::Ais);
/// assert!("a b".parse::<BucketRef>().is_err());
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BucketRef {
    provider: Provider,
    namespace: Namespace,
    name: BucketName,
}

impl BucketRef {
    /// A bucket in the global namespace. The name has 1 to 64 characters of `A-Z a-z 0-9 - _ .`, no `..`
    /// and no leading `.` ([`ErrorKind::InvalidInput`]).
    pub fn new(provider: Provider, name: impl AsRef<str>) -> Result<Self> {
        let name = BucketName::new(name)?;
        check_bucket_name(name.as_str())?;
        Ok(Self { provider, namespace: Namespace::default(), name })
    }

    /// The bucket of this name in a namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// The bucket that a store URL names, whatever key it carries.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        let not_ours = || invalid(format!("{url} does not name a bucket of an AIStore cluster"));
        if !url.scheme().is_aistore() {
            return Err(not_ours());
        }
        let bucket = url.bucket().ok_or_else(not_ours)?;
        let bucket = Self::new(Provider::parse(url.scheme().as_str())?, bucket)?;
        Ok(bucket.in_namespace(url.namespace().cloned().unwrap_or_default()))
    }

    /// Where its objects live.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &BucketName {
        &self.name
    }

    /// Whether the objects live outside the cluster, which only holds copies.
    pub fn is_remote(&self) -> bool {
        self.provider != Provider::Ais || !self.namespace.uuid.is_empty()
    }

    /// The store URL, without a key.
    pub fn url(&self) -> StoreUrl {
        StoreUrl::new(self.provider.scheme(), self.name.clone(), "").with_namespace(self.namespace.clone())
    }

    /// The cluster's own path of the bucket, `provider/@uuid#namespace/name/`.
    #[doc(alias = "get_path")]
    pub fn uname(&self) -> String {
        format!("{}/{}/{}/", self.provider, namespace_uname(&self.namespace), self.name)
    }

    pub(crate) fn resource(&self) -> Resource {
        Resource::Bucket { scheme: self.provider.scheme(), bucket: self.name.clone() }
    }

    pub(crate) fn object_resource(&self, key: &ObjectKey) -> Resource {
        Resource::Object { scheme: self.provider.scheme(), bucket: self.name.clone(), key: key.clone() }
    }
}

impl std::str::FromStr for BucketRef {
    type Err = Error;

    /// Reads `name`, or a store URL without key such as `aws://name` or `ais://@uuid#ns/name`.
    fn from_str(text: &str) -> Result<Self> {
        if !text.contains("://") {
            return Self::new(Provider::Ais, text);
        }
        let (word, rest) = text.split_once("://").unwrap_or_default();
        let url: StoreUrl = format!("{}://{rest}", Provider::parse(word)?).parse()?;
        if !url.key().is_empty() {
            return Err(invalid(format!("{text:?} names an object, not a bucket")));
        }
        Self::from_url(&url)
    }
}

impl fmt::Display for BucketRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.url(), f)
    }
}

impl fmt::Debug for BucketRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `@uuid#name` with both signs, as unames and queries have it.
pub(crate) fn namespace_uname(namespace: &Namespace) -> String {
    format!("@{}#{}", namespace.uuid, namespace.name)
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}

pub(crate) fn invalid_if(wrong: bool, message: &'static str) -> Result<()> {
    if wrong { Err(invalid(message)) } else { Ok(()) }
}

fn check_bucket_name(name: &str) -> Result<()> {
    let fault = if name.len() > 64 {
        "it has more than 64 characters"
    } else if name.starts_with('.') {
        "a leading `.` marks a system bucket"
    } else if name.contains("..") {
        "it contains `..`"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        "only letters, digits, `-`, `_` and `.` are allowed"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{name:?} is not a bucket name for AIStore: {fault}")))
}

/// Longest part of a path. The server keeps an object with a longer one under another name, at the top of the bucket,
/// where no listing of its directory finds it.
const PART_MAX: usize = 255;

/// Longest name. Of longer ones listings show a digest.
const NAME_MAX: usize = 3072;

/// Refuses object names that AIStore rejects, alters, or never lists.
///
/// `unlisted` lets `//` pass: such an object can be read back by its name, but no listing shows it.
pub(crate) fn check_object_name(key: &ObjectKey, unlisted: bool) -> Result<()> {
    let name = key.as_str();
    let fault = if name.starts_with('/') {
        "a leading `/` is dropped by the server"
    } else if name.ends_with('/') {
        "the server refuses a trailing `/`"
    } else if name.starts_with("~/") {
        "the server refuses a leading `~/`"
    } else if name.split('/').any(|part| matches!(part, "." | "..")) {
        "the server refuses `.` and `..` as parts of the path"
    } else if name.contains(|c: char| c.is_ascii_control()) {
        "gateways send line breaks on as spaces, and other control characters in a way that is no HTTP"
    } else if !unlisted && name.contains("//") {
        "an object with `//` in its name is stored, but no listing ever shows it"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{name:?} is not an object name for AIStore: {fault}")))
}

/// Refuses names of new objects that AIStore stores, but does not list as what they are.
pub(crate) fn check_length(key: &ObjectKey) -> Result<()> {
    let name = key.as_str();
    let fault = if name.len() > NAME_MAX {
        "listings show a name of more than 3072 bytes as something else"
    } else if name.split('/').any(|part| part.len() > PART_MAX) {
        "an object with a part of more than 255 bytes in its path is not listed with its neighbours"
    } else {
        return Ok(());
    };
    let start: String = name.chars().take(40).collect();
    Err(invalid(format!("{start:?}... of {} bytes is not an object name for AIStore: {fault}", name.len())))
}

/// Refuses prefixes that the server rejects or reads differently.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    let fault = if prefix.starts_with('/') {
        "no object name begins with `/`"
    } else if prefix.starts_with("~/") {
        "the server refuses a leading `~/`"
    } else if prefix.split('/').any(|part| matches!(part, "." | "..")) {
        "the server refuses `.` and `..` as parts of the path"
    } else if prefix.contains('\0') {
        "it contains a NUL"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{prefix:?} is not a prefix for AIStore: {fault}")))
}

/// Refuses custom metadata that the server rejects, or that would come back as something else.
pub(crate) fn check_custom<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let mut total = 0;
    for (key, value) in pairs {
        if key.is_empty() {
            return Err(invalid("a custom metadata key cannot be empty"));
        }
        if key.contains('=') {
            return Err(invalid(format!("the custom metadata key {key:?} contains `=`")));
        }
        if key == HIDDEN_CUSTOM_KEY {
            return Err(invalid(format!("the custom metadata key {key:?} belongs to the server")));
        }
        if key.chars().chain(value.chars()).any(char::is_control) {
            return Err(invalid(format!("the custom metadata {key:?} contains a control character")));
        }
        // Answers carry each pair as a header line, of which the blanks at both ends are lost.
        if key.trim() != key || value.trim_end() != value {
            return Err(invalid(format!("the custom metadata {key:?} has blanks at an end, which get lost")));
        }
        total += key.len() + value.len();
    }
    if total > CUSTOM_MAX {
        return Err(invalid(format!(
            "custom metadata of {total} bytes: an object holds {CUSTOM_MAX} at most"
        )));
    }
    Ok(())
}

/// Where the server keeps the disk path of an object whose name is too long for a file system.
pub(crate) const HIDDEN_CUSTOM_KEY: &str = "orig_fntl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["a", "A-b_c.9", &"x".repeat(64)] {
            assert!(BucketRef::new(Provider::Ais, good).is_ok(), "{good}");
        }
        for bad in ["", ".sys", "a..b", "a b", "a/b", "a#b", "a?b", "bad$name", "ü", &"x".repeat(65)] {
            let error = BucketRef::new(Provider::Ais, bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn references_read_and_write() {
        let b: BucketRef = "ais://@uuid#ns/data".parse().unwrap();
        assert_eq!(b.uname(), "ais/@uuid#ns/data/");
        assert!(b.is_remote());
        assert_eq!(b.to_string(), "ais://@uuid#ns/data");
        let b: BucketRef = "s3://data".parse().unwrap();
        assert_eq!((b.provider(), b.uname().as_str()), (Provider::Aws, "aws/@#/data/"));
        let b: BucketRef = "ais://#ns/data".parse().unwrap();
        assert!(!b.is_remote());
        for bad in ["ais://data/key", "ais://", "http://x/y", "supabase://b"] {
            assert!(bad.parse::<BucketRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn object_names() {
        let key = |name: &str| ObjectKey::new(name).unwrap();
        for good in ["a", "a/b", "...", "a/..b", "~", "~a/b", "a b#?%\\", "日本/x"] {
            assert!(check_object_name(&key(good), false).is_ok(), "{good}");
        }
        for bad in ["/a", "a/", "~/a", ".", "..", "a/../b", "./a", "a/.", "a\0b", "a\nb", "a\u{7f}", "a//b"] {
            assert!(check_object_name(&key(bad), false).is_err(), "{bad}");
        }
        assert!(ObjectKey::new("").is_err());
        assert!(check_object_name(&key("a//b"), true).is_ok());
        assert!(check_object_name(&key("//a"), true).is_err());
        let part = "p".repeat(255);
        assert!(check_length(&key(&format!("{part}/{part}"))).is_ok());
        assert!(check_length(&key(&format!("a/{part}x"))).is_err());
        assert!(check_length(&key(&"part/".repeat(700))).is_err());
    }

    #[test]
    fn custom_metadata() {
        assert!(check_custom([("a", "1,2,3"), ("b", "x=y"), ("c", ""), ("d", "ü")]).is_ok());
        let long = "v".repeat(2048);
        for bad in [
            ("", "v"),
            ("a=b", "v"),
            ("a", "x\u{1}"),
            ("a\n", "v"),
            ("a", "v "),
            (" a", "v"),
            ("k", &long),
            ("orig_fntl", "x"),
        ] {
            assert!(check_custom([bad]).is_err(), "{bad:?}");
        }
        assert!(check_custom([("k", &long[1..])]).is_ok());
    }
}

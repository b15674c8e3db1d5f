//! Where objects are: store URLs and local paths.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::{BucketName, Error, ErrorKind, ObjectKey, Result};

macro_rules! schemes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The first part of a store URL: which service, and how its buckets are reached.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Scheme {
            $($(#[$doc])* $name,)*
        }

        impl Scheme {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written, without `://`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

schemes! {
    /// A bucket of an AIStore cluster.
    Ais = "ais";
    /// An Amazon S3 bucket behind an AIStore cluster.
    Aws = "aws";
    /// A Google Cloud Storage bucket behind an AIStore cluster.
    Gcp = "gcp";
    /// An Azure container behind an AIStore cluster.
    Azure = "azure";
    /// An Oracle Cloud bucket behind an AIStore cluster.
    Oci = "oci";
    /// A web site behind an AIStore cluster.
    Ht = "ht";
    /// Amazon S3, or a store with its API, directly.
    S3 = "s3";
    /// Google Cloud Storage, directly.
    Gs = "gs";
    /// Azure Blob Storage, directly.
    Az = "az";
    /// A Supabase Storage bucket.
    Supabase = "supabase";
    /// An Apolo bucket, in the platform's own notation.
    Blob = "blob";
    /// A web server without TLS, read-only.
    Http = "http";
    /// A web server, read-only.
    Https = "https";
    /// A bucket in the memory of this process, for tests and examples.
    Memory = "memory";
}

impl Scheme {
    /// Whether an AIStore cluster serves it.
    pub fn is_aistore(self) -> bool {
        matches!(self, Self::Ais | Self::Aws | Self::Gcp | Self::Azure | Self::Oci | Self::Ht)
    }

    /// Whether what follows is kept as one text, because another grammar than ours reads it.
    fn is_opaque(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An AIStore namespace, `@uuid#name`: a remote cluster, a name space in it, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// Id or alias of a remote cluster; empty for the cluster that is asked.
    pub uuid: String,
    /// Name inside that cluster; empty for its global namespace.
    pub name: String,
}

impl Namespace {
    /// Reads `@uuid#name`, `@uuid` or `#name` ([`ErrorKind::InvalidInput`] for anything else).
    pub fn parse(text: &str) -> Result<Self> {
        let (uuid, name) = text.split_once('#').unwrap_or((text, ""));
        match uuid.strip_prefix('@') {
            Some(uuid) => Ok(Self { uuid: uuid.to_owned(), name: name.to_owned() }),
            None if uuid.is_empty() && text.starts_with('#') => {
                Ok(Self { uuid: String::new(), name: name.to_owned() })
            }
            None => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is not a namespace: expected `#name`, `@uuid` or `@uuid#name`"),
            )),
        }
    }

    /// Whether it is the global namespace of the cluster that is asked.
    pub fn is_global(&self) -> bool {
        self.uuid.is_empty() && self.name.is_empty()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.uuid.is_empty() {
            write!(f, "@{}", self.uuid)?;
        }
        if !self.name.is_empty() {
            write!(f, "#{}", self.name)?;
        }
        Ok(())
    }
}

/// A bucket or an object, or a prefix of object names: `scheme://[namespace/]bucket/key`.
///
/// The key is raw: `?`, `#` and `%` are letters like any other, nothing is decoded. `http(s):` URLs are kept as they are;
/// the crate that serves them reads them.
///
/// A `blob:` URL is written `blob:bucket/key`, `blob:/project/bucket/key` or `blob://cluster/org/project/bucket/key`.
///
/// ```
/// # use longshore_core_types::{Scheme, StoreUrl};
/// let url: StoreUrl = "ais://@remote#team/photos/2024/a#1.jpg".parse()?;
/// assert_eq!(url.scheme(), Scheme::Ais);
/// assert_eq!(url.namespace().map(|n| n.name.as_str()), Some("team"));
/// assert_eq!(url.bucket().map(|b| b.as_str()), Some("photos"));
/// assert_eq!(url.key(), "2024/a#1.jpg");
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StoreUrl {
    scheme: Scheme,
    namespace: Option<Namespace>,
    /// Of a `blob:` URL, what stands in front of the bucket, with a slash at its end if there is anything.
    place: String,
    bucket: Option<BucketName>,
    key: String,
}

impl StoreUrl {
    /// A bucket, or with a `key` an object or prefix in it.
    pub fn new(scheme: Scheme, bucket: BucketName, key: impl Into<String>) -> Self {
        Self { scheme, namespace: None, place: String::new(), bucket: Some(bucket), key: key.into() }
    }

    /// The same place in this namespace; the global one leaves no trace.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = (!namespace.is_global()).then_some(namespace);
        self
    }

    /// Another key in the same bucket. Of an `http(s)` URL, another name beside this one: what follows the last
    /// slash is replaced, and a query is dropped.
    #[must_use]
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        let key = key.into();
        let key = if matches!(self.scheme, Scheme::Http | Scheme::Https) {
            let path = self.key.split('?').next().unwrap_or_default();
            let base = path.rfind('/').map_or("", |slash| &path[..=slash]);
            format!("{base}{key}")
        } else {
            key
        };
        Self { key, ..self.clone() }
    }

    /// Which service.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// AIStore's namespace, unless it is the global one.
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The bucket; `None` for a whole service (`ais://`, `blob:`) and for `http(s):` URLs.
    pub fn bucket(&self) -> Option<&BucketName> {
        self.bucket.as_ref()
    }

    /// What follows the bucket: a key, a prefix, or nothing. Of an `http(s):` URL, all of it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key as the name of one object ([`ErrorKind::InvalidInput`] if there is none).
    pub fn object_key(&self) -> Result<ObjectKey> {
        ObjectKey::new(&self.key).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, format!("{self} names a bucket, not an object in it"))
        })
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = |word: &str| {
            let known: Vec<String> = Scheme::ALL.iter().map(|s| format!("{s}://")).collect();
            Error::new(
                ErrorKind::InvalidInput,
                format!("unknown scheme {word:?} in {text:?} (known: {})", known.join(" ")),
            )
        };
        let (word, rest) = text.split_once(':').ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{text:?} is not a store URL: it has no scheme"))
        })?;
        let scheme = Scheme::ALL.iter().copied().find(|s| s.as_str() == word).ok_or_else(|| unknown(word))?;
        if scheme.is_opaque() {
            return Ok(Self {
                scheme,
                namespace: None,
                place: String::new(),
                bucket: None,
                key: text.to_owned(),
            });
        }
        if scheme == Scheme::Blob {
            return blob(rest, text);
        }
        let rest = rest.strip_prefix("//").ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{text:?} lacks `//` after `{word}:`"))
        })?;
        let (namespace, rest) = match rest.split_once('/').unwrap_or((rest, "")) {
            (first, rest) if first.starts_with(['@', '#']) => (Some(Namespace::parse(first)?), rest),
            _ => (None, rest),
        };
        if namespace.is_some() && !scheme.is_aistore() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{word}:// URLs have no namespace")));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = match bucket {
            "" if key.is_empty() => None,
            name => Some(BucketName::new(name).map_err(|e| {
                Error::new(ErrorKind::InvalidInput, format!("{text:?} has no valid bucket")).with_source(e)
            })?),
        };
        let url = Self { scheme, namespace: None, place: String::new(), bucket, key: key.to_owned() };
        Ok(match namespace {
            Some(namespace) => url.with_namespace(namespace),
            None => url,
        })
    }
}

/// Reads what follows `blob:`.
fn blob(rest: &str, text: &str) -> Result<StoreUrl> {
    // How many names stand in front of the bucket's.
    let names = match rest {
        _ if rest.starts_with("///") => 1,
        _ if rest.starts_with("//") => 3,
        _ if rest.starts_with('/') => 1,
        _ => 0,
    };
    let start = rest.len() - rest.trim_start_matches('/').len();
    let mut ends = rest[start..].match_indices('/').map(|(at, _)| start + at + 1);
    let place = if names == 0 { Some(0) } else { ends.nth(names - 1) };
    let (place, behind) = rest.split_at(place.unwrap_or(rest.len()));
    let (bucket, key) = behind.split_once('/').unwrap_or((behind, ""));
    let bucket = match bucket {
        "" if key.is_empty() => None,
        name => Some(BucketName::new(name).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, format!("{text:?} has no valid bucket")).with_source(e)
        })?),
    };
    Ok(StoreUrl {
        scheme: Scheme::Blob,
        namespace: None,
        place: place.to_owned(),
        bucket,
        key: key.to_owned(),
    })
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme.is_opaque() {
            return f.write_str(&self.key);
        }
        if self.scheme == Scheme::Blob {
            write!(f, "{}:{}", self.scheme, self.place)?;
        } else {
            write!(f, "{}://", self.scheme)?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        if let Some(bucket) = &self.bucket {
            write!(f, "{bucket}")?;
        }
        if !self.key.is_empty() {
            write!(f, "/{}", self.key)?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Any place a command can read from or write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A store URL.
    Store(StoreUrl),
    /// A local file or directory.
    Local(PathBuf),
    /// Standard input or output, written `-`.
    Stdio,
}

impl Location {
    /// Reads a store URL, `-`, or a local path, which is anything else.
    ///
    /// A text that looks like a URL of an unknown scheme (`word://...`) is refused rather than taken
    /// for a path; `./word://...` is a path.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Stdio);
        }
        if text.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "an empty text is neither a path nor a store URL",
            ));
        }
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphabetic())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        };
        match text.split_once(':') {
            Some((word, rest)) if is_word(word) && (rest.starts_with("//") || word == "blob") => {
                text.parse().map(Self::Store)
            }
            _ => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(url) => fmt::Display::fmt(url, f),
            Self::Local(path) => path.display().fmt(f),
            Self::Stdio => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_round_trip() {
        for text in [
            "ais://",
            "ais://b",
            "ais://b/k?x=1#f%20",
            "ais://b//lead/",
            "ais://#ns/b/k",
            "ais://@uuid/b",
            "ais://@uuid#ns/b/a/b/c",
            "s3://bucket/a b",
            "supabase://b/k",
            "blob:bucket/key",
            "blob://cluster/org/project/b/k",
            "blob:/project/b/k%20#1",
            "blob:",
            "blob://cluster/org",
            "https://host/a%20b?q",
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        let global: StoreUrl = "ais://@#/b/k".parse().unwrap();
        assert_eq!(global.to_string(), "ais://b/k");
        assert_eq!("ais://b/".parse::<StoreUrl>().unwrap().to_string(), "ais://b");
    }

    #[test]
    fn keys_are_raw() {
        let url: StoreUrl = "ais://b/a%2F?b#c//".parse().unwrap();
        assert_eq!(url.key(), "a%2F?b#c//");
        assert_eq!(url.object_key().unwrap().as_str(), "a%2F?b#c//");
        assert!("ais://b".parse::<StoreUrl>().unwrap().object_key().is_err());
    }

    #[test]
    fn another_key() {
        for (text, expected) in [
            ("ais://b/a/b?c", "ais://b/x"),
            ("ais://#ns/b", "ais://#ns/b/x"),
            ("https://h/a/b?sig=1/2", "https://h/a/x"),
            ("https://h/a/", "https://h/a/x"),
            ("blob:b/k", "blob:b/x"),
            ("blob:/p/b/k/l", "blob:/p/b/x"),
            ("blob://c/o/p/b", "blob://c/o/p/b/x"),
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().with_key("x").to_string(), expected);
        }
    }

    #[test]
    fn buckets_of_blob_urls() {
        let parts = |text: &str| {
            let url: StoreUrl = text.parse().unwrap();
            (url.bucket().map(ToString::to_string).unwrap_or_default(), url.key().to_owned())
        };
        for (text, bucket, key) in [
            ("blob:b/a/k", "b", "a/k"),
            ("blob:/p/b//k", "b", "/k"),
            ("blob:///p/b/k", "b", "k"),
            ("blob://c/o/p/b/k?", "b", "k?"),
            ("blob://c/o/p", "", ""),
            ("blob:", "", ""),
        ] {
            assert_eq!(parts(text), (bucket.to_owned(), key.to_owned()), "{text}");
        }
        assert!("blob:/p//k".parse::<StoreUrl>().is_err());
    }

    #[test]
    fn bad_urls_say_why() {
        for (text, word) in [
            ("foo://b/k", "unknown scheme"),
            ("ais:b/k", "lacks `//`"),
            ("ais:///k", "no valid bucket"),
            ("s3://#ns/b", "no namespace"),
            ("b/k", "no scheme"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn anything_else_is_a_path() {
        for path in ["a", "./foo://x", "/tmp/x", "C:\\x", "a:b", "dir/"] {
            assert_eq!(Location::parse(path).unwrap(), Location::Local(path.into()), "{path}");
        }
        assert_eq!(Location::parse("-").unwrap(), Location::Stdio);
        assert!(matches!(Location::parse("blob:b/k").unwrap(), Location::Store(_)));
        assert!(Location::parse("foo://x").is_err());
        assert!(Location::parse("").is_err());
    }
}

//! Buckets and objects: names, namespaces, their textual forms.

use std::fmt;

use super::error::{Fail, Result};

/// A backend provider by its canonical name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Provider {
    Ais,
    Aws,
    Azure,
    Gcp,
    Oci,
}

impl Provider {
    /// Parses a query value; empty means `ais`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "" | "ais" => Self::Ais,
            "aws" | "s3" => Self::Aws,
            "azure" | "az" => Self::Azure,
            "gcp" | "gs" => Self::Gcp,
            "oci" | "oc" => Self::Oci,
            other => {
                return Err(Fail::bad(format!(
                    "invalid backend provider {other:?}: must be one of [ais, aws (s3://), gcp (gs://), azure \
                     (az://), oci (oc://)]"
                ))
                .tcode("ErrInvalidBackendProvider"));
            }
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ais => "ais",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Oci => "oci",
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Ais => "ais",
            Self::Aws => "s3",
            Self::Azure => "az",
            Self::Gcp => "gs",
            Self::Oci => "oc",
        }
    }

    /// Name in messages about missing backends.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ais => "AIS",
            Self::Aws => "AWS",
            Self::Azure => "Azure",
            Self::Gcp => "GCP",
            Self::Oci => "OCI",
        }
    }
}

/// A namespace: cluster uuid and name, both possibly empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Namespace {
    pub(crate) uuid: String,
    pub(crate) name: String,
}

impl Namespace {
    /// Parses `@uuid#name`; text without either mark is a cluster uuid.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('@').unwrap_or(text);
        let (uuid, name) = text.split_once('#').unwrap_or((text, ""));
        Self { uuid: uuid.to_owned(), name: name.to_owned() }
    }

    pub(crate) fn is_global(&self) -> bool {
        self.uuid.is_empty() && self.name.is_empty()
    }

    /// `@uuid#name`, as unames and the bucket map have it.
    pub(crate) fn uname(&self) -> String {
        format!("@{}#{}", self.uuid, self.name)
    }
}

/// Identity of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BucketName {
    pub(crate) provider: Provider,
    pub(crate) namespace: Namespace,
    pub(crate) name: String,
}

impl BucketName {
    /// An `ais` bucket in the global namespace.
    #[cfg(test)]
    pub(crate) fn ais(name: &str) -> Self {
        Self { provider: Provider::Ais, namespace: Namespace::default(), name: name.to_owned() }
    }

    /// Parses a bucket path such as `ais/@#/name/` or the display form `ais://name/`, and returns what follows it.
    pub(crate) fn parse_uname(text: &str) -> Result<(Self, &str)> {
        let missing = || Fail::bad("bucket name is missing");
        if let Some((scheme, rest)) = text.split_once("://") {
            let (name, object) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = Self {
                provider: Provider::parse(scheme)?,
                namespace: Namespace::default(),
                name: name.into(),
            };
            bucket.check()?;
            return Ok((bucket, object));
        }
        let mut items = text.splitn(4, '/');
        let mut next = || items.next().filter(|s| !s.is_empty());
        let (provider, namespace, name) =
            (next().ok_or_else(missing)?, next().ok_or_else(missing)?, next().ok_or_else(missing)?);
        if !namespace.starts_with('@') {
            return Err(missing());
        }
        let bucket = Self {
            provider: Provider::parse(provider)?,
            namespace: Namespace::parse(namespace),
            name: name.to_owned(),
        };
        bucket.check()?;
        Ok((bucket, items.next().unwrap_or("")))
    }

    /// Checks the name by the server's rules.
    pub(crate) fn check(&self) -> Result<()> {
        const MAX: usize = 64;
        let name = &self.name;
        if name.is_empty() {
            return Err(Fail::bad("bucket name is missing"));
        }
        if name.len() > MAX {
            return Err(Fail::bad(format!("bucket name is too long: {} > {MAX}(max length)", name.len())));
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(valid) || name.contains("..") {
            return Err(Fail::bad(
                "bucket name is invalid: may only contain letters, numbers, dashes (-), underscores (_), and dots (.)",
            ));
        }
        if name.starts_with('.') {
            return Err(Fail::bad(format!("reserved bucket name {name:?} (unknown system bucket)")));
        }
        Ok(())
    }

    /// Path form, `ais/@#/name/`: key of the bucket table and, with an object name, input of placement.
    pub(crate) fn uname(&self) -> String {
        format!("{}/{}/{}/", self.provider.as_str(), self.namespace.uname(), self.name)
    }

    /// Display form of an object.
    pub(crate) fn object(&self, name: &str) -> String {
        format!("{self}/{name}")
    }

    /// `{"name":..,"provider":..,"namespace":{..}}`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "provider": self.provider.as_str(),
            "namespace": { "uuid": self.namespace.uuid, "name": self.namespace.name },
        })
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.provider.scheme())?;
        if !self.namespace.is_global() {
            if !self.namespace.uuid.is_empty() {
                write!(f, "@{}", self.namespace.uuid)?;
            }
            if !self.namespace.name.is_empty() {
                write!(f, "#{}", self.namespace.name)?;
            }
            f.write_str("/")?;
        }
        f.write_str(&self.name)
    }
}

/// True for a name or prefix with a component that leads elsewhere, or with a home directory.
fn has_bad_component(name: &str) -> bool {
    name.starts_with("~/") || name.split('/').any(|c| c == "." || c == "..")
}

/// Checks an object name by the rules of GET, PUT and DELETE.
pub(crate) fn check_object_name(name: &str) -> Result<()> {
    if name.is_empty() || name.ends_with('/') || has_bad_component(name) {
        return Err(Fail::bad(format!("invalid object name {name:?}")).tcode("errInvalidPath"));
    }
    Ok(())
}

/// Checks the name of an object that is to be written.
pub(crate) fn check_new_name(name: &str) -> Result<()> {
    check_object_name(name)?;
    if name.contains("//") {
        // The original stores it and shows it in no listing.
        return Err(Fail::bad(format!(
            "object name {name:?}: AIStore lists no object with \"//\" in its name; write it with single slashes"
        )));
    }
    Ok(())
}

/// Checks a listing's prefix.
pub(crate) fn check_prefix(prefix: &str) -> Result<()> {
    if has_bad_component(prefix) {
        return Err(
            Fail::bad(format!("bad list-objects request: invalid prefix {prefix:?}")).tcode("errInvalidPath")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn textual_forms() {
        let mut bucket = BucketName::ais("b");
        assert_eq!((bucket.to_string(), bucket.uname()), ("ais://b".into(), "ais/@#/b/".into()));
        bucket.namespace = Namespace::parse("#ns");
        assert_eq!(bucket.to_string(), "ais://#ns/b");
        bucket.namespace = Namespace::parse("@id#ns");
        assert_eq!(bucket.object("o"), "ais://@id#ns/b/o");
        bucket.namespace = Namespace::parse("id");
        assert_eq!(bucket.to_string(), "ais://@id/b");
        assert_eq!(Namespace::parse("@#"), Namespace::default());
    }

    #[test]
    fn unames() {
        let (bucket, object) = BucketName::parse_uname("ais/@#/b/dir/o").expect("a uname");
        assert_eq!((bucket.to_string().as_str(), object), ("ais://b", "dir/o"));
        let (bucket, object) = BucketName::parse_uname("ais://b/x").expect("a URL");
        assert_eq!((bucket.to_string().as_str(), object), ("ais://b", "x"));
        for bad in ["b/x", "ais/b/x", "c9"] {
            assert_eq!(BucketName::parse_uname(bad).expect_err(bad).message, "bucket name is missing");
        }
    }

    #[test]
    fn names() {
        for good in ["b", "UPPER_case-1.2"] {
            assert!(BucketName::ais(good).check().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a..b", ".", ".sys", "a/b", "b\u{fc}cket", "*"] {
            assert!(BucketName::ais(bad).check().is_err(), "{bad}");
        }
        assert!(BucketName::ais(&"x".repeat(64)).check().is_ok());
        assert!(BucketName::ais(&"x".repeat(65)).check().is_err());
        for bad in ["", "a/", "a/../b", "./a", "~/b"] {
            assert!(check_object_name(bad).is_err(), "{bad}");
        }
        assert!(check_new_name("a//b").is_err_and(|f| f.message.contains("lists no object")));
        for good in ["a", "a//b", "~a", "a/...", ".hidden"] {
            assert!(check_object_name(good).is_ok(), "{good}");
        }
    }
}

//! Names of objects and buckets.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use crate::{Error, ErrorKind, Result};

/// Name of an object inside its bucket: any non-empty text, kept byte for byte.
///
/// Nothing is normalised: `a//b`, `dir/`, `../x` and `a%2Fb` are four different names here, as they are
/// at the stores. A store refuses what it cannot hold, before anything is sent.
///
/// Cloning is cheap: the text is shared.
///
/// ```
/// # use longshore_core_types::ObjectKey;
/// let key = ObjectKey::new("photos/2024/a#1.jpg")?;
/// assert_eq!(key.file_name(), Some("a#1.jpg"));
/// assert!(ObjectKey::new("").is_err());
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// Takes any text but the empty one ([`ErrorKind::InvalidInput`]).
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "an object name cannot be empty"));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`, `None` if the name ends in one.
    pub fn file_name(&self) -> Option<&str> {
        let name = self.0.rsplit('/').next()?;
        (!name.is_empty()).then_some(name)
    }
}

/// Name of a bucket: non-empty, without `/` and control characters.
///
/// Each platform has narrower rules, which its client checks before it sends anything.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(Arc<str>);

impl BucketName {
    /// Checks the rule above ([`ErrorKind::InvalidInput`]).
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let fault = if name.is_empty() {
            "it is empty"
        } else if name.contains('/') {
            "it contains `/`"
        } else if name.chars().any(char::is_control) {
            "it contains a control character"
        } else {
            return Ok(Self(name.into()));
        };
        Err(Error::new(ErrorKind::InvalidInput, format!("{name:?} is not a bucket name: {fault}")))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_newtype {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }
    )*};
}

text_newtype!(ObjectKey BucketName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_byte_for_byte() {
        for name in ["/lead", "a//b", "dir/", "..", "a%2Fb", "ü\u{1F600}", " "] {
            assert_eq!(ObjectKey::new(name).unwrap().as_str(), name);
        }
        assert_eq!(ObjectKey::new("dir/").unwrap().file_name(), None);
        assert_eq!(ObjectKey::new("plain").unwrap().file_name(), Some("plain"));
    }

    #[test]
    fn bucket_names_say_what_is_wrong() {
        for (name, word) in [("", "empty"), ("a/b", "`/`"), ("a\nb", "control")] {
            let error = BucketName::new(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

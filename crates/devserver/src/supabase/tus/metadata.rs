//! The `Upload-Metadata` header: what is known about an upload before its bytes come.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// Keys and values in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata(Vec<(String, Option<String>)>);

impl Metadata {
    /// Reads a header; `None` if it is not of that form.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut pairs: Vec<(String, Option<String>)> = Vec::new();
        for pair in header.split(',') {
            let (key, value) = match pair.trim().split_once(' ') {
                Some((key, value)) => (key, Some(value)),
                None => (pair.trim(), None),
            };
            let good = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
            if !good || pairs.iter().any(|(k, _)| k == key) {
                return None;
            }
            let value = match value.filter(|v| !v.is_empty()) {
                Some(value) => {
                    Some(String::from_utf8_lossy(&BASE64_STANDARD.decode(value).ok()?).into_owned())
                }
                None => None,
            };
            pairs.push((key.to_owned(), value));
        }
        Some(Self(pairs))
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.as_deref())
    }

    /// The cache control that objects get: a number of seconds, or none at all.
    pub(super) fn cache_control(&self) -> String {
        let seconds = self.get("cacheControl").filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
        seconds.filter(|v| !v.is_empty()).map_or_else(|| "no-cache".into(), |v| format!("max-age={v}"))
    }

    /// The user's metadata; what cannot be read counts as absent.
    pub(super) fn user(&self) -> Option<Value> {
        serde_json::from_str::<Value>(self.get("metadata")?).ok().filter(Value::is_object)
    }

    /// The header as the upload tells it afterwards: with the cache control as it will be.
    pub(super) fn told(mut self) -> String {
        let cache_control = self.cache_control();
        match self.0.iter_mut().find(|(k, _)| k == "cacheControl") {
            Some((_, value)) => *value = Some(cache_control),
            None => self.0.push(("cacheControl".into(), Some(cache_control))),
        }
        let pairs = self.0.into_iter().map(|(key, value)| match value {
            Some(value) => format!("{key} {}", BASE64_STANDARD.encode(value)),
            None => key,
        });
        pairs.collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let metadata = Metadata::parse("bucketName dHVz,flag,cacheControl MzYwMA==").unwrap();
        assert_eq!((metadata.get("bucketName"), metadata.get("flag")), (Some("tus"), None));
        assert_eq!(metadata.cache_control(), "max-age=3600");
        assert_eq!(metadata.told(), "bucketName dHVz,flag,cacheControl bWF4LWFnZT0zNjAw");
        for bad in ["", "a !!!", "a YQ==,a YQ==", "a YQ"] {
            assert_eq!(Metadata::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn unreadable_values_count_as_absent() {
        let metadata = Metadata::parse("metadata e29vcHM=,cacheControl bWF4LWFnZT0xMA==").unwrap();
        assert_eq!(metadata.user(), None);
        assert_eq!(metadata.cache_control(), "no-cache");
    }
}

//! Where a bucket is.

use std::fmt;

use http::Uri;
use longshore_core_types::{BucketName, Error, ErrorKind, Result};
use longshore_transport::{BaseUrl, encode_path};

/// The address of one bucket.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    service: BaseUrl,
    /// Its path is empty if the host is the bucket's.
    bucket: BaseUrl,
}

/// How a bucket stands in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As the first part of the path.
    Path,
    /// As the first label of the host name.
    #[cfg(any(feature = "s3", test))]
    Host,
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

impl Endpoint {
    /// The bucket at Amazon.
    #[cfg(any(feature = "s3", test))]
    pub(crate) fn amazon(bucket: &BucketName, region: &str, style: Option<Style>) -> Result<Self> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.is_empty() || !region.chars().all(good) {
            return Err(invalid(format!("{region:?} is not a region")));
        }
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let base = format!("https://s3.{region}.{domain}");
        // A name with dots does not fit the certificate, one with capitals is no host name.
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = bucket.as_str().chars().all(label);
        let style = style.unwrap_or(if fits { Style::Host } else { Style::Path });
        Self::parse(&base, bucket, style)
    }

    /// The bucket at `http://host[:port][/path]` or `https://...`.
    pub(crate) fn parse(text: &str, bucket: &BucketName, style: Style) -> Result<Self> {
        let base = BaseUrl::parse(text, "a store")?;
        let fault =
            |error| invalid(format!("{base} with the bucket {bucket} is not an address")).with_source(error);
        let default = if base.to_string().starts_with("https:") { ":443" } else { ":80" };
        // The default port is not part of the Host header that is signed.
        let authority = base.authority().as_str();
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        let service = base.clone().with_authority(authority.parse().map_err(fault)?);
        let bucket = match style {
            #[cfg(any(feature = "s3", test))]
            Style::Host => {
                service.clone().with_authority(format!("{bucket}.{authority}").parse().map_err(fault)?)
            }
            Style::Path => {
                service.clone().with_path(format!("{}/{}", base.path(), encode_path(bucket.as_str())))
            }
        };
        Ok(Self { service, bucket })
    }

    /// The address of the service that has the bucket.
    #[cfg(any(feature = "azure", feature = "s3"))]
    pub(crate) fn service(&self) -> Self {
        Self { service: self.service.clone(), bucket: self.service.clone() }
    }

    /// The URL of an object, or of the bucket.
    pub(crate) fn uri(&self, key: Option<&str>, query: &str) -> Result<Uri> {
        match key {
            Some(key) => self.bucket.uri(&format!("/{}", encode_path(key)), query),
            None if self.bucket.path().is_empty() => self.bucket.uri("/", query),
            None => self.bucket.uri("", query),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.bucket, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(name: &str) -> BucketName {
        BucketName::new(name).unwrap()
    }

    #[test]
    fn addresses() {
        let amazon =
            |name: &str| format!("{:?}", Endpoint::amazon(&bucket(name), "eu-west-1", None).unwrap());
        assert_eq!(amazon("photos"), "https://photos.s3.eu-west-1.amazonaws.com");
        assert_eq!(amazon("my.photos"), "https://s3.eu-west-1.amazonaws.com/my.photos");
        let own = |text: &str, style| Endpoint::parse(text, &bucket("b"), style);
        let uri = |e: &Endpoint, key, query| e.uri(key, query).unwrap().to_string();
        let path = own("http://127.0.0.1:9000/base/", Style::Path).unwrap();
        assert_eq!(uri(&path, Some("a b/ü"), "x=1"), "http://127.0.0.1:9000/base/b/a%20b/%C3%BC?x=1");
        assert_eq!(uri(&path, None, "list-type=2"), "http://127.0.0.1:9000/base/b?list-type=2");
        let host = own("https://host:443", Style::Host).unwrap();
        assert_eq!(uri(&host, None, "uploads="), "https://b.host/?uploads=");
        assert_eq!(uri(&host, Some("/lead"), ""), "https://b.host//lead");
        for (endpoint, service) in [(&path, "http://127.0.0.1:9000/base"), (&host, "https://host/")] {
            assert_eq!(uri(&endpoint.service(), None, ""), service);
        }
        let root = own("http://127.0.0.1:9000", Style::Path).unwrap().service();
        assert_eq!(uri(&root, None, ""), "http://127.0.0.1:9000/");
        for bad in ["host", "ftp://host", "http://u:p@host", "http://host?x", "http://:1"] {
            let error = own(bad, Style::Path).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
        assert!(Endpoint::amazon(&bucket("b"), "a/b", None).is_err());
    }
}

//! Where a bucket is.

use std::fmt;

use http::{Uri, uri::Authority};
use longshore_core_types::{BucketName, Error, ErrorKind, Result};
use longshore_transport::encode_path;

/// The address of one bucket.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    https: bool,
    authority: Authority,
    /// Path of the bucket, without a slash at the end; empty if the host is the bucket's.
    path: String,
    style: Style,
}

/// How a bucket stands in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As the first part of the path.
    Path,
    /// As the first label of the host name.
    Host,
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

impl Endpoint {
    /// The bucket at Amazon.
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
        let fault = |why: &str| {
            // A password in the address must not end up in an error.
            let shown = text.rsplit('@').next().unwrap_or_default();
            invalid(format!("{shown:?} is not the address of a store: {why}"))
        };
        let (https, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            _ => return Err(fault("it does not begin with http:// or https://")),
        };
        if rest.contains(['?', '#']) {
            return Err(fault("it has a query or fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(fault("give keys apart from the address"));
        }
        let default = if https { ":443" } else { ":80" };
        // The default port is not part of the Host header that is signed.
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        let mut path = path.trim_end_matches('/').to_owned();
        let host = match style {
            Style::Host => format!("{bucket}.{authority}"),
            Style::Path => {
                path = format!("{path}/{}", encode_path(bucket.as_str()));
                authority.to_owned()
            }
        };
        let authority: Authority = host.parse().map_err(|_| fault("host or port is malformed"))?;
        if authority.host().is_empty() {
            return Err(fault("it has no host"));
        }
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let endpoint = Self { https, authority, path, style };
        endpoint.uri(None, "").map_err(|_| fault("its path is malformed"))?;
        Ok(endpoint)
    }

    /// The address of the service that has the bucket.
    #[cfg(feature = "s3")]
    pub(crate) fn service(&self) -> Result<Self> {
        let mut service = self.clone();
        match self.style {
            Style::Path => service.path.truncate(self.path.rfind('/').unwrap_or_default()),
            Style::Host => {
                let (_, host) = self.authority.as_str().split_once('.').unwrap_or_default();
                service.authority =
                    host.parse().map_err(|_| invalid(format!("{self:?} names no service")))?;
            }
        }
        Ok(service)
    }

    /// The URL of an object, or of the bucket.
    pub(crate) fn uri(&self, key: Option<&str>, query: &str) -> Result<Uri> {
        let scheme = if self.https { "https" } else { "http" };
        let mut text = format!("{scheme}://{}{}", self.authority, self.path);
        match key {
            Some(key) => {
                text.push('/');
                text.push_str(&encode_path(key));
            }
            None if self.path.is_empty() => text.push('/'),
            None => {}
        }
        if !query.is_empty() {
            text.push('?');
            text.push_str(query);
        }
        text.parse().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL").with_source(error)
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
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
            assert_eq!(uri(&endpoint.service().unwrap(), None, ""), service);
        }
        let root = own("http://127.0.0.1:9000", Style::Path).unwrap().service().unwrap();
        assert_eq!(uri(&root, None, ""), "http://127.0.0.1:9000/");
        for bad in ["host", "ftp://host", "http://u:p@host", "http://host?x", "http://:1"] {
            let error = own(bad, Style::Path).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
        assert!(Endpoint::amazon(&bucket("b"), "a/b", None).is_err());
    }
}

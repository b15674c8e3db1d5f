//! Addresses of services.

use std::fmt;

use http::{Uri, uri::Authority};
use longshore_core_types::{Error, ErrorKind, Result};

/// Where a service is: `http` or `https`, host and port, and the path below which it answers.
///
/// ```
/// # use longshore_transport::BaseUrl;
/// let base = BaseUrl::parse("http://proxy:8080/ais/", "a gateway")?;
/// assert_eq!(base.uri("/v1/buckets", "a=b")?, "http://proxy:8080/ais/v1/buckets?a=b");
/// # Ok::<_, longshore_core_types::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    https: bool,
    authority: Authority,
    /// Without the final `/`; empty for the root.
    path: String,
}

impl BaseUrl {
    /// Reads `http://host[:port][/path]` or `https://...`; a `/` at the end says nothing.
    ///
    /// `service` is what an error calls it: "a gateway". [`ErrorKind::InvalidConfig`] for anything else, and for
    /// addresses with a user or password, which the error does not show.
    pub fn parse(text: &str, service: &str) -> Result<Self> {
        Self::read(text, None, service)
    }

    /// Like [`parse`](Self::parse); `host:port` alone is taken too, and `https` decides its scheme.
    pub fn parse_with_default_scheme(text: &str, https: bool, service: &str) -> Result<Self> {
        Self::read(text, Some(https), service)
    }

    fn read(text: &str, scheme: Option<bool>, service: &str) -> Result<Self> {
        let fault = |why: &str| {
            let shown = text.rsplit('@').next().unwrap_or_default();
            let message = format!("{shown:?} is not the address of {service}: {why}");
            Error::new(ErrorKind::InvalidConfig, message)
        };
        let text = text.trim();
        let (https, rest) = match (text.split_once("://"), scheme) {
            (Some((scheme, rest)), _) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            (Some((scheme, rest)), _) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            (Some((scheme, _)), _) => {
                return Err(fault(&format!("scheme {scheme:?} is neither http nor https")));
            }
            (None, Some(https)) => (https, text),
            (None, None) => return Err(fault("it lacks http:// or https://")),
        };
        if rest.contains(['?', '#']) {
            return Err(fault("it has a query or fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(fault("a user or password does not belong into an address"));
        }
        if authority.is_empty() {
            return Err(fault("it has no host"));
        }
        let authority: Authority = authority.parse().map_err(|_| fault("host or port is malformed"))?;
        if authority.host().is_empty() {
            return Err(fault("it has no host"));
        }
        let port = authority.as_str()[authority.host().len()..].strip_prefix(':');
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(fault("the port is not a number below 65536"));
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let base = Self { https, authority, path };
        base.uri("/", "").map_err(|_| fault("its path is malformed"))?;
        Ok(base)
    }

    /// The same service at another host.
    #[must_use]
    pub fn with_authority(self, authority: Authority) -> Self {
        Self { authority, ..self }
    }

    /// The same server below another path, which begins with `/`, or is empty.
    #[must_use]
    pub fn with_path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path, without a `/` at the end; empty at the root of the server.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An absolute URL of an encoded path, which begins with `/`, and an encoded query, which may be empty.
    ///
    /// [`ErrorKind::InvalidInput`] if they are too long for a URL.
    pub fn uri(&self, path: &str, query: &str) -> Result<Uri> {
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!("{self}{path}{mark}{query}");
        text.parse().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL").with_source(error)
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, expected) in [
            ("http://host:8080", "http://host:8080"),
            ("HTTPS://host", "https://host"),
            (" http://[::1]:8080/ ", "http://[::1]:8080"),
            ("http://proxy/own/prefix/", "http://proxy/own/prefix"),
        ] {
            assert_eq!(BaseUrl::parse(text, "a test").unwrap().to_string(), expected);
        }
        for (https, expected) in [(false, "http://host:51080"), (true, "https://host:51080")] {
            let base = BaseUrl::parse_with_default_scheme("host:51080", https, "a test").unwrap();
            assert_eq!(base.to_string(), expected);
        }
    }

    #[test]
    fn requests() {
        let base = BaseUrl::parse("http://h/own/", "a test").unwrap();
        assert_eq!(base.uri("/v1/buckets", "a=b").unwrap(), "http://h/own/v1/buckets?a=b");
        assert_eq!(base.uri("", "").unwrap(), "http://h/own");
        let error = base.uri(&"/x".repeat(40_000), "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn refused_forms() {
        for text in [
            "",
            "host",
            "http://",
            "ftp://h",
            "http://h:99999",
            "http://h:",
            "http://h?x=1",
            "http://h#f",
            "http://a b",
            "http://h/a b",
            ":80",
        ] {
            let error = BaseUrl::parse(text, "a test").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
            assert!(error.to_string().contains("the address of a test"), "{error}");
        }
        for text in ["", ":80", "a b", "h:"] {
            assert!(BaseUrl::parse_with_default_scheme(text, false, "a test").is_err(), "{text}");
        }
        let error = BaseUrl::parse("http://user:sesame@h", "a test").unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

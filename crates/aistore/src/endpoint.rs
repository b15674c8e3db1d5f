//! Addresses of gateways and targets.

use std::fmt;

use http::{Uri, uri::Authority};
use longshore_core_types::{Error, ErrorKind, Result};

/// Base URL of one node: scheme, host, port, and a path in front of `/v1` if a proxy needs one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    https: bool,
    authority: Authority,
    /// Without the final `/`; empty for the root.
    path: String,
}

impl Endpoint {
    /// Reads `http://host:port`, `https://host[:port][/path]`, or `host:port`, whose scheme `https` decides.
    pub(crate) fn parse(text: &str, https: bool) -> Result<Self> {
        let fault = |why: &str| {
            // A password in the address must not end up in an error.
            let shown = text.rsplit('@').next().unwrap_or_default();
            let message = format!("{shown:?} is not the address of a gateway: {why}");
            Error::new(ErrorKind::InvalidConfig, message)
        };
        let text = text.trim();
        let (https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) => {
                return Err(fault(&format!("scheme {scheme:?} is neither http nor https")));
            }
            None => (https, text),
        };
        if rest.contains(['?', '#']) {
            return Err(fault("it has a query or fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(fault("it has no host"));
        }
        if authority.contains('@') {
            return Err(fault("give credentials as a token, not in the address"));
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
        let endpoint = Self { https, authority, path };
        endpoint.uri("/v1", "").map_err(|_| fault("its path is malformed"))?;
        Ok(endpoint)
    }

    /// An absolute URL of an encoded path and query at this node.
    pub(crate) fn uri(&self, path: &str, query: &str) -> Result<Uri> {
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!("{self}{path}{mark}{query}");
        text.parse().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL").with_source(error)
        })
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, https, expected) in [
            ("http://host:8080", false, "http://host:8080"),
            ("HTTPS://host", false, "https://host"),
            ("host:51080", false, "http://host:51080"),
            ("host:51080", true, "https://host:51080"),
            (" http://[::1]:8080/ ", false, "http://[::1]:8080"),
            ("http://proxy/ais/", false, "http://proxy/ais"),
        ] {
            let endpoint = Endpoint::parse(text, https).unwrap();
            assert_eq!(endpoint.to_string(), expected);
        }
        let endpoint = Endpoint::parse("http://h/ais", false).unwrap();
        assert_eq!(endpoint.uri("/v1/buckets", "a=b").unwrap(), "http://h/ais/v1/buckets?a=b");
    }

    #[test]
    fn refused_forms() {
        for text in [
            "",
            "http://",
            "ftp://h",
            "http://h:99999",
            "http://h:",
            "http://h?x=1",
            "http://h#f",
            "a b",
            ":80",
        ] {
            let error = Endpoint::parse(text, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        }
        let error = Endpoint::parse("http://user:sesame@h", false).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

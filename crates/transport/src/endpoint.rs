//! Scheme and authority of a URL.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

/// A server as requests name it: `http` or `https`, host and port.
///
/// As a key it is compared byte by byte, which is many times faster than without case, and a server that
/// is written in two ways merely has two entries.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) https: bool,
    pub(crate) authority: Authority,
}

impl Endpoint {
    /// `None` for a URL without host.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let https = uri.scheme() == Some(&Scheme::HTTPS);
        uri.authority().map(|authority| Self { https, authority: authority.clone() })
    }

    pub(crate) fn host(&self) -> &str {
        self.authority.host()
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Whether both are the same server, in whatever case and with or without the default port.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.https == other.https
            && self.port() == other.port()
            && self.host().eq_ignore_ascii_case(other.host())
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.https == other.https && self.authority.as_str() == other.authority.as_str()
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.as_str().hash(state);
    }
}

/// Never shows `user:password@`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.https { "https://" } else { "http://" })?;
        let text = self.authority.as_str();
        f.write_str(text.rsplit_once('@').map_or(text, |(_, host)| host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_user_and_knows_default_ports() {
        let of = |uri: &'static str| Endpoint::of(&Uri::from_static(uri)).unwrap();
        assert_eq!(of("https://me:pw@Host:8443/x?y").to_string(), "https://Host:8443");
        assert!(of("http://HOST/").same_as(&of("http://host:80/x")));
        assert!(!of("http://host/").same_as(&of("https://host/")));
        assert!(Endpoint::of(&Uri::from_static("/x")).is_none());
    }
}

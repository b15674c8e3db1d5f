//! Addresses of storage services.

use std::fmt;

use http::{Uri, uri::Authority};
use longshore_core_types::{Error, ErrorKind, Result};

/// Where the gateway of a project mounts the storage service.
const MOUNT: &str = "/storage/v1";

/// How the address that a caller gives is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A project's address, to which the service's path is added, unless it has a path already.
    Project,
    /// The service itself, as it stands: a storage server without a gateway has no path.
    Service,
}

/// Base URL of the service: scheme, host, port and path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    https: bool,
    authority: Authority,
    /// Without the final `/`; empty for the root.
    path: String,
}

impl Endpoint {
    /// Reads `http://host[:port][/path]` or `https://...`.
    pub(crate) fn parse(text: &str, meaning: Meaning) -> Result<Self> {
        let fault = |why: &str| {
            // A password in the address must not end up in an error.
            let shown = text.rsplit('@').next().unwrap_or_default();
            let message = format!("{shown:?} is not the address of a Supabase project: {why}");
            Error::new(ErrorKind::InvalidConfig, message)
        };
        let text = text.trim();
        let (https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) => {
                return Err(fault(&format!("scheme {scheme:?} is neither http nor https")));
            }
            None => return Err(fault("it lacks http:// or https://")),
        };
        if rest.contains(['?', '#']) {
            return Err(fault("it has a query or fragment"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(fault("give credentials as a key, not in the address"));
        }
        let authority: Authority = authority.parse().map_err(|_| fault("host or port is malformed"))?;
        if authority.host().is_empty() {
            return Err(fault("it has no host"));
        }
        let port = authority.as_str()[authority.host().len()..].strip_prefix(':');
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(fault("the port is not a number below 65536"));
        }
        let path = match (path.trim_end_matches('/'), meaning) {
            ("", Meaning::Project) => MOUNT.to_owned(),
            ("", Meaning::Service) => String::new(),
            (path, _) => format!("/{path}"),
        };
        let endpoint = Self { https, authority, path };
        endpoint.uri("/bucket", "").map_err(|_| fault("its path is malformed"))?;
        Ok(endpoint)
    }

    /// The same project on the host that serves nothing but storage, which takes requests of any size.
    /// `None` if it is not a project of the hosted platform.
    pub(crate) fn dedicated(&self) -> Option<Self> {
        let host = self.authority.as_str();
        let hosted = [".supabase.co", ".supabase.in", ".supabase.red"].iter().any(|end| host.ends_with(end));
        if !hosted || host.contains("storage.supabase.") {
            return hosted.then(|| self.clone());
        }
        let authority = host.replacen("supabase.", "storage.supabase.", 1).parse().ok()?;
        Some(Self { authority, ..self.clone() })
    }

    /// An absolute URL of an encoded path and query.
    pub(crate) fn uri(&self, path: &str, query: &str) -> Result<Uri> {
        let mark = if query.is_empty() { "" } else { "?" };
        let text = format!("{self}{path}{mark}{query}");
        text.parse().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL").with_source(error)
        })
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
        for (text, expected) in [
            ("https://ref.supabase.co", "https://ref.supabase.co/storage/v1"),
            ("https://ref.supabase.co/", "https://ref.supabase.co/storage/v1"),
            ("https://ref.supabase.co/storage/v1/", "https://ref.supabase.co/storage/v1"),
            ("http://127.0.0.1:54321", "http://127.0.0.1:54321/storage/v1"),
            ("HTTP://[::1]:5000/own/prefix", "http://[::1]:5000/own/prefix"),
        ] {
            assert_eq!(Endpoint::parse(text, Meaning::Project).unwrap().to_string(), expected);
        }
        let bare = Endpoint::parse("http://localhost:5000/", Meaning::Service).unwrap();
        assert_eq!(bare.uri("/bucket", "limit=1").unwrap(), "http://localhost:5000/bucket?limit=1");
    }

    #[test]
    fn the_host_for_storage_alone() {
        for (text, expected) in [
            ("https://ref.supabase.co", Some("https://ref.storage.supabase.co/storage/v1")),
            ("https://ref.supabase.red/storage/v1", Some("https://ref.storage.supabase.red/storage/v1")),
            ("https://ref.storage.supabase.co", Some("https://ref.storage.supabase.co/storage/v1")),
            ("https://supabase.example.com", None),
            ("http://localhost:54321", None),
        ] {
            let found = Endpoint::parse(text, Meaning::Project).unwrap().dedicated();
            assert_eq!(found.map(|endpoint| endpoint.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn refused_forms() {
        for text in
            ["", "host", "http://", "ftp://h", "http://h:99999", "http://h?x=1", "http://h#f", "http://a b"]
        {
            let error = Endpoint::parse(text, Meaning::Project).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        }
        let error = Endpoint::parse("http://user:sesame@h", Meaning::Project).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

//! Addresses of storage services.

use longshore_core_types::Result;
use longshore_transport::BaseUrl;

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

/// The service behind `http://host[:port][/path]` or `https://...`.
pub(crate) fn parse(text: &str, meaning: Meaning) -> Result<BaseUrl> {
    let base = BaseUrl::parse(text, "a Supabase project")?;
    let mount = meaning == Meaning::Project && base.path().is_empty();
    Ok(if mount { base.with_path(MOUNT) } else { base })
}

/// The same project on the host that serves nothing but storage, which takes requests of any size.
/// `None` if it is not a project of the hosted platform.
pub(crate) fn dedicated(service: &BaseUrl) -> Option<BaseUrl> {
    let host = service.authority().as_str();
    let hosted = [".supabase.co", ".supabase.in", ".supabase.red"].iter().any(|end| host.ends_with(end));
    if !hosted || host.contains("storage.supabase.") {
        return hosted.then(|| service.clone());
    }
    let authority = host.replacen("supabase.", "storage.supabase.", 1).parse().ok()?;
    Some(service.clone().with_authority(authority))
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ErrorKind;

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
            assert_eq!(parse(text, Meaning::Project).unwrap().to_string(), expected);
        }
        let bare = parse("http://localhost:5000/", Meaning::Service).unwrap();
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
            let found = dedicated(&parse(text, Meaning::Project).unwrap());
            assert_eq!(found.map(|base| base.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn refused_forms() {
        for text in ["", "host", "ftp://h"] {
            let error = parse(text, Meaning::Project).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
        }
        let error = parse("http://user:sesame@h", Meaning::Project).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

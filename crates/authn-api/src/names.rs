//! Rules of names, checked before anything is sent.

use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::encode_segment;

/// Longest password that the service survives: over it, it closes the connection without an answer.
const LONGEST_PASSWORD: usize = 72;

/// Checks the name of a user, role or alias: letters, digits, `-` and `_`, at most 32, neither `-` nor `_` at
/// the ends.
pub(crate) fn check<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    if name.len() > 32 {
        return Err(not_a_name(what, name, "it has more than 32 characters"));
    }
    check_known(what, name)
}

/// Checks the name of what exists already. The service itself makes roles with longer names than it accepts:
/// `ClusterOwner-` and the alias of a cluster, which may have 32 characters alone.
pub(crate) fn check_known<'a>(what: &str, name: &'a str) -> Result<&'a str> {
    let fault = if name.is_empty() {
        "it is empty"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        "only letters, digits, `-` and `_` are allowed"
    } else if name.starts_with(['-', '_']) || name.ends_with(['-', '_']) {
        "it starts or ends with `-` or `_`"
    } else {
        return Ok(name);
    };
    Err(not_a_name(what, name, fault))
}

fn not_a_name(what: &str, name: &str, fault: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{name:?} is not the name of a {what}: {fault}"))
}

/// Checks a password that is to be stored.
pub(crate) fn check_password(password: &Secret) -> Result<()> {
    let fault = match password.expose().len() {
        0 => "the password is empty".to_owned(),
        1..=LONGEST_PASSWORD => return Ok(()),
        length => {
            format!("the password has {length} bytes, and the service takes {LONGEST_PASSWORD} at most")
        }
    };
    Err(Error::new(ErrorKind::InvalidInput, fault))
}

/// The id or alias of a cluster as a part of a path. Ids are not ours to rule, but what the service would read
/// as two parts, or as none, is refused.
pub(crate) fn cluster_in_path(id: &str) -> Result<String> {
    if id.is_empty() || id.contains('/') || matches!(id, "." | "..") {
        let message = format!("{id:?} is not the id or alias of a cluster");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(encode_segment(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_the_service_takes_them() {
        for good in ["a", "bob", "r-1_x", &"x".repeat(32)] {
            assert_eq!(check("user", good).unwrap(), good);
        }
        for bad in ["", "-a", "a_", "a b", "a/b", "ä", &"x".repeat(33)] {
            assert_eq!(check("user", bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn roles_that_the_service_made_may_have_long_names() {
        let name = format!("ClusterOwner-{}", "x".repeat(32));
        assert_eq!(check_known("role", &name).unwrap(), name);
        assert!(check("role", &name).is_err());
        for bad in ["", "a/b", "..", "-a"] {
            assert_eq!(check_known("role", bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn a_password_that_would_make_the_server_hang_up() {
        assert!(check_password(&"p".repeat(72).into()).is_ok());
        let error = check_password(&"p".repeat(73).into()).unwrap_err();
        assert!(error.to_string().contains("73 bytes"), "{error}");
        assert!(!error.to_string().contains("ppp"), "{error}");
        assert!(check_password(&"".into()).is_err());
    }

    #[test]
    fn clusters_in_paths() {
        assert_eq!(cluster_in_path("8IL2sVm1c").unwrap(), "8IL2sVm1c");
        assert_eq!(cluster_in_path("a b?").unwrap(), "a%20b%3F");
        assert!(cluster_in_path("a/b").is_err());
        assert!(cluster_in_path("..").is_err());
    }
}

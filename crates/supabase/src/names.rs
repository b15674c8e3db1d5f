//! Which names the service takes, and a way to write all others in them.

use std::fmt::Write;

use longshore_blob_api::NameRules;
use longshore_core_types::{BucketName, Error, ErrorKind, ObjectKey, Resource, Result, Scheme};

/// What the service takes as the name of an object.
pub(crate) const KEYS: NameRules = NameRules::new("/_!.*'() &$@=;:+,?-", 1024);

/// Longest bucket name in bytes.
const LONGEST_BUCKET: usize = 100;

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn is_plain(c: char) -> bool {
    c != '/' && KEYS.takes(c)
}

/// Why the service would refuse an object of this name, or could not give it back; `None` if it takes it.
///
/// The service takes letters and digits of ASCII, `/` and `_!.*'() &$@=;:+,?-`, 1024 bytes at most. A part that
/// is `.` or `..` is refused here: HTTP software on the way removes it.
///
/// ```
/// assert_eq!(longshore_supabase::key_fault("photos/2024 (1).jpg"), None);
/// assert!(longshore_supabase::key_fault("photos/größe#1.jpg").is_some());
/// ```
pub fn key_fault(name: &str) -> Option<String> {
    KEYS.fault(name)
}

/// Refuses a name that the service does not take.
pub(crate) fn check_key(name: &str) -> Result<()> {
    match key_fault(name) {
        None => Ok(()),
        Some(fault) => Err(invalid(format!(
            "Supabase Storage cannot hold an object named {name:?}: {fault}; encoded keys can (see encode_key)"
        ))),
    }
}

/// A bucket of this name, which the service takes.
pub(crate) fn bucket_name(name: &str) -> Result<BucketName> {
    let fault = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > LONGEST_BUCKET {
        format!("it has {} bytes, more than {LONGEST_BUCKET}", name.len())
    } else if let Some(c) = name.chars().find(|c| !is_plain(*c)) {
        format!("it contains {c:?}")
    } else if matches!(name, "." | "..") {
        "it would be lost on the way".to_owned()
    } else {
        return BucketName::new(name);
    };
    Err(invalid(format!("{name:?} is not a bucket name of Supabase Storage: {fault}")))
}

/// Whether a bucket of this name cannot be read by the route that looks who asks: there the service takes the name for
/// another route, and the first part of the object's name for the bucket.
pub(crate) fn is_route(bucket: &BucketName) -> bool {
    matches!(bucket.as_str(), "authenticated" | "public" | "sign" | "info")
}

/// The further rules for a bucket that is to be made.
pub(crate) fn check_new_bucket(name: &str) -> Result<()> {
    bucket_name(name)?;
    let fault = if name.trim() != name {
        "it starts or ends with a space"
    } else if name.ends_with("--table-s3") {
        "its end is reserved"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{name:?} cannot be the name of a new bucket: {fault}")))
}

/// Any name, written with what the service takes: a byte that it does not take, and `=` itself, becomes `=` and two
/// hexadecimal digits. [`decode_key`] reverses it. Names with nothing to escape stay as they are.
///
/// ```
/// use longshore_supabase::{decode_key, encode_key};
///
/// assert_eq!(encode_key("größe#1.jpg"), "gr=C3=B6=C3=9Fe=231.jpg");
/// assert_eq!(decode_key("gr=C3=B6=C3=9Fe=231.jpg").as_deref(), Some("größe#1.jpg"));
/// assert_eq!(encode_key("a/../b"), "a/=2E=2E/b");
/// ```
pub fn encode_key(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (index, part) in name.split('/').enumerate() {
        if index > 0 {
            encoded.push('/');
        }
        let dots = matches!(part, "." | "..");
        for byte in part.bytes() {
            let c = char::from(byte);
            if byte.is_ascii() && is_plain(c) && c != '=' && !dots {
                encoded.push(c);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "={byte:02X}");
            }
        }
    }
    encoded
}

/// What [`encode_key`] made this of; `None` if it made no such name.
pub fn decode_key(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_key(&name) == encoded).then_some(name)
}

pub(crate) fn bucket_resource(bucket: &BucketName) -> Resource {
    Resource::Bucket { scheme: Scheme::Supabase, bucket: bucket.clone() }
}

pub(crate) fn object_resource(bucket: &BucketName, key: &ObjectKey) -> Resource {
    Resource::Object { scheme: Scheme::Supabase, bucket: bucket.clone(), key: key.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects() {
        let all = "Az09_/!.*'() &$@=;:+,?-";
        for name in [all, "/lead", "a//b", "dir/", ".hidden", "a/...", &"k".repeat(1024)] {
            assert_eq!(key_fault(name), None, "{name}");
        }
        for name in
            ["", "ü", "a#b", "a%b", "a~b", "a\\b", "a[b", "a\"b", "a\nb", "..", "a/./b", &"k".repeat(1025)]
        {
            let error = check_key(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn names_of_buckets() {
        for name in ["b", "Az0_!-.*'() &$@=;:+,?", &"n".repeat(100)] {
            assert_eq!(bucket_name(name).unwrap().as_str(), name);
        }
        for name in ["", "a/b", "bücket", "a#b", "a%b", &"n".repeat(101)] {
            assert_eq!(bucket_name(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
        }
        for name in [" lead", "trail ", "foo--table-s3", "a/b"] {
            assert!(check_new_bucket(name).is_err(), "{name}");
        }
        assert!(check_new_bucket("foo").is_ok());
    }

    #[test]
    fn every_name_can_be_encoded_and_read_back() {
        for name in
            ["plain/name.txt", "größe", "a=b", "=", "100%", "a/../b", ".", "a~b{c}|d", "\u{1F600}\0\n", "a=2"]
        {
            let encoded = encode_key(name);
            assert_eq!(key_fault(&encoded), None, "{encoded}");
            assert_eq!(decode_key(&encoded).as_deref(), Some(name));
        }
        assert_eq!(encode_key("plain/name.txt"), "plain/name.txt");
        for foreign in ["a=b", "a=4", "a=41", "a=c3=b6", "=FF"] {
            assert_eq!(decode_key(foreign), None, "{foreign}");
        }
    }
}

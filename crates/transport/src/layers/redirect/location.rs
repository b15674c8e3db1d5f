//! From a `Location` header to the next URL.

use std::{borrow::Cow, sync::LazyLock};

use http::{HeaderValue, Uri, uri::Parts};

/// The URL that `location` means for a request to `base`, or why there is none.
///
/// The path and query are taken byte for byte: a general URL parser would resolve dot segments and
/// re-encode, and the server that wrote the URL, perhaps signing it, would not know it again.
pub(super) fn resolve(base: &Uri, location: &HeaderValue) -> Result<Uri, &'static str> {
    let encoded = encode(location.as_bytes());
    let text = std::str::from_utf8(&encoded).map_err(|_| "it is not text")?;
    let text = text.split_once('#').map_or(text, |(url, _fragment)| url);
    if text.is_empty() {
        return Err("it is empty");
    }
    if has_scheme(text) {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        return match uri.scheme_str() {
            Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
            _ => Err("it is not an http URL"),
        };
    }
    let mut parts = Parts::default();
    parts.scheme = base.scheme().cloned();
    if let Some(rest) = text.strip_prefix("//") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        parts.authority = Some(authority.parse().map_err(|_| "its host is not valid")?);
        parts.path_and_query = Some(rooted(path).parse().map_err(|_| "its path is not valid")?);
    } else {
        parts.authority = base.authority().cloned();
        let path = match text.as_bytes()[0] {
            b'/' => Cow::Borrowed(text),
            b'?' => Cow::Owned(format!("{}{text}", base.path())),
            _ => {
                let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
                Cow::Owned(format!("{directory}/{text}"))
            }
        };
        parts.path_and_query = Some(path.parse().map_err(|_| "its path is not valid")?);
    }
    Uri::from_parts(parts).map_err(|_| "it is not a URL")
}

/// `scheme:` before any `/`, `?`.
fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']).unwrap_or(0);
    text[end..].starts_with(':')
        && text[..end].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn rooted(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) }
}

/// Percent-encodes the bytes that [`Uri`] does not take, and no other.
fn encode(bytes: &[u8]) -> Cow<'_, [u8]> {
    /// Whether a byte may stand in a path and in a query. `#` and `?` have their own meaning and stay.
    static TAKEN: LazyLock<[[bool; 256]; 2]> = LazyLock::new(|| {
        let test = |before: &'static [u8]| {
            move |index| {
                let byte = u8::try_from(index).unwrap_or(0);
                byte.is_ascii() && Uri::try_from([before, &[byte]].concat()).is_ok()
            }
        };
        [std::array::from_fn(test(b"/")), std::array::from_fn(test(b"/?"))]
    });
    let query = bytes.iter().position(|byte| *byte == b'?').unwrap_or(bytes.len());
    let taken = |(at, byte): (usize, &u8)| TAKEN[usize::from(at > query)][usize::from(*byte)];
    if bytes.iter().enumerate().all(taken) {
        return Cow::Borrowed(bytes);
    }
    let mut encoded = Vec::with_capacity(bytes.len() + 16);
    for (at, byte) in bytes.iter().enumerate() {
        if taken((at, byte)) {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(location: &[u8]) -> Result<String, &'static str> {
        let base = Uri::from_static("http://gw:8080/v1/objects/b/o?provider=ais");
        resolve(&base, &HeaderValue::from_bytes(location).unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn absolute_urls_are_kept_byte_for_byte() {
        for url in [
            "http://t1:8081/v1/objects/b/a%20b%2Fc%2f/../%41+x;y='z'?pid=p1&utm=c8k2&sig=Ab-_~%3D",
            "http://t1:8081/v1//objects/./b/o?a=b?c=d&e",
            "https://[::1]:8443/x",
            "http://t1:8081/a\"b|c{d}",
        ] {
            assert_eq!(to(url.as_bytes()).unwrap(), url);
        }
    }

    #[test]
    fn only_what_a_request_line_cannot_hold_is_encoded() {
        assert_eq!(to(b"http://t/a b<c>\xc3\xa4?q=\xff").unwrap(), "http://t/a%20b%3Cc%3E%C3%A4?q=%FF");
        assert_eq!(to(b"http://t/o?x=1#frag").unwrap(), "http://t/o?x=1");
    }

    #[test]
    fn relative_urls_start_at_the_base() {
        assert_eq!(to(b"/v2/x?y").unwrap(), "http://gw:8080/v2/x?y");
        assert_eq!(to(b"//t1:81/x").unwrap(), "http://t1:81/x");
        assert_eq!(to(b"//t1:81?x").unwrap(), "http://t1:81/?x");
        assert_eq!(to(b"?a=b").unwrap(), "http://gw:8080/v1/objects/b/o?a=b");
        assert_eq!(to(b"other:name").unwrap_err(), "it is not an http URL");
        assert_eq!(to(b"p/other:name").unwrap(), "http://gw:8080/v1/objects/b/p/other:name");
    }

    #[test]
    fn nonsense_is_refused() {
        for (location, why) in [
            (&b""[..], "it is empty"),
            (b"#x", "it is empty"),
            (b"ftp://h/x", "it is not an http URL"),
            (b"http://", "it is not a URL"),
        ] {
            assert_eq!(to(location).unwrap_err(), why, "{location:?}");
        }
    }
}

//! Percent-encoding of paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 and `/`, which separates the parts of a name.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Everything but the unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as it stands in a path.
pub(crate) fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
}

/// A URL that the server wrote without escapes: path escaped, query as it is, since tokens need no escape.
pub(crate) fn encode_reference(reference: &str) -> String {
    match reference.split_once("?token=") {
        Some((path, token)) => format!("{}?token={}", encode_path(path), utf8_percent_encode(token, VALUE)),
        None => encode_path(reference),
    }
}

/// An encoded query, in the order of the pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, VALUE));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, VALUE));
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_slashes_only() {
        assert_eq!(encode_path("dir/a b?c+d&e.mp3"), "dir/a%20b%3Fc%2Bd%26e.mp3");
        assert_eq!(encode_path("//a"), "//a");
    }

    #[test]
    fn references_of_the_server() {
        assert_eq!(
            encode_reference("/object/sign/b/a b?.txt?token=a.b-c_d"),
            "/object/sign/b/a%20b%3F.txt?token=a.b-c_d"
        );
    }

    #[test]
    fn queries() {
        let mut query = Query::default();
        query.push("search", "a b%");
        query.push("limit", "2");
        assert_eq!(query.as_str(), "search=a%20b%25&limit=2");
    }
}

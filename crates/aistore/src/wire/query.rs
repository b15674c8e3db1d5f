//! Percent-encoding of paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 and `/`, which separates the parts of a name.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The server takes some values as they stand, without decoding: what needs no escape must have none.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// An object name as it stands in a path.
pub(crate) fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_slashes_only() {
        assert_eq!(encode_path("dir/a#b?c%d e+f.mp3"), "dir/a%23b%3Fc%25d%20e%2Bf.mp3");
        assert_eq!(encode_path("日~-_."), "%E6%97%A5~-_.");
    }

    #[test]
    fn queries() {
        let mut query = Query::default();
        query.push("provider", "ais");
        query.push("namespace", "@#ns1");
        query.push("props", "name,size");
        assert_eq!(query.as_str(), "provider=ais&namespace=%40%23ns1&props=name,size");
    }
}

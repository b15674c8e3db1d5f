//! Percent-encoding of paths and queries, as signatures want it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same, with `/` left as it is.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A name as it stands in a path.
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
    fn encoded() {
        assert_eq!(encode_path("//dir/a b?c+d&e~.mp3"), "//dir/a%20b%3Fc%2Bd%26e~.mp3");
        let mut query = Query::default();
        query.push("prefix", "a/b %");
        query.push("uploads", "");
        assert_eq!(query.as_str(), "prefix=a%2Fb%20%25&uploads=");
    }
}

//! Percent-encoding of names, paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, as signatures want it.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `/` separates the parts of a name.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

const WITH_COMMAS: &AsciiSet = &SEGMENT.remove(b',');

/// A name as one segment of a path, or as a value of a query: everything is escaped but the unreserved characters of
/// RFC 3986.
pub fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The same, with each `/` left as it is.
///
/// ```
/// # use longshore_transport::encode_path;
/// assert_eq!(encode_path("dir/a b?.txt"), "dir/a%20b%3F.txt");
/// ```
pub fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, PATH).to_string()
}

/// An encoded query, in the order of the pushes.
///
/// ```
/// # use longshore_transport::Query;
/// let mut query = Query::new();
/// query.push("prefix", "a/b %");
/// query.push("uploads", "");
/// assert_eq!(query.as_str(), "prefix=a%2Fb%20%25&uploads=");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    text: String,
    escaped: &'static AsciiSet,
}

impl Query {
    /// An empty one.
    pub const fn new() -> Self {
        Self { text: String::new(), escaped: SEGMENT }
    }

    /// An empty one, for services that take lists as they stand, without decoding: commas are not escaped.
    pub const fn with_commas() -> Self {
        Self { text: String::new(), escaped: WITH_COMMAS }
    }

    /// Appends `name=value`, encoded.
    pub fn push(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.extend(utf8_percent_encode(name, self.escaped));
        self.text.push('=');
        self.text.extend(utf8_percent_encode(value, self.escaped));
    }

    /// The query without a `?`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_slashes_only() {
        assert_eq!(encode_path("//dir/a#b?c%d e+f&g~.mp3"), "//dir/a%23b%3Fc%25d%20e%2Bf%26g~.mp3");
        assert_eq!(encode_path("日~-_."), "%E6%97%A5~-_.");
        assert_eq!(encode_segment("a/b,c"), "a%2Fb%2Cc");
    }

    #[test]
    fn commas_are_escaped_unless_the_service_wants_them() {
        let queries =
            [(Query::new(), "p=%40%23n&props=a%2Cb"), (Query::with_commas(), "p=%40%23n&props=a,b")];
        for (mut query, expected) in queries {
            assert!(query.is_empty());
            query.push("p", "@#n");
            query.push("props", "a,b");
            assert_eq!(query.as_str(), expected);
        }
    }
}

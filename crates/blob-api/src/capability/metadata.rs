//! Which metadata of the user's own a store holds.

/// A rule for keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataRule {
    /// All.
    #[default]
    Any,
    /// What can be the name and the value of a header: keys without upper case, spaces and letters beyond ASCII, values
    /// of printable ASCII without a space at either end.
    Headers,
}

impl MetadataRule {
    /// Whether a pair is stored as it is.
    pub fn holds(self, key: &str, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Headers => {
                let letter =
                    |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
                let printable = |b: u8| (b' '..=b'~').contains(&b);
                !key.is_empty()
                    && key.bytes().all(letter)
                    && value.bytes().all(printable)
                    && value.trim_matches(' ') == value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_what_comes_back_unchanged() {
        for (key, value) in [("owner", "anna"), ("a-b_c.1", "light red"), ("empty", "")] {
            assert!(MetadataRule::Headers.holds(key, value), "{key}: {value}");
        }
        for (key, value) in
            [("Owner", "x"), ("", "x"), ("a b", "x"), ("ä", "x"), ("k", "größe"), ("k", " x"), ("k", "a\nb")]
        {
            assert!(!MetadataRule::Headers.holds(key, value), "{key}: {value}");
            assert!(MetadataRule::Any.holds(key, value));
        }
    }
}

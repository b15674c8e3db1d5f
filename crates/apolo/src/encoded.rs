//! Keys as the platform's own client writes them.

use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::uri::PATH;

/// A key with everything escaped that the platform's client escapes; each key has one such form.
pub(crate) fn encode(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// The key that was written so; `None` for one that the platform's client cannot have written.
pub(crate) fn decode(key: &str) -> Option<String> {
    let decoded = percent_decode_str(key).decode_utf8().ok()?;
    (encode(&decoded) == key).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (raw, encoded) in [
            ("a/b-c_d.e~f!$&'()*+,;=:@", "a/b-c_d.e~f!$&'()*+,;=:@"),
            ("sp ace/ü", "sp%20ace/%C3%BC"),
            ("100%/%41?#", "100%25/%2541%3F%23"),
        ] {
            assert_eq!(encode(raw), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(raw));
        }
        for strange in ["a b", "ü", "%41", "%c3%bc", "%FF"] {
            assert_eq!(decode(strange), None, "{strange}");
        }
    }
}

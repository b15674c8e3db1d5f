//! Bytes that are no UTF-8, inside strings.
//!
//! The original quotes requests byte by byte in its messages, whatever they hold. Messages are strings here; a byte that
//! belongs to no character stands in them as a character of a private range, and becomes that byte again on its way out.

/// Stands for byte 0; 255 more follow.
const FIRST: u32 = 0x0010_FE00;

/// The character that stands for a byte.
pub(crate) fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands for.
pub(crate) fn byte(character: char) -> Option<u8> {
    u8::try_from(u32::from(character).checked_sub(FIRST)?).ok()
}

/// A string for any bytes.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|b| stand_in(*b)));
    }
    text
}

/// The bytes of such a string.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut plain = [0; 4];
    for character in text.chars() {
        match byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut plain).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)), all);
        assert_eq!(escape("\u{17c}aba".as_bytes()), "\u{17c}aba");
        assert_eq!(unescape(&escape(b"a\xffb\xc5")), b"a\xffb\xc5");
    }
}

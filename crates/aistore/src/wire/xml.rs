//! As much XML as the lists of the S3 endpoint need: elements without attributes, text with escapes.

use longshore_core_types::{Error, ErrorKind, Result};

/// The document as text.
pub(crate) fn text(body: &[u8]) -> Result<&str> {
    std::str::from_utf8(body).map_err(|error| {
        Error::new(ErrorKind::Protocol, "the answer is not XML")
            .with_response_excerpt(body)
            .with_source(error)
    })
}

/// The content of each element of this name. Elements of one name must not contain each other.
pub(crate) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let length = rest[start..].find(&close)?;
        let content = &rest[start..start + length];
        rest = &rest[start + length + close.len()..];
        Some(content)
    })
}

/// The text of the first element of this name.
pub(crate) fn value(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(unescape)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find(';') else { break };
        match entity(&rest[1..end]) {
            Some(character) => out.push(character),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape("a&amp;&lt;&#34;&#x65E5;&unknown;& b"), "a&<\"日&unknown;& b");
        assert_eq!(value("<a><b>1</b><b>2</b></a>", "b").as_deref(), Some("1"));
        assert_eq!(elements("<b>1</b><b>2</b>", "b").count(), 2);
        assert_eq!(value("<a/>", "a"), None);
    }
}

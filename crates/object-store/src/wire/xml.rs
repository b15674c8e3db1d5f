//! Documents.

use longshore_core_types::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

/// A document that may say nothing but its name: then there is nothing in a list, or nothing was left undone. So the name
/// is looked at, because a page of a proxy says nothing of that kind either.
pub(crate) trait Document: DeserializeOwned {
    /// Name of its root element.
    const ROOT: &'static str;

    /// Whether this is how it begins.
    fn is_root(name: &str) -> bool {
        name == Self::ROOT
    }
}

/// Name of the first element, without its namespace; empty if there is none.
pub(crate) fn root(text: &str) -> &str {
    // Some services begin with a byte order mark.
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some((_, end)) =
        [("<?", "?>"), ("<!--", "-->"), ("<!", ">")].into_iter().find(|(start, _)| rest.starts_with(start))
    {
        rest = rest.split_once(end).map_or("", |(_, rest)| rest.trim_start());
    }
    let name = rest.strip_prefix('<').unwrap_or_default();
    let name = name.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

/// Reads a document.
pub(crate) fn parse<T: Document>(body: &[u8], what: &str) -> Result<T> {
    let fail = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
            .with_response_excerpt(body)
            .with_source(error)
    };
    let text = std::str::from_utf8(body).map_err(|error| fail(error.into()))?;
    let name = root(text);
    if !T::is_root(name) {
        return Err(fail(format!("its root is {name:?} instead of {:?}", T::ROOT).into()));
    }
    quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| fail(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default)]
    struct Found {
        item: Vec<String>,
    }

    impl Document for Found {
        const ROOT: &'static str = "Found";
    }

    #[test]
    fn only_the_document_itself_can_be_empty() {
        for empty in [
            "<Found/>",
            "<Found />",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- x --><Found xmlns=\"u\"></Found>",
        ] {
            assert!(parse::<Found>(empty.as_bytes(), "a list").unwrap().item.is_empty(), "{empty}");
        }
        assert_eq!(parse::<Found>(b"<n:Found><item>a</item></n:Found>", "a list").unwrap().item, ["a"]);
        for other in ["", "<", "<!doctype html><html><body/></html>", "<Foundling/>", "<Error/>", "Found"] {
            let error = parse::<Found>(other.as_bytes(), "a list").unwrap_err();
            assert_eq!(
                (error.kind(), error.message()),
                (ErrorKind::Protocol, "the answer is not a list"),
                "{other}"
            );
        }
    }
}

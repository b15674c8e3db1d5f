//! The little XML that S3 needs: answers are written, two kinds of requests are read.

use std::fmt::Write as _;

use crate::supabase::error::{Fail, Result};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An element with its content.
#[derive(Debug, Default)]
pub(super) struct Element(String);

impl Element {
    /// Adds a child with text; without text it is an empty tag.
    #[must_use]
    pub(super) fn text(self, name: &str, text: impl AsRef<str>) -> Self {
        self.child(name, &Self(escape(text.as_ref())))
    }

    /// Adds a child with text, if there is any.
    #[must_use]
    pub(super) fn maybe(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a child; without content it is an empty tag.
    #[must_use]
    pub(super) fn child(mut self, name: &str, child: &Self) -> Self {
        let _ = match child.0.as_str() {
            "" => write!(self.0, "<{name}/>"),
            content => write!(self.0, "<{name}>{content}</{name}>"),
        };
        self
    }

    /// Adds what `each` makes of many.
    #[must_use]
    pub(super) fn each<T>(self, items: impl IntoIterator<Item = T>, each: impl Fn(Self, T) -> Self) -> Self {
        items.into_iter().fold(self, each)
    }

    /// The document with this as the content of its root.
    pub(super) fn document(&self, root: &str) -> String {
        match self.0.as_str() {
            "" => format!(r#"{DECLARATION}<{root} xmlns="{NAMESPACE}"/>"#),
            content => format!(r#"{DECLARATION}<{root} xmlns="{NAMESPACE}">{content}</{root}>"#),
        }
    }
}

/// A document whose root holds nothing but text.
pub(super) fn text_document(root: &str, text: &str) -> String {
    format!(r#"{DECLARATION}<{root} xmlns="{NAMESPACE}">{}</{root}>"#, escape(text))
}

fn malformed() -> Fail {
    Fail::new(400, "MalformedXML", "Invalid XML payload", "MalformedXML").close()
}

fn unescape(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (entity, after) = rest[at + 1..].split_once(';').ok_or_else(malformed)?;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let character = match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => match entity.strip_prefix('#') {
                Some(hex) if hex.starts_with('x') => number(&hex[1..], 16).ok_or_else(malformed)?,
                Some(decimal) => number(decimal, 10).ok_or_else(malformed)?,
                None => return Err(malformed()),
            },
        };
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The children of each element called `wanted` below the root: name and text, in order. Attributes, comments and
/// namespaces do not matter; elements have to be closed in order.
pub(super) fn records(text: &str, wanted: &str) -> Result<Vec<Vec<(String, String)>>> {
    let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    let mut open: Vec<String> = Vec::new();
    let mut records = Vec::new();
    let mut content = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        content.push_str(&unescape(&rest[..at])?);
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").ok_or_else(malformed)?.1;
            continue;
        }
        let (tag, after) = rest.split_once('>').ok_or_else(malformed)?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let name = local(name.trim());
            if open.pop().as_deref() != Some(name.as_str()) {
                return Err(malformed());
            }
            if open.len() == 2
                && open[1] == wanted
                && let Some(record) = records.last_mut()
            {
                let record: &mut Vec<(String, String)> = record;
                record.push((name, content.trim().to_owned()));
            }
            content.clear();
            continue;
        }
        let empty = tag.ends_with('/');
        let name = tag.trim_end_matches('/').split_whitespace().next().ok_or_else(malformed)?;
        open.push(local(name));
        content.clear();
        if open.len() == 2 && open[1] == wanted {
            records.push(Vec::new());
        }
        if empty {
            open.pop();
        }
    }
    if open.is_empty() && !text.trim().is_empty() { Ok(records) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing() {
        let contents = Element::default().text("Key", "a&b");
        let root = Element::default().text("Prefix", "").child("Contents", &contents);
        let expected = format!(
            r#"{DECLARATION}<R xmlns="{NAMESPACE}"><Prefix/><Contents><Key>a&amp;b</Key></Contents></R>"#
        );
        assert_eq!(root.document("R"), expected);
    }

    #[test]
    fn reading() {
        let text = r#"<?xml version="1.0"?><s:Delete xmlns:s="x"><!-- c --><Object><Key>a&amp;b &#x41;</Key>
            <VersionId/></Object><Quiet>true</Quiet><Object><Key>c</Key></Object></s:Delete>"#;
        let found = records(text, "Object").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0][0], ("Key".to_owned(), "a&b A".to_owned()));
        for bad in ["<Delete><Object>", "", "<a></b>", "<a>&x;</a>"] {
            assert!(records(bad, "Object").is_err(), "{bad}");
        }
    }
}

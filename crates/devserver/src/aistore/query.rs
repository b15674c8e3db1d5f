//! Paths and queries.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

use super::error::{Fail, Result};

/// Parameters that the server is willing to look at.
const MAX_PARAMETERS: usize = 100;

/// A request's query: as it came, and decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    raw: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn parse(raw: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for item in raw.split('&').filter(|i| !i.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                return Err(Fail::bad(format!(
                    "dpq: exceeded maximum number of iterations ({MAX_PARAMETERS})"
                )));
            }
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            pairs.push((decode_form(name), decode_form(value)));
        }
        Ok(Self { raw: raw.to_owned(), pairs })
    }

    /// Adds a parameter that needs no escape.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let separator = if self.raw.is_empty() { "" } else { "&" };
        self.raw = format!("{}{separator}{name}={value}", self.raw);
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// As it came.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// The last value of a parameter, also if empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The last value of a parameter, empty if absent.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Booleans are lenient; anything else is false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        is_true(self.value(name))
    }

    /// Sorted and encoded anew, with `extra` added.
    pub(crate) fn encode_sorted(&self, extra: &[(&str, &str)]) -> String {
        let own = self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let mut pairs: Vec<_> = own.chain(extra.iter().copied()).collect();
        pairs.sort_by_key(|(name, _)| *name);
        let items: Vec<_> =
            pairs.iter().map(|(n, v)| format!("{}={}", encode_form(n), encode_form(v))).collect();
        items.join("&")
    }
}

/// The server's idea of a true value.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}

fn decode_form(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Decodes a path; `+` is a plus.
pub(crate) fn decode_path(raw: &str) -> String {
    percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

fn encode(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Encodes a query item as Go's `url.Values.Encode` does.
pub(crate) fn encode_form(text: &str) -> String {
    encode(text, |b| unreserved(b) || b == b' ').replace(' ', "+")
}

/// Encodes a path as Go's `url.URL` does when it has no hint about the original form.
pub(crate) fn encode_path(text: &str) -> String {
    encode(text, |b| {
        unreserved(b) || matches!(b, b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = Query::parse("provider=ais&a=1&a=2&empty=&novalue&s=a%20b+c").expect("a query");
        assert_eq!((query.value("a"), query.value("s"), query.get("novalue")), ("2", "a b c", Some("")));
        assert!(!query.has("missing") && !query.flag("a"));
        assert_eq!(
            query.encode_sorted(&[("pid", "p,1")]),
            "a=1&a=2&empty=&novalue=&pid=p%2C1&provider=ais&s=a+b+c"
        );
        let long = vec!["x=1"; 101].join("&");
        assert!(Query::parse(&long).expect_err("too many").message.contains("(100)"));
        assert!(Query::parse(&vec!["x=1"; 100].join("&")).is_ok());
    }

    #[test]
    fn truth() {
        assert!(["1", "T", "true", "True", "yes", "on"].into_iter().all(is_true));
        assert!(!["", "0", "2", "no"].into_iter().any(is_true));
    }

    #[test]
    fn paths() {
        let name = decode_path("a%23b%3Fc%25d%26e%2Bf%40g%21%24%5E%2A%28%29");
        assert_eq!(name, "a#b?c%d&e+f@g!$^*()");
        assert_eq!(encode_path(&name), "a%23b%3Fc%25d&e+f@g%21$%5E%2A%28%29");
    }
}

//! User metadata.

use http::HeaderMap;

use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::CUSTOM;

/// Bytes that all keys and values of an object may take.
const MAX_TOTAL: usize = 2048;

/// The pairs in a request's headers.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Vec<(String, String)>> {
    headers
        .get_all(CUSTOM)
        .iter()
        .map(|line| {
            let line = String::from_utf8_lossy(line.as_bytes());
            line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(|| {
                Fail::bad(format!("custom metadata: invalid format {line:?} (expecting key=value)"))
            })
        })
        .collect()
}

/// Lays `new` over `pairs`.
pub(super) fn merge(pairs: &mut Vec<(String, String)>, new: Vec<(String, String)>) {
    for (key, value) in new {
        match pairs.iter_mut().find(|(k, _)| *k == key) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
    }
}

/// Checks the pairs that an object called `object` is to have.
pub(super) fn check(pairs: &[(String, String)], object: &str) -> Result<()> {
    for (key, value) in pairs {
        if key.is_empty() {
            return Err(Fail::bad(format!("{object}: custom metadata: empty key (value={value:?})")));
        }
        if key.contains('\x01') || value.contains('\x01') {
            return Err(Fail::bad(format!(
                "{object}: custom metadata '{}={}': key or value contains reserved symbol",
                go_quote(key),
                go_quote(value)
            )));
        }
    }
    let total: usize = pairs.iter().map(|(k, v)| k.len() + v.len()).sum();
    if total > MAX_TOTAL {
        return Err(Fail::bad(format!(
            "{object}: custom metadata: total size {total} exceeds max {MAX_TOTAL} bytes"
        )));
    }
    Ok(())
}

/// A quoted string as Go prints it, as far as control characters go.
fn go_quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 => out.extend(format!("\\x{:02x}", c as u32).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn merging_keeps_order() {
        let mut pairs = vec![pair("a", "1"), pair("b", "2")];
        merge(&mut pairs, vec![pair("a", "3"), pair("c", "4")]);
        assert_eq!(pairs, [pair("a", "3"), pair("b", "2"), pair("c", "4")]);
    }

    #[test]
    fn limits() {
        assert!(check(&[pair("k", &"v".repeat(2047))], "o").is_ok());
        assert!(check(&[pair("k", &"v".repeat(2048))], "o").is_err());
        assert!(check(&[pair("", "v")], "o").expect_err("empty").message.contains("empty key (value=\"v\")"));
        let error = check(&[pair("k", "a\x01b")], "o").expect_err("reserved").message;
        assert!(error.contains(r#"'"k"="a\x01b"'"#), "{error}");
    }
}

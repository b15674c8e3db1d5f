//! Names of buckets, keys of objects, tags for robots, media types: what is allowed.

use std::sync::LazyLock;

use regex::Regex;

use super::error::{Fail, Result};

/// Keys that end so stand for an empty folder.
pub(super) const PLACEHOLDER: &str = ".emptyFolderPlaceholder";
/// Buckets of tables, which are none of this service, end so.
const RESERVED_SUFFIX: &str = "--table-s3";
const LONGEST_NAME: usize = 100;
const LONGEST_MIME: usize = 1000;

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!.*'() &$@=;:+,?-".contains(&byte)
}

/// Checks the name of a bucket that is asked for.
pub(super) fn check_bucket(name: &str) -> Result<()> {
    let good = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed);
    if good { Ok(()) } else { Err(Fail::bucket_name()) }
}

/// Checks the name of a new bucket.
pub(super) fn check_new_bucket(name: &str) -> Result<()> {
    check_bucket(name)?;
    if name.trim() != name || name.ends_with(RESERVED_SUFFIX) {
        return Err(Fail::bucket_name());
    }
    Ok(())
}

/// Checks the key of an object.
pub(super) fn check_key(key: &str) -> Result<()> {
    let good = !key.is_empty() && key.bytes().all(|b| b == b'/' || allowed(b));
    if good { Ok(()) } else { Err(Fail::key(key)) }
}

/// Refuses keys that the original's file backend cannot store.
pub(super) fn check_segments(tenant: &str, bucket: &str, key: &str, version: &str) -> Result<()> {
    if key.split('/').any(|s| matches!(s, "." | "..")) {
        let path = format!("{tenant}/{tenant}/{bucket}/{key}/{version} contains dot path segment");
        return Err(Fail::key(&path));
    }
    Ok(())
}

/// Checks a media type that a bucket is to accept.
pub(super) fn check_mime_rule(rule: &str) -> Result<()> {
    static RULE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^([A-Za-z0-9!#$&^_.+-]+)/([A-Za-z0-9!#$&^_.+-]+)(; ?charset=[A-Za-z0-9_-]+)?$").ok()
    });
    let good = rule.len() <= LONGEST_MIME
        && (rule.ends_with('*') || RULE.as_ref().is_some_and(|r| r.is_match(rule)));
    if good { Ok(()) } else { Err(Fail::mime(format!("mime type {rule} is not supported"))) }
}

/// Checks a media type against a bucket's list, which is not empty. Comparison is exact: case and parameters count.
pub(super) fn check_mime(mime: &str, rules: &[String]) -> Result<()> {
    let Some((kind, sub)) = mime.split_once('/') else {
        return Err(Fail::mime("Invalid Content-Type header"));
    };
    let matches = |rule: &String| {
        rule.split_once('/').is_some_and(|(k, s)| k == kind && (s == sub || s == "*") && k != "*")
    };
    if rules.iter().any(matches) {
        return Ok(());
    }
    Err(Fail::mime(format!("mime type {mime} is not supported")))
}

/// Checks an `X-Robots-Tag` header.
pub(super) fn check_robots(tag: &str) -> Result<()> {
    let bad = |what: &str| {
        let message = format!("Invalid X-Robots-Tag header: Invalid X-Robots-Tag rule: \"{what}\"");
        Fail::new(400, "invalid_x_robots_tag", message, "InvalidRequest")
    };
    // A date holds a comma of its own.
    let mut rest = tag;
    while !rest.is_empty() {
        let dated = rest.trim_start().find("unavailable_after:").is_some_and(|at| !rest[..at].contains(','));
        let end = if dated { rest.len() } else { rest.find(',').unwrap_or(rest.len()) };
        let rule = rest[..end].trim();
        if !robots_rule(rule) {
            return Err(bad(rule));
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if tag.trim().is_empty() { Err(bad("")) } else { Ok(()) }
}

fn robots_rule(rule: &str) -> bool {
    const PLAIN: &[&str] = &[
        "all",
        "noindex",
        "nofollow",
        "none",
        "nosnippet",
        "indexifembedded",
        "notranslate",
        "noimageindex",
    ];
    let lower = rule.to_ascii_lowercase();
    let Some((name, value)) = lower.split_once(':') else { return PLAIN.contains(&lower.as_str()) };
    let value = value.trim();
    match name.trim() {
        "max-snippet" | "max-video-preview" => value.parse::<i64>().is_ok_and(|n| n >= -1),
        "max-image-preview" => matches!(value, "none" | "standard" | "large"),
        "unavailable_after" => !value.is_empty(),
        // Another prefix names a robot.
        agent => {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            !agent.is_empty() && agent.bytes().all(word) && robots_rule(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        let long = "n".repeat(100);
        for good in ["a", "Az0_!-.*'() &$@=;:+,?", long.as_str()] {
            assert!(check_new_bucket(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a/b", "b\u{fc}", "a#b", "a%b", "foo--table-s3", &"n".repeat(101)] {
            assert!(check_new_bucket(bad).is_err(), "{bad}");
        }
        assert!(check_bucket(" a").is_ok());
    }

    #[test]
    fn keys() {
        for good in ["a", "/a//b/", "ok/!.*'() &$@=;:+,?-_Z9.txt"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", "\u{e9}", "a#b", "a~b", "a\tb", "a[b]"] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
        assert!(check_segments("t", "b", "a/../b", "v").is_err());
        assert!(check_segments("t", "b", "a/..b/.c", "v").is_ok());
    }

    #[test]
    fn media_types() {
        for good in
            ["image/png", "image/*", "*", "*/*", "text/html; charset=utf-8", "text/plain;charset=UTF-8"]
        {
            assert!(check_mime_rule(good).is_ok(), "{good}");
        }
        assert!(check_mime_rule("notamime").is_err());
        let rules = |r: &[&str]| r.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(check_mime("image/png", &rules(&["text/plain", "image/*"])).is_ok());
        assert!(check_mime("text/plain;charset=UTF-8", &rules(&["text/plain"])).is_err());
        assert!(check_mime("Text/Plain", &rules(&["text/plain"])).is_err());
        assert!(check_mime("text/plain", &rules(&["*/*", "*"])).is_err());
    }

    #[test]
    fn robots() {
        for good in [
            "noindex, nofollow",
            "googlebot: noindex",
            "max-snippet: -1",
            "unavailable_after: Fri, 1 Jan 2100 00:00:00 GMT",
        ] {
            assert!(check_robots(good).is_ok(), "{good}");
        }
        for bad in ["bogus", "", "noindex, bogus", "max-snippet: x"] {
            assert!(check_robots(bad).is_err(), "{bad}");
        }
    }
}

//! Paths and queries, decoded as the original's router does.

use percent_encoding::percent_decode_str;

/// The text of a percent-encoded path segment; `None` if an escape is broken, or the bytes are no text.
pub(crate) fn decode(raw: &str) -> Option<String> {
    let whole = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(whole) {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The pairs of a query. Broken escapes stay as they are; `+` is a space.
pub(crate) fn pairs(raw: &str) -> Vec<(String, String)> {
    let text = |part: &str| {
        let spaced = part.replace('+', " ");
        decode(&spaced).unwrap_or(spaced)
    };
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// The pairs of a query in which `+` is itself, as signatures have it.
pub(super) fn pairs_exact(raw: &str) -> Vec<(String, String)> {
    pairs(&raw.replace('+', "%2B"))
}

/// Parameters whose values open doors.
const SECRET: &[&str] = &[
    "token",
    "apikey",
    "neuro-auth-token",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
];

/// A path and query without secrets.
pub(crate) fn redact(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if SECRET.contains(&name.to_ascii_lowercase().as_str()) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        assert_eq!(decode("a%2Fb%20c+d").as_deref(), Some("a/b c+d"));
        for bad in ["%zz", "%2", "a%", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        let expected = [("a", "1 2"), ("b", ""), ("c", "")];
        assert_eq!(pairs("a=1+2&b&&c="), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(redact("/a?x=1&token=abc&X-Amz-Signature=ff"), "/a?x=1&token=***&X-Amz-Signature=***");
        assert_eq!(redact("/a"), "/a");
    }
}

//! Moments, as rows hold them and as answers show them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Microseconds since the epoch: what the original's database counts in.
pub(super) type Micros = i64;

pub(super) fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Seconds since the epoch.
pub(super) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Whole seconds since the epoch.
pub(super) fn unix_now() -> i64 {
    now() / 1_000_000
}

fn stamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2026-11-21T12:14:13.428Z`.
pub(super) fn iso(at: Micros) -> String {
    stamp(at.div_euclid(1000) * 1000).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same to the microsecond, for cursors that must not lose rows.
pub(super) fn iso_exact(at: Micros) -> String {
    stamp(at).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Reads either of them.
pub(super) fn parse_iso(text: &str) -> Option<Micros> {
    text.parse().ok().map(Timestamp::as_microsecond)
}

/// `Sat, 21 Nov 2026 12:41:49 GMT`.
pub(super) fn http_date(at: Micros) -> String {
    stamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The moment that an HTTP date names; `None` if it is none.
pub(super) fn parse_http_date(text: &str) -> Option<Micros> {
    jiff::fmt::rfc2822::parse(text).ok().map(|t| t.timestamp().as_microsecond())
}

/// A random identity of the usual form.
pub(crate) fn uuid() -> String {
    let random = fastrand::u128(..);
    // Version 4, and the variant that goes with it.
    let bits = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// True for text of that form.
pub(super) fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let at = 1_795_264_453_428_765;
        assert_eq!(iso(at), "2026-11-21T12:34:13.428Z");
        assert_eq!(parse_iso(&iso_exact(at)), Some(at));
        assert_eq!(http_date(at), "Sat, 21 Nov 2026 12:34:13 GMT");
        assert_eq!(parse_http_date(&http_date(at)), Some(1_795_264_453_000_000));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn identities() {
        let id = uuid();
        assert!(is_uuid(&id) && id.as_bytes()[14] == b'4', "{id}");
        assert_ne!(id, uuid());
        assert!(!is_uuid("nobody"));
    }
}

//! Identities that the server makes up.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A number in base 36, as redirects carry the time.
pub(crate) fn base36(mut value: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(DIGITS[usize::try_from(value % 36).unwrap_or_default()]);
        value /= 36;
        if value == 0 {
            break;
        }
    }
    digits.iter().rev().map(|&d| char::from(d)).collect()
}

/// An id of nine characters, as jobs, listings and uploads have; begins and ends with a letter or digit.
pub(crate) fn short_id() -> String {
    const PLAIN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let pick = |set: &[u8]| char::from(set[fastrand::usize(..set.len())]);
    let mut id = String::with_capacity(9);
    id.push(pick(&PLAIN[..52]));
    id.extend((0..7).map(|_| pick(ALL)));
    id.push(pick(PLAIN));
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base36_digits() {
        assert_eq!((base36(0), base36(35), base36(36)), ("0".into(), "z".into(), "10".into()));
        assert_eq!(base36(1_795_275_127_303_400_509).len(), 12);
    }

    #[test]
    fn ids_differ() {
        assert_eq!(short_id().len(), 9);
        assert_ne!(short_id(), short_id());
    }
}

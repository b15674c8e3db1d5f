//! Durations as AuthN prints them.

/// Nanoseconds of a second.
pub(super) const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub(super) const MINUTE: i64 = 60 * SECOND;

/// Hours and minutes, without seconds if there are none: `24h0m`, `1h30m`, `2m`, `30s`.
pub(super) fn print(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let seconds = nanos.unsigned_abs() / SECOND.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let tail = if rest == 0 { String::new() } else { format!("{rest}s") };
    match (hours, minutes) {
        (0, 0) => format!("{sign}{rest}s"),
        (0, _) => format!("{sign}{minutes}m{tail}"),
        _ => format!("{sign}{hours}h{minutes}m{tail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (seconds, text) in [
            (86_400, "24h0m"),
            (5400, "1h30m"),
            (120, "2m"),
            (30, "30s"),
            (90, "1m30s"),
            (-3600, "-1h0m"),
            (0, "0s"),
        ] {
            assert_eq!(print(seconds * SECOND), text);
        }
    }
}

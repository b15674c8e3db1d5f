//! Times in Go's layouts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Go's `time.RFC822`, the default of listings.
pub(crate) const RFC822: &str = "02 Jan 06 15:04 MST";

/// Formats nanoseconds since the epoch, in UTC, by a Go layout. Layout elements that are not known stay as they are.
pub(crate) fn format(nanos: i64, layout: &str) -> String {
    // Longer elements first: "2006" before "2", "January" before "Jan".
    const ELEMENTS: &[(&str, &str)] = &[
        ("2006", "%Y"),
        ("January", "%B"),
        ("Monday", "%A"),
        (".000000000", "%.9f"),
        (".999999999", "%.f"),
        (".000000", "%.6f"),
        (".000", "%.3f"),
        ("Z07:00", "Z"),
        ("-07:00", "+00:00"),
        ("-0700", "+0000"),
        ("Jan", "%b"),
        ("Mon", "%a"),
        ("MST", "UTC"),
        ("01", "%m"),
        ("02", "%d"),
        ("_2", "%e"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("06", "%y"),
        ("15", "%H"),
        ("PM", "%p"),
    ];
    let Ok(time) = Timestamp::from_nanosecond(i128::from(nanos)) else { return String::new() };
    let mut pattern = String::new();
    let mut rest = layout;
    'next: while let Some(first) = rest.chars().next() {
        for (go, ours) in ELEMENTS {
            if let Some(after) = rest.strip_prefix(go) {
                pattern.push_str(ours);
                rest = after;
                continue 'next;
            }
        }
        if first == '%' {
            pattern.push('%');
        }
        pattern.push(first);
        rest = &rest[first.len_utf8()..];
    }
    time.to_zoned(TimeZone::UTC).strftime(&pattern).to_string()
}

/// `Last-Modified` and the like.
pub(crate) fn http_date(nanos: i64) -> String {
    format(nanos, "Mon, 02 Jan 2006 15:04:05 GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let time = 1_795_275_127_303_400_509;
        assert_eq!(format(time, RFC822), "21 Nov 26 15:32 UTC");
        assert_eq!(format(time, "2006-01-02T15:04:05Z07:00"), "2026-11-21T15:32:07Z");
        assert_eq!(format(time, "2006-01-02T15:04:05.999999999Z07:00"), "2026-11-21T15:32:07.303400509Z");
        assert_eq!(http_date(time), "Sat, 21 Nov 2026 15:32:07 GMT");
    }
}

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

/// Time and date of nanoseconds since the epoch as ZIP has them; years before 1980 wrap around as in Go.
pub(crate) fn dos(nanos: i64) -> (u16, u16) {
    let Ok(time) = Timestamp::from_nanosecond(i128::from(nanos)) else { return (0, 0) };
    let time = time.to_zoned(TimeZone::UTC);
    let part = |n: i8| n.unsigned_abs().into();
    let (hour, minute, second): (u16, u16, u16) =
        (part(time.hour()), part(time.minute()), part(time.second()));
    let year = (time.year().wrapping_sub(1980) << 9).cast_unsigned();
    (
        second / 2 + (minute << 5) + (hour << 11),
        year.wrapping_add((part(time.month()) << 5) + part(time.day())),
    )
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

    #[test]
    fn dos_times() {
        assert_eq!(dos(0), (0, 0xec21));
        // 2020-09-13 12:26:40
        assert_eq!(dos(1_600_000_000_000_000_000), (0x6354, 0x512d));
    }
}

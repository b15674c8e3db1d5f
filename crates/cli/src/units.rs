//! Sizes, rates and times, as people write and read them.

use std::time::{Duration, SystemTime};

const UNITS: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// Reads a number of bytes: `20MiB`, `8M` and `8m` are powers of 1024, `8MB` is a power of 1000, `100` and
/// `100B` are bytes. Fractions such as `1.5GiB` are fine.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is not a size: expected a number of bytes, or one such as 20MiB, 8M, 1.5G");
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_uppercase();
    let factor = match unit.as_str() {
        "" | "B" => 1,
        unit => {
            let found = UNITS.iter().enumerate().find(|(_, (letter, _))| unit.starts_with(letter));
            let (power, (_, binary)) = found.ok_or_else(wrong)?;
            match &unit[1..] {
                "" | "I" | "IB" => *binary,
                "B" => 1000_u64.pow(u32::try_from(power).unwrap_or_default() + 1),
                _ => return Err(wrong()),
            }
        }
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * as_float(factor);
    // The sign and the range are checked, so nothing is cut but the fraction of a byte.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    if bytes.is_finite() && bytes >= 0.0 && bytes < as_float(u64::MAX) {
        Ok(bytes as u64)
    } else {
        Err(wrong())
    }
}

/// Reads bytes per second: a size, with or without `/s`.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_size(text.trim().strip_suffix("/s").unwrap_or(text))? {
        0 => Err("a rate of 0 would never get anywhere".to_owned()),
        rate => Ok(rate),
    }
}

/// Reads a duration such as `500ms`, `5s`, `2m`, `12h` or `7d`; a plain number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration: expected one such as 500ms, 5s, 2m, 12h or 7d");
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A number of bytes for people: `17 B`, `3.4 MiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    let Some((letter, factor)) = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor) else {
        return format!("{bytes} B");
    };
    format!("{:.1} {letter}iB", as_float(bytes) / as_float(*factor))
}

/// Bytes per second for people.
pub(crate) fn show_rate(bytes: u64, time: Duration) -> String {
    let rate = as_float(bytes) / time.as_secs_f64().max(0.001);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor huge")]
    let rate = rate as u64;
    format!("{}/s", show_size(rate))
}

/// A duration for people: `0.42 s`, `3 min 20 s`.
pub(crate) fn show_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.2} s", time.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A time in UTC, to the second: `2024-05-01T12:00:00Z`.
pub(crate) fn show_time(time: SystemTime) -> Option<String> {
    let stamp = jiff::Timestamp::try_from(time).ok()?;
    Some(stamp.round(jiff::Unit::Second).unwrap_or(stamp).to_string())
}

/// `1 object`, `2 objects`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = match (number, noun.strip_suffix('x')) {
        (1, _) => return format!("1 {noun}"),
        (_, Some(_)) => format!("{noun}es"),
        (_, None) => format!("{noun}s"),
    };
    format!("{number} {plural}")
}

#[expect(clippy::cast_precision_loss, reason = "sizes for people need no more than 52 bits")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("100B", 100),
            ("20MiB", 20 << 20),
            ("8M", 8 << 20),
            ("8m", 8 << 20),
            ("8MB", 8_000_000),
            ("1.5GiB", 3 << 29),
            ("1 KiB", 1024),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "-1", "1X", "1MiBs", "1..5M", "99999999T", "1e3", "٣"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_and_durations() {
        assert_eq!(parse_rate("20MiB/s"), Ok(20 << 20));
        assert_eq!(parse_rate("1K"), Ok(1024));
        assert!(parse_rate("0").is_err());
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_hours(7 * 24)));
        assert!(parse_duration("soon").is_err() && parse_duration("5 parsecs").is_err());
    }

    #[test]
    fn shown() {
        assert_eq!(show_size(1023), "1023 B");
        assert_eq!(show_size(3_565_158), "3.4 MiB");
        assert_eq!(show_rate(1 << 20, Duration::from_millis(500)), "2.0 MiB/s");
        assert_eq!(show_duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(show_duration(Duration::from_millis(420)), "0.42 s");
        assert_eq!(show_time(SystemTime::UNIX_EPOCH).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(
            (count(1, "prefix"), count(2, "prefix"), count(0, "file")),
            ("1 prefix".into(), "2 prefixes".into(), "0 files".into())
        );
    }
}

//! Durations and sizes as configurations write them.

/// Nanoseconds of a Go duration such as `1h30m` or `250ms`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |t| (-1.0, t));
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, scale) =
            [("ns", 1.0), ("us", 1e3), ("\u{b5}s", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))?;
        total += number * scale;
        rest = &rest[unit.len()..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "durations of configurations are far below the limit"
    )]
    (!text.is_empty()).then_some((total * sign) as i64)
}

/// Bytes of a size such as `1MiB`, `20KiB`, `0B`, `1kb` or plain digits.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1_u64 << 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// A size as the server prints it: the largest unit that divides it, two decimals if none does.
pub(crate) fn format_size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, scale)) = units.into_iter().find(|(_, scale)| bytes >= *scale) else {
        return format!("{bytes}B");
    };
    let hundredths = u128::from(bytes) * 100 / u128::from(scale);
    if hundredths.is_multiple_of(100) {
        return format!("{}{unit}", hundredths / 100);
    }
    format!("{}.{:02}{unit}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse_duration("1h30m"), Some(5_400_000_000_000));
        assert_eq!(parse_duration("250ms"), Some(250_000_000));
        assert_eq!(parse_duration("soon"), None);
        assert_eq!(parse_size("20KiB"), Some(20480));
        assert_eq!(parse_size("0B"), Some(0));
        assert_eq!(parse_size("x"), None);
        for text in ["0B", "512B", "20KiB", "1MiB", "1TiB", "1.50KiB"] {
            let bytes = if text == "1.50KiB" { Some(1536) } else { parse_size(text) };
            assert_eq!(format_size(bytes.unwrap_or(0)), text);
        }
    }
}

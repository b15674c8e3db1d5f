//! Times as the server writes them.

use std::time::SystemTime;

/// A time in RFC 3339; the year 1 and 1970's first moment stand for none.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    (time > jiff::Timestamp::UNIX_EPOCH).then(|| time.into())
}

/// Reads a field that is such a time. Other text counts as none: a clock never fails an answer.
pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    let text: Option<String> = serde::Deserialize::deserialize(deserializer)?;
    Ok(text.as_deref().and_then(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_stand_for_none() {
        for none in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "", "soon"] {
            assert_eq!(time(none), None, "{none}");
        }
        assert!(time("2026-08-21T10:00:00.123456789Z").is_some());
    }
}

//! The changelog, whose form is that of <https://keepachangelog.com>.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::cmd::Failure;

const UNRELEASED: &str = "## [Unreleased]";

#[derive(Clone, Copy, Debug)]
pub(super) struct Changelog<'a>(&'a str);

impl<'a> Changelog<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Gives what is unreleased to a version. There must be something, and no section of that version.
    pub(super) fn release(self, version: &str, date: &str) -> Result<String, String> {
        if self.has(version).is_ok() {
            return Err(format!("the changelog has a section {version} already"));
        }
        let heading = format!("{UNRELEASED}\n");
        let (before, after) =
            self.0.split_once(&heading).ok_or(format!("the changelog has no {UNRELEASED}"))?;
        let entries = after.split("\n## ").next().unwrap_or_default();
        if !entries.lines().any(|line| line.starts_with("- ")) {
            return Err(format!("the changelog names nothing under {UNRELEASED}"));
        }
        Ok(format!("{before}{heading}\n## [{version}] - {date}\n{after}"))
    }

    /// Whether it tells of a version.
    pub(super) fn has(self, version: &str) -> Result<(), String> {
        let heading = format!("## [{version}] - ");
        if self.0.lines().any(|line| line.starts_with(&heading)) {
            return Ok(());
        }
        Err(format!("the changelog has no section {version}; `cargo xtask release bump` makes it"))
    }
}

/// The day in UTC, `YYYY-MM-DD`.
pub(super) fn today() -> Result<String, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|_| Failure::Failed("the clock of this machine is before 1970".to_owned()))?;
    Ok(date(since.as_secs() / (24 * 60 * 60)))
}

/// The date so many days after 1970-01-01.
fn date(mut days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str =
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- This.\n\n## [0.1.0] - 2025-01-01\n\n- That.\n";

    #[test]
    fn what_is_unreleased_goes_to_the_version() {
        let released = Changelog::new(LOG).release("0.2.0", "2026-02-03").expect("there is something");
        assert_eq!(
            released,
            "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- This.\n\n\
             ## [0.1.0] - 2025-01-01\n\n- That.\n"
        );
        // Now nothing is unreleased.
        let released = Changelog::new(&released);
        assert!(released.release("0.3.0", "2026-02-04").is_err());
        assert!(released.has("0.2.0").is_ok());
        assert!(released.has("0.3.0").is_err());
        assert!(Changelog::new(LOG).release("0.1.0", "2026-02-03").is_err());
        assert!(Changelog::new("# Changelog\n").release("0.2.0", "2026-02-03").is_err());
    }

    #[test]
    fn days_are_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (364, "1970-12-31"),
            (11_016, "2000-02-29"),
            (20_789, "2026-12-02"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}

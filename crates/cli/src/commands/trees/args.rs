//! Flags that the commands about trees share.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    time::SystemTime,
};

use clap::Args;
use longshore::transfer::Filter;
use serde::Deserialize;

use crate::{
    commands::cp::plan::is_plain,
    failure::Failure,
    units::{parse_duration, parse_size},
};

/// Which settings hold for either end.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProfileArgs {
    /// Settings of this section of the configuration file for SOURCE
    #[arg(id = "src-profile", long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// Settings of this section of the configuration file for DESTINATION
    #[arg(id = "dst-profile", long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
}

impl ProfileArgs {
    pub(crate) fn are_set(&self) -> bool {
        self.source.is_some() || self.destination.is_some()
    }

    /// Whether one URL may mean two things.
    pub(crate) fn differ(&self) -> bool {
        self.source != self.destination
    }
}

/// What of a local folder is left out.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which items")]
pub(crate) struct IgnoreArgs {
    /// Leave out what files of this name in the local folder say, such as .gitignore: each is about its own folder and what
    /// is below, and those in folders above SOURCE count too; may be repeated
    #[arg(id = "exclude-from-files", long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) names: Vec<String>,
}

impl IgnoreArgs {
    /// That there is no local folder in which such files could be.
    pub(crate) fn needs_folder(source: &str) -> Failure {
        Failure::usage(format!("--exclude-from-files has no meaning for {source}, which is no local folder"))
            .hint("--exclude leaves out what matches a pattern, wherever it is")
    }
}

/// Reads the name of a file in any folder.
fn parse_name(text: &str) -> Result<String, String> {
    if is_plain(text) { Ok(text.to_owned()) } else { Err(format!("{text:?} is not the name of a file")) }
}

/// Which items are meant.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which items")]
pub(crate) struct FilterArgs {
    /// Leave out what matches; the rules are those of .gitignore; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,

    /// Only what matches; with --exclude: also what matches this; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,

    /// Only the names in this file, one a line, or what failed in the report of an earlier run; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<String>,

    /// Only what changed after a date such as 2024-05-01 or 2024-05-01T12:00:00Z, or within a time such as 36h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) newer_than: Option<SystemTime>,

    /// Only what is larger than this, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) larger_than: Option<u64>,
}

impl FilterArgs {
    pub(crate) fn is_set(&self) -> bool {
        !self.exclude.is_empty()
            || !self.include.is_empty()
            || self.files_from.is_some()
            || self.newer_than.is_some()
            || self.larger_than.is_some()
    }

    /// Reads patterns and lists.
    pub(crate) fn filter(&self) -> Result<Filter, Failure> {
        let mut builder = Filter::builder();
        for pattern in &self.exclude {
            builder = builder.exclude(pattern);
        }
        for pattern in &self.include {
            builder = builder.include(pattern);
        }
        if let Some(time) = self.newer_than {
            builder = builder.newer_than(time);
        }
        if let Some(size) = self.larger_than {
            builder = builder.larger_than(size);
        }
        if let Some(path) = &self.files_from {
            builder = builder.names(read_names(path)?);
        }
        builder.build().map_err(|error| Failure::of("", error))
    }
}

/// A line of a report.
#[derive(Deserialize)]
struct Line {
    name: String,
    outcome: String,
}

/// One name a line; of the lines of a report, the names that failed.
fn read_names(path: &str) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::io(format!("cannot read the names in {path}"), error);
    if path == "-" {
        return names(io::stdin().lock(), path).map_err(failed)?;
    }
    names(BufReader::new(File::open(path).map_err(failed)?), path).map_err(failed)?
}

fn names(lines: impl BufRead, path: &str) -> io::Result<Result<Vec<String>, Failure>> {
    let mut names = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        if !line.starts_with('{') {
            names.push(line);
            continue;
        }
        match serde_json::from_str::<Line>(&line) {
            Ok(Line { name, outcome }) if outcome == "failed" => names.push(name),
            Ok(_) => {}
            Err(error) => {
                let text =
                    format!("{path}, line {}: neither a name nor a line of a report: {error}", number + 1);
                return Ok(Err(Failure::usage(text)));
            }
        }
    }
    Ok(Ok(names))
}

/// Reads a date, a moment, or how long ago.
fn parse_time(text: &str) -> Result<SystemTime, String> {
    if let Ok(age) = parse_duration(text) {
        return SystemTime::now().checked_sub(age).ok_or_else(|| format!("{text} is too long ago"));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.into());
    }
    let day = text.parse::<jiff::civil::Date>().ok();
    let start = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    start.map(|start| start.timestamp().into()).ok_or_else(|| {
        format!(
            "{text:?} is neither a date such as 2024-05-01, nor a moment such as 2024-05-01T12:00:00Z, nor 7d"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reports() {
        let text =
            "a\nb c\n\n{\"name\":\"x\",\"outcome\":\"failed\"}\n{\"name\":\"y\",\"outcome\":\"copied\"}\n";
        assert_eq!(names(text.as_bytes(), "f").unwrap().unwrap(), ["a", "b c", "x"]);
        assert_eq!(names(&b"{x\n"[..], "f").unwrap().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn times() {
        let day = parse_time("1970-01-02").unwrap();
        assert_eq!(day, SystemTime::UNIX_EPOCH + parse_duration("1d").unwrap());
        assert_eq!(parse_time("1970-01-02T00:00:00Z").unwrap(), day);
        assert!(parse_time("1d").unwrap() < SystemTime::now());
        assert!(parse_time("yesterday").is_err());
    }
}

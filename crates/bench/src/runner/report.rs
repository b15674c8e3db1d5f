//! Tables, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::measure::Runs;
use super::peers::Found;

/// Everything that one invocation measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Day, as `2026-01-31`.
    pub(super) date: String,
    /// What the machine is, without its name.
    pub(super) machine: String,
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// What was measured, in a sentence.
    pub(super) title: String,
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    pub(super) goals: Vec<Goal>,
    pub(super) peers: Vec<Found>,
    /// Share of a core that other processes took in the runs that count: mean and most.
    pub(super) others: Option<(f64, f64)>,
    /// Runs that count, rejected ones, and those that count although they were disturbed.
    pub(super) runs: (u32, u32, u32),
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// One text for each column, or why there is none.
    #[serde(skip)]
    pub(super) cells: Result<Vec<String>, String>,
    /// All runs, with all figures; `None` for what could not be measured here.
    pub(super) runs: Option<Runs>,
}

/// A figure that should be reached.
#[derive(Debug, Serialize)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) bound: Bound,
    pub(super) limit: f64,
    /// `None`: what it is compared with was not measured.
    pub(super) value: Option<f64>,
    pub(super) unit: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Bound {
    AtMost,
    AtLeast,
}

impl Goal {
    pub(super) fn at_most(
        what: impl Into<String>,
        limit: f64,
        unit: &'static str,
        value: Option<f64>,
    ) -> Self {
        Self { what: what.into(), bound: Bound::AtMost, limit, value, unit }
    }

    pub(super) fn at_least(
        what: impl Into<String>,
        limit: f64,
        unit: &'static str,
        value: Option<f64>,
    ) -> Self {
        Self { what: what.into(), bound: Bound::AtLeast, limit, value, unit }
    }

    fn reached(&self) -> Option<bool> {
        self.value.map(|value| match self.bound {
            Bound::AtMost => value <= self.limit,
            Bound::AtLeast => value >= self.limit,
        })
    }

    fn line(&self) -> String {
        let sign = if self.bound == Bound::AtMost { "<=" } else { ">=" };
        let Self { what, limit, unit, .. } = self;
        let number =
            |value: f64| if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let goal = format!("{what}: goal {sign} {}{unit}", number(*limit));
        match (self.value, self.reached()) {
            (Some(value), Some(true)) => format!("{goal}: {}{unit} ok", number(value)),
            (Some(value), _) => format!("{goal}: {}{unit} missed", number(value)),
            (None, _) => format!("{goal}: not measured"),
        }
    }
}

/// `a / b` of figures that may be missing.
pub(super) fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) if b > 0.0 => Some(a / b),
        _ => None,
    }
}

impl Report {
    /// Whether one of our own programs failed. A peer that fails is reported, and no more.
    pub(super) fn ours_failed(&self) -> bool {
        let failed = |row: &Row| row.runs.as_ref().is_some_and(|runs| runs.failed.is_some() && !runs.peer);
        self.tables.iter().any(|table| table.rows.iter().any(failed))
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{} · {}\n", self.date, self.machine);
        for table in &self.tables {
            text.push('\n');
            text.push_str(&table.text());
        }
        text
    }
}

impl Table {
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.name, self.title);
        let first = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, title)| {
                let cells = self.rows.iter().filter_map(|row| row.cells.as_ref().ok()?.get(index));
                cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(title.chars().count())
            })
            .collect();
        let _ = write!(text, "  {:first$}", "");
        for (title, width) in self.columns.iter().zip(&widths) {
            let _ = write!(text, "  {title:>width$}");
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "  {:first$}", row.name);
            match &row.cells {
                Ok(cells) => {
                    for (cell, width) in cells.iter().zip(&widths) {
                        let _ = write!(text, "  {cell:>width$}");
                    }
                }
                Err(reason) => {
                    let _ = write!(text, "  {reason}");
                }
            }
            text.push('\n');
        }
        for goal in &self.goals {
            let _ = writeln!(text, "  {}", goal.line());
        }
        let (counted, rejected, disturbed) = self.runs;
        let _ = write!(text, "  {counted} runs count, {rejected} were rejected and repeated");
        if disturbed > 0 {
            let _ = write!(text, ", {disturbed} count although other processes disturbed them");
        }
        if let Some((mean, most)) = self.others {
            let _ =
                write!(text, "; others took {:.0} % of a core, {:.0} % at most", mean * 100.0, most * 100.0);
        }
        text.push('\n');
        let versions = self
            .peers
            .iter()
            .filter_map(|peer| peer.version.as_ref().map(|version| format!("{} {version}", peer.name)));
        let versions: Vec<_> = versions.collect();
        if !versions.is_empty() {
            let _ = writeln!(text, "  peers: {}", versions.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_say_whether_they_are_reached() {
        let goal = |value| Goal::at_most("total CPU against curl", 0.85, "x", value).line();
        assert_eq!(goal(Some(0.83)), "total CPU against curl: goal <= 0.85x: 0.83x ok");
        assert_eq!(goal(Some(0.86)), "total CPU against curl: goal <= 0.85x: 0.86x missed");
        assert_eq!(goal(None), "total CPU against curl: goal <= 0.85x: not measured");
        let goal = Goal::at_least("requests", 25.0, "x", Some(26.0)).line();
        assert_eq!(goal, "requests: goal >= 25.00x: 26.00x ok");
    }

    #[test]
    fn columns_line_up_and_absent_rows_say_why() {
        let row = |name: &str, cells| Row { name: name.to_owned(), cells, runs: None };
        let table = Table {
            name: "download",
            title: "one object".to_owned(),
            columns: vec!["wall s", "CPU"],
            rows: vec![
                row("longshore", Ok(vec!["1.00".into(), "12.50".into()])),
                row("curl", Err("not measured: install it".into())),
            ],
            goals: Vec::new(),
            peers: Vec::new(),
            others: None,
            runs: (3, 1, 0),
        };
        let expected = "download: one object\n             wall s    CPU\n  longshore    1.00  12.50\n  \
                        curl       not measured: install it\n  3 runs count, 1 were rejected and repeated\n";
        assert_eq!(table.text(), expected);
    }
}

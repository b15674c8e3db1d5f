//! The tables. Each decides who is measured, how it is checked, and which ratios matter.

pub(super) mod aistore;
pub(super) mod apolo;
pub(super) mod download;
pub(super) mod list;
pub(super) mod small;
pub(super) mod stack;
pub(super) mod tail;
pub(super) mod tls;
pub(super) mod upload;

use super::measure::{Check, Contender, Runs, interleaved};
use super::peers::Peer;
use super::process::{FarEnd, Invocation, Sample};
use super::report::{Goal, Row, Table};
use super::{Bench, GIB};

/// Rows to measure, in the order in which they are printed.
#[derive(Debug)]
struct Lineup {
    contenders: Vec<Contender>,
    /// Peers of this table.
    peers: Vec<Peer>,
    check: Check,
}

/// A lineup that was measured.
#[derive(Debug)]
struct Measured {
    rows: Vec<(String, Runs)>,
    peers: Vec<Peer>,
}

impl Lineup {
    fn new(check: Check) -> Self {
        Self { contenders: Vec::new(), peers: Vec::new(), check }
    }

    /// One of our own programs.
    fn ours(&mut self, name: &str, invocation: Invocation) {
        self.add(name, invocation, self.check.clone());
    }

    /// A program with a check of its own.
    fn add(&mut self, name: &str, invocation: Invocation, check: Check) {
        self.contenders.push(Contender { name: name.to_owned(), invocation, check, peer: false });
    }

    /// A peer; `None` if it is not on this machine.
    fn peer(&mut self, peer: Peer, invocation: Option<Invocation>) {
        self.peer_as(peer.name(), peer, invocation);
    }

    /// A peer that has several rows, each with a name of its own.
    fn peer_as(&mut self, name: &str, peer: Peer, invocation: Option<Invocation>) {
        if !self.peers.contains(&peer) {
            self.peers.push(peer);
        }
        if let Some(invocation) = invocation {
            let (name, check) = (name.to_owned(), self.check.clone());
            self.contenders.push(Contender { name, invocation, check, peer: true });
        }
    }

    fn measure(self, bench: &Bench, server: &dyn FarEnd) -> Measured {
        let runs = interleaved(&self.contenders, server, &bench.workspace.out(), &bench.rules);
        let names = self.contenders.into_iter().map(|contender| contender.name);
        Measured { rows: names.zip(runs).collect(), peers: self.peers }
    }
}

impl Measured {
    /// The least value of a figure of one row; `None` if that row was not measured.
    fn least(&self, name: &str, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.runs(name)?.least(figure)
    }

    fn runs(&self, name: &str) -> Option<&Runs> {
        self.rows.iter().find(|(row, _)| row == name).map(|(_, runs)| runs)
    }

    fn table(
        self,
        bench: &Bench,
        name: &'static str,
        title: String,
        columns: &[Column],
        goals: Vec<Goal>,
    ) -> Table {
        let peers = bench.peers.among(&self.peers);
        let samples = || self.rows.iter().flat_map(|(_, runs)| &runs.samples);
        let others: Vec<f64> = samples().map(|sample| sample.others).collect();
        let counted = u32::try_from(others.len()).unwrap_or(u32::MAX);
        let mean = others.iter().sum::<f64>() / f64::from(counted.max(1));
        let most = others.iter().copied().max_by(f64::total_cmp);
        let sum = |count: fn(&Runs) -> u32| self.rows.iter().map(|(_, runs)| count(runs)).sum();
        let runs = (counted, sum(|runs| runs.rejected), sum(|runs| runs.disturbed));
        let absent = peers.iter().filter_map(|peer| {
            let cells = Err(peer.absence()?);
            Some(Row { name: peer.name.to_owned(), cells, runs: None })
        });
        let absent: Vec<_> = absent.collect();
        let rows = self.rows.into_iter().map(|(name, runs)| {
            let cells = match &runs.failed {
                Some(reason) => Err(format!("failed: {reason}")),
                None => Ok(columns.iter().map(|column| (column.text)(&runs)).collect()),
            };
            Row { name, cells, runs: Some(runs) }
        });
        let rows = rows.chain(absent).collect();
        let columns = columns.iter().map(|column| column.title).collect();
        Table { name, title, columns, rows, goals, peers, others: most.map(|most| (mean, most)), runs }
    }
}

/// How to print one figure of all runs.
struct Column {
    title: &'static str,
    text: Box<dyn Fn(&Runs) -> String>,
}

impl Column {
    /// Least and median.
    fn spread(title: &'static str, digits: usize, figure: impl Fn(&Sample) -> f64 + 'static) -> Self {
        let text = move |runs: &Runs| match (runs.least(&figure), runs.median(&figure)) {
            (Some(least), Some(median)) => format!("{least:.digits$} / {median:.digits$}"),
            _ => String::new(),
        };
        Self { title, text: Box::new(text) }
    }

    /// The least.
    fn least(title: &'static str, digits: usize, figure: impl Fn(&Sample) -> f64 + 'static) -> Self {
        let text =
            move |runs: &Runs| runs.least(&figure).map_or_else(String::new, |v| format!("{v:.digits$}"));
        Self { title, text: Box::new(text) }
    }

    /// The largest: for figures that must never be large.
    fn most(title: &'static str, digits: usize, figure: impl Fn(&Sample) -> f64 + 'static) -> Self {
        let text =
            move |runs: &Runs| runs.most(&figure).map_or_else(String::new, |v| format!("{v:.digits$}"));
        Self { title, text: Box::new(text) }
    }
}

/// The columns of tables about bytes: CPU seconds per GiB moved.
fn per_gib() -> Vec<Column> {
    vec![
        Column::spread("wall s", 2, |s| s.client.wall),
        Column::spread("client CPU/GiB", 3, client_per_gib),
        Column::least("server", 3, |s| s.server_cpu() / gib(s.moved())),
        Column::spread("total CPU/GiB", 3, total_per_gib),
        Column::most("faults", 0, faults),
        Column::most("RSS MiB", 1, rss_mib),
        Column::least("requests", 0, requests),
    ]
}

/// The columns of tables about requests: CPU microseconds per request.
fn per_request() -> Vec<Column> {
    vec![
        Column::spread("client us/req", 2, client_per_request),
        Column::least("server", 2, |s| s.server_cpu() * 1e6 / requests(s)),
        Column::spread("total us/req", 2, |s| s.total_cpu() * 1e6 / requests(s)),
        Column::most("req/s", 0, |s| requests(s) / s.client.wall),
        Column::least("requests", 0, requests),
        Column::most("faults", 0, faults),
        Column::most("RSS MiB", 1, rss_mib),
    ]
}

fn client_per_gib(sample: &Sample) -> f64 {
    sample.client_cpu() / gib(sample.moved())
}

fn total_per_gib(sample: &Sample) -> f64 {
    sample.total_cpu() / gib(sample.moved())
}

fn client_per_request(sample: &Sample) -> f64 {
    sample.client_cpu() * 1e6 / requests(sample)
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn requests(sample: &Sample) -> f64 {
    sample.server.requests as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn faults(sample: &Sample) -> f64 {
    sample.client.minor_faults as f64
}

#[expect(clippy::cast_precision_loss, reason = "KiB of one process are far below 2^53")]
fn rss_mib(sample: &Sample) -> f64 {
    sample.client.peak_rss_kib as f64 / 1024.0
}

/// Peak resident set beyond the part of the memory budget that was in use.
#[expect(clippy::cast_precision_loss, reason = "memory of one process is far below 2^53 bytes")]
fn rss_beyond_budget_mib(sample: &Sample) -> f64 {
    rss_mib(sample) - sample.budget_in_use.unwrap_or_default() as f64 / f64::from(1 << 20)
}

/// Bytes in GiB.
#[expect(clippy::cast_precision_loss, reason = "a size needs no more than the 53 bits of a double")]
pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

/// A size in words, such as `4 GiB` or `256 MiB`.
fn size_text(bytes: u64) -> String {
    if bytes >= GIB && bytes.is_multiple_of(GIB) {
        format!("{} GiB", bytes / GIB)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

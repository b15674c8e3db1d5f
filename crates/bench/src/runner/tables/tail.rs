//! `tail`: a server with a slow first byte, a cap on each connection, and a few requests that are much slower.

use super::super::Bench;
use super::super::measure::{Contender, Rules, Runs, interleaved};
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table};
use super::super::workspace::{BUCKET, KEY};
use super::{Column, Measured, gib, size_text};
use crate::app::Failure;

const CONNECTIONS: u32 = 8;
/// Bytes per second on one connection.
const RATE: u64 = 50_000_000;
const LATENCY_MS: u32 = 30;
/// Share of slow requests in percent, by how much they are slower, and the name of the row.
const SHAPES: [(u32, u32, &str); 3] =
    [(0, 1, "none slow"), (3, 10, "3 % slower by 10"), (1, 50, "1 % slower by 50")];

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let (size, seeds) = if bench.quick { (128 << 20, 2) } else { (512 << 20, 8) };
    let object = bench.workspace.object(size)?;
    let (file, check) = bench.workspace.output(&object);
    // Both ends mostly wait here, so a busy machine disturbs little, and one run for each seed is enough.
    let rules = Rules { rounds: 1, most_others: f64::INFINITY, ..bench.rules.clone() };
    let mut rows = Vec::new();
    for (percent, factor, name) in SHAPES {
        let mut all = Runs::default();
        for seed in 1..=seeds {
            let args = format!(
                "--latency-ms {LATENCY_MS} --rate {RATE} --slow-share {} --slow-factor {factor} --seed {seed}",
                f64::from(percent) / 100.0
            );
            let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
            let server = Server::start(&bench.workspace.root(), &args)?;
            let url = server.url(&format!("{BUCKET}/{KEY}"));
            let words = format!("get --concurrency {CONNECTIONS}");
            let invocation = Invocation::own()?.words(&words).arg(url).arg(&file);
            let contender = Contender {
                name: format!("{name}, seed {seed}"),
                invocation,
                check: check.clone(),
                peer: false,
            };
            for runs in interleaved(&[contender], &server, &bench.workspace.out(), &rules) {
                all.samples.extend(runs.samples);
                all.failed = all.failed.or(runs.failed);
            }
        }
        rows.push((name.to_owned(), all));
    }
    let measured = Measured { rows, peers: Vec::new() };

    let ideal = ideal_seconds(size);
    let slow = measured.runs(SHAPES[1].2);
    let goals = vec![
        Goal::at_most(
            "3 % slower by 10: mean",
            1.35,
            "x ideal",
            slow.and_then(|r| mean(r, |s| s.client.wall / ideal)),
        ),
        Goal::at_most(
            "3 % slower by 10: worst",
            1.7,
            "x ideal",
            slow.and_then(|r| r.most(|s| s.client.wall / ideal)),
        ),
        Goal::at_most(
            "extra bytes, mean",
            3.0,
            " %",
            slow.and_then(|r| mean(r, move |s| extra_percent(s, size))),
        ),
    ];
    let columns = [
        Column::spread("wall s", 2, |s| s.client.wall),
        column("mean/ideal", 2, move |runs| mean(runs, |s| s.client.wall / ideal)),
        column("worst/ideal", 2, move |runs| runs.most(|s| s.client.wall / ideal)),
        column("extra bytes %, mean", 1, move |runs| mean(runs, |s| extra_percent(s, size))),
        Column::most("worst", 1, move |s| extra_percent(s, size)),
        Column::least("requests", 0, super::requests),
    ];
    let title = format!(
        "{} over {CONNECTIONS} connections of {} MB/s, {LATENCY_MS} ms to the first byte, {seeds} seeds; ideal {ideal:.2} s",
        size_text(size),
        RATE / 1_000_000
    );
    Ok(measured.table(bench, "tail", title, &columns, goals))
}

/// Every connection at its cap, from the first byte on.
fn ideal_seconds(size: u64) -> f64 {
    let bytes = gib(size) * 2f64.powi(30);
    let rate = gib(RATE) * 2f64.powi(30) * f64::from(CONNECTIONS);
    bytes / rate + f64::from(LATENCY_MS) / 1000.0
}

/// What the server sent beyond the object, in percent.
fn extra_percent(sample: &Sample, size: u64) -> f64 {
    (gib(sample.server.sent) / gib(size) - 1.0) * 100.0
}

fn mean(runs: &Runs, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
    let count = u32::try_from(runs.samples.len()).ok().filter(|count| *count > 0)?;
    Some(runs.samples.iter().map(figure).sum::<f64>() / f64::from(count))
}

fn column(title: &'static str, digits: usize, figure: impl Fn(&Runs) -> Option<f64> + 'static) -> Column {
    let text = move |runs: &Runs| figure(runs).map_or_else(String::new, |value| format!("{value:.digits$}"));
    Column { title, text: Box::new(text) }
}

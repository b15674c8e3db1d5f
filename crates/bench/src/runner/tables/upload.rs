//! `upload`: one large file to a sink that discards it.

use super::super::measure::Check;
use super::super::peers::{Peer, Remote};
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::BUCKET;
use super::super::{Bench, GIB};
use super::{Lineup, faults, gib, per_gib, rss_beyond_budget_mib, rss_mib, size_text};
use crate::app::Failure;

const OURS: &str = "longshore, 8 parts";
const FLOOR: &str = "raw sockets";
const LOOP: &str = "transport alone, 1 request";
const KEY: &str = "upload";
/// Sizes in GiB whose memory must be the same.
const HOLES: [(u64, &str); 2] = [(1, "longshore, 1 GiB of holes"), (16, "longshore, 16 GiB of holes")];

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let object = bench.workspace.object(bench.size)?;
    let server = Server::start(&bench.workspace.root(), &[])?;
    let to = Remote { server: &server, bucket: BUCKET, key: KEY };
    let url = server.url(&format!("{BUCKET}/{KEY}"));

    let mut lineup = Lineup::new(Check::Received(bench.size));
    lineup.ours(FLOOR, Invocation::own()?.words("floor upload").arg(&object).arg(&url));
    let put =
        |words: &str| Ok::<_, Failure>(Invocation::own()?.arg("put").words(words).arg(&object).arg(&url));
    lineup.ours(OURS, put("")?);
    lineup.ours(LOOP, put("--through loop")?);
    if !bench.quick {
        for (count, name) in HOLES {
            let file = bench.workspace.root().join(BUCKET).join(bench.workspace.holes(count * GIB)?);
            lineup.add(name, Invocation::own()?.arg("put").arg(file).arg(&url), Check::Received(count * GIB));
        }
    }
    for peer in [Peer::Curl, Peer::Rclone, Peer::Requests, Peer::Aistore] {
        lineup.peer(peer, bench.peers.upload(peer, &object, to));
    }
    let measured = lineup.measure(bench, &server);

    let client = |other: &str| {
        ratio(measured.least(OURS, Sample::client_cpu), measured.least(other, Sample::client_cpu))
    };
    let most_faults = measured.runs(OURS).and_then(|runs| runs.most(faults));
    let rss = |name: &str| measured.least(name, rss_mib);
    let growth = rss(HOLES[1].1).zip(rss(HOLES[0].1)).map(|(large, small)| large - small);
    let beyond = measured.runs(OURS).and_then(|runs| runs.most(rss_beyond_budget_mib));
    let scale = gib(bench.size) / 4.0;
    let goals = vec![
        Goal::at_most("client CPU against curl -T", 0.75, "x", client(Peer::Curl.name())),
        Goal::at_most("minor faults, 8 connections", 2000.0 * scale.max(1.0) + 8.0 * 500.0, "", most_faults),
        Goal::at_most("peak RSS beyond the budget in use", 24.0, " MiB", beyond),
        Goal::at_most("more RSS for 16 GiB than for 1 GiB", 2.0, " MiB", growth),
    ];
    let title = format!("a file of {} to a sink, plain HTTP", size_text(bench.size));
    Ok(measured.table(bench, "upload", title, &per_gib(), goals))
}

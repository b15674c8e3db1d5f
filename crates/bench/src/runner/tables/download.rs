//! `download`: one large object to a file.

use super::super::measure::Check;
use super::super::peers::{Peer, Remote};
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::{BUCKET, KEY};
use super::super::{Bench, GIB};
use super::{Lineup, faults, gib, per_gib, rss_beyond_budget_mib, rss_mib, size_text};
use crate::app::{Failure, at};
use crate::content;
use longshore_core_types::ChecksumKind;

const OURS: &str = "longshore, 8 parts";
const FLOOR: &str = "raw sockets";
const CRC32C: &str = "longshore, crc32c verified";
const XXHASH64: &str = "longshore, xxhash64 verified";
/// Sizes in GiB whose memory must be the same; to nowhere, since two such files fit in few memories.
const HOLES: [(u64, &str); 2] = [(1, "longshore, 1 GiB to a stream"), (16, "longshore, 16 GiB to a stream")];

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let object = bench.workspace.object(bench.size)?;
    let server = Server::start(&bench.workspace.root(), &[])?;
    let from = Remote { server: &server, bucket: BUCKET, key: KEY };
    let url = server.url(&format!("{BUCKET}/{KEY}"));
    let (file, check) = bench.workspace.output(&object);

    let mut lineup = Lineup::new(check);
    lineup.ours(FLOOR, Invocation::own()?.words("floor download").arg(&url).arg(&file));
    let get = |words: &str| Ok::<_, Failure>(Invocation::own()?.arg("get").words(words).arg(&url).arg(&file));
    lineup.ours(OURS, get("")?);
    for (name, kind) in [(CRC32C, ChecksumKind::Crc32c), (XXHASH64, ChecksumKind::XxHash64)] {
        let checksum = content::checksum(&object, kind).map_err(at(&object))?;
        lineup.ours(name, get(&format!("--checksum {kind}:{}", checksum.to_hex()))?);
    }
    lineup.ours("longshore, 8 parts, 2 threads", get("--workers 2")?);
    lineup.ours("longshore, 1 part at a time", get("--concurrency 1")?);
    lineup.ours("transport alone, 8 parts", get("--through loop")?);
    if !bench.quick {
        for (count, name) in HOLES {
            let url = server.url(&format!("{BUCKET}/{}", bench.workspace.holes(count * GIB)?));
            lineup.add(name, Invocation::own()?.arg("get").arg(url), Check::Sent(count * GIB));
        }
    }
    for peer in [Peer::Curl, Peer::Aria2c, Peer::Rclone, Peer::S5cmd, Peer::Requests, Peer::Aistore] {
        lineup.peer(peer, bench.peers.download(peer, from, &file));
    }
    let measured = lineup.measure(bench, &server);

    let against = |figure: fn(&Sample) -> f64, other: &str| {
        ratio(measured.least(OURS, figure), measured.least(other, figure))
    };
    let wall = |sample: &Sample| sample.client.wall;
    let costs_more = |name| against(Sample::client_cpu, name).map(|cheaper| (1.0 / cheaper - 1.0) * 100.0);
    let rss = |name: &str| measured.least(name, rss_mib);
    let growth = rss(HOLES[1].1).zip(rss(HOLES[0].1)).map(|(large, small)| large - small);
    let beyond = measured.runs(OURS).and_then(|runs| runs.most(rss_beyond_budget_mib));
    let most_faults = measured.runs(OURS).and_then(|runs| runs.most(faults));
    let scale = gib(bench.size) / 4.0;
    let goals = vec![
        Goal::at_most(
            "client and server CPU against curl",
            0.85,
            "x",
            against(Sample::total_cpu, Peer::Curl.name()),
        ),
        Goal::at_most(
            "client and server CPU against raw sockets",
            1.15,
            "x",
            against(Sample::total_cpu, FLOOR),
        ),
        Goal::at_most("wall against curl", 1.0, "x", against(wall, Peer::Curl.name())),
        Goal::at_most("wall against aria2c", 1.0, "x", against(wall, Peer::Aria2c.name())),
        Goal::at_most("wall against rclone", 1.0, "x", against(wall, Peer::Rclone.name())),
        Goal::at_most("wall against s5cmd", 0.85, "x", against(wall, Peer::S5cmd.name())),
        Goal::at_most("minor faults, 8 connections", 2000.0 * scale.max(1.0) + 8.0 * 500.0, "", most_faults),
        Goal::at_most("peak RSS beyond the budget in use", 24.0, " MiB", beyond),
        Goal::at_most("more RSS for 16 GiB than for 1 GiB", 2.0, " MiB", growth),
        Goal::at_most("client CPU for crc32c", 5.0, " %", costs_more(CRC32C)),
        Goal::at_most("client CPU for xxhash64", 15.0, " %", costs_more(XXHASH64)),
    ];
    let title = format!("{} to a file, plain HTTP, client and server on one machine", size_text(bench.size));
    Ok(measured.table(bench, "download", title, &per_gib(), goals))
}

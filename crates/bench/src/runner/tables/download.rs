//! `download`: one large object to a file.

use super::super::Bench;
use super::super::peers::{Peer, Remote};
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::{BUCKET, KEY};
use super::{Lineup, faults, gib, per_gib, size_text};
use crate::app::Failure;

const OURS: &str = "longshore, 8 parts";
const FLOOR: &str = "raw sockets";

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
    lineup.ours("longshore, 8 parts, 2 threads", get("--workers 2")?);
    lineup.ours("longshore, 1 part", get("--concurrency 1")?);
    for peer in [Peer::Curl, Peer::Aria2c, Peer::Rclone, Peer::S5cmd, Peer::Requests, Peer::Aistore] {
        lineup.peer(peer, bench.peers.download(peer, from, &file));
    }
    let measured = lineup.measure(bench, &server);

    let against = |figure: fn(&Sample) -> f64, other: &str| {
        ratio(measured.least(OURS, figure), measured.least(other, figure))
    };
    let wall = |sample: &Sample| sample.client.wall;
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
    ];
    let title = format!("{} to a file, plain HTTP, client and server on one machine", size_text(bench.size));
    Ok(measured.table(bench, "download", title, &per_gib(bench.size), goals))
}

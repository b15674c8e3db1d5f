//! `small`: objects of 4 KiB, to nowhere and to files.

use super::super::Bench;
use super::super::measure::Check;
use super::super::peers::{Peer, Remote, SmallWork, WRK_SCRIPT};
use super::super::process::{Invocation, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::SMALL;
use super::{Lineup, client_per_request, per_request};
use crate::app::{Failure, at};
use crate::content::{self, SMALL_SIZE};

const OURS: &str = "longshore, to nowhere";
const OURS_FILES: &str = "longshore, to files";
const LOOP_FILES: &str = "transport alone, to files";
const CONCURRENCY: u32 = 64;
/// Threads of the Python clients.
const THREADS: u32 = 16;

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let (objects, requests) = if bench.quick { (2_000, 50_000) } else { (10_000, 300_000) };
    let small = bench.workspace.small(objects)?;
    let server = Server::start(&bench.workspace.root(), &[])?;
    let from = Remote { server: &server, bucket: SMALL, key: "" };
    let script = bench.workspace.path().join("rotate.lua");
    std::fs::write(&script, WRK_SCRIPT).map_err(at(&script))?;
    let files = bench.workspace.out().join("small");
    let to_files = || Check::SameSmall {
        dir: files.clone(),
        like: small.clone(),
        count: objects,
        name: content::small_name,
    };
    let sent = |requests: u64| Check::Sent(requests * SMALL_SIZE);

    let ours = |concurrency: u32, requests: u64| {
        let call =
            Invocation::own()?.words(&format!("small --concurrency {concurrency} --objects {objects}"));
        Ok::<_, Failure>(call.words(&format!("--requests {requests}")).arg(server.url(SMALL)))
    };
    let mut lineup = Lineup::new(sent(1));
    lineup.add(OURS, ours(CONCURRENCY, requests)?, sent(requests));
    let work = SmallWork { objects, requests, concurrency: CONCURRENCY };
    lineup.peer(Peer::Wrk, bench.peers.small(Peer::Wrk, from, work, &script));
    // Python takes a hundred times longer for each, so a share of them has to do.
    lineup.check = sent(requests / 50);
    let work = SmallWork { objects, requests: requests / 50, concurrency: THREADS };
    for peer in [Peer::Requests, Peer::Aistore] {
        lineup.peer(peer, bench.peers.small(peer, from, work, &script));
    }
    // Requests for small objects count a quarter in the engine.
    lineup.add(OURS_FILES, ours(CONCURRENCY / 4, objects)?.arg("--to").arg(&files), to_files());
    lineup.add(LOOP_FILES, ours(CONCURRENCY, objects)?.words("--through loop --to").arg(&files), to_files());
    lineup.check = to_files();
    for peer in [Peer::Rclone, Peer::S5cmd] {
        lineup.peer(peer, bench.peers.small_files(peer, from, CONCURRENCY, &files));
    }
    let measured = lineup.measure(bench, &server);

    let cost = |name: &str| measured.least(name, client_per_request);
    let rclone = measured.least(Peer::Rclone.name(), |s| s.client_cpu() * 1e6 / objects_f64(objects));
    let goals = vec![
        Goal::at_most(
            "client CPU per request against wrk",
            1.25,
            "x",
            ratio(cost(OURS), cost(Peer::Wrk.name())),
        ),
        Goal::at_least(
            "requests per CPU second against Python requests",
            25.0,
            "x",
            ratio(cost(Peer::Requests.name()), cost(OURS)),
        ),
        Goal::at_least(
            "objects to files per CPU second against rclone",
            6.0,
            "x",
            ratio(rclone, cost(OURS_FILES)),
        ),
    ];
    let title =
        format!("GET of {objects} objects of 4 KiB in turn, {CONCURRENCY} in flight, Python {THREADS}");
    Ok(measured.table(bench, "small", title, &per_request(), goals))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand objects")]
fn objects_f64(objects: u64) -> f64 {
    objects as f64
}

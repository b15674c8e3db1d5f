//! `aistore`: a real cluster instead of the bench's own server.

use std::path::Path;

use super::super::cluster::Cluster;
use super::super::measure::Check;
use super::super::peers::Peer;
use super::super::process::{Invocation, Sample};
use super::super::report::{Goal, Row, Table, ratio};
use super::super::workspace::KEY;
use super::super::{Bench, GIB};
use super::{Column, Lineup, Measured, faults, rss_mib, size_text};
use crate::app::{Failure, at};
use crate::content;

const SMALL_SIZE: u64 = 16 << 10;
const CURL: &str = "curl";
const AIS: &str = "ais";
const OURS: &str = "longshore";

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let Some(cluster) = &bench.cluster else {
        let cells =
            Err("not measured: name the gateway of a cluster on this machine with --ais-endpoint".into());
        let rows = vec![Row { name: "AIStore".to_owned(), cells, runs: None }];
        let measured = Measured { rows: Vec::new(), peers: Vec::new() };
        let table = measured.table(bench, "aistore", "a real cluster".to_owned(), &columns(), Vec::new());
        return Ok(Table { rows, ..table });
    };
    let bucket = format!("longshore-bench-{}", std::process::id());
    let own = cluster.own(&bucket)?;
    own.clone().arg("make").check()?;
    let measured = measure(bench, cluster, &bucket, &own);
    // Whatever came of it, the cluster is left as it was.
    own.arg("remove").check()?;
    measured
}

fn measure(bench: &Bench, cluster: &Cluster, bucket: &str, own: &Invocation) -> Result<Table, Failure> {
    let size = bench.size.min(GIB);
    let count: u64 = if bench.quick { 200 } else { 2_000 };
    let object = bench.workspace.object(size)?;
    let small = bench.workspace.path().join("cluster");
    content::create_flat(&small, count, SMALL_SIZE).map_err(at(&small))?;
    // One request each, so that all read the same kind of object, which no client cut into pieces.
    let url = |key: &str| format!("{}/v1/objects/{bucket}/{key}", cluster.endpoint);
    let put = |from: &Path, key: &str| curl(bench).map(|call| call.words("-T").arg(from).arg(url(key)));
    match put(&object, KEY) {
        Some(put) => put.check()?,
        None => own.clone().arg("put").arg(&object).arg(KEY).check()?,
    }
    own.clone().arg("put").arg(&small).arg("small/").check()?;

    let large = size_text(size);
    let (file, check) = bench.workspace.output(&object);
    let mut lineup = Lineup::new(check);
    let get = |what: &str, who: &str| format!("get {what}, {who}");
    lineup.ours(&get(&large, OURS), own.clone().arg("get").arg(KEY).arg(&file));
    let call = curl(bench).map(|call| call.arg("-o").arg(&file).arg(url(KEY)));
    lineup.peer_as(&get(&large, CURL), Peer::Curl, call);
    let call =
        ais(bench, cluster).map(|call| call.arg("get").arg(format!("ais://{bucket}/{KEY}")).arg(&file));
    lineup.peer_as(&get(&large, AIS), Peer::Ais, call);

    let new = "new";
    lineup.check = asked(own, &object, new);
    lineup.ours(&format!("put {large}, {OURS}"), own.clone().arg("put").arg(&object).arg(new));
    lineup.peer_as(&format!("put {large}, {CURL}"), Peer::Curl, put(&object, new));
    let call =
        ais(bench, cluster).map(|call| call.arg("put").arg(&object).arg(format!("ais://{bucket}/{new}")));
    lineup.peer_as(&format!("put {large}, {AIS}"), Peer::Ais, call);

    let many = format!("{count} x {} KiB", SMALL_SIZE >> 10);
    let files = bench.workspace.out().join("cluster");
    lineup.check =
        Check::SameSmall { dir: files.clone(), like: small.clone(), count, name: content::flat_name };
    lineup.ours(&get(&many, OURS), own.clone().arg("get").arg("small/").arg(&files));
    let call = ais(bench, cluster)
        .map(|call| call.words("get --prefix small/ -y").arg(format!("ais://{bucket}")).arg(&files));
    lineup.peer_as(&get(&many, AIS), Peer::Ais, call);

    let new = "again/";
    lineup.check = asked(own, &small, new);
    lineup.ours(&format!("put {many}, {OURS}"), own.clone().arg("put").arg(&small).arg(new));
    let call = ais(bench, cluster)
        .map(|call| call.words("put -r -y").arg(&small).arg(format!("ais://{bucket}/{new}")));
    lineup.peer_as(&format!("put {many}, {AIS}"), Peer::Ais, call);

    let measured = lineup.measure(bench, cluster);
    let goal = |what: &str, who: &str, most: f64| {
        let cost = |who: &str| measured.least(&format!("{what}, {who}"), Sample::total_cpu);
        Goal::at_most(
            format!("{what}: client and server CPU against {who}"),
            most,
            "x",
            ratio(cost(OURS), cost(who)),
        )
    };
    let goals = vec![
        goal(&format!("get {large}"), CURL, 0.85),
        goal(&format!("put {large}"), CURL, 0.9),
        goal(&format!("get {large}"), AIS, 0.75),
        goal(&format!("put {large}"), AIS, 0.8),
        goal(&format!("get {many}"), AIS, 0.5),
        goal(&format!("put {many}"), AIS, 0.6),
    ];
    Ok(measured.table(bench, "aistore", "a real cluster on this machine".to_owned(), &columns(), goals))
}

/// Our own program empties the place of an upload, and reads back what is there.
fn asked(own: &Invocation, file: &Path, key: &str) -> Check {
    let verify = own.clone().arg("verify").arg(file).arg(key);
    Check::Asked { clean: own.clone().arg("clear").arg(key), verify }
}

fn curl(bench: &Bench) -> Option<Invocation> {
    Some(Invocation::new(bench.peers.program(Peer::Curl)?).words("-sS -f -L"))
}

fn ais(bench: &Bench, cluster: &Cluster) -> Option<Invocation> {
    Some(Invocation::new(bench.peers.program(Peer::Ais)?).env("AIS_ENDPOINT", &cluster.endpoint))
}

fn columns() -> [Column; 6] {
    [
        Column::spread("wall s", 2, |s| s.client.wall),
        Column::spread("client CPU s", 3, Sample::client_cpu),
        Column::least("server", 3, Sample::server_cpu),
        Column::spread("total CPU s", 3, Sample::total_cpu),
        Column::most("faults", 0, faults),
        Column::most("RSS MiB", 1, rss_mib),
    ]
}

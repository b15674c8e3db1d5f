//! `list`: very many keys, listed and compared.

use super::super::Bench;
use super::super::measure::Check;
use super::super::peers::Peer;
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::{Column, Lineup, requests, rss_mib};
use crate::app::Failure;

/// Most keys of a page, as S3 answers them.
const PAGE: u64 = 1000;
/// Keys of the bucket that shows what the program takes without many.
const FEW: u64 = 1000;
const PEER: &str = "rclone";

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let (many, files) = if bench.quick { (100_000, 10_000) } else { (1_000_000, 100_000) };
    let tree = bench.workspace.tree(files)?;
    let listings = [("few", FEW), ("many", many), ("again", many)];
    let listings = listings.iter().flat_map(|(name, keys)| ["--keys".to_owned(), format!("{name}={keys}")]);
    let server = Server::start(&bench.workspace.root(), &listings.collect::<Vec<_>>())?;
    let bucket = tree.file_name().unwrap_or_default();

    let ours = |expect: u64, action: &str| {
        let call = Invocation::own()?.words("keys --endpoint").arg(server.endpoint());
        Ok::<_, Failure>(call.words(&format!("--expect {expect} {action}")))
    };
    let pages = |keys: u64| Check::Requests(keys.div_ceil(PAGE));
    let rclone = |words: &str| bench.peers.keys(Peer::Rclone, &server, words);
    let s3 = |bucket: &str| format!(":s3:{bucket}");

    let name = |who: &str, what: &str| format!("{what}, {who}");
    let (list_few, list, compare) =
        (format!("list {FEW}"), format!("list {many}"), format!("compare 2 x {many}"));
    let (list_tree, sync) = (format!("list {files}"), format!("sync {files} files, none changed"));
    let ls = "longshore";
    let mut lineup = Lineup::new(pages(1));
    lineup.ours(&name(ls, &list_few), ours(FEW, "list few")?);

    lineup.check = pages(many);
    lineup.ours(&name(ls, &list), ours(many, "list many")?);
    let call = rclone("lsf --recursive --files-only --fast-list");
    lineup.peer_as(&name(PEER, &list), Peer::Rclone, call.map(|call| call.arg(s3("many"))));

    lineup.check = pages(2 * many);
    lineup.ours(&name(ls, &compare), ours(many, "compare many again")?);
    let call = rclone("sync --dry-run --fast-list --update --use-server-modtime");
    let call = call.map(|call| call.arg(s3("many")).arg(s3("again")));
    lineup.peer_as(&name(PEER, &compare), Peer::Rclone, call);

    lineup.check = pages(files);
    lineup.ours(&name(ls, &list_tree), ours(files, "list")?.arg(bucket));
    lineup.ours(&name(ls, &sync), ours(files, "sync")?.arg(&tree).arg(bucket));
    let call = rclone("sync --fast-list --update --use-server-modtime");
    let call = call.map(|call| call.arg(&tree).arg(s3(&bucket.to_string_lossy())));
    lineup.peer_as(&name(PEER, &sync), Peer::Rclone, call);
    let measured = lineup.measure(bench, &server);

    let most = |what: &str, who: &str| measured.runs(&name(who, what)).and_then(|runs| runs.most(rss_mib));
    let growth = |what: &str| Some(most(what, ls)? - most(&list_few, ls)?);
    let wall = |what: &str, who: &str| measured.least(&name(who, what), |sample| sample.client.wall);
    let goals = vec![
        Goal::at_most(format!("more RSS to {list} than to {list_few}"), 16.0, " MiB", growth(&list)),
        Goal::at_most(format!("more RSS to {compare} than to {list_few}"), 16.0, " MiB", growth(&compare)),
        Goal::at_most(
            format!("wall to {sync}, against {list_tree}"),
            2.0,
            "x",
            ratio(wall(&sync, ls), wall(&list_tree, ls)),
        ),
        Goal::at_most(
            format!("wall to {list}, against {PEER}"),
            1.0,
            "x",
            ratio(wall(&list, ls), wall(&list, PEER)),
        ),
        Goal::at_most(
            format!("wall to {compare}, against {PEER}"),
            1.0,
            "x",
            ratio(wall(&compare, ls), wall(&compare, PEER)),
        ),
    ];
    let title = format!("keys of an S3 service, {PAGE} to a page");
    Ok(measured.table(bench, "list", title, &columns(), goals))
}

fn columns() -> [Column; 6] {
    [
        Column::spread("wall s", 2, |s| s.client.wall),
        Column::spread("client CPU s", 3, Sample::client_cpu),
        Column::least("server", 3, Sample::server_cpu),
        Column::spread("total CPU s", 3, Sample::total_cpu),
        Column::most("RSS MiB", 1, rss_mib),
        Column::least("requests", 0, requests),
    ]
}

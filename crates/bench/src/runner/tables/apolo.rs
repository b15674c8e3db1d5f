//! `apolo`: buckets of the Apolo platform, beside the platform's own client.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use super::super::buckets::Buckets;
use super::super::measure::Check;
use super::super::peers::Peer;
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::{BUCKET, KEY};
use super::super::{Bench, GIB};
use super::{Column, Lineup, Measured, requests, rss_mib, size_text};
use crate::app::{Failure, at};
use crate::content;

const SMALL_SIZE: u64 = 64 << 10;
/// Bucket of the small objects, and one that takes uploads.
const MANY: &str = "many";
const SINK: &str = "sink";
const OURS: &str = "longshore";
/// As the command line runs.
const THREADS: &str = "longshore, 2 threads";
const SDK: &str = "apolo-sdk";
const FLOOR: &str = "raw sockets";
/// Whoever needs no more than this share above the floor has reached the ceiling.
const CEILING: f64 = 1.25;

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let size = bench.size.min(GIB);
    let count: u64 = if bench.quick { 200 } else { 2_000 };
    let object = bench.workspace.object(size)?;
    let root = bench.workspace.root();
    let many = root.join(MANY);
    content::create_flat(&many, count, SMALL_SIZE).map_err(at(&many))?;
    // The server keeps nothing, and clients look for what they have stored: a file of holes is of the same size.
    let sink = root.join(SINK);
    std::fs::create_dir_all(&sink).map_err(at(&sink))?;
    let stored = sink.join(KEY);
    File::create(&stored).and_then(|file| file.set_len(size)).map_err(at(&stored))?;
    let server = Server::start(&root, &[])?;
    let service = Buckets::start()?;
    let from = format!("{}/{KEY}", service.import(BUCKET, &server)?);
    let (all, to) = (service.import(MANY, &server)?, service.import(SINK, &server)?);
    let own = || Invocation::own().map(|call| call.words("apolo --url").arg(service.url()));
    let own = |action: &str| Ok::<_, Failure>(own()?.arg("--token").arg(service.token()).words(action));
    let sdk = |action: &str, from: &OsString, to: &OsString| bench.peers.apolo(&service, action, from, to);

    let mut lineup = Lineup::new(Check::Requests(0));
    lineup.ours(&row("a start", OURS), own("start")?.arg(&all));
    lineup.peer_as(&row("a start", SDK), Peer::ApoloSdk, sdk("start", &all.clone().into(), &"".into()));

    let large = size_text(size);
    let (file, check) = bench.workspace.output(&object);
    let get = format!("get {large}");
    lineup.check = check;
    let url = |bucket: &str| server.url(&format!("{bucket}/{KEY}"));
    lineup.ours(&row(&get, FLOOR), Invocation::own()?.words("floor download").arg(url(BUCKET)).arg(&file));
    for (who, action) in [(OURS, "get"), (THREADS, "--workers 2 get")] {
        lineup.ours(&row(&get, who), own(action)?.arg(&from).arg(&file));
    }
    let call = sdk("download_file", &from.clone().into(), &local(&file));
    lineup.peer_as(&row(&get, SDK), Peer::ApoloSdk, call);

    let put = format!("put {large}");
    let new = format!("{to}/{KEY}");
    lineup.check = Check::Received(size);
    lineup.ours(&row(&put, FLOOR), Invocation::own()?.words("floor upload").arg(&object).arg(url(SINK)));
    for (who, action) in [(OURS, "put"), (THREADS, "--workers 2 put")] {
        lineup.ours(&row(&put, who), own(action)?.arg(&object).arg(&new));
    }
    let call = sdk("upload_file", &local(&object), &new.into());
    lineup.peer_as(&row(&put, SDK), Peer::ApoloSdk, call);

    let what = format!("{count} x {} KiB", SMALL_SIZE >> 10);
    let (get_many, put_many) = (format!("get {what}"), format!("put {what}"));
    let files = bench.workspace.out().join(MANY);
    let like = many.clone();
    lineup.check = Check::SameSmall { dir: files.clone(), like, count, name: content::flat_name };
    lineup.ours(&row(&get_many, OURS), own("get-all")?.arg(&all).arg(&files));
    let call = sdk("download_dir", &all.into(), &local(&files));
    lineup.peer_as(&row(&get_many, SDK), Peer::ApoloSdk, call);
    lineup.check = Check::Received(count * SMALL_SIZE);
    lineup.ours(&row(&put_many, OURS), own("put-all")?.arg(&many).arg(&to));
    let call = sdk("upload_dir", &local(&many), &to.into());
    lineup.peer_as(&row(&put_many, SDK), Peer::ApoloSdk, call);

    let measured = lineup.measure(bench, &server);
    service.stop();
    let goals =
        [(&get, OURS), (&get, THREADS), (&put, OURS), (&put, THREADS), (&get_many, OURS), (&put_many, OURS)];
    let goals = goals.into_iter().map(|(what, who)| goal(&measured, what, who)).collect();
    let title = format!("buckets of the Apolo platform: {large}, and {what}, plain HTTP");
    Ok(measured.table(bench, "apolo", title, &columns(), goals))
}

fn row(what: &str, who: &str) -> String {
    format!("{what}, {who}")
}

/// A local path, as a URL.
fn local(path: &Path) -> OsString {
    let mut url = OsString::from("file://");
    url.push(path);
    url
}

/// Ten times the throughput; what a start takes is left out on both sides. Where one thread's sockets themselves do not
/// allow that, as much as they do.
fn goal(measured: &Measured, what: &str, who: &str) -> Goal {
    let wall = |what: &str, who: &str| measured.least(&row(what, who), |sample| sample.client.wall);
    let net = |who: &str, start: &str| Some(wall(what, who)? - wall("a start", start)?);
    let ours = net(who, OURS);
    let times = ratio(net(SDK, SDK), ours);
    let over = ratio(ours, wall(what, FLOOR)).filter(|over| *over <= CEILING);
    let text = row(what, who);
    match (times, over) {
        (Some(times), Some(over)) if times < 10.0 => {
            let text =
                format!("{text}: {times:.1}x the throughput of {SDK}; wall against the ceiling, {FLOOR}");
            Goal::at_most(text, CEILING, "x", Some(over))
        }
        _ => Goal::at_least(format!("{text}: throughput against {SDK}"), 10.0, "x", times),
    }
}

fn columns() -> [Column; 5] {
    [
        Column::spread("wall s", 2, |s| s.client.wall),
        Column::spread("client CPU s", 2, Sample::client_cpu),
        Column::least("server", 2, Sample::server_cpu),
        Column::most("RSS MiB", 1, rss_mib),
        Column::least("requests", 0, requests),
    ]
}

//! `tls`: one large object to a file over TLS 1.3.

use super::super::Bench;
use super::super::peers::{Peer, Remote};
use super::super::process::{Invocation, Sample, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::{BUCKET, KEY};
use super::{Lineup, per_gib, size_text};
use crate::app::Failure;

const OURS: &str = "longshore, 8 parts";

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let object = bench.workspace.object(bench.size)?;
    let identity = crate::server::create_identity(bench.workspace.path())?;
    let path = |path: &std::path::Path| path.display().to_string();
    let args = ["--tls-cert".to_owned(), path(&identity.cert), "--tls-key".to_owned(), path(&identity.key)];
    let server = Server::start(&bench.workspace.root(), &args)?;
    let from = Remote { server: &server, bucket: BUCKET, key: KEY };
    let url = server.url(&format!("{BUCKET}/{KEY}"));
    let (file, check) = bench.workspace.output(&object);

    let mut lineup = Lineup::new(check);
    let get = |words: &str| {
        let call = Invocation::own()?.arg("get").arg("--ca").arg(&identity.ca).words(words);
        Ok::<_, Failure>(call.arg(&url).arg(&file))
    };
    lineup.ours(OURS, get("")?);
    lineup.ours("longshore, 1 part", get("--concurrency 1")?);
    lineup.peer(Peer::Curl, bench.peers.tls(Peer::Curl, from, &identity.ca, &file));
    let measured = lineup.measure(bench, &server);

    let client = ratio(
        measured.least(OURS, Sample::client_cpu),
        measured.least(Peer::Curl.name(), Sample::client_cpu),
    );
    let goals = vec![Goal::at_most("client CPU against curl", 1.0, "x", client)];
    let title = format!("{} to a file, TLS 1.3; the server's one thread is the limit", size_text(bench.size));
    Ok(measured.table(bench, "tls", title, &per_gib(), goals))
}

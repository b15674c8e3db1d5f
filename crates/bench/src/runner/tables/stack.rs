//! `stack`: what the layers of the transport cost over hyper's bare connection.

use super::super::Bench;
use super::super::measure::Check;
use super::super::process::{Invocation, Server};
use super::super::report::{Goal, Table, ratio};
use super::super::workspace::SMALL;
use super::{Lineup, client_per_request, per_request};
use crate::app::Failure;
use crate::content::{SMALL_SIZE, small_name};

const HYPER: &str = "hyper connection";
const BARE: &str = "transport, bare";
const FULL: &str = "transport, full";
const CONCURRENCY: u32 = 16;

pub(in crate::runner) fn table(bench: &Bench) -> Result<Table, Failure> {
    let requests: u64 = if bench.quick { 50_000 } else { 300_000 };
    bench.workspace.small(100)?;
    let server = Server::start(&bench.workspace.root(), &[])?;
    let url = server.url(&format!("{SMALL}/{}", small_name(0)));
    let mut lineup = Lineup::new(Check::Sent(requests * SMALL_SIZE));
    for (name, layers) in [(HYPER, "hyper"), (BARE, "bare"), (FULL, "full")] {
        let words = format!("stack --concurrency {CONCURRENCY} --requests {requests} --layers {layers}");
        lineup.ours(name, Invocation::own()?.words(&words).arg(&url));
    }
    let measured = lineup.measure(bench, &server);
    let against_hyper =
        |name| ratio(measured.least(name, client_per_request), measured.least(HYPER, client_per_request));
    let goals =
        vec![Goal::at_most("client CPU per request, full against hyper", 1.25, "x", against_hyper(FULL))];
    let title = format!("GET of one object of 4 KiB, {CONCURRENCY} in flight, one thread");
    Ok(measured.table(bench, "stack", title, &per_request(), goals))
}

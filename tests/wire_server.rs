//! The dev server against recorded exchanges of a real AIStore 5.0 cluster, of a real Supabase Storage server and of a
//! real Apolo buckets service: one trial per exchange.
//!
//! Each file is replayed in order against a server of its own; status, headers and body are compared but for the
//! volatile fields listed in `wire_replay/volatile.rs` and the agreed differences in `wire/exceptions`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test program")]

mod wire_replay;
mod wire_support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use wire_replay::{ApoloReplay, ApoloS3Replay, Outcome, Replay, Setup, SupabaseReplay};
use wire_support::exceptions::Exceptions;
use wire_support::exchange::load;

/// Files in scope.
const FILES: &[&str] = &[
    "objects",
    "checksums",
    "buckets",
    "listing",
    "routing",
    "errors",
    "multipart-append",
    "get-batch",
    "multi-object",
    "archives",
    "remote-backend",
    "s3-endpoint",
    "jobs",
    "cluster",
    "etl",
    "stats-config",
    "dsort",
    "downloader",
    "maintenance",
    "authn-users",
    "authn-roles",
    "authn-clusters",
    "authn-tokens",
    "authn-errors",
    "guarded-access",
    "guarded-redirects",
];

/// Files of Supabase in scope; exceptions name them with `supabase/` in front.
const SUPABASE: &[&str] = &[
    "meta",
    "auth",
    "buckets",
    "objects-upload",
    "objects-download",
    "objects-list",
    "objects-list-defects",
    "objects-move-copy-remove",
    "signed-urls",
    "tus",
    "cdn",
    "s3",
    "client-storage3",
    "client-storage-js",
    "client-tus-js",
    "client-boto3",
];

/// Files of Apolo in scope, in the order in which they were recorded from one service; exceptions name them with `apolo/`
/// in front. The others hold what the service and its client ask of stores that the dev server does not have.
const APOLO: &[&str] = &["platform-stub", "control-plane-raw", "control-plane-sdk"];

/// What the client asks of S3.
const APOLO_S3: &str = "s3-from-apolo-sdk";

/// Most exchanges in a thousand that may have an exception.
const MAX_PER_MILLE: usize = 30;

fn trial(platform: &str, file: &str, outcome: Outcome) -> Trial {
    let differences = outcome.differences;
    Trial::test(format!("{platform}/{file}/{}", outcome.name), move || {
        if differences.is_empty() { Ok(()) } else { Err(Failed::from(differences.join("\n    "))) }
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let exceptions = Exceptions::load("server");
    let setup = Setup::load();
    let mut trials = Vec::new();
    let mut total = 0;
    for file in FILES {
        let mut exchanges = load("aistore", file);
        exchanges.retain(|e| !setup.is_outside(file, &e.name));
        total += exchanges.len();
        let outcomes =
            if arguments.list { Vec::new() } else { Replay::new(file, &exceptions, &setup).run(&exchanges) };
        for outcome in outcomes {
            let differences = outcome.differences;
            trials.push(Trial::test(format!("{file}/{}", outcome.name), move || {
                if differences.is_empty() { Ok(()) } else { Err(Failed::from(differences.join("\n    "))) }
            }));
        }
    }
    for file in SUPABASE {
        let exchanges = load("supabase", file);
        total += exchanges.len();
        let outcomes =
            if arguments.list { Vec::new() } else { SupabaseReplay::new(file, &exceptions).run(&exchanges) };
        trials.extend(outcomes.into_iter().map(|outcome| trial("supabase", file, outcome)));
    }
    let mut apolo = ApoloReplay::new(&exceptions);
    for file in APOLO {
        let exchanges = load("apolo", file);
        total += exchanges.len();
        let outcomes = if arguments.list { Vec::new() } else { apolo.run(file, &exchanges) };
        trials.extend(outcomes.into_iter().map(|outcome| trial("apolo", file, outcome)));
    }
    let exchanges = load("apolo", APOLO_S3);
    total += exchanges.len();
    if !arguments.list {
        let outcomes = ApoloS3Replay::new(&exceptions).run(APOLO_S3, &exchanges);
        trials.extend(outcomes.into_iter().map(|outcome| trial("apolo", APOLO_S3, outcome)));
    }
    let files: Vec<_> = FILES.iter().map(ToString::to_string).collect();
    let files: Vec<_> = files.into_iter().chain(SUPABASE.iter().map(|f| format!("supabase/{f}"))).collect();
    let apolo = APOLO.iter().chain([&APOLO_S3]).map(|f| format!("apolo/{f}"));
    let files: Vec<_> = files.into_iter().chain(apolo).collect();
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let unused: Vec<_> = exceptions
        .unused(&files)
        .iter()
        .map(|e| format!("{}/{}: {} ({}; {})", e.file, e.name, e.field, e.reason, e.spec))
        .collect();
    trials.push(Trial::test("exceptions are all needed", move || {
        if unused.is_empty() { Ok(()) } else { Err(format!("not needed: {}", unused.join(", ")).into()) }
    }));
    let excepted = exceptions.exchanges();
    trials.push(Trial::test("exceptions are few", move || {
        if excepted * 1000 <= total * MAX_PER_MILLE {
            Ok(())
        } else {
            Err(format!("{excepted} of {total} exchanges have an exception").into())
        }
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

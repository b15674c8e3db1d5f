//! The built command, as a user runs it: what it prints, how it exits, and what it leaves behind.
//!
//! `cargo xtask test cli` builds the command and names it in `LONGSHORE_BIN`; without that the test builds it.
//! Every test has folders of its own for data, settings and home, and a server of its own on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests without the standard harness"
)]

mod cli_support;

use std::process::ExitCode;

use cli_support::{
    ais, apolo, apolo_login, authn, bad_input, buckets, comparing, copying, embedded, everywhere, interrupt,
    listing, moving, odd_trees, pairs, removing, resume, s3, settings, supabase, syncing,
};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let groups: [(&str, &[Case]); 21] = [
        ("ais", ais::CASES),
        ("apolo", apolo::CASES),
        ("apolo_login", apolo_login::CASES),
        ("authn", authn::CASES),
        ("bad-input", bad_input::CASES),
        ("buckets", buckets::CASES),
        ("comparing", comparing::CASES),
        ("copying", copying::CASES),
        ("embedded", embedded::CASES),
        ("everywhere", everywhere::CASES),
        ("interrupt", interrupt::CASES),
        ("listing", listing::CASES),
        ("moving", moving::CASES),
        ("odd-trees", odd_trees::CASES),
        ("pairs", pairs::CASES),
        ("removing", removing::CASES),
        ("resume", resume::CASES),
        ("s3", s3::CASES),
        ("settings", settings::CASES),
        ("supabase", supabase::CASES),
        ("syncing", syncing::CASES),
    ];
    let trials = groups.into_iter().flat_map(|(group, cases)| {
        cases.iter().map(move |(name, case)| {
            Trial::test(format!("{group}/{name}"), move || {
                case();
                Ok(())
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A test and its name.
type Case = (&'static str, fn());

//! The clients against recorded exchanges of real servers: AIStore here, AuthN in `authn`,
//! Supabase in `supabase`, Apolo in `apolo`.
//!
//! Each recorded request is read as the call of the client that would make it. The call is made, over a fake
//! network that answers what the real cluster answered, and two things are compared: what the client sent with
//! what was recorded, hop by hop, and what it made of the answer with what the answer says. A request that no
//! call makes, or that the client refuses to make, is classed so in `tests/wire/coverage.toml`; a class that is
//! untrue fails.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test program")]

#[path = "wire_client/authn/mod.rs"]
mod authn;
#[path = "wire_client/batch_calls.rs"]
mod batch_calls;
#[path = "wire_client/bucket_calls.rs"]
mod bucket_calls;
#[path = "wire_client/calls.rs"]
mod calls;
#[path = "wire_client/coverage.rs"]
mod coverage;
#[path = "wire_client/errors.rs"]
mod errors;
#[path = "wire_client/job_calls.rs"]
mod job_calls;
#[path = "wire_client/network.rs"]
mod network;
#[path = "wire_client/node_calls.rs"]
mod node_calls;
#[path = "wire_client/object_calls.rs"]
mod object_calls;
#[path = "wire_client/recorded.rs"]
mod recorded;
#[path = "wire_client/replay.rs"]
mod replay;
#[path = "wire_client/service_calls.rs"]
mod service_calls;
#[path = "wire_client/wanted.rs"]
mod wanted;

#[path = "wire_client/apolo/mod.rs"]
mod apolo;
#[path = "wire_client/supabase/mod.rs"]
mod supabase;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let coverage = coverage::load();
    let mut trials = Vec::new();
    for file in coverage.files() {
        let groups = recorded::load(&file);
        trials.push(coverage.check(&file, &groups));
        for group in groups {
            for name in group.names() {
                let (group, class) = (group.clone(), coverage.class(&file, name));
                let name = format!("{file}/{name}");
                trials.push(Trial::test(name, move || {
                    replay::trial(&group, class.as_ref()).map_err(Into::into)
                }));
            }
        }
    }
    trials.extend(authn::trials(&coverage));
    trials.extend(supabase::trials(&coverage));
    trials.extend(apolo::trials(&coverage));
    if std::env::var_os("WIRE_CLASSES").is_some() {
        coverage::print_actual(&coverage);
        return ExitCode::SUCCESS;
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

//! The conformance suite on every store, and what clients make of a server's faults.
//!
//! Names are `backend::group::case`. A case that a store cannot run is ignored with the reason.

mod conformance_support;

use std::{process::ExitCode, sync::Arc};

use conformance_support::{
    Backend, Context, aistore, apolo, azure, faults, http, memory, s3, shelf, supabase, transfers,
};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let context = match Context::new() {
        Ok(context) => Arc::new(context),
        Err(error) => {
            eprintln!("the tests cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let backends: [fn() -> Backend; 12] = [
        memory::backend,
        shelf::backend,
        aistore::backend,
        supabase::backend,
        supabase::encoded,
        supabase::over_s3,
        supabase::over_s3_session,
        apolo::backend,
        apolo::encoded,
        http::backend,
        http::plain,
        s3::backend,
    ];
    let backends = backends.into_iter().map(|make| make()).chain(azure::backends());
    let mut trials: Vec<Trial> = backends.flat_map(|backend| backend.trials(&context)).collect();
    trials.extend(faults::trials(&context));
    let stores: [fn() -> Backend; 7] = [
        memory::backend,
        aistore::backend,
        supabase::backend,
        s3::backend,
        apolo::backend,
        http::backend,
        http::plain,
    ];
    trials.extend(transfers::trials(&context, stores.map(|make| make())));
    libtest_mimic::run(&args, trials).exit_code()
}

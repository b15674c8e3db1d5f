//! The `longshore` command.

mod accounts;
mod app;
mod commands;
#[cfg_attr(not(feature = "dev"), path = "embedded_off.rs")]
mod embedded;
mod failure;
mod glob;
mod interrupt;
mod listing;
mod output;
mod progress;
mod services;
mod settings;
mod units;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::{
    app::{App, Cli},
    failure::Failure,
    interrupt::Interrupt,
    output::{Message, Output},
    settings::Settings,
};

/// The system's allocator gives memory back and takes it again for every buffer of a connection, which costs
/// tens of thousands of page faults in each gigabyte.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let global = &cli.global;
    log_to_stderr(global.verbose);
    let out = Output::new(global.json, global.quiet, global.verbose > 0);
    let result = prepare(&cli, &out).and_then(|(app, runtime)| {
        let result = runtime.block_on(Box::pin(app.run(cli.command)));
        // A read of standard input cannot be called back; nobody waits for it.
        runtime.shutdown_timeout(Duration::from_millis(100));
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::Told(told) = &failure {
                out.tell(&Message::Error((&**told).into()));
            }
            failure.exit_code().into()
        }
    }
}

fn prepare(cli: &Cli, out: &Output) -> Result<(App, Runtime), Failure> {
    let settings = Settings::resolve(&cli.global, &|name| std::env::var_os(name))?;
    let cannot = |error| Failure::io("cannot start", error);
    let interrupt = Interrupt::listen().map_err(cannot)?;
    // More workers than four only pass work around: the network is the limit.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime =
        Builder::new_multi_thread().worker_threads(cores.min(4)).enable_all().build().map_err(cannot)?;
    Ok((App::new(settings, out.clone(), interrupt), runtime))
}

/// Warnings, or more with `-v` and `-vv`, or what `RUST_LOG` says.
fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::{EnvFilter, fmt};
    let default = match verbose {
        0 => "error",
        1 => "warn,longshore=info",
        _ => {
            "info,longshore=debug,longshore_aistore=debug,longshore_supabase=debug,longshore_transport=debug,longshore_transfer=debug"
        }
    };
    let filter = EnvFilter::builder().try_from_env().unwrap_or_else(|_| EnvFilter::new(default));
    fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

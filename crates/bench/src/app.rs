//! The command line.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{floor, launch, ours, runner, server};

/// Whatever went wrong, as a sentence for whoever runs the benchmarks.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Adds to an I/O error the path that it is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| format!("{}: {error}", path.display()).into()
}

/// Programs that measure transfers. `cargo xtask bench` builds and runs them.
#[derive(Debug, Parser)]
#[command(name = "longshore-bench")]
struct App {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure and print tables
    Run(runner::Args),
    /// Serve a directory until stdin is closed
    Serve(server::Args),
    /// Move one object with plain sockets: what any client costs at least
    #[command(subcommand)]
    Floor(floor::Args),
    /// Run a program and write down what it cost
    Launch(launch::Args),
    /// Download an object
    Get(ours::get::Args),
    /// Upload a file
    Put(ours::put::Args),
    /// Get many small objects
    Small(ours::small::Args),
    /// List the keys of a bucket, or compare two places
    Keys(ours::keys::Args),
    /// Work on a bucket of an AIStore cluster
    Cluster(ours::cluster::Args),
    /// Work on a bucket of an Apolo cluster
    Apolo(ours::apolo::Args),
    /// Get one small object many times, through a chosen part of the stack
    Stack(ours::stack::Args),
}

pub(crate) fn main() -> ExitCode {
    let outcome = match App::parse().command {
        Command::Run(args) => runner::run(args),
        Command::Serve(args) => server::run(&args),
        Command::Floor(args) => floor::run(&args),
        Command::Launch(args) => launch::run(&args),
        Command::Get(args) => ours::get::run(&args),
        Command::Put(args) => ours::put::run(&args),
        Command::Small(args) => ours::small::run(&args),
        Command::Keys(args) => ours::keys::run(&args),
        Command::Apolo(args) => ours::apolo::run(&args),
        Command::Stack(args) => ours::stack::run(&args),
        Command::Cluster(args) => ours::cluster::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprintln!("  caused by: {error}");
            cause = error.source();
        }
        ExitCode::FAILURE
    })
}

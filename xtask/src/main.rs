//! `cargo xtask`: the checks, tests and demonstrations of this workspace, as one plain program.
//!
//! Exit codes: 0 done, 1 a check or test failed, 2 the command line was not understood.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod bench;
mod ci;
mod cmd;
mod compare;
mod dag;
mod demo;
mod features;
mod lint;
mod live;
mod parity;
mod peers;
mod release;
mod report;
mod results;
mod test;
mod text;
mod tree;
mod workspace;

use std::process::ExitCode;

use cmd::{Failure, Outcome};
use workspace::Workspace;

const HELP: &str = "\
Checks, tests and demonstrations of the longshore workspace.

Usage: cargo xtask COMMAND

Commands:
  demo [DIR]      Copy DIR (default: crates) into a bucket of the embedded server and back,
                  with the real program, and compare every byte. Needs nothing but this checkout.
  test [CLASS]... [--require BACKEND]... [--heavy] [-- FILTER]
                  Run tests and count them. Classes:
                    unit         tests inside the crates
                    doc          examples in the documentation
                    wire         recorded HTTP exchanges, against the clients and the dev server
                    conformance  one suite of behaviour, on every store
                    cli          the built program against the dev server
                    resume       of `cli`, the transfers that are killed and go on
                    examples     every program in examples/ must end well
                    live         your own servers: needs LONGSHORE_LIVE=1 and variables that name them
                    peers [NAME]...  official clients of the platforms, against the dev server
                  Without a class: all but the last four. Nothing leaves this machine.
                  --require BACKEND   fail unless cases of that backend or peer ran (as in `--require
                                      aistore`; with `peers` also `--require all`)
                  --heavy             also run the large cases
                  -- FILTER           hand FILTER to the test programs, to run one case
  setup peers [NAME]...
                  Install the official clients that `test peers` runs, into the target folder. Needs Python 3
                  with venv, Node with npm, and their package registries.
  lint            Formatting, clippy, documentation, and what no file may contain.
  dag             Check which crate may depend on which.
  tree            Check which third-party crates must stay out.
  features [CRATE]...
                  Lint every crate that is published with none of its features, each, each pair, and all.
  bench [TABLE]... [--quick] [--json] [OPTION]...
                  Measure transfers beside curl, aria2c, rclone, wrk and Python clients. Tables: download,
                  upload, small, list, tail, tls, stack, aistore, apolo; all by default. `bench -- --help` lists
                  the options, docs/performance.md says how to read the tables.
  parity [--check]
                  Check docs/parity.toml: every symbol, exchange and test in it exists, and the test passed when
                  it ran last. Count what is covered and write docs/parity.md (--check: compare it instead).
  release plan    The crates in the order of their publication, and what is in the way of it.
  release bump major|minor|patch|X.Y.Z
                  Write the next version into manifests, lock file and changelog.
  release verify  Pack every crate and build it from what was packed.
  release publish [--execute] [CRATE]...
                  Hand the crates to the registry; without --execute, everything but that.
  ci [--fast]     lint, dag, tree, test, parity --check, setup peers, test peers: what .ci/run does, in the
                  same order. --fast runs only the test classes `unit` and `wire`, no parity and no peers.
  help            Print this text.

docs/testing.md says more about the tests, CONTRIBUTING.md about working on the project.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("error: {message}\nRun `cargo xtask help` for what there is.");
            ExitCode::from(2)
        }
        Err(Failure::Failed(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

fn dispatch(args: &[String]) -> Outcome {
    let Some((command, rest)) = args.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let own = rest.iter().take_while(|arg| *arg != "--");
    if matches!(command.as_str(), "help" | "--help" | "-h") || own.clone().any(|a| a == "--help" || a == "-h")
    {
        print!("{HELP}");
        return Ok(());
    }
    let run: fn(&Workspace, &[String]) -> Outcome = match command.as_str() {
        "test" => test::run,
        "setup" => peers::setup,
        "lint" => lint::run,
        "dag" => dag::run,
        "tree" => tree::run,
        "features" => features::run,
        "release" => release::run,
        "parity" => parity::run,
        "bench" => bench::run,
        "ci" => ci::run,
        "demo" => demo::run,
        other => return Err(Failure::Usage(format!("there is no command `{other}`"))),
    };
    run(&Workspace::locate()?, rest)
}

/// Refuses arguments for a command that takes none, so that a typing error is not silently ignored.
fn no_arguments(command: &str, args: &[String]) -> Outcome {
    match args.first() {
        None => Ok(()),
        Some(arg) => Err(Failure::Usage(format!("`{command}` takes no argument, but got `{arg}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn unknown_commands_and_stray_arguments_are_usage_errors() {
        for line in [
            "tset",
            "lint unit",
            "dag --verbose",
            "tree x",
            "ci --slow",
            "test uint",
            "demo a b",
            "setup",
            "setup pears",
            "parity all",
            "features nosuch",
            "release",
        ] {
            let outcome = dispatch(&words(line));
            assert!(matches!(outcome, Err(Failure::Usage(_))), "`{line}` gave {outcome:?}");
        }
    }

    #[test]
    fn help_is_given_before_anything_runs() {
        for line in ["", "help", "--help", "test --help", "demo -h"] {
            assert!(dispatch(&words(line)).is_ok(), "`{line}`");
        }
    }

    #[test]
    fn help_names_every_class() {
        for class in test::Class::ALL {
            assert!(HELP.contains(class.name()));
        }
    }
}

//! `cargo xtask bench`: builds the programs of `crates/bench` as users would get them, and runs them.

use std::process::Command;

use crate::cmd::{self, Failure, Outcome};
use crate::workspace::{self, Workspace};

const PACKAGE: &str = "longshore-bench";

/// Hands all arguments on to the runner, which knows them.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let built = workspace::build(&workspace.root, &["--release", "--package", PACKAGE])?;
    let program = built.iter().find(|built| built.name == PACKAGE);
    let Some(program) = program else {
        return Err(Failure::Failed(format!("`cargo build` made no program `{PACKAGE}`")));
    };
    let mut command = Command::new(&program.path);
    command.arg("run").args(args.iter().filter(|arg| *arg != "--"));
    cmd::run(&mut command)
}

//! Runs one program and says what it cost.
//!
//! The kernel carries the largest resident set of a process over to the program it starts, so a program
//! started by a large process looks large. This launcher is small and does nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::app::{Failure, at};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where to write what the program cost, as JSON
    #[arg(long)]
    report: PathBuf,
    /// File that receives what the program prints to stdout
    #[arg(long)]
    stdout: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What a program and the processes that it waited for cost.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// From start to end, in seconds.
    pub(crate) wall: f64,
    /// CPU time in user mode, in seconds.
    pub(crate) user: f64,
    /// CPU time in the kernel, in seconds.
    pub(crate) system: f64,
    /// Page faults that needed no disk.
    pub(crate) minor_faults: u64,
    /// Largest resident set, in KiB.
    pub(crate) peak_rss_kib: u64,
}

/// Runs the program, writes its cost, and ends as it did.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let Some((program, rest)) = args.command.split_first() else {
        return Err("there is no command to run".into());
    };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    if let Some(path) = &args.stdout {
        command.stdout(std::fs::File::create(path).map_err(at(path))?);
    }
    let started = Instant::now();
    let mut child = command.spawn().map_err(at(Path::new(program)))?;
    let status = child.wait()?;
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cost = Cost {
        wall,
        user: seconds(usage.user_time()),
        system: seconds(usage.system_time()),
        minor_faults: usage.minor_page_faults().try_into().unwrap_or_default(),
        peak_rss_kib: usage.max_rss().try_into().unwrap_or_default(),
    };
    std::fs::write(&args.report, serde_json::to_vec(&cost)?).map_err(at(&args.report))?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} ended with {status}", Path::new(program).display());
    Ok(ExitCode::FAILURE)
}

/// User and system time of this process so far, in seconds.
pub(crate) fn own_cpu() -> Result<(f64, f64), Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((seconds(usage.user_time()), seconds(usage.system_time())))
}

#[expect(clippy::cast_precision_loss, reason = "times of day-long runs fit with room to spare")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

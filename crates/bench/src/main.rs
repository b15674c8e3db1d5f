//! The programs behind `cargo xtask bench`: a static server, a floor of raw sockets, small programs over the
//! crates of this workspace, and the runner that measures them beside other clients.
//!
//! docs/performance.md says what is measured and how to read it.
#![cfg_attr(
    target_os = "linux",
    allow(clippy::print_stdout, reason = "printing is what this program is for")
)]

#[cfg(target_os = "linux")]
mod app;
#[cfg(target_os = "linux")]
mod content;
#[cfg(target_os = "linux")]
mod floor;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod ours;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    app::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("error: the benchmarks measure with sendfile and /proc, which only Linux has");
    std::process::ExitCode::FAILURE
}

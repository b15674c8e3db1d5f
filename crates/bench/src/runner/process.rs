//! The processes that are measured, and the machine around them.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::app::{Failure, at};
use crate::launch::{Cost, own_cpu};
use crate::server::{Ready, Stats};

/// A program to run, with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Variables besides those of this program.
    pub(super) env: Vec<(&'static str, OsString)>,
}

/// The far end of what is measured.
pub(super) trait FarEnd {
    /// What it has done so far, with the CPU time that took.
    fn stats(&self) -> Result<Stats, Failure>;
}

impl Invocation {
    pub(super) fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new() }
    }

    /// This very program.
    pub(super) fn own() -> Result<Self, Failure> {
        Ok(Self::new(std::env::current_exe()?))
    }

    pub(super) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Runs it for its effect, outside of what is measured.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().cloned()).stdin(Stdio::null());
        on_loopback(&mut command);
        let output = command.output().map_err(at(&self.program))?;
        if output.status.success() { Ok(()) } else { Err(last_lines(&output.stderr).into()) }
    }

    /// Adds the words of a text; for arguments without spaces in them.
    pub(super) fn words(mut self, words: &str) -> Self {
        self.args.extend(words.split_whitespace().map(OsString::from));
        self
    }
}

/// The bench's server, as a process of its own. It ends when this value is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    ready: Ready,
}

impl Server {
    /// Serves `root`, with further arguments of `longshore-bench serve`.
    pub(super) fn start(root: &Path, args: &[String]) -> Result<Self, Failure> {
        let own = Invocation::own()?;
        let mut command = Command::new(own.program);
        command.arg("serve").arg("--root").arg(root).args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready = serde_json::from_str(&line).map_err(|_| "the server did not start");
        match ready {
            Ok(ready) => Ok(Self { child, ready }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// URL of an object, or of a bucket.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.ready.url)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.ready.url
    }
}

impl FarEnd for Server {
    fn stats(&self) -> Result<Stats, Failure> {
        let mut socket = TcpStream::connect(&self.ready.control)?;
        socket.write_all(b"GET /-/stats HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("the server's statistics have no body")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends by itself when its stdin closes, but nobody should wait for connections to finish.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one run cost, on both ends.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Sample {
    pub(super) client: Cost,
    /// What the server did meanwhile, with the CPU time that took.
    pub(super) server: Stats,
    /// CPU time of all other processes, as a share of one core.
    pub(super) others: f64,
    /// How much of its memory budget our engine had in use at most, in bytes.
    pub(super) budget_in_use: Option<u64>,
}

/// What our own programs say about themselves, as a line of JSON.
#[derive(Debug, Default, Deserialize)]
struct Said {
    budget_in_use: Option<u64>,
}

impl Sample {
    pub(super) fn client_cpu(&self) -> f64 {
        self.client.user + self.client.system
    }

    pub(super) fn server_cpu(&self) -> f64 {
        self.server.user + self.server.system
    }

    /// Bytes of content that were moved.
    pub(super) fn moved(&self) -> u64 {
        self.server.sent.max(self.server.received)
    }

    pub(super) fn total_cpu(&self) -> f64 {
        self.client_cpu() + self.server_cpu()
    }
}

/// Runs a program through the launcher, in `scratch`, beside the server.
pub(super) fn run(invocation: &Invocation, server: &dyn FarEnd, scratch: &Path) -> Result<Sample, Failure> {
    let (report, output) = (scratch.join("cost.json"), scratch.join("stdout"));
    let own = Invocation::own()?;
    let mut command = Command::new(own.program);
    command.current_dir(scratch).arg("launch").arg("--report").arg(&report).arg("--stdout").arg(&output);
    command.arg("--").arg(&invocation.program).args(&invocation.args).stdin(Stdio::null());
    command.envs(invocation.env.iter().cloned());
    on_loopback(&mut command);

    let before = (server.stats()?, busy_seconds()?, own_cpu()?);
    let result = command.stderr(Stdio::piped()).output()?;
    let after = (server.stats()?, busy_seconds()?, own_cpu()?);
    if !result.status.success() {
        return Err(format!("it failed: {}", last_lines(&result.stderr)).into());
    }
    let client: Cost = serde_json::from_slice(&std::fs::read(&report).map_err(at(&report))?)?;
    let server = difference(&before.0, &after.0);
    let ours = (after.2.0 - before.2.0) + (after.2.1 - before.2.1);
    let measured = client.user + client.system + server.user + server.system + ours;
    let others = ((after.1 - before.1 - measured) / client.wall.max(0.01)).max(0.0);
    // Others print what they like, or nothing.
    let said: Said =
        serde_json::from_slice(&std::fs::read(&output).map_err(at(&output))?).unwrap_or_default();
    Ok(Sample { client, server, others, budget_in_use: said.budget_in_use })
}

/// The end of what a program complained about, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<_> = text.lines().rev().take(6).collect();
    lines.reverse();
    lines.join(" | ")
}

/// Nothing may stand between a client and loopback.
fn on_loopback(command: &mut Command) {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    // Tools of Amazon's kind look for credentials on the network unless told not to.
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("RCLONE_CONFIG", "/dev/null");
    command.env_remove("AWS_CA_BUNDLE");
}

fn difference(before: &Stats, after: &Stats) -> Stats {
    Stats {
        connections: after.connections - before.connections,
        requests: after.requests - before.requests,
        refused: after.refused - before.refused,
        received: after.received - before.received,
        sent: after.sent - before.sent,
        slowed: after.slowed - before.slowed,
        user: after.user - before.user,
        system: after.system - before.system,
    }
}

/// CPU time of everything since the machine started, in seconds. Time that the host took away counts too: it
/// disturbs as much as a process does.
pub(super) fn busy_seconds() -> Result<f64, Failure> {
    let path = Path::new("/proc/stat");
    let stat = std::fs::read_to_string(path).map_err(at(path))?;
    busy_ticks(&stat)
        .map(|ticks| ticks / ticks_per_second())
        .ok_or_else(|| "/proc/stat is in an unknown form".into())
}

/// The unit of CPU times in /proc.
pub(super) fn ticks_per_second() -> f64 {
    f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// user, nice, system, irq, softirq and steal of the first line; not idle and iowait.
fn busy_ticks(stat: &str) -> Option<f64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<f64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].iter().map(|index| fields.get(*index)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_time_is_not_busy() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 1 2 3\n";
        assert_eq!(busy_ticks(stat), Some(63.0));
        assert_eq!(busy_ticks("intr 1 2"), None);
        assert!(busy_seconds().unwrap() > 0.0);
    }
}

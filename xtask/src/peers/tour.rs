//! Running one tour: its output is read as that of any test program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::cmd::{self, Failure};
use crate::report::{self, Tally};

use super::manifest::{Language, Peer};
use super::server::{self, Server};
use super::setup::Installation;

/// Starts the server of `peer` unless one is named, and runs all cases of its tour.
pub(crate) fn run(
    tally: &mut Tally,
    peer: &Peer,
    installation: &Installation,
    program: Option<&Path>,
    filter: &[String],
) -> Result<(), Failure> {
    println!("\n-- {}: {} --", peer.name, peer.about);
    let mut own = Tally::default();
    own.set_target("peers");
    let base = installation.dir.parent().unwrap_or(&installation.dir).join("runs");
    server::prepare(&base)?;
    let server = match (server::external()?, program) {
        (Some(announcement), _) => Ok(Server::running(announcement)),
        (None, Some(program)) => Server::start(program, &peer.name, &peer.server, &base),
        (None, None) => Err(Failure::Failed("there is neither a server nor a program to run one".into())),
    };
    match server {
        Ok(mut server) => {
            let mut command = command(peer, installation)?;
            command.args(filter);
            cmd::isolate(&mut command);
            command.env("LONGSHORE_PEER", &peer.name).envs(server.variables());
            let status = stream(&mut command, peer.limit, |line| {
                println!("{line}");
                own.read(line);
                if let Some(failed) = report::test_failed(line) {
                    let journal = server.journal();
                    if failed && !journal.is_empty() {
                        println!("    journal of the dev server during this case:\n{}", journal.trim_end());
                    }
                }
            })?;
            match status {
                End::Ended(status) => own.check(status),
                End::Overdue => own.problem(
                    1,
                    format!("{}: the tour was ended after {} s", peer.name, peer.limit.as_secs()),
                ),
            }
        }
        Err(Failure::Failed(message)) => own.problem(1, format!("{}: {message}", peer.name)),
        Err(other) => return Err(other),
    }
    tally.absorb(own);
    Ok(())
}

/// Counts a tour that cannot run as one case that was skipped.
pub(crate) fn skipped(tally: &mut Tally, name: &str, reason: &str) {
    let lines = [
        "running 1 test".to_owned(),
        format!("test {name}::tour ... ignored, {reason}"),
        "test result: ok. 0 passed; 0 failed; 1 ignored".to_owned(),
    ];
    for line in lines {
        println!("{line}");
        tally.read(&line);
    }
}

/// The command that runs the script of `peer`.
fn command(peer: &Peer, installation: &Installation) -> Result<Command, Failure> {
    let support = |language: &str| {
        let peers = peer.packages.parent().unwrap_or(&peer.packages);
        peers.join("support").join(language)
    };
    let mut command = Command::new(installation.interpreter());
    match peer.language {
        Language::Python => {
            // Unbuffered, and without leaving compiled files among the sources.
            command.args(["-u", "-B"]).arg(&peer.tour).env("PYTHONPATH", support("python"));
            for name in ["PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONSTARTUP"] {
                command.env_remove(name);
            }
        }
        Language::Node => {
            // Node looks for packages in the folders above a script, so the scripts go to the packages.
            let to = installation.dir.join("tours");
            let copy = |from: &Path, to: &Path| {
                copy_folder(from, to)
                    .map_err(|error| Failure::Failed(format!("copying {}: {error}", from.display())))
            };
            let dir = peer.tour.parent().unwrap_or(&peer.tour);
            let copied = to.join(dir.file_name().unwrap_or_default());
            copy(dir, &copied)?;
            copy(&support("node"), &to.join("support").join("node"))?;
            command.arg(copied.join(peer.tour.file_name().unwrap_or_default()));
        }
    }
    Ok(command)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// How a tour came to its end.
enum End {
    Ended(std::process::ExitStatus),
    /// It took too long and was killed.
    Overdue,
}

/// Like [`cmd::stream`], but ends the program after `limit`.
fn stream(command: &mut Command, limit: Duration, each: impl FnMut(&str)) -> Result<End, Failure> {
    let line = cmd::shown(command);
    let cannot = |error: io::Error| Failure::Failed(format!("running `{line}`: {error}"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(cannot)?;
    let stdout = child.stdout.take();
    let child = Arc::new(Mutex::new(child));
    let (done, ended) = mpsc::channel::<()>();
    let guard = {
        let child = Arc::clone(&child);
        std::thread::spawn(move || {
            let overdue = ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            // A program that has just ended cannot be killed, and need not be.
            overdue && locked(&child).kill().is_ok()
        })
    };
    let read = stdout.map_or(Ok(()), |stdout| cmd::lines(stdout, each));
    drop(done);
    let overdue = guard.join().unwrap_or(false);
    let status = locked(&child).wait().and_then(|status| read.map(|()| status)).map_err(cannot)?;
    Ok(if overdue { End::Overdue } else { End::Ended(status) })
}

fn locked(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> (Result<End, Failure>, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        let end = stream(command.args(["-c", script]), limit, |line| lines.push(line.to_owned()));
        (end, lines)
    }

    #[test]
    fn a_tour_that_hangs_is_ended() {
        let (end, lines) = sh("echo one; exec sleep 600", Duration::from_millis(200));
        assert!(matches!(end, Ok(End::Overdue)));
        assert_eq!(lines, ["one"]);
    }

    #[test]
    fn a_tour_that_ends_by_itself_gives_its_status() {
        let (end, lines) = sh("echo one; echo two; exit 3", Duration::from_secs(600));
        assert!(matches!(end, Ok(End::Ended(status)) if status.code() == Some(3)));
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_peer_that_is_not_installed_is_one_skip() {
        let mut tally = Tally::default();
        skipped(&mut tally, "demo", "not installed");
        assert_eq!((tally.counts.skipped, tally.skips[0].name.as_str()), (1, "demo::tour"));
        tally.require("demo");
        assert_eq!(tally.counts.failed, 2, "none ran, and one was skipped for want of the peer");
    }
}

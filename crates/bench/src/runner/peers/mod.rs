//! The other clients: whether they are here, in which version, and how to call them.

mod calls;

pub(super) use calls::{Remote, SmallWork, WRK_SCRIPT};

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

/// Another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Curl,
    Aria2c,
    Rclone,
    Wrk,
    Requests,
    Aistore,
    S5cmd,
    /// AIStore's own command line.
    Ais,
    /// The Apolo platform's own client.
    ApoloSdk,
}

/// A peer as it was found on this machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Found {
    pub(super) name: &'static str,
    /// `None`: it is not here.
    pub(super) version: Option<String>,
    #[serde(skip)]
    peer: Peer,
    #[serde(skip)]
    program: PathBuf,
}

/// Every peer, found or not.
#[derive(Clone, Debug)]
pub(super) struct Peers(Vec<Found>);

impl Peer {
    const ALL: [Self; 9] = [
        Self::Curl,
        Self::Aria2c,
        Self::Rclone,
        Self::Wrk,
        Self::Requests,
        Self::Aistore,
        Self::S5cmd,
        Self::Ais,
        Self::ApoloSdk,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Aria2c => "aria2c",
            Self::Rclone => "rclone",
            Self::Wrk => "wrk",
            Self::Requests => "requests (Python)",
            Self::Aistore => "aistore (Python)",
            Self::S5cmd => "s5cmd",
            Self::Ais => "ais",
            Self::ApoloSdk => "apolo-sdk (Python)",
        }
    }

    /// How to get it, for a person.
    pub(super) fn installation(self) -> &'static str {
        match self {
            Self::Curl => "install the system's package curl",
            Self::Aria2c => "install the system's package aria2",
            Self::Rclone => "install the system's package rclone",
            Self::Wrk => "install the system's package wrk",
            Self::Requests => "pip install requests, and name that Python with --python",
            Self::Aistore => "pip install aistore, and name that Python with --python",
            Self::S5cmd => "optional: go install github.com/peak/s5cmd/v2@latest",
            Self::Ais => "build cmd/cli of NVIDIA/aistore, and name the program with --ais",
            Self::ApoloSdk => "run `cargo xtask setup peers apolo-sdk`",
        }
    }

    fn find(self, python: &str, ais: &str, apolo: &str) -> Found {
        let (program, args): (&str, &[&str]) = match self {
            Self::Curl => ("curl", &["--version"]),
            Self::Aria2c => ("aria2c", &["--version"]),
            Self::Rclone => ("rclone", &["version"]),
            Self::Wrk => ("wrk", &["--version"]),
            Self::Requests => (python, &["-c", "import requests; print(requests.__version__)"]),
            Self::Aistore => {
                (python, &["-c", "import aistore.sdk, importlib.metadata as m; print(m.version('aistore'))"])
            }
            Self::S5cmd => ("s5cmd", &["version"]),
            Self::Ais => (ais, &["--version"]),
            Self::ApoloSdk => {
                (apolo, &["-c", "import apolo_sdk, importlib.metadata as m; print(m.version('apolo-sdk'))"])
            }
        };
        let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok();
        // wrk prints its version and then ends with an error.
        let output = output.filter(|output| output.status.success() || self == Self::Wrk);
        let text = output.map(|output| [output.stdout, output.stderr].concat());
        let version = text.and_then(|text| version(&String::from_utf8_lossy(&text)));
        Found { name: self.name(), version, peer: self, program: program.into() }
    }
}

/// The first word that starts like a version number, behind an optional `v` or a name and a slash.
fn version(text: &str) -> Option<String> {
    let words = text.split_whitespace().map(|word| word.split_once('/').map_or(word, |(_, version)| version));
    let words = words.map(|word| word.strip_prefix('v').unwrap_or(word));
    let mut versions =
        words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    versions.next().map(str::to_owned)
}

impl Peers {
    /// Looks for all of them; `python` is the interpreter to ask for packages, `ais` AIStore's command line, `apolo` the
    /// interpreter of apolo-sdk.
    pub(super) fn find(python: &str, ais: &str, apolo: Option<&Path>) -> Self {
        let own = std::env::current_exe().ok();
        // The tests of peers install it there.
        let usual = own.as_deref().and_then(|path| path.ancestors().nth(2));
        let usual = usual.map(|target| target.join("peers/apolo-sdk/bin/python"));
        let apolo = apolo.map(Path::to_owned).or(usual).unwrap_or_default();
        let apolo = apolo.to_string_lossy();
        Self(Peer::ALL.into_iter().map(|peer| peer.find(python, ais, &apolo)).collect())
    }

    /// Those of them that matter to a table, found or not.
    pub(super) fn among(&self, peers: &[Peer]) -> Vec<Found> {
        self.0.iter().filter(|found| peers.contains(&found.peer)).cloned().collect()
    }

    /// The program of a peer that is here.
    pub(super) fn program(&self, peer: Peer) -> Option<&PathBuf> {
        self.0.iter().find(|found| found.peer == peer && found.version.is_some()).map(|found| &found.program)
    }
}

impl Found {
    /// What to print instead of figures.
    pub(super) fn absence(&self) -> Option<String> {
        self.version.is_none().then(|| format!("not measured: {}", self.peer.installation()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version("curl 7.88.1 (x86_64) libcurl/7.88.1").as_deref(), Some("7.88.1"));
        assert_eq!(version("rclone v1.60.1-DEV\n- os").as_deref(), Some("1.60.1-DEV"));
        assert_eq!(version("wrk debian/4.1.0-3 [epoll]\nCopyright (C) 2012").as_deref(), Some("4.1.0-3"));
        assert_eq!(version("not found"), None);
    }
}

//! The dev server of a tour: started on free ports with data of its own, ended with the tour.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::cmd::{self, Failure};
use crate::demo::Scratch;

/// Names a server that runs already, in the form in which `longshore dev --json` announces one.
const EXTERNAL: &str = "LONGSHORE_PEERS_SERVER";
/// What a tour knows of its server: one variable for each member of the announcement.
const PREFIX: &str = "LONGSHORE_DEV_";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// In the arguments of a server, the folder that it shares with the tour, and the variable that tells the tour.
const FOLDER: &str = "{folder}";
const FOLDER_VARIABLE: &str = "LONGSHORE_PEER_FOLDER";
/// How much of the journal is shown for a case that failed.
const TAIL: usize = 30;

/// What a server says of itself when it accepts requests: addresses and whatever else clients need.
pub(crate) type Announcement = Map<String, Value>;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) announcement: Announcement,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    child: Child,
    /// The server ends when this is closed, which the system does for us should we be killed.
    stdin: Option<ChildStdin>,
    /// What it says; closed when it has ended.
    said: mpsc::Receiver<String>,
    log: PathBuf,
    /// How far the log has been looked at.
    seen: u64,
    data: Scratch,
}

/// The server that the user names instead of one of ours.
pub(crate) fn external() -> Result<Option<Announcement>, Failure> {
    let Ok(text) = std::env::var(EXTERNAL) else { return Ok(None) };
    match serde_json::from_str(&text) {
        Ok(announcement) => Ok(Some(announcement)),
        Err(error) => Err(Failure::Usage(format!(
            "{EXTERNAL} must be an object of JSON such as {{\"aistore\": \"http://127.0.0.1:8080\"}}: {error}"
        ))),
    }
}

impl Server {
    /// The server that the user named.
    pub(crate) fn running(announcement: Announcement) -> Self {
        Self { announcement, own: None }
    }

    /// Starts `program dev` with `arguments`; its log goes to `base/NAME.log`.
    pub(crate) fn start(
        program: &Path,
        name: &str,
        arguments: &[String],
        base: &Path,
    ) -> Result<Self, Failure> {
        let io = |error| Failure::Failed(format!("preparing the dev server of {name}: {error}"));
        let data = Scratch::new(&base.join("data"), name).map_err(io)?;
        let folder = data.path().join("shared");
        fs::create_dir(&folder).map_err(io)?;
        let arguments = arguments.iter().map(|word| word.replace(FOLDER, &folder.to_string_lossy()));
        let log = base.join(format!("{name}.log"));
        let file = File::create(&log).map_err(io)?;
        let mut command = Command::new(program);
        command.args(["dev", "--json", "--end-with-stdin", "--data"]).arg(data.path().join("data"));
        command.args(arguments);
        cmd::isolate(&mut command);
        command.env("RUST_LOG", "warn,longshore_devserver::journal=debug");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot start `{}`: {error}", cmd::shown(&command))))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, said) = mpsc::channel();
        // Goes on reading, so that the server never blocks; ends with the server.
        std::thread::spawn(move || {
            for line in stdout.map(BufReader::new).into_iter().flat_map(BufRead::lines) {
                let _ = sender.send(line.unwrap_or_default());
            }
        });
        // From here on the server is ended whatever happens.
        let mut own = Own { child, stdin, said, log, seen: 0, data };
        let Ok(line) = own.said.recv_timeout(START_LIMIT) else {
            let (line, told) = (cmd::shown(&command), own.tail());
            return Err(Failure::Failed(format!("`{line}` announced nothing; it said:\n{told}")));
        };
        let announcement = serde_json::from_str(&line).map_err(|error| {
            Failure::Failed(format!("`longshore dev --json` said `{line}`, which is no JSON object: {error}"))
        })?;
        Ok(Self { announcement, own: Some(own) })
    }

    /// The variables that tell a tour of its server: `aistore` becomes `LONGSHORE_DEV_AISTORE`.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, OsString)> {
        let folder =
            self.own.iter().map(|own| (FOLDER_VARIABLE.to_owned(), own.data.path().join("shared").into()));
        let announced = self.announcement.iter().map(|(name, value)| {
            let name = format!("{PREFIX}{}", name.replace('-', "_").to_uppercase());
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name, value.into())
        });
        folder.chain(announced)
    }

    /// The last requests since this was asked before, or what else the server has logged.
    pub(crate) fn journal(&mut self) -> String {
        self.own.as_mut().map(Own::tail).unwrap_or_default()
    }
}

impl Own {
    fn tail(&mut self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.seen))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            Ok(text)
        };
        match read() {
            Ok(text) => {
                self.seen += text.len() as u64;
                last_lines(&String::from_utf8_lossy(&text), TAIL)
            }
            Err(error) => format!("(its log {} cannot be read: {error})", self.log.display()),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Closing its input asks it to end in order.
        drop(self.stdin.take());
        loop {
            match self.said.recv_timeout(STOP_LIMIT) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("warning: a dev server did not end in time and is killed");
                    let _ = self.child.kill();
                    break;
                }
            }
        }
        let _ = self.child.wait();
    }
}

/// The last `count` lines of `text`, and how many were left out.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let left_out = lines.len().saturating_sub(count);
    let mut shown: Vec<_> = lines[left_out..].iter().map(|line| format!("    {line}\n")).collect();
    if left_out > 0 {
        shown.insert(0, format!("    ({left_out} lines before)\n"));
    }
    shown.concat()
}

/// Makes the folder of logs and data.
pub(crate) fn prepare(base: &Path) -> Result<(), Failure> {
    fs::create_dir_all(base).map_err(|error| Failure::Failed(format!("making {}: {error}", base.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_become_variables() {
        let text = r#"{"aistore": "http://127.0.0.1:1", "supabase-keys": {"anon": "x"}}"#;
        let server = Server::running(serde_json::from_str(text).expect("an object"));
        let variables: Vec<_> = server.variables().collect();
        let expected = [
            ("LONGSHORE_DEV_AISTORE", "http://127.0.0.1:1"),
            ("LONGSHORE_DEV_SUPABASE_KEYS", r#"{"anon":"x"}"#),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_owned(), value.into())));
    }

    #[test]
    fn only_the_end_of_a_long_journal_is_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "    (1 lines before)\n    b\n    c\n");
        assert_eq!(last_lines("a\n", 2), "    a\n");
        assert_eq!(last_lines("", 2), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_server_ends_when_its_input_is_closed_and_a_mute_one_is_told() {
        let scratch = Scratch::new(&std::env::temp_dir(), "server").expect("a temporary folder");
        let program = scratch.path().join("fake");
        let script = |body: &str| {
            fs::write(&program, format!("#!/bin/sh\n{body}\n")).expect("file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&program, mode).expect("executable");
        };
        script("echo '{\"aistore\": \"http://127.0.0.1:1\"}'; echo told >&2; cat; echo ended >&2");
        let mut server = Server::start(&program, "fake", &[], scratch.path()).expect("announced");
        assert_eq!(server.announcement["aistore"], "http://127.0.0.1:1");
        while !server.journal().contains("told") {}
        drop(server);
        let log = fs::read_to_string(scratch.path().join("fake.log")).expect("log");
        assert_eq!(log, "told\nended\n");

        script("echo 'no port is free' >&2; exit 1");
        let Err(Failure::Failed(message)) = Server::start(&program, "fake", &[], scratch.path()) else {
            panic!("it started");
        };
        assert!(message.contains("no port is free"), "{message}");
    }
}

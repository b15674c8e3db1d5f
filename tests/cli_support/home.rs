//! A user with nothing but an empty home, who runs the command.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use longshore_devserver::{DevServer, Handle};
use serde_json::Value;
use tempfile::TempDir;

use super::longshore;

/// A server with no data, which ends with its handle.
pub(crate) fn cluster() -> Handle {
    DevServer::builder().start_blocking().expect("the server starts")
}

/// Folders of one user.
pub(crate) struct Home {
    dir: TempDir,
    endpoint: Option<String>,
    variables: Vec<(String, String)>,
}

impl Home {
    /// A user who knows no cluster.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("longshore-cli-").tempdir().expect("temporary folder");
        fs::create_dir(dir.path().join("work")).expect("folder");
        Self { dir, endpoint: None, variables: Vec::new() }
    }

    /// A user of this cluster.
    pub(crate) fn on(cluster: &Handle) -> Self {
        Self { endpoint: Some(cluster.aistore_url().to_owned()), ..Self::new() }
    }

    /// A user of this cluster who has made a bucket.
    pub(crate) fn with_bucket(cluster: &Handle, bucket: &str) -> Self {
        let home = Self::on(cluster);
        home.run(["mb", bucket]).ok();
        home
    }

    /// With a variable in the environment.
    pub(crate) fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.variables.push((variable.to_owned(), value.into()));
        self
    }

    /// Where the commands run.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// A path there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    /// Where the embedded server keeps its data.
    pub(crate) fn dev(&self) -> PathBuf {
        self.dir.path().join("data/longshore/dev")
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        let folder = self.dir.path().join("config/longshore");
        fs::create_dir_all(&folder).expect("folder");
        fs::write(folder.join("config.toml"), text).expect("file");
    }

    /// The command with these arguments; it sees nothing of the environment of the tests.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command_of(longshore(), args)
    }

    fn command_of<S: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.work()).env_clear();
        command.env("HOME", self.dir.path()).env("NO_PROXY", "127.0.0.1");
        // No case may leave loopback, which whoever looks for keys of a cloud would.
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_GCE_CHECK", "true");
        for (variable, folder) in
            [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")]
        {
            command.env(variable, self.dir.path().join(folder));
        }
        if let Some(endpoint) = &self.endpoint {
            command.env("AIS_ENDPOINT", endpoint);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.start(args).wait()
    }

    /// Runs the command to its end as somebody to whom files can be closed. Nothing is closed to root, who gives up being
    /// that, and all folders of the user with it.
    #[cfg(unix)]
    pub(crate) fn run_unprivileged<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        use std::os::unix::process::CommandExt;
        if !rustix::process::geteuid().is_root() {
            return self.run(args);
        }
        // Where it was built may be closed as well.
        let program = self.dir.path().join("longshore");
        if !program.exists() {
            fs::copy(longshore(), &program).expect("a copy of the program");
        }
        give_away(self.dir.path());
        let mut command = self.command_of(&program, args);
        command.uid(NOBODY).gid(NOBODY);
        Running::start(&mut command).wait()
    }

    /// Runs the command to its end, with something to read.
    pub(crate) fn run_with_input<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        let mut running = Running::start(&mut command);
        let mut stdin = running.child.stdin.take().expect("piped");
        // The command may end before it has read everything.
        let _ = stdin.write_all(input);
        drop(stdin);
        running.wait()
    }

    /// Starts the command.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        Running::start(&mut self.command(args))
    }
}

/// Who has nothing on any system.
#[cfg(unix)]
const NOBODY: u32 = 65534;

/// Makes a folder and what is in it somebody else's.
#[cfg(unix)]
fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("root may do that");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("root may do that") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    line: String,
    shown: String,
    err: JoinHandle<Vec<u8>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let mut err = child.stderr.take().expect("piped");
        // Read all along, or a command that says much would wait for its reader.
        let err = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).expect("stderr");
            bytes
        });
        Self { child, line: String::new(), shown, err }
    }

    /// The first line that it prints.
    pub(crate) fn first_line(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().expect("piped");
        let mut byte = [0];
        while !self.line.ends_with('\n') {
            assert_eq!(stdout.read(&mut byte).expect("stdout"), 1, "{} printed no whole line", self.shown);
            self.line.push(char::from(byte[0]));
        }
        self.line.trim_end().to_owned()
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ran {
        let mut out = std::mem::take(&mut self.line).into_bytes();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.read_to_end(&mut out).expect("stdout");
        }
        let status = self.child.wait().expect("an end");
        let err = String::from_utf8(self.err.join().expect("stderr")).expect("UTF-8");
        Ran { code: status.code(), bytes: out, err, shown: self.shown }
    }
}

/// A command that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) err: String,
    shown: String,
}

impl Ran {
    fn describe(&self) -> String {
        format!(
            "{}\nexit: {:?}\nstdout: {}\nstderr: {}",
            self.shown,
            self.code,
            String::from_utf8_lossy(&self.bytes),
            self.err
        )
    }

    /// Standard output as text.
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("UTF-8")
    }

    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.out().lines().map(str::to_owned).collect()
    }

    /// Standard output as NDJSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}\n{}", self.describe()))
        };
        self.out().lines().map(parse).collect()
    }

    /// The last line of standard error as JSON.
    #[track_caller]
    pub(crate) fn json_error(&self) -> Value {
        let last = self.err.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}\n{}", self.describe()))
    }

    /// Insists on success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Insists on an exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.describe());
        self
    }

    /// Insists that standard error holds these words.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in stderr of {}", self.describe());
        }
        self
    }

    /// Insists on an exit code and an error with a hint, each holding these words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, error: &[&str], hint: &str) -> Self {
        let this = self.exits(code);
        let line = |start: &str| {
            let found = this.err.lines().find(|line| line.starts_with(start));
            found.unwrap_or_else(|| panic!("no line `{start}` in {}", this.describe())).to_owned()
        };
        let said = line("error: ");
        for word in error {
            assert!(said.contains(word), "{word:?} is not in the error of {}", this.describe());
        }
        let advice = line("hint: ");
        assert!(advice.contains(hint), "{hint:?} is not in the hint of {}", this.describe());
        this
    }
}

/// The names of what is in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

//! Running other programs: every exit status is checked, every command line can be shown.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Why a task did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line was not understood: exit code 2.
    Usage(String),
    /// A check failed or a program could not be run: exit code 1, with this message.
    Failed(String),
    /// The same, but everything worth saying has been printed already.
    Reported,
}

pub(crate) type Outcome = Result<(), Failure>;

/// Variables that point a client at somebody's real servers. Tests and demonstrations never see them.
const FOREIGN_PREFIXES: [&str; 7] = ["AIS_", "APOLO_", "AWS_", "AZURE_", "GOOGLE_", "NEURO_", "SUPABASE_"];
const FOREIGN: [&str; 4] =
    ["LONGSHORE_PROFILE", "LONGSHORE_LIVE", "SERVICE_ACCOUNT", "STORAGE_EMULATOR_HOST"];

/// A `cargo` command in `root`.
///
/// `cargo run` describes *this* package to us in the environment. Some build scripts ask to run again when
/// one of those variables changes, so passing them on would rebuild their crates at every switch between
/// `cargo xtask` and plain `cargo`.
pub(crate) fn cargo<I, S>(root: &Path, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root).args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_this_package) {
            command.env_remove(name);
        }
    }
    command
}

fn describes_this_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_")
        || matches!(variable, "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_CRATE_NAME")
        || matches!(variable, "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE")
}

/// Keeps `command` on this machine as far as the environment can: no real server is named, and no proxy
/// stands between a client and a loopback address.
pub(crate) fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(points_elsewhere) {
            command.env_remove(name);
        }
    }
    bypass_proxies(command);
}

/// Lets no proxy stand between a client and a loopback address.
pub(crate) fn bypass_proxies(command: &mut Command) {
    for name in ["NO_PROXY", "no_proxy"] {
        let before = std::env::var(name).unwrap_or_default();
        command.env(name, with_loopback(&before));
    }
}

fn points_elsewhere(variable: &str) -> bool {
    FOREIGN_PREFIXES.iter().any(|prefix| variable.starts_with(prefix)) || FOREIGN.contains(&variable)
}

fn with_loopback(no_proxy: &str) -> String {
    let loopback = "localhost,127.0.0.1,::1";
    if no_proxy.is_empty() { loopback.to_owned() } else { format!("{no_proxy},{loopback}") }
}

/// The command line as a person would type it, with the program's file name only.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=,+@%\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs `command` on this terminal and fails unless it ends with status 0.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    check(command, status)
}

/// Runs `command`, returns what it wrote to stdout, and fails unless it ends with status 0. What it writes
/// to stderr is shown as it comes.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let mut text = String::new();
    let status = stream(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    check(command, status).map(|()| text)
}

/// Runs `command`, hands every line of its stdout to `each`, and returns how it ended.
pub(crate) fn stream(command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    let read = child.stdout.take().map_or(Ok(()), |stdout| lines(stdout, &mut each));
    // The pipe is closed by now, so the child cannot block on it, and it is always waited for.
    let status = child.wait().and_then(|status| read.map(|()| status));
    status.map_err(|error| Failure::Failed(format!("reading from `{}`: {error}", shown(command))))
}

/// Like [`stream`], for both outputs in the order in which they are written.
pub(crate) fn stream_both(command: &mut Command, each: impl FnMut(&str)) -> Result<ExitStatus, Failure> {
    let failed = |error| Failure::Failed(format!("making a pipe: {error}"));
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let child = command.spawn();
    // The pipe ends when nobody can write to it any more, and `command` could.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.map_err(|error| cannot_start(command, &error))?;
    let read = lines(reader, each);
    let status = child.wait().and_then(|status| read.map(|()| status));
    status.map_err(|error| Failure::Failed(format!("reading from `{}`: {error}", shown(command))))
}

/// Hands every line of `output` to `each`, whatever its encoding.
pub(crate) fn lines(output: impl Read, mut each: impl FnMut(&str)) -> std::io::Result<()> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
    Ok(())
}

/// Turns an exit status other than 0 into a failure that names the command.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    Err(Failure::Failed(format!("`{}` ended with {status}", shown(command))))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot start `{}`: {error}", command.get_program().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_shown_as_typed() {
        let mut command = Command::new("/somewhere/bin/longshore");
        command.args(["cp", "-r", "my dir", "ais://demo/my-dir/", "it's"]);
        assert_eq!(shown(&command), r"longshore cp -r 'my dir' ais://demo/my-dir/ 'it'\''s'");
    }

    #[test]
    fn variables_that_name_real_servers_are_removed() {
        for name in ["AIS_ENDPOINT", "SUPABASE_URL", "APOLO_PASSED_CONFIG", "LONGSHORE_PROFILE"] {
            assert!(points_elsewhere(name), "{name}");
        }
        for name in ["LONGSHORE_HEAVY", "PATH", "AISLE"] {
            assert!(!points_elsewhere(name), "{name}");
        }
    }

    #[test]
    fn only_this_packages_description_is_kept_from_cargo() {
        assert!(describes_this_package("CARGO_PKG_NAME"));
        assert!(describes_this_package("CARGO_MANIFEST_DIR"));
        for name in ["CARGO_TARGET_DIR", "CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE"] {
            assert!(!describes_this_package(name), "{name}");
        }
    }

    #[test]
    fn proxies_never_stand_before_loopback() {
        assert_eq!(with_loopback(""), "localhost,127.0.0.1,::1");
        assert_eq!(with_loopback("corp.example"), "corp.example,localhost,127.0.0.1,::1");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let Err(Failure::Failed(message)) = capture(&mut Command::new("no-such-program-here")) else {
            panic!("it started");
        };
        assert!(message.contains("no-such-program-here"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn both_outputs_come_in_order() {
        let mut lines = Vec::new();
        let script = "echo a; echo b >&2; echo c";
        let status = stream_both(Command::new("sh").args(["-c", script]), |line| lines.push(line.to_owned()));
        assert!(status.is_ok_and(|status| status.success()));
        assert_eq!(lines, ["a", "b", "c"]);
    }

    #[cfg(unix)]
    #[test]
    fn exit_statuses_are_checked() {
        let sh = |script: &str| capture(Command::new("sh").args(["-c", script]));
        assert_eq!(sh("printf 'a\\nb'").expect("status 0"), "a\nb\n");
        let Err(Failure::Failed(message)) = sh("echo partial; exit 3") else {
            panic!("status 3 was accepted")
        };
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(sh("kill -9 $$").is_err(), "death by a signal was accepted");
    }
}

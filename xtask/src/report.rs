//! Reads what test programs print and adds it up.
//!
//! Both the standard harness and `libtest-mimic` are understood; they differ in how a skipped test gives
//! its reason: `test a ... ignored, reason` and `test a ... ignored (reason)`.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;

use crate::results::Results;

/// A store that lacks a capability skips the cases of that capability with a reason that starts like this.
/// It is the one kind of skip that a required backend may have.
pub(crate) const CAPABILITY_GAP: &str = "unsupported";

/// How many tests ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Tests that really ran.
    fn executed(self) -> u64 {
        self.passed + self.failed
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// A test that did not run, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Everything that was read from the test programs of one class.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) skips: Vec<Skip>,
    /// Counts by the first part of a test's name, which in the conformance suite is the backend.
    pub(crate) backends: BTreeMap<String, Counts>,
    /// Which tests passed and which failed, by the target that holds them.
    pub(crate) results: Results,
    /// The target whose results come next.
    target: String,
    started: u64,
    finished: u64,
    problems: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl Tally {
    /// Reads one line of output.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        if let Some(counts) = result_line(&line) {
            self.finished += 1;
            self.counts.add(counts);
        } else if is_title(&line) {
            self.started += 1;
        } else if let Some(target) = target_line(&line) {
            target.clone_into(&mut self.target);
        } else if let Some((name, end, reason)) = test_line(&line) {
            if end != End::Skipped {
                self.results.insert((self.target.clone(), name.to_owned()), end == End::Passed);
            }
            if let Some(backend) = backend_of(name) {
                let counts = self.backends.entry(backend.to_owned()).or_default();
                match end {
                    End::Passed => counts.passed += 1,
                    End::Failed => counts.failed += 1,
                    End::Skipped => counts.skipped += 1,
                }
            }
            if end == End::Skipped {
                let reason = reason.unwrap_or("no reason given").to_owned();
                self.skips.push(Skip { name: name.to_owned(), reason });
            }
        }
    }

    /// Counts what went wrong without any test saying so: a build error, a crash, nothing to run.
    pub(crate) fn close(&mut self, status: ExitStatus) {
        self.check(status);
        self.require_some();
    }

    /// A failure if the programs did not end well and no test has said so.
    pub(crate) fn check(&mut self, status: ExitStatus) {
        if !status.success() {
            let crashed = self.started.saturating_sub(self.finished);
            if crashed > 0 {
                self.problem(
                    crashed,
                    format!("test programs that ended without a result: {crashed} ({status})"),
                );
            } else if self.counts.failed == 0 {
                self.problem(1, format!("no test failed, but the command did ({status}): see above"));
            }
        }
    }

    /// A failure unless some test ran.
    pub(crate) fn require_some(&mut self) {
        if self.counts.executed() == 0 && self.counts.failed == 0 {
            self.problem(1, "no test ran, and that is a failure".to_owned());
        }
    }

    /// Says whose results come next, where no output says so.
    pub(crate) fn set_target(&mut self, target: &str) {
        target.clone_into(&mut self.target);
    }

    /// Adds what another program of the same class has given.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.counts.add(other.counts);
        self.skips.extend(other.skips);
        for (name, counts) in other.backends {
            self.backends.entry(name).or_default().add(counts);
        }
        self.results.extend(other.results);
        self.started += other.started;
        self.finished += other.finished;
        self.problems.extend(other.problems);
    }

    /// A failure unless cases of `backend` ran and none was left out for want of the backend itself.
    pub(crate) fn require(&mut self, backend: &str) {
        if self.backends.get(backend).is_none_or(|counts| counts.executed() == 0) {
            self.problem(1, format!("`{backend}` is required, but none of its cases ran"));
        }
        let skipped = self.skips.iter().filter(|skip| backend_of(&skip.name) == Some(backend));
        let skipped = skipped.filter(|skip| !skip.reason.starts_with(CAPABILITY_GAP));
        let lines: Vec<_> = skipped.map(|skip| (skip.name.clone(), skip.reason.clone())).collect();
        for (name, reason) in lines {
            self.problem(1, format!("`{backend}` is required, but {name} was skipped: {reason}"));
        }
    }

    /// Adds `count` failures that no test program has counted.
    pub(crate) fn problem(&mut self, count: u64, message: String) {
        self.counts.failed += count;
        self.problems.push(message);
    }

    /// The closing lines of a class; the last one is `NAME: N passed, N failed, N skipped`.
    pub(crate) fn closing(&self, class: &str, with_backends: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if with_backends {
            lines.extend(self.backends.iter().map(|(name, counts)| format!("  {name}: {counts}")));
        }
        lines.extend(self.skips.iter().map(|skip| format!("  skipped {}: {}", skip.name, skip.reason)));
        lines.extend(self.problems.iter().map(|problem| format!("  failure: {problem}")));
        lines.push(format!("{class}: {}", self.counts));
        lines
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
fn result_line(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let numbers = rest.strip_prefix("ok. ").or_else(|| rest.strip_prefix("FAILED. "))?;
    let mut fields = numbers.split("; ");
    let mut next = |what: &str| fields.next()?.strip_suffix(what)?.trim().parse().ok();
    Some(Counts { passed: next(" passed")?, failed: next(" failed")?, skipped: next(" ignored")? })
}

/// The target that cargo is about to run, by the name of its program: `     Running tests/cli.rs
/// (target/debug/deps/cli-0123456789abcdef)`, `   Doc-tests longshore_aistore`.
fn target_line(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(name);
    }
    let program = line.strip_prefix("Running ")?.split_once(" (")?.1.strip_suffix(')')?;
    let file = program.rsplit(['/', '\\']).next()?;
    file.strip_suffix(".exe").unwrap_or(file).rsplit_once('-').map(|(name, _)| name)
}

/// `running 3 tests`
fn is_title(line: &str) -> bool {
    let number = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test"));
    number.is_some_and(|(count, tail)| count.parse::<u64>().is_ok() && matches!(tail, "" | "s"))
}

/// Whether a line is the result of one test, and if so, whether that test failed.
pub(crate) fn test_failed(line: &str) -> Option<bool> {
    test_line(&without_colours(line)).map(|(_, end, _)| end == End::Failed)
}

/// `test NAME ... ok`, with the reason of a skip.
fn test_line(line: &str) -> Option<(&str, End, Option<&str>)> {
    let (name, end) = line.strip_prefix("test ")?.split_once(" ... ")?;
    // `libtest-mimic` pads on the left too, when only some of the tests have a kind.
    let name = name.trim();
    if let Some(tail) = end.strip_prefix("ignored") {
        let reason = tail.strip_prefix(", ").or_else(|| tail.strip_prefix(" (")?.strip_suffix(')'));
        return (tail.is_empty() || reason.is_some()).then_some((name, End::Skipped, reason));
    }
    match end.split(' ').next() {
        Some("ok") => Some((name, End::Passed, None)),
        Some("FAILED") => Some((name, End::Failed, None)),
        _ => None,
    }
}

/// The backend that a case belongs to: its kind (`[aistore] name`) or the first part of its path
/// (`aistore::name`).
fn backend_of(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_prefix('[') {
        return rest.split_once(']').map(|(kind, _)| kind);
    }
    name.split_once("::").or_else(|| name.split_once('/')).map(|(first, _)| first)
}

/// The line without terminal colours, which `libtest-mimic` writes when a user forces them.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBTEST: &str = "
running 4 tests
test key::tests::refuses_nul ... ok
test key::tests::slow ... ignored, needs 4 GiB
test key::tests::unexplained ... ignored
test key::tests::broken - should panic ... FAILED

failures:
    key::tests::broken

test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    const MIMIC: &str = "
running 4 tests
test            aistore::put_get     ... ok
test            aistore::create_only ... ignored (unsupported: create_only)
test            memory::put_get      ... ok
test [supabase] put_get              ... \u{1b}[33mignored (no server)\u{1b}[0m

test result: ok. 2 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[cfg(unix)]
    fn status(code: i32) -> ExitStatus {
        std::os::unix::process::ExitStatusExt::from_raw(code << 8)
    }

    #[cfg(windows)]
    fn status(code: i32) -> ExitStatus {
        std::os::windows::process::ExitStatusExt::from_raw(code.unsigned_abs())
    }

    #[test]
    fn several_programs_add_up() {
        let both = tally(&format!("{LIBTEST}{MIMIC}"));
        assert_eq!(both.counts, Counts { passed: 3, failed: 1, skipped: 4 });
        let reasons: Vec<_> = both.skips.iter().map(|s| s.reason.as_str()).collect();
        assert_eq!(reasons, ["needs 4 GiB", "no reason given", "unsupported: create_only", "no server"]);
    }

    #[test]
    fn closing_lines_end_with_the_counts() {
        let mut read = tally(MIMIC);
        read.close(status(0));
        let lines = read.closing("conformance", true);
        assert_eq!(lines[0], "  aistore: 1 passed, 0 failed, 1 skipped");
        assert!(lines.contains(&"  skipped [supabase] put_get: no server".to_owned()), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("conformance: 2 passed, 0 failed, 2 skipped"));
    }

    #[test]
    fn nothing_run_is_a_failure() {
        for output in ["", "test a ... ignored\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured"] {
            let mut read = tally(output);
            read.close(status(0));
            assert_eq!(read.counts.failed, 1, "{output}");
        }
    }

    #[test]
    fn a_crash_or_build_error_is_a_failure_even_if_every_result_is_good() {
        let mut crashed =
            tally("running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\nrunning 3 tests");
        crashed.close(status(101));
        assert_eq!(crashed.counts, Counts { passed: 1, failed: 1, skipped: 0 });

        let mut unbuilt = tally("");
        unbuilt.close(status(101));
        assert_eq!(unbuilt.counts, Counts { passed: 0, failed: 1, skipped: 0 });

        let mut counted = tally(LIBTEST);
        counted.close(status(101));
        assert_eq!(counted.counts.failed, 1, "a failed test is counted once");
    }

    #[test]
    fn a_required_backend_must_run_and_may_only_lack_capabilities() {
        let failures = |backend: &str| {
            let mut read = tally(MIMIC);
            read.require(backend);
            read.counts.failed
        };
        assert_eq!(failures("aistore"), 0);
        assert_eq!(failures("memory"), 0);
        assert_eq!(failures("supabase"), 2, "it never ran, and one case was skipped");
        assert_eq!(failures("apolo"), 1);
    }

    #[test]
    fn ordinary_output_is_not_taken_for_results() {
        let noise =
            "test result: pending\nrunning 3 testers\ntest of a sentence ... and more\nrunning late tests";
        let read = tally(noise);
        assert_eq!((read.counts, read.started, read.skips.len()), (Counts::default(), 0, 0));
    }

    #[test]
    fn tallies_of_several_programs_are_joined() {
        let mut all = tally(LIBTEST);
        all.absorb(tally(MIMIC));
        assert_eq!(all.counts, Counts { passed: 3, failed: 1, skipped: 4 });
        assert_eq!((all.skips.len(), all.started, all.finished), (4, 2, 2));
        assert_eq!(all.backends["aistore"], Counts { passed: 1, failed: 0, skipped: 1 });
    }

    #[test]
    fn results_are_kept_by_target() {
        let read = tally(
            "     Running unittests src/lib.rs (target/debug/deps/longshore_aistore-0f3c)\n\
             test a::b ... ok\n\u{1b}[1m     Running\u{1b}[0m tests/cli.rs (C:\\t\\cli-77.exe)\n\
             test [x] y ... FAILED\ntest z ... ignored\n   Doc-tests longshore\ntest c ... ok",
        );
        let results: Vec<_> = read.results.iter().map(|((a, b), passed)| (&**a, &**b, *passed)).collect();
        let expected =
            [("cli", "[x] y", false), ("longshore", "c", true), ("longshore_aistore", "a::b", true)];
        assert_eq!(results, expected);
    }

    #[test]
    fn results_of_single_tests_are_told_apart() {
        assert_eq!(test_failed("test a::b ... FAILED"), Some(true));
        assert_eq!(test_failed("test a::b ... ok"), Some(false));
        assert_eq!(test_failed("running 3 tests"), None);
    }

    #[test]
    fn documentation_tests_are_understood() {
        let read = tally(
            "test crates/a/src/lib.rs - open (line 12) - compile ... ok\ntest b.rs - x (line 3) ... ignored",
        );
        assert_eq!(read.skips, [Skip { name: "b.rs - x (line 3)".into(), reason: "no reason given".into() }]);
    }
}

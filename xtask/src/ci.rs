//! `cargo xtask ci`: the steps of `.ci/run`, in the same order.

use std::time::{Duration, Instant};

use crate::cmd::{Failure, Outcome};
use crate::workspace::Workspace;
use crate::{dag, lint, parity, peers, test, tree};

type Task = fn(&Workspace, &[String]) -> Outcome;

/// Each step as it is written in `.ci/run`, by the words after the command.
const STEPS: [(&str, Task, &[&str]); 7] = [
    ("lint", lint::run, &[]),
    ("dag", dag::run, &[]),
    ("tree", tree::run, &[]),
    ("test", test::run, &[]),
    ("parity", parity::run, &["--check"]),
    ("setup", peers::setup, &["peers"]),
    ("test", test::run, &["peers", "--require", "all"]),
];

/// Runs every step, stops at the first that fails, and prints how long each took.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let fast = match args {
        [] => false,
        [arg] if arg == "--fast" => true,
        _ => return Err(Failure::Usage("`ci` takes no argument but `--fast`".to_owned())),
    };
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, task, words) in STEPS {
        let Some(arguments) = arguments(name, words, fast) else { continue };
        let name = [&[name], words].concat().join(" ");
        println!("\n=== ci: {name} ===");
        let start = Instant::now();
        outcome = task(workspace, &arguments);
        times.push((name, start.elapsed(), outcome.is_ok()));
        if outcome.is_err() {
            break;
        }
    }
    println!();
    for (name, time, ok) in times {
        println!("ci: {name}: {} in {}", if ok { "ok" } else { "FAILED" }, seconds(time));
    }
    outcome
}

/// What a step is started with; `None` if it is left out of the short form.
fn arguments(step: &str, words: &[&str], fast: bool) -> Option<Vec<String>> {
    let words = match (step, words) {
        ("test", []) if fast => &["unit", "wire"],
        (_, ["peers" | "--check", ..]) if fast => return None,
        _ => words,
    };
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_has_the_same_steps_in_the_same_order() {
        let script = include_str!("../../.ci/run");
        let steps = script.lines().filter_map(|line| line.strip_prefix("step cargo xtask "));
        let own = STEPS.map(|(name, _, words)| [&[name], words].concat().join(" "));
        assert_eq!(steps.collect::<Vec<_>>(), own);
    }

    #[test]
    fn fast_shortens_the_tests_and_leaves_parity_and_peers_out() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(arguments("test", &[], true), words(&["unit", "wire"]));
        assert_eq!(arguments("test", &[], false), words(&[]));
        assert_eq!(arguments("lint", &[], true), words(&[]));
        assert_eq!(arguments("test", &["peers"], true), None);
        assert_eq!(arguments("parity", &["--check"], true), None);
        assert_eq!(arguments("setup", &["peers"], false), words(&["peers"]));
    }
}

//! `cargo xtask ci`: the steps of `.ci/run`, in the same order.

use std::time::{Duration, Instant};

use crate::cmd::{Failure, Outcome};
use crate::workspace::Workspace;
use crate::{dag, lint, test, tree};

type Task = fn(&Workspace, &[String]) -> Outcome;

const STEPS: [(&str, Task); 4] =
    [("lint", lint::run), ("dag", dag::run), ("tree", tree::run), ("test", test::run)];

/// Runs every step, stops at the first that fails, and prints how long each took.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let fast = match args {
        [] => false,
        [arg] if arg == "--fast" => true,
        _ => return Err(Failure::Usage("`ci` takes no argument but `--fast`".to_owned())),
    };
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for (name, task) in STEPS {
        println!("\n=== ci: {name} ===");
        let start = Instant::now();
        outcome = task(workspace, &arguments(name, fast));
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

fn arguments(step: &str, fast: bool) -> Vec<String> {
    let classes: &[&str] = if fast && step == "test" { &["unit", "wire"] } else { &[] };
    classes.iter().map(|class| (*class).to_owned()).collect()
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
        assert_eq!(steps.collect::<Vec<_>>(), STEPS.map(|(name, _)| name));
    }

    #[test]
    fn fast_shortens_the_tests_only() {
        assert_eq!(arguments("test", true), ["unit", "wire"]);
        assert_eq!(arguments("test", false), [""; 0]);
        assert_eq!(arguments("lint", true), [""; 0]);
    }
}

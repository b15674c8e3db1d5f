//! Interleaved runs of several contenders, with the disturbed ones repeated.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::process::{FarEnd, Invocation, Sample, busy_seconds, run};
use crate::app::{Failure, at};
use crate::content;

/// How often a disturbed run is repeated before the least disturbed one has to do.
const ATTEMPTS: u32 = 3;
/// One look at how busy the machine is.
const LOOK: Duration = Duration::from_millis(300);

/// Rules of a whole invocation.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) rounds: u32,
    /// A run is disturbed if other processes used more than this share of a core.
    pub(super) most_others: f64,
    /// How long to wait for a quiet moment before each run.
    pub(super) patience: Duration,
    /// After this moment no run is repeated, and no further round begins.
    pub(super) deadline: Instant,
}

/// Somebody to measure.
#[derive(Clone, Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) invocation: Invocation,
    pub(super) check: Check,
    /// Somebody else's program: that it fails is reported, and no more.
    pub(super) peer: bool,
}

/// What must be there after a run, or it does not count.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// The file holds the same bytes as the other. It is deleted before and after.
    SameFile(PathBuf, PathBuf),
    /// The directory holds the same small objects as the other. It is emptied before and removed after.
    SameSmall { dir: PathBuf, like: PathBuf, count: u64, name: fn(u64) -> String },
    /// The server received so many bytes.
    Received(u64),
    /// The server sent at least so many bytes.
    Sent(u64),
    /// The server answered at least so many requests.
    Requests(u64),
    /// A program of ours knows how to empty the place, before and after, and what must be there.
    Asked { clean: Invocation, verify: Invocation },
}

/// All runs of one contender.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Runs {
    /// Those that count.
    pub(super) samples: Vec<Sample>,
    /// Runs that were repeated because others disturbed them.
    pub(super) rejected: u32,
    /// How many of the samples were disturbed as well, but the least of several.
    pub(super) disturbed: u32,
    /// Why there are none.
    pub(super) failed: Option<String>,
    /// They are of somebody else's program.
    pub(super) peer: bool,
}

/// Runs every contender once in each round, so that slow changes of the machine meet all of them.
pub(super) fn interleaved(
    contenders: &[Contender],
    server: &dyn FarEnd,
    scratch: &Path,
    rules: &Rules,
) -> Vec<Runs> {
    let mut all: Vec<Runs> =
        contenders.iter().map(|contender| Runs { peer: contender.peer, ..Runs::default() }).collect();
    for round in 1..=rules.rounds {
        for (contender, runs) in contenders.iter().zip(&mut all) {
            if runs.failed.is_some() || (round > 1 && Instant::now() > rules.deadline) {
                continue;
            }
            if let Err(error) = once(contender, server, scratch, rules, runs) {
                eprintln!("  {round}/{} {}: {error}", rules.rounds, contender.name);
                runs.failed = Some(error.to_string());
                runs.samples.clear();
                continue;
            }
            if let Some(sample) = runs.samples.last() {
                eprintln!(
                    "  {round}/{} {}: {:.2} s, CPU {:.2} + {:.2} s, others {:.0} %",
                    rules.rounds,
                    contender.name,
                    sample.client.wall,
                    sample.client_cpu(),
                    sample.server_cpu(),
                    sample.others * 100.0
                );
            }
        }
    }
    all
}

/// One run that counts, and the rejected ones before it.
fn once(
    contender: &Contender,
    server: &dyn FarEnd,
    scratch: &Path,
    rules: &Rules,
    runs: &mut Runs,
) -> Result<(), Failure> {
    let mut best: Option<Sample> = None;
    for _ in 0..ATTEMPTS {
        wait_until_quiet(rules)?;
        contender.check.clean()?;
        let sample = run(&contender.invocation, server, scratch)?;
        contender.check.verify(&sample)?;
        contender.check.clean()?;
        if best.is_some() {
            runs.rejected += 1;
        }
        if best.is_none_or(|best| sample.others < best.others) {
            best = Some(sample);
        }
        if sample.others <= rules.most_others || Instant::now() > rules.deadline {
            break;
        }
    }
    if let Some(best) = best {
        runs.disturbed += u32::from(best.others > rules.most_others);
        runs.samples.push(best);
    }
    Ok(())
}

fn wait_until_quiet(rules: &Rules) -> Result<(), Failure> {
    let until = (Instant::now() + rules.patience).min(rules.deadline);
    loop {
        let (started, before) = (Instant::now(), busy_seconds()?);
        #[expect(clippy::disallowed_methods, reason = "the runner is a plain program without a runtime")]
        std::thread::sleep(LOOK);
        let share = (busy_seconds()? - before) / started.elapsed().as_secs_f64();
        if share <= rules.most_others || Instant::now() > until {
            return Ok(());
        }
    }
}

impl Check {
    /// Removes what an earlier run left: a stale file would make a failed run look right.
    fn clean(&self) -> Result<(), Failure> {
        match self {
            Self::SameFile(file, _) => match std::fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(file)(error)),
                _ => Ok(()),
            },
            Self::SameSmall { dir, .. } => {
                if dir.exists() {
                    std::fs::remove_dir_all(dir).map_err(at(dir))?;
                }
                std::fs::create_dir_all(dir).map_err(at(dir))
            }
            Self::Received(_) | Self::Sent(_) | Self::Requests(_) => Ok(()),
            Self::Asked { clean, .. } => clean.check(),
        }
    }

    fn verify(&self, sample: &Sample) -> Result<(), Failure> {
        if sample.server.refused > 0 {
            return Err(format!("the server refused {} of its requests", sample.server.refused).into());
        }
        let counted = |what: &str, seen: u64, expected: u64| {
            if seen >= expected {
                Ok(())
            } else {
                Err(format!("the server {what} {seen} bytes instead of {expected}").into())
            }
        };
        match self {
            Self::SameFile(file, like) => same(file, like),
            Self::SameSmall { dir, like, count, name } => {
                (0..*count).map(name).try_for_each(|name| same(&dir.join(&name), &like.join(&name)))
            }
            Self::Received(bytes) => counted("received", sample.server.received, *bytes),
            Self::Sent(bytes) => counted("sent", sample.server.sent, *bytes),
            Self::Requests(count) if sample.server.requests < *count => {
                Err(format!("the server answered {} requests instead of {count}", sample.server.requests)
                    .into())
            }
            Self::Requests(_) => Ok(()),
            Self::Asked { verify, .. } => verify.check(),
        }
    }
}

fn same(file: &Path, like: &Path) -> Result<(), Failure> {
    match content::difference(file, like).map_err(at(file))? {
        None => Ok(()),
        Some(difference) => Err(difference.into()),
    }
}

impl Runs {
    /// The least value of a figure.
    pub(super) fn least(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.samples.iter().map(figure).min_by(f64::total_cmp)
    }

    /// The largest value of a figure.
    pub(super) fn most(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.samples.iter().map(figure).max_by(f64::total_cmp)
    }

    /// The value in the middle; of an even number, the mean of the two in the middle.
    pub(super) fn median(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        let mut values: Vec<_> = self.samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            n if n % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Cost;
    use crate::server::Stats;

    fn sample(wall: f64) -> Sample {
        let client = Cost { wall, user: 0.0, system: 0.0, minor_faults: 0, peak_rss_kib: 0 };
        Sample { client, server: Stats::default(), others: 0.0, budget_in_use: None }
    }

    #[test]
    fn least_and_median() {
        let wall = |sample: &Sample| sample.client.wall;
        let mut runs = Runs { samples: [3.0, 1.0, 2.0].map(sample).into(), ..Runs::default() };
        assert_eq!((runs.least(wall), runs.median(wall), runs.most(wall)), (Some(1.0), Some(2.0), Some(3.0)));
        runs.samples.push(sample(4.0));
        assert_eq!(runs.median(wall), Some(2.5));
        assert_eq!(Runs::default().median(wall), None);
    }

    #[test]
    fn a_run_that_was_refused_or_incomplete_does_not_count() {
        let mut run = sample(1.0);
        run.server.received = 10;
        assert!(Check::Received(10).verify(&run).is_ok());
        assert!(Check::Received(11).verify(&run).unwrap_err().to_string().contains("10 bytes instead of 11"));
        run.server.refused = 1;
        assert!(Check::Received(10).verify(&run).is_err());
    }

    #[test]
    fn a_stale_output_is_removed_before_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let (file, like) = (dir.path().join("file"), dir.path().join("like"));
        content::create(&file, 1, 100).unwrap();
        content::create(&like, 1, 100).unwrap();
        let check = Check::SameFile(file, like);
        assert!(check.verify(&sample(1.0)).is_ok());
        check.clean().unwrap();
        assert!(check.verify(&sample(1.0)).is_err());
        check.clean().unwrap();
    }
}

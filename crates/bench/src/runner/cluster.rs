//! A real cluster as the far end.

use std::path::Path;

use super::process::{FarEnd, Invocation, ticks_per_second};
use crate::app::{Failure, at};
use crate::server::Stats;

/// An AIStore cluster whose processes run on this machine.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// Its gateway.
    pub(super) endpoint: String,
    /// Name of its processes.
    pub(super) process: String,
}

impl Cluster {
    /// Our program that works on a bucket, up to the action.
    pub(super) fn own(&self, bucket: &str) -> Result<Invocation, Failure> {
        let call = Invocation::own()?.words("cluster --endpoint").arg(&self.endpoint);
        Ok(call.arg("--bucket").arg(bucket))
    }
}

/// A cluster says nothing about itself that would be comparable, so only the CPU time of its processes counts.
impl FarEnd for Cluster {
    fn stats(&self) -> Result<Stats, Failure> {
        let mut stats = Stats::default();
        let mut processes = 0;
        let root = Path::new("/proc");
        for entry in std::fs::read_dir(root).map_err(at(root))? {
            // A process that ends meanwhile cannot be read any more; it is none of the cluster's, which stays.
            let Ok(text) = std::fs::read_to_string(entry?.path().join("stat")) else { continue };
            if let Some((user, system)) = ticks_of(&text, &self.process) {
                processes += 1;
                stats.user += user / ticks_per_second();
                stats.system += system / ticks_per_second();
            }
        }
        if processes == 0 {
            return Err(format!(
                "no process here has the name {:?}; is the cluster elsewhere?",
                self.process
            )
            .into());
        }
        Ok(stats)
    }
}

/// User and system time in a process's line of statistics, if that process has this name.
fn ticks_of(stat: &str, name: &str) -> Option<(f64, f64)> {
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, found) = head.split_once('(')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    (found == name).then_some((user, system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 110 220 13 14";
        assert_eq!(ticks_of(stat, "a) b (c)"), Some((110.0, 220.0)));
        assert_eq!(ticks_of(stat, "a"), None);
        assert_eq!(ticks_of("7 (a) S", "a"), None);
        let cluster = |process: &str| Cluster { endpoint: String::new(), process: process.to_owned() };
        assert!(cluster("no process has such a name").stats().is_err());
    }
}

//! How the transfer of a tree ended.

use crate::error::TransferError;

/// So many failures are kept in a report; all of them are counted and reported as events.
pub(crate) const KEPT_FAILURES: usize = 1000;

/// What to do when an item of a tree fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Go on with the others.
    #[default]
    Continue,
    /// Start nothing more; what runs may end.
    Stop,
}

/// What became of the items of a tree: each one succeeded, was skipped, or failed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BatchReport {
    /// Items that arrived.
    pub succeeded: u64,
    /// Items that were left out on purpose.
    pub skipped: u64,
    /// Items that did not arrive.
    pub failed: u64,
    /// Bytes of the items that arrived.
    pub bytes: u64,
    /// The first 1,000 failures. Every one is told as
    /// [`TransferEvent::ItemFailed`](crate::TransferEvent::ItemFailed).
    pub failures: Vec<TransferError>,
    /// Why the items are not all: a listing or walk that broke off, a listing that may lack objects, a stop from
    /// outside, or the first failure under [`FailurePolicy::Stop`]. Items that were never reached are counted nowhere.
    pub stopped: Option<TransferError>,
}

impl BatchReport {
    /// Whether everything arrived.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.stopped.is_none()
    }

    /// Items that were reached.
    pub fn total(&self) -> u64 {
        self.succeeded + self.skipped + self.failed
    }

    pub(crate) fn succeed(&mut self, bytes: u64) {
        self.succeeded += 1;
        self.bytes += bytes;
    }

    pub(crate) fn fail(&mut self, error: TransferError) {
        self.failed += 1;
        if self.failures.len() < KEPT_FAILURES {
            self.failures.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::{Error, ErrorKind};

    use super::*;

    #[test]
    fn failures_are_counted_beyond_those_kept() {
        let mut report = BatchReport::default();
        for _ in 0..KEPT_FAILURES + 5 {
            report.fail(Error::new(ErrorKind::Other, "").into());
        }
        report.succeed(7);
        assert_eq!((report.failed, report.failures.len()), (KEPT_FAILURES as u64 + 5, KEPT_FAILURES));
        assert_eq!((report.total(), report.bytes), (KEPT_FAILURES as u64 + 6, 7));
        assert!(!report.is_success());
    }
}

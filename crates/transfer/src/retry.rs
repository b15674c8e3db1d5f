//! When to try again, and after how long.

use std::time::Duration;

use longshore_core_types::{Error, ErrorKind, Idempotency, Retryability};

/// How often and how patiently a transfer repeats what the store's own retries did not cure.
///
/// A store retries requests; what comes here is a body that broke off in the middle, or an error that is left
/// after the store has given up. A store that says so ([`Retryability::Exhausted`]) is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often one part is tried without any progress. Default 5.
    pub attempts: u32,
    /// Longest wait before the second try; doubles with each further one. The wait is a random share of it.
    /// Default 50 ms.
    pub initial: Duration,
    /// Longest wait. Default 10 s.
    pub max: Duration,
    /// How often a whole object is begun anew: because it was replaced meanwhile, because its checksum is wrong
    /// (once), or because the outcome of a part that must not be sent twice is unknown. Default 3.
    pub restarts: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 5, initial: Duration::from_millis(50), max: Duration::from_secs(10), restarts: 3 }
    }
}

impl RetryPolicy {
    /// Sets how often one part is tried without progress; at least once.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the shortest and the longest upper bound of the waits.
    #[must_use]
    pub fn with_backoff(mut self, initial: Duration, max: Duration) -> Self {
        (self.initial, self.max) = (initial, max);
        self
    }

    /// Sets how often a whole object is begun anew.
    #[must_use]
    pub fn with_restarts(mut self, restarts: u32) -> Self {
        self.restarts = restarts;
        self
    }

    /// How long to wait before the next try after `failed` failures in a row.
    pub(crate) fn wait(&self, failed: u32, error: &Error) -> Duration {
        let doubled = self.initial.saturating_mul(1 << failed.saturating_sub(1).min(20));
        let jittered = doubled.min(self.max).mul_f64(fastrand::f64());
        error.retry_after().map_or(jittered, |asked| asked.max(jittered))
    }
}

/// Counts the failures of one part.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(policy: &'a RetryPolicy) -> Self {
        Self { policy, failed: 0 }
    }

    /// Counts on from so many failures.
    pub(crate) fn continued(policy: &'a RetryPolicy, failed: u32) -> Self {
        Self { policy, failed }
    }

    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// How long to wait before the next try of something that may be repeated; the error itself if there is none.
    pub(crate) fn next(&mut self, error: Error) -> Result<(u32, Duration, Error), Error> {
        self.failed += 1;
        let worth = error.retryability().allows(Idempotency::Idempotent);
        if !worth || self.failed >= self.policy.attempts {
            let attempts = error.attempts().max(self.failed);
            return Err(error.with_attempts(attempts));
        }
        let wait = self.policy.wait(self.failed, &error);
        Ok((self.failed, wait, error))
    }
}

/// Whether the outcome of the request that failed so is unknown: the server may or may not have done it.
pub(crate) fn outcome_unknown(error: &Error) -> bool {
    error.retryability() != Retryability::Always
        && matches!(
            error.kind(),
            ErrorKind::Timeout
                | ErrorKind::Transport
                | ErrorKind::Unavailable
                | ErrorKind::Conflict
                | ErrorKind::Busy
                | ErrorKind::ChecksumMismatch
                | ErrorKind::Protocol
                | ErrorKind::Other
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_most_and_obey_the_server() {
        let policy = RetryPolicy::default();
        let error = Error::new(ErrorKind::Transport, "");
        for failed in 1..100 {
            let most = Duration::from_millis(50).saturating_mul(1 << (failed - 1).min(20)).min(policy.max);
            assert!(policy.wait(failed, &error) <= most);
        }
        let asked = Error::new(ErrorKind::RateLimited, "").with_retry_after(Duration::from_secs(60));
        assert_eq!(policy.wait(1, &asked), Duration::from_secs(60));
    }

    #[test]
    fn gives_up_on_what_fails_again() {
        let policy = RetryPolicy::default().with_attempts(3);
        let mut attempts = Attempts::new(&policy);
        assert!(attempts.next(Error::new(ErrorKind::NotFound, "")).is_err());
        let mut attempts = Attempts::new(&policy);
        let broken = || Error::new(ErrorKind::Transport, "");
        assert!(attempts.next(broken()).is_ok());
        assert!(attempts.next(broken()).is_ok());
        assert_eq!(attempts.next(broken()).unwrap_err().attempts(), 3);
        let mut attempts = Attempts::continued(&policy, 0);
        let exhausted = broken().with_retryability(Retryability::Exhausted);
        assert!(attempts.next(exhausted).is_err());
        assert!(attempts.next(broken()).is_ok());
    }
}

//! How long each step may take.

use std::time::Duration;

/// Limits of time. `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutConfig {
    /// From the first try to reach the server to a usable connection, TLS included. 5 s.
    pub connect: Option<Duration>,
    /// From the end of the request to the head of its answer. 30 s. Waiting for a free connection or
    /// sending a body does not count.
    pub head: Option<Duration>,
    /// Between two steps of a body, in either direction. 30 s. A body that keeps flowing may take days.
    pub idle: Option<Duration>,
    /// The whole call: retries, waits between them, and the answer's body. No limit.
    pub total: Option<Duration>,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Some(Duration::from_secs(5)),
            head: Some(Duration::from_secs(30)),
            idle: Some(Duration::from_secs(30)),
            total: None,
        }
    }
}

impl TimeoutConfig {
    /// No limit anywhere.
    pub const NONE: Self = Self { connect: None, head: None, idle: None, total: None };

    /// Sets the limit of connecting; a `Duration` or `None`.
    #[must_use]
    pub fn connect(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect = limit.into();
        self
    }

    /// Sets the limit of waiting for the answer's head.
    #[must_use]
    pub fn head(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.head = limit.into();
        self
    }

    /// Waits at least so long for the answer's head; without a limit, or with a longer one, as before. For a single call
    /// that the server works on before it answers.
    #[must_use]
    pub fn head_at_least(mut self, patience: Duration) -> Self {
        self.head = self.head.map(|limit| limit.max(patience));
        self
    }

    /// Sets the limit of a standstill inside a body.
    #[must_use]
    pub fn idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// Sets the limit of the whole call.
    #[must_use]
    pub fn total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = limit.into();
        self
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let limits =
            [("connect", self.connect), ("head", self.head), ("idle", self.idle), ("total", self.total)];
        let zero = limits.into_iter().filter(|(_, limit)| *limit == Some(Duration::ZERO));
        zero.map(|(name, _)| format!("the {name} time-out is 0; leave it out for no limit")).collect()
    }
}

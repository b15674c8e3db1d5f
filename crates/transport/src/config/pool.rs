//! How many connections to keep, and for how long.

use std::time::Duration;

/// Limits of the connection pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Most connections to one server at one time, used and idle. 128. Further requests wait in line,
    /// first come, first served.
    pub max_per_host: usize,
    /// How long an unused connection is kept. 5 s.
    ///
    /// Shorter than what servers grant, or a request meets a connection that the server is closing:
    /// AIStore's own client takes 6 s.
    pub idle: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_per_host: 128, idle: Duration::from_secs(5) }
    }
}

impl PoolConfig {
    /// Sets the most connections to one server at one time.
    #[must_use]
    pub fn max_per_host(mut self, limit: usize) -> Self {
        self.max_per_host = limit;
        self
    }

    /// Sets how long an unused connection is kept; zero keeps none.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    pub(super) fn faults(&self) -> Option<String> {
        (self.max_per_host == 0)
            .then(|| "pool.max_per_host is 0, so no request could ever be sent".to_owned())
    }
}

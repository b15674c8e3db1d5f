//! When a request is sent again.

use std::time::Duration;

/// Limits and waits of the retry layer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How often a request is sent at most, the first time included. 5; 1 turns retry off.
    pub max_attempts: u32,
    /// Longest wait before the second attempt. 50 ms.
    pub initial: Duration,
    /// Longest wait between two attempts. 10 s.
    pub max: Duration,
    /// By how much the longest wait grows with each attempt. 2.
    pub multiplier: f64,
    /// How much of the longest wait is waited.
    pub jitter: Jitter,
    /// Limit of the retries of all requests to one endpoint together; `None` for no limit.
    pub budget: Option<BudgetConfig>,
    /// Whether to wait as long as the server asks in `Retry-After`.
    pub honor_retry_after: bool,
    /// Longest wait that a server may ask for. 60 s. If it asks for more, its answer is final.
    pub retry_after_cap: Duration,
    /// How often a request is sent again after the server closed the connection without a status line. 1.
    ///
    /// A server may close because it does not like the request, and would close again.
    pub after_close: u32,
    /// No attempt starts later than this after the first. No limit.
    pub deadline: Option<Duration>,
}

/// How much of the longest wait is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// A random part of it, so that clients that failed together do not come back together.
    Full,
    /// All of it.
    None,
}

/// A bucket of tokens per endpoint. Each first attempt adds a part of a token, each retry takes one.
///
/// An attempt limit alone multiplies the load of a server that is already failing; with a budget the
/// retries stay a small part of all requests.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// Tokens that each request adds. 0.1: in the long run one retry in ten requests.
    pub ratio: f64,
    /// Tokens in a full bucket, with which each endpoint starts. 100.
    pub capacity: f64,
    /// Tokens that come by themselves, so that a client of few requests can retry too. 10 per second.
    pub per_second: f64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.1, capacity: 100.0, per_second: 10.0 }
    }
}

impl BudgetConfig {
    /// A bucket with these figures.
    pub fn new(ratio: f64, capacity: f64, per_second: f64) -> Self {
        Self { ratio, capacity, per_second }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial: Duration::from_millis(50),
            max: Duration::from_secs(10),
            multiplier: 2.0,
            jitter: Jitter::Full,
            budget: Some(BudgetConfig::default()),
            honor_retry_after: true,
            retry_after_cap: Duration::from_secs(60),
            after_close: 1,
            deadline: None,
        }
    }
}

impl RetryConfig {
    /// Every request is sent once.
    pub fn off() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// Sets how often a request is sent at most, the first time included.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the longest wait before the second attempt and between any two.
    #[must_use]
    pub fn waits(mut self, initial: Duration, max: Duration) -> Self {
        (self.initial, self.max) = (initial, max);
        self
    }

    /// Sets how much of the longest wait is waited.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the budget per endpoint; `None` for no limit.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<BudgetConfig>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Sets whether, and up to which wait, a server's `Retry-After` counts.
    #[must_use]
    pub fn retry_after(mut self, cap: impl Into<Option<Duration>>) -> Self {
        match cap.into() {
            Some(cap) => (self.honor_retry_after, self.retry_after_cap) = (true, cap),
            None => self.honor_retry_after = false,
        }
        self
    }

    /// Sets how often a request is sent again after a close without a status line.
    #[must_use]
    pub fn after_close(mut self, times: u32) -> Self {
        self.after_close = times;
        self
    }

    /// Sets how long after the first attempt another may start.
    #[must_use]
    pub fn deadline(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.deadline = limit.into();
        self
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.max_attempts == 0 {
            faults.push("retry.max_attempts is 0; 1 sends each request once".to_owned());
        }
        if self.initial > self.max {
            faults.push(format!(
                "retry.initial ({:?}) is longer than retry.max ({:?})",
                self.initial, self.max
            ));
        }
        if !self.multiplier.is_finite() || self.multiplier < 1.0 {
            faults.push(format!("retry.multiplier is {}, not a number of at least 1", self.multiplier));
        }
        if let Some(budget) = self.budget {
            let figures = [budget.ratio, budget.capacity, budget.per_second];
            if figures.into_iter().any(|figure| !figure.is_finite() || figure < 0.0) {
                faults.push(format!("retry.budget has a figure that is negative or no number: {budget:?}"));
            }
        }
        faults
    }
}

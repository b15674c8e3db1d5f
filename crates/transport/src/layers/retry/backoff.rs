//! How long to wait between two attempts.

use std::time::Duration;

use crate::{Jitter, RetryConfig};

/// The wait before attempt `attempt + 1`, with `attempt` counted from 1.
pub(super) fn wait(config: &RetryConfig, attempt: u32) -> Duration {
    let longest = longest(config, attempt);
    match config.jitter {
        Jitter::Full => longest.mul_f64(fastrand::f64()),
        Jitter::None => longest,
    }
}

/// `initial * multiplier^(attempt - 1)`, at most `max`.
fn longest(config: &RetryConfig, attempt: u32) -> Duration {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = config.initial.as_secs_f64() * config.multiplier.powi(exponent);
    // A product that overflows compares as infinitely long.
    if seconds < config.max.as_secs_f64() { Duration::from_secs_f64(seconds) } else { config.max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum() {
        let config = RetryConfig::default().jitter(Jitter::None);
        let millis: Vec<_> = (1..=10).map(|n| wait(&config, n).as_millis()).collect();
        assert_eq!(millis, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(wait(&config, u32::MAX), config.max);
    }

    #[test]
    fn full_jitter_stays_below() {
        let config = RetryConfig::default();
        for attempt in 1..100 {
            assert!(wait(&config, attempt) <= longest(&config, attempt));
        }
    }
}

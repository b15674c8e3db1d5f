//! How long requests to a store take, and how much one should bring for that.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The medians are of so many requests, the latest ones.
const KEPT: usize = 31;

/// The wait for a request's first byte should be no more than a tenth of the time it takes.
const TIMES_THE_WAIT: f64 = 10.0;

/// A body of fewer bytes may have come with its head, and says nothing of the rate.
const TELLING: u64 = 256 << 10;

/// Medians of what the latest requests to one store took.
#[derive(Debug, Default)]
pub(crate) struct Measured(Mutex<Samples>);

#[derive(Debug, Default)]
struct Samples {
    /// Seconds to the first byte.
    waits: Latest,
    /// Bytes per second of one connection, from the first byte on.
    rates: Latest,
}

#[derive(Debug, Default)]
struct Latest {
    values: Vec<f64>,
    next: usize,
}

impl Latest {
    fn add(&mut self, value: f64) {
        match self.values.get_mut(self.next) {
            Some(oldest) => *oldest = value,
            None => self.values.push(value),
        }
        self.next = (self.next + 1) % KEPT;
    }

    fn median(&self) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Measured {
    fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So long a request waited for its answer.
    pub(crate) fn waited(&self, time: Duration) {
        self.samples().waits.add(time.as_secs_f64());
    }

    /// A body brought so many bytes in this time.
    pub(crate) fn brought(&self, bytes: u64, time: Duration) {
        if bytes >= TELLING && !time.is_zero() {
            self.samples().rates.add(number(bytes) / time.as_secs_f64());
        }
    }

    /// Bytes that one request should bring; `None` if that is not known yet.
    pub(crate) fn worth_a_request(&self) -> Option<u64> {
        let samples = self.samples();
        let bytes = TIMES_THE_WAIT * samples.waits.median()? * samples.rates.median()?;
        Some(whole(bytes))
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate that is never negative"
)]
fn whole(bytes: f64) -> u64 {
    bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_request_is_worth_ten_waits() {
        let measured = Measured::default();
        assert_eq!(measured.worth_a_request(), None);
        measured.waited(ms(30));
        assert_eq!(measured.worth_a_request(), None);
        measured.brought(50_000_000, ms(1000));
        assert_eq!(measured.worth_a_request(), Some(15_000_000));
        // Odd ones do not count, nor bodies that came with their heads.
        for _ in 0..3 {
            measured.waited(ms(30));
        }
        measured.waited(ms(10_000));
        measured.brought(10, ms(1000));
        measured.brought(1 << 30, Duration::ZERO);
        assert_eq!(measured.worth_a_request(), Some(15_000_000));
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let measured = Measured::default();
        measured.brought(1_000_000, ms(1000));
        (0..KEPT).for_each(|_| measured.waited(ms(1000)));
        (0..KEPT).for_each(|_| measured.waited(ms(100)));
        assert_eq!(measured.worth_a_request(), Some(1_000_000));
    }
}

//! A limit on bytes per second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How far ahead of the limit a burst may run.
const BURST: Duration = Duration::from_millis(100);

/// Spreads bytes over time; shared by all that moves in one direction.
#[derive(Debug)]
pub(crate) struct RateLimit(Option<Limited>);

#[derive(Debug)]
struct Limited {
    bytes_per_second: f64,
    /// When everything that was granted so far has been paid for.
    paid: Mutex<Option<Instant>>,
}

impl RateLimit {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        Self(bytes_per_second.map(|rate| Limited { bytes_per_second: rate as f64, paid: Mutex::new(None) }))
    }

    /// Waits until these bytes may have moved. First come, first served.
    pub(crate) async fn pace(&self, bytes: usize) {
        if let Some(until) = self.claim(bytes) {
            sleep_until(until).await;
        }
    }

    /// Books the bytes and says until when to wait, if at all.
    pub(crate) fn claim(&self, bytes: usize) -> Option<Instant> {
        let limited = self.0.as_ref()?;
        let now = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "chunks are far below 2^52 bytes")]
        let cost = Duration::from_secs_f64(bytes as f64 / limited.bytes_per_second);
        let mut paid = limited.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid.map_or(now, |paid| paid.max(now));
        *paid = Some(from + cost);
        let until = (from + cost).checked_sub(BURST)?;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time_whoever_moves_them() {
        let rate = RateLimit::new(Some(1_000_000));
        let start = Instant::now();
        for _ in 0..20 {
            futures_util::future::join(rate.pace(50_000), rate.pace(50_000)).await;
        }
        let taken = start.elapsed();
        assert!((1.85..2.05).contains(&taken.as_secs_f64()), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_never_waits() {
        let rate = RateLimit::new(None);
        assert_eq!(rate.claim(usize::MAX), None);
    }
}

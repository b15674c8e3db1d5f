//! How long parts take, to tell those that are late.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

/// A part is late once it takes so many times what others took.
const LATE: f64 = 2.0;

/// Less than this is no reason to take another connection.
const LEAST: Duration = Duration::from_millis(200);

/// No part is worth waiting longer for.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// The mean over all parts that are done.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Done>);

#[derive(Debug, Default)]
struct Done {
    seconds: f64,
    bytes: f64,
}

impl Pace {
    /// A part is done.
    pub(crate) fn took(&self, time: Duration, bytes: u64) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.seconds += time.as_secs_f64();
        done.bytes += number(bytes);
    }

    /// Seconds that a part of so many bytes should take; `None` if none is done yet.
    pub(crate) fn whole(&self, bytes: u64) -> Option<f64> {
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (done.bytes > 0.0).then(|| done.seconds * number(bytes) / done.bytes)
    }

    /// Resolves when a part of so many bytes that began then is late.
    pub(crate) async fn late(&self, begin: Instant, bytes: u64) {
        loop {
            match self.whole(bytes).map(|whole| begin + patience(whole)) {
                Some(until) if until <= Instant::now() => return,
                Some(until) => sleep_until(until).await,
                None => sleep(LEAST).await,
            }
        }
    }
}

/// How long to bear with a part that should take so many seconds.
pub(crate) fn patience(whole: f64) -> Duration {
    Duration::try_from_secs_f64(LATE * whole).unwrap_or(MOST).clamp(LEAST, MOST)
}

/// Whether so many more seconds are too many for a part that should take `whole` seconds in all.
pub(crate) fn is_late(left: f64, whole: f64) -> bool {
    left > LATE * whole
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_is_late_once_it_took_twice_as_long_as_others() {
        let pace = Pace::default();
        let begin = Instant::now();
        let done = async {
            sleep(Duration::from_secs(5)).await;
            pace.took(Duration::from_secs(5), 10);
        };
        tokio::join!(done, pace.late(begin, 10));
        assert_eq!(begin.elapsed().as_secs(), 10);
    }

    #[test]
    fn the_mean_of_what_is_done_says_what_is_late() {
        let pace = Pace::default();
        assert_eq!(pace.whole(100), None);
        pace.took(Duration::from_secs(1), 100);
        pace.took(Duration::from_secs(3), 100);
        assert_eq!(pace.whole(50), Some(1.0));
        assert_eq!(patience(1.0), Duration::from_secs(2));
        assert_eq!((patience(0.0), patience(f64::INFINITY)), (LEAST, MOST));
        assert!(is_late(2.1, 1.0) && !is_late(2.0, 1.0));
    }
}

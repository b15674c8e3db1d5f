//! How many parts are fetched at once.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::plan::MIB;

/// So many bytes say how fast it goes.
const WINDOW: u64 = 64 * MIB;

/// Parts at once where more do not help.
const FEW: usize = 2;

/// Working for this share of the time, this machine is what decides how fast it goes.
const BUSY: f64 = 0.6;

/// Few parts are kept to as long as they are at least this fast, compared with many.
const AS_FAST: f64 = 0.9;

/// As many parts as there may be requests, except where the bytes are needed in order: there each part that is ahead
/// of its turn has to be read back, which is worth it only if parts at once make the download faster.
///
/// They do where the network is what is scarce. Where this machine is, which shows in how little it waits, few parts
/// are tried, and kept to if they are as fast.
#[derive(Debug)]
pub(crate) struct AtOnce {
    most: usize,
    /// Whether few are to be tried at all; nothing is measured otherwise.
    tries: bool,
    allowed: AtomicUsize,
    /// Nanoseconds of work in this window, of all fetchers together.
    worked: AtomicU64,
    /// Bytes of this window.
    moved: AtomicU64,
    trial: Mutex<Trial>,
}

#[derive(Debug)]
struct Trial {
    stage: Stage,
    /// Of this window.
    begin: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Connections are being made, so this window says nothing.
    Starting,
    /// It is not known yet what is scarce.
    Watching,
    /// Few at once, which have to be as fast as many were, in bytes per second. Bytes and seconds of all windows so
    /// far, each of which counts half as much as the next.
    Few { many: f64, bytes: f64, seconds: f64 },
    /// Many, and it stays so.
    Many,
}

impl AtOnce {
    /// At most `most`. `in_order`: early bytes are read back.
    pub(crate) fn new(most: usize, in_order: bool) -> Self {
        let tries = in_order && most > FEW;
        let stage = if tries { Stage::Starting } else { Stage::Many };
        Self {
            most,
            tries,
            allowed: AtomicUsize::new(most),
            worked: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            trial: Mutex::new(Trial { stage, begin: Instant::now() }),
        }
    }

    /// Parts at once, right now.
    pub(crate) fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }

    /// Whether a request may bring parts in a row; it would only bring more of them early otherwise.
    pub(crate) fn may_join(&self) -> bool {
        self.stage() == Stage::Many
    }

    /// Counts the time that a fetcher is at work, and not waiting.
    pub(crate) async fn count<F: Future>(&self, fetcher: F) -> F::Output {
        if !self.tries {
            return fetcher.await;
        }
        let mut fetcher = pin!(fetcher);
        poll_fn(|context| {
            let begin = Instant::now();
            let result = fetcher.as_mut().poll(context);
            self.worked.fetch_add(nanos(begin.elapsed()), Ordering::Relaxed);
            result
        })
        .await
    }

    /// So many bytes arrived.
    pub(crate) fn moved(&self, bytes: u64) {
        if !self.tries || self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes < WINDOW {
            return;
        }
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        // Another fetcher may have closed the window in the meantime.
        let moved = self.moved.swap(0, Ordering::Relaxed);
        if moved < WINDOW {
            self.moved.fetch_add(moved, Ordering::Relaxed);
            return;
        }
        let took = trial.begin.elapsed();
        trial.begin = Instant::now();
        let worked = Duration::from_nanos(self.worked.swap(0, Ordering::Relaxed));
        trial.stage = trial.stage.after(moved, took, worked);
        let few = matches!(trial.stage, Stage::Few { .. });
        self.allowed.store(if few { FEW } else { self.most }, Ordering::Relaxed);
    }

    fn stage(&self) -> Stage {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner).stage
    }
}

impl Stage {
    /// What follows from a window in which so many bytes arrived in this time, with so much work.
    fn after(self, moved: u64, took: Duration, worked: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let (moved, took, worked) = (moved as f64, took.as_secs_f64(), worked.as_secs_f64());
        match self {
            Self::Starting => Self::Watching,
            Self::Watching if worked >= took * BUSY => {
                Self::Few { many: moved / took, bytes: 0.0, seconds: 0.0 }
            }
            Self::Few { many, bytes, seconds } => {
                let (bytes, seconds) = (bytes / 2.0 + moved, seconds / 2.0 + took);
                let as_fast = bytes >= seconds * many * AS_FAST;
                if as_fast { Self::Few { many, bytes, seconds } } else { Self::Many }
            }
            Self::Watching | Self::Many => Self::Many,
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn many_where_the_network_is_scarce() {
        assert_eq!(Stage::Watching.after(WINDOW, ms(100), ms(50)), Stage::Many);
        assert_eq!(Stage::Many.after(WINDOW, ms(100), ms(100)), Stage::Many);
    }

    #[test]
    fn few_where_work_is_what_takes_the_time_and_few_are_as_fast() {
        let few = Stage::Starting.after(1, ms(1), ms(1)).after(1_000_000, ms(1000), ms(900));
        assert_eq!(few, Stage::Few { many: 1e6, bytes: 0.0, seconds: 0.0 });
        let fast = few.after(1_000_000, ms(1000), ms(900));
        assert_eq!(fast, Stage::Few { many: 1e6, bytes: 1e6, seconds: 1.0 });
        let slower = fast.after(850_000, ms(1000), ms(900));
        assert_eq!(slower, Stage::Few { many: 1e6, bytes: 1.35e6, seconds: 1.5 });
        assert_eq!(slower.after(850_000, ms(1000), ms(900)), Stage::Many);
        assert_eq!(few.after(850_000, ms(1000), ms(900)), Stage::Many);
    }

    #[test]
    fn without_an_order_and_with_two_requests_nothing_is_tried() {
        for (most, in_order) in [(8, false), (2, true), (1, true)] {
            let at_once = AtOnce::new(most, in_order);
            at_once.worked.store(u64::MAX / 2, Ordering::Relaxed);
            at_once.moved(WINDOW);
            assert_eq!((at_once.allowed(), at_once.may_join()), (most, true));
        }
    }

    #[tokio::test]
    async fn a_window_ends_with_its_last_byte_and_begins_anew() {
        let at_once = AtOnce::new(8, true);
        let work = async {
            let begin = Instant::now();
            while begin.elapsed() < ms(2) {}
        };
        at_once.moved(WINDOW);
        at_once.count(work).await;
        assert!(at_once.worked.load(Ordering::Relaxed) >= nanos(ms(2)));
        at_once.worked.store(u64::MAX, Ordering::Relaxed);
        at_once.moved(WINDOW - 1);
        assert_eq!((at_once.allowed(), at_once.may_join()), (8, false));
        at_once.moved(1);
        assert_eq!((at_once.allowed(), at_once.may_join()), (FEW, false));
        assert_eq!(at_once.worked.load(Ordering::Relaxed), 0);
        // Slower than before.
        at_once.trial.lock().unwrap().begin -= Duration::from_secs(10);
        at_once.moved(WINDOW);
        assert_eq!((at_once.allowed(), at_once.may_join()), (8, true));
    }
}

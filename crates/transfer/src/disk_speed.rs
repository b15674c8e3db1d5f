//! Whether a file is so slow that its reads and writes belong on a thread of their own.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// So many of the last 16 calls must have been slow. One alone says nothing: on a busy machine a thread loses its
/// turn in the middle of a call, for as long as a slow disk would take.
const SLOW_CALLS: u32 = 3;
/// A call this many times over the limit speaks for itself: no scheduler makes a thread wait that long.
const STUCK: u32 = 10;
/// A call that takes less than this share of the limit came from, or went to, memory.
const QUICK_SHARE: u32 = 10;
/// So many quick calls in a row end it.
const QUICK_RUN: u32 = 32;

/// Set while the file counts as slow; the bits below it then count quick calls in a row, and otherwise hold
/// which of the last 16 calls were slow.
const SLOW: u32 = 1 << 31;
const LAST_CALLS: u32 = 0xffff;

/// Judges by how long calls take, over all requests that use the file.
#[derive(Debug)]
pub(crate) struct DiskSpeed {
    limit: Duration,
    state: AtomicU32,
}

impl DiskSpeed {
    /// A file is slow if its calls take longer than `limit`; with a limit of zero it always is.
    pub(crate) fn new(limit: Duration) -> Self {
        let state = if limit.is_zero() { SLOW } else { 0 };
        Self { limit, state: AtomicU32::new(state) }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.state.load(Ordering::Relaxed) & SLOW != 0
    }

    /// Does one call and learns from it.
    pub(crate) fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = call();
        self.took(begin.elapsed());
        result
    }

    /// Learns from a call that took so long.
    pub(crate) fn took(&self, time: Duration) {
        if self.limit.is_zero() {
            return;
        }
        let next = |state: u32| {
            let next =
                if state & SLOW == 0 { self.while_quick(state, time) } else { self.while_slow(state, time) };
            (next != state).then_some(next)
        };
        // Nothing to change is no failure.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    fn while_quick(&self, state: u32, time: Duration) -> u32 {
        let calls = (state << 1 | u32::from(time > self.limit)) & LAST_CALLS;
        let stuck = time > self.limit.saturating_mul(STUCK);
        if stuck || calls.count_ones() >= SLOW_CALLS { SLOW } else { calls }
    }

    fn while_slow(&self, state: u32, time: Duration) -> u32 {
        let quick = time < self.limit / QUICK_SHARE;
        match state {
            _ if !quick => SLOW,
            state if (state & !SLOW) + 1 >= QUICK_RUN => 0,
            state => state + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);
    const QUICK: Duration = Duration::from_micros(100);
    const SLOWER: Duration = Duration::from_millis(11);

    fn after(calls: impl IntoIterator<Item = Duration>) -> DiskSpeed {
        let speed = DiskSpeed::new(LIMIT);
        calls.into_iter().for_each(|time| speed.took(time));
        speed
    }

    #[test]
    fn a_lost_turn_now_and_then_is_no_slow_disk() {
        assert!(!after([SLOWER, SLOWER]).is_slow());
        let now_and_then = (0..1000).map(|n| if n % 8 == 0 { SLOWER } else { QUICK });
        assert!(!after(now_and_then).is_slow());
    }

    #[test]
    fn slow_calls_that_repeat_or_one_that_hangs_are_one() {
        assert!(after([SLOWER, QUICK, SLOWER, QUICK, SLOWER]).is_slow());
        assert!(after([LIMIT * STUCK + QUICK]).is_slow());
    }

    #[test]
    fn a_run_of_quick_calls_ends_it() {
        let speed = after([SLOWER; 3]);
        (1..QUICK_RUN).for_each(|_| speed.took(QUICK));
        speed.took(LIMIT / 2);
        (1..QUICK_RUN).for_each(|_| speed.took(QUICK));
        assert!(speed.is_slow());
        speed.took(QUICK);
        assert!(!speed.is_slow());
        // What made it slow is forgotten.
        speed.took(SLOWER);
        assert!(!speed.is_slow());
    }

    #[test]
    fn a_limit_of_zero_is_always_exceeded() {
        let speed = DiskSpeed::new(Duration::ZERO);
        (0..100).for_each(|_| speed.time(|| ()));
        assert!(speed.is_slow());
    }
}

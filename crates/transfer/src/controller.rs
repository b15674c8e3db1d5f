//! How many requests to have in flight: found out by trying.
//!
//! More as long as that moves more, fewer at once when the service says that there are too many. It knows no clock and
//! no tasks: whoever runs requests tells it what happened, and when.

use std::time::Duration;

use tokio::time::Instant;

/// Where a search begins, unless fewer are allowed.
pub(crate) const START: usize = 8;

/// A look at the rate takes at least this long, and as many requests as may be in flight.
const WINDOW: Duration = Duration::from_millis(200);

/// After this time it takes no more requests: large parts may take minutes each.
const LONG_WINDOW: Duration = Duration::from_secs(2);

/// A raise was worth it if the rate grew by this factor.
const WORTH: f64 = 1.05;

/// So many raises in a row that were not worth it are taken back.
const VAIN: u32 = 2;

/// How long to keep to what was found.
const HOLD: Duration = Duration::from_secs(5);

/// How long not to raise after the service refused something.
const HOLD_AFTER_CUT: Duration = Duration::from_secs(10);

/// So many tenths of the limit are left after a refusal.
const KEPT: usize = 7;

/// Requests that were sent before a cut are refused after it; they are no reason for another one.
const CUT_INTERVAL: Duration = Duration::from_millis(200);

/// Small requests that take so many times as long as they did stand in a queue somewhere.
const QUEUED: f64 = 3.0;

/// Of the least time that requests took, this much is forgotten with each look, since ways through networks change.
const FORGET: f64 = 1.1;

/// Beside its bytes a request counts as so many, or nobody would see that more small ones are answered.
const REQUEST: f64 = 64.0 * 1024.0;

/// Times of so many requests of each window are kept, which is enough for their median.
const TIMES: usize = 64;

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// How long it took, if it was a small one: the time of a large one says more of its size.
    pub(crate) time: Option<Duration>,
    /// Bytes that moved since the beginning of all time, by all requests.
    pub(crate) moved: u64,
    /// Whether another request had to wait meanwhile. Where none waits, a higher limit changes nothing.
    pub(crate) awaited: bool,
}

/// The limit of one direction at one service.
#[derive(Debug)]
pub(crate) struct Controller {
    limit: usize,
    most: usize,
    window: Option<Window>,
    /// Rate of the window before.
    last: f64,
    raised: Option<Raised>,
    /// Until when not to raise.
    hold: Option<Instant>,
    cut: Option<Instant>,
    /// Median seconds of small requests when nothing stood in a queue.
    quickest: Option<f64>,
}

/// What was before the raises that have to prove their worth.
#[derive(Clone, Copy, Debug)]
struct Raised {
    limit: usize,
    rate: f64,
    times: u32,
}

#[derive(Debug)]
struct Window {
    begin: Instant,
    moved: u64,
    requests: usize,
    awaited: bool,
    times: Vec<f64>,
}

impl Controller {
    /// Never more than `most`, never less than one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            limit: most.clamp(1, START),
            most: most.max(1),
            window: None,
            last: 0.0,
            raised: None,
            hold: None,
            cut: None,
            quickest: None,
        }
    }

    /// How many requests may be in flight.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The service refused a request because there are too many.
    pub(crate) fn refused(&mut self, now: Instant) {
        (self.window, self.raised) = (None, None);
        self.hold = Some(now + HOLD_AFTER_CUT);
        if self.cut.is_none_or(|cut| now.duration_since(cut) >= CUT_INTERVAL) {
            self.cut = Some(now);
            self.limit = (self.limit * KEPT / 10).max(1);
        }
    }

    /// A request has ended, well or not.
    pub(crate) fn ended(&mut self, now: Instant, request: Ended) {
        let Some(window) = &mut self.window else {
            // The request with which a window begins is not part of it.
            let (moved, awaited) = (request.moved, request.awaited);
            self.window = Some(Window { begin: now, moved, requests: 0, awaited, times: Vec::new() });
            return;
        };
        window.requests += 1;
        window.awaited |= request.awaited;
        if let Some(time) = request.time.filter(|_| window.times.len() < TIMES) {
            window.times.push(time.as_secs_f64());
        }
        let age = now.duration_since(window.begin);
        if ((window.requests >= self.limit && age >= WINDOW) || age >= LONG_WINDOW)
            && let Some(window) = self.window.take()
        {
            self.look(now, window, request.moved);
        }
    }

    /// Raises or lowers the limit by what a window shows.
    fn look(&mut self, now: Instant, window: Window, moved: u64) {
        let seconds = now.duration_since(window.begin).as_secs_f64();
        // Requests that end at once may come here in another order than that in which they looked at the total.
        let moved = moved.saturating_sub(window.moved);
        let rate = (number(moved) + number(window.requests as u64) * REQUEST) / seconds;
        let last = std::mem::replace(&mut self.last, rate);
        let queued = self.is_queued(window.times);
        if !window.awaited {
            self.raised = None;
        } else if queued && rate < last * WORTH {
            self.limit = (self.limit - 1).max(1);
            self.raised = None;
        } else if self.hold.is_none_or(|until| until <= now) {
            self.explore(now, rate);
        }
    }

    /// Raises the limit, or takes back what was of no use.
    fn explore(&mut self, now: Instant, rate: f64) {
        let here = Raised { limit: self.limit, rate, times: 0 };
        let from = self.raised.filter(|raised| rate < raised.rate * WORTH).unwrap_or(here);
        if from.times >= VAIN {
            self.limit = from.limit;
            self.raised = None;
            self.hold = Some(now + HOLD);
        } else if self.limit < self.most {
            self.limit = (self.limit + (self.limit / 8).max(1)).min(self.most);
            self.raised = Some(Raised { times: from.times + 1, ..from });
        }
    }

    /// Whether small requests take far longer than they did.
    fn is_queued(&mut self, mut times: Vec<f64>) -> bool {
        let middle = times.len() / 2;
        if times.is_empty() {
            return false;
        }
        let (_, median, _) = times.select_nth_unstable_by(middle, f64::total_cmp);
        let quickest = self.quickest.map_or(*median, |quickest| (quickest * FORGET).min(*median));
        self.quickest = Some(quickest);
        *median > quickest * QUEUED
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A service in front of a controller, with a clock of its own.
    struct Run {
        controller: Controller,
        now: Instant,
        moved: u64,
    }

    impl Run {
        fn new(most: usize) -> Self {
            Self { controller: Controller::new(most), now: Instant::now(), moved: 0 }
        }

        /// As many requests as may be in flight, which end together after `time`, each with so many bytes.
        fn round(&mut self, time: Duration, bytes: u64, awaited: bool) {
            self.now += time;
            for _ in 0..self.controller.limit() {
                self.moved += bytes;
                let ended = Ended { time: Some(time), moved: self.moved, awaited };
                self.controller.ended(self.now, ended);
            }
        }

        /// Rounds of a service that moves so many requests at once and lets the others wait.
        fn serve(&mut self, width: usize, rounds: usize) {
            for _ in 0..rounds {
                let turns = self.controller.limit().div_ceil(width);
                self.round(100 * MS * u32::try_from(turns).unwrap(), 1 << 20, true);
            }
        }
    }

    #[test]
    fn rises_to_the_most_while_that_moves_more() {
        let mut run = Run::new(40);
        assert_eq!(run.controller.limit(), START);
        run.serve(1000, 200);
        assert_eq!(run.controller.limit(), 40);
    }

    #[test]
    fn the_most_is_never_exceeded() {
        for most in [1, 2, 7] {
            let mut run = Run::new(most);
            run.serve(1000, 100);
            assert_eq!(run.controller.limit(), most);
        }
    }

    #[test]
    fn comes_back_from_raises_that_gain_nothing() {
        let mut run = Run::new(256);
        // All take as long as their number asks for: the wire is full.
        for _ in 0..2000 {
            let time = 10 * MS * u32::try_from(run.controller.limit()).unwrap();
            run.round(time, 1 << 20, true);
            assert!(run.controller.limit() <= START + VAIN as usize, "{}", run.controller.limit());
        }
    }

    #[test]
    fn stays_where_nobody_waits() {
        let mut run = Run::new(256);
        for _ in 0..100 {
            run.round(100 * MS, 1 << 20, false);
        }
        assert_eq!(run.controller.limit(), START);
    }

    #[test]
    fn refusals_cut_once_in_a_while_and_hold() {
        let mut run = Run::new(8);
        for _ in 0..5 {
            run.controller.refused(run.now);
        }
        assert_eq!(run.controller.limit(), 5);
        run.now += CUT_INTERVAL;
        run.controller.refused(run.now);
        assert_eq!(run.controller.limit(), 3);
        for _ in 0..20 {
            run.now += CUT_INTERVAL;
            run.controller.refused(run.now);
        }
        assert_eq!(run.controller.limit(), 1);
        let cut = run.now;
        while run.controller.limit() == 1 {
            run.serve(1000, 1);
        }
        assert!(run.now.duration_since(cut) > HOLD_AFTER_CUT);
        run.serve(1000, 500);
        assert_eq!(run.controller.limit(), 8);
    }

    #[test]
    fn small_requests_that_stand_in_a_queue_lower_the_limit() {
        let mut run = Run::new(8);
        for _ in 0..20 {
            run.round(20 * MS, 1000, true);
        }
        assert_eq!(run.controller.limit(), 8);
        // As much is moved as before in the same time, but each takes much longer.
        let slow = 100 * MS;
        for _ in 0..3 {
            for _ in 0..5 {
                run.now += 20 * MS;
                for _ in 0..8 {
                    run.moved += 1000;
                    let ended = Ended { time: Some(slow), moved: run.moved, awaited: true };
                    run.controller.ended(run.now, ended);
                }
            }
        }
        let limit = run.controller.limit();
        assert!((1..8).contains(&limit), "{limit}");
    }

    #[test]
    fn a_total_that_was_looked_at_before_the_window_began_is_no_less_than_nothing() {
        let mut run = Run::new(64);
        run.controller.ended(run.now, Ended { time: None, moved: 100, awaited: true });
        run.controller.ended(run.now + LONG_WINDOW, Ended { time: None, moved: 99, awaited: true });
        assert_eq!(run.controller.limit(), START + 1);
    }

    #[test]
    fn large_requests_are_looked_at_before_all_have_ended() {
        let mut run = Run::new(64);
        for _ in 0..4 {
            run.now += Duration::from_secs(1);
            run.moved += 64 << 20;
            run.controller.ended(run.now, Ended { time: None, moved: run.moved, awaited: true });
        }
        assert_eq!(run.controller.limit(), START + 1);
    }
}

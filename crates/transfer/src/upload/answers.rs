//! How long the answer to a part may take, learned from those that came.
//!
//! A server under load answers a small share of its uploads seconds later than the others. One such part at the end
//! holds up the whole object, while sending it again takes a moment.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Fewer answers than this say nothing.
const FIRST: usize = 10;

/// There is no limit where answers take as long as this: sending again would only add to the load.
const SLOW: Duration = Duration::from_secs(5);

/// No limit is shorter.
const SHORTEST: Duration = Duration::from_secs(1);

/// What the limit is above the mean, in the long run.
const ABOVE_MEAN: Duration = Duration::from_millis(700);

/// The limit of the parts of one upload, by the time from their last byte to their answer.
#[derive(Debug)]
pub(super) struct Answers {
    first: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The times of the first answers.
    Learning(Vec<Duration>),
    Known(Known),
    /// Answers take too long, or too many came late.
    Off,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    limit: Duration,
    mean: Duration,
    answered: u32,
    late: u32,
}

impl Answers {
    /// For parts of which so many are sent at once.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { first: concurrency.max(FIRST), state: Mutex::new(State::Learning(Vec::new())) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait for an answer; `None` for as long as the store does.
    pub(super) fn limit(&self) -> Option<Duration> {
        match &*self.state() {
            State::Known(known) => Some(known.limit),
            State::Learning(_) | State::Off => None,
        }
    }

    /// An answer took so long.
    pub(super) fn came(&self, time: Duration) {
        let mut state = self.state();
        match &mut *state {
            State::Learning(times) => {
                times.push(time);
                if times.len() >= self.first {
                    *state = learned(times);
                }
            }
            State::Known(known) => {
                known.answered = known.answered.saturating_add(1);
                known.mean = known.mean.mul_f64(0.99) + time.div_f64(100.0);
                known.limit = known.limit.mul_f64(0.99) + (known.mean + ABOVE_MEAN).div_f64(100.0);
            }
            State::Off => {}
        }
    }

    /// No answer came within the limit.
    pub(super) fn late(&self) {
        let mut state = self.state();
        let State::Known(known) = &mut *state else { return };
        known.late = known.late.saturating_add(1);
        let share = f64::from(known.late) / f64::from(known.answered.saturating_add(known.late));
        if share > 0.01 {
            known.limit += Duration::from_secs(1);
        } else if share > 0.001 {
            known.limit += Duration::from_millis(100);
        }
        if known.limit > SLOW {
            *state = State::Off;
        }
    }
}

fn learned(times: &mut [Duration]) -> State {
    times.sort_unstable();
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
    let mean = times.iter().sum::<Duration>() / count;
    if mean >= SLOW {
        return State::Off;
    }
    let most = times.get(times.len() * 9 / 10).copied().unwrap_or(SHORTEST);
    State::Known(Known { limit: most.max(SHORTEST), mean, answered: count, late: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times: impl IntoIterator<Item = u64>) -> Answers {
        let answers = Answers::new(4);
        times.into_iter().for_each(|time| answers.came(Duration::from_millis(time)));
        answers
    }

    #[test]
    fn the_first_answers_set_the_limit() {
        assert_eq!(after([200; 9]).limit(), None);
        assert_eq!(after([200; 10]).limit(), Some(SHORTEST));
        assert_eq!(after([100, 100, 100, 100, 100, 100, 100, 100, 100, 3000]).limit().unwrap().as_secs(), 3);
        assert_eq!(after([6000; 20]).limit(), None);
        assert_eq!(Answers::new(100).first, 100);
    }

    #[test]
    fn it_follows_the_answers_and_gives_way_to_late_ones() {
        let answers = after(std::iter::repeat_n(200, 2000));
        let limit = answers.limit().unwrap();
        assert!((890..910).contains(&limit.as_millis()), "{limit:?}");
        // One in two thousand is what it is for.
        answers.late();
        assert_eq!(answers.limit(), Some(limit));
        answers.late();
        answers.late();
        assert_eq!(answers.limit(), Some(limit + Duration::from_millis(100)));
        (0..40).for_each(|_| answers.late());
        assert_eq!(answers.limit(), None);
    }
}

//! Whether a file needs to move at all.

use std::time::SystemTime;

use crate::clock::{Offset, nanos};

/// A destination that is not newer by this much may be older: a second that must lie between, and one that times of servers
/// are cut by.
const MARGIN: i128 = 2_000_000_000;

/// A file or object as it is told from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

/// Which of the two is on the provider, whose clock is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    Source,
    Destination,
}

/// What is asked for where the destination exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Leave alone what is newer there.
    pub(super) update: bool,
    /// Go on with what is newer and shorter there, and leave alone what is as long. `update` wins.
    pub(super) resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// All of it.
    Move,
    Skip,
    /// What lies behind so many bytes.
    Continue(u64),
}

/// By how much the destination is newer, in nanoseconds, at the least.
fn newer_by(source: SystemTime, destination: SystemTime, remote: Remote, offset: Offset) -> i128 {
    let (source, destination) = (nanos(source), nanos(destination));
    match remote {
        Remote::Source => destination - (source + offset.most),
        Remote::Destination => destination + offset.least - source,
    }
}

/// What does not have to be known to be newer is moved: without times, and without a clock to read them by, too.
pub(super) fn decide(
    wish: Wish,
    source: Seen,
    destination: Seen,
    remote: Remote,
    offset: Option<Offset>,
) -> Decision {
    let newer = source.modified.zip(destination.modified).zip(offset);
    let newer = newer.map(|((source, destination), offset)| newer_by(source, destination, remote, offset));
    if newer.is_none_or(|newer| newer < MARGIN) {
        return Decision::Move;
    }
    match wish {
        Wish { update: true, .. } => Decision::Skip,
        Wish { resume: true, .. } if destination.size == source.size => Decision::Skip,
        Wish { resume: true, .. } if destination.size < source.size => Decision::Continue(destination.size),
        _ => Decision::Move,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const UPDATE: Wish = Wish { update: true, resume: false };
    const RESUME: Wish = Wish { update: false, resume: true };
    const EQUAL: Offset = Offset { least: 0, most: 0 };

    fn seen(size: u64, second: u64) -> Seen {
        Seen { size, modified: Some(UNIX_EPOCH + Duration::from_secs(second)) }
    }

    fn with(wish: Wish, source: Seen, destination: Seen) -> Decision {
        decide(wish, source, destination, Remote::Source, Some(EQUAL))
    }

    #[test]
    fn what_is_clearly_newer_stays_or_goes_on() {
        assert_eq!(with(UPDATE, seen(5, 100), seen(3, 102)), Decision::Skip);
        assert_eq!(with(UPDATE, seen(5, 100), seen(3, 101)), Decision::Move);
        assert_eq!(with(UPDATE, seen(5, 100), seen(3, 50)), Decision::Move);
        assert_eq!(with(RESUME, seen(5, 100), seen(5, 102)), Decision::Skip);
        assert_eq!(with(RESUME, seen(5, 100), seen(3, 102)), Decision::Continue(3));
        assert_eq!(with(RESUME, seen(5, 100), seen(7, 102)), Decision::Move);
        assert_eq!(with(RESUME, seen(5, 100), seen(3, 101)), Decision::Move);
        assert_eq!(with(Wish::default(), seen(5, 100), seen(5, 200)), Decision::Move);
        let both = Wish { update: true, resume: true };
        assert_eq!(with(both, seen(5, 100), seen(3, 102)), Decision::Skip);
    }

    #[test]
    fn what_is_not_known_moves() {
        let timeless = Seen { size: 5, modified: None };
        assert_eq!(with(UPDATE, timeless, seen(5, 100)), Decision::Move);
        assert_eq!(with(UPDATE, seen(5, 100), timeless), Decision::Move);
        let unknown = decide(UPDATE, seen(5, 100), seen(5, 200), Remote::Source, None);
        assert_eq!(unknown, Decision::Move);
    }

    /// Times of the provider are turned into those of the clock here, whichever of the two is ahead.
    #[test]
    fn clocks_that_differ() {
        let seconds = |least: i128, most: i128| {
            Some(Offset { least: least * 1_000_000_000, most: most * 1_000_000_000 })
        };
        let up = |source, destination, offset| {
            decide(UPDATE, seen(5, source), seen(5, destination), Remote::Destination, offset)
        };
        let down = |source, destination, offset| {
            decide(UPDATE, seen(5, source), seen(5, destination), Remote::Source, offset)
        };
        // The provider is 100 s ahead. What it stored at 150 was stored at 50 here.
        assert_eq!(up(60, 150, seconds(-100, -100)), Decision::Move);
        assert_eq!(up(40, 150, seconds(-100, -100)), Decision::Skip);
        assert_eq!(down(150, 60, seconds(-100, -100)), Decision::Skip);
        assert_eq!(down(150, 40, seconds(-100, -100)), Decision::Move);
        // It is 100 s behind.
        assert_eq!(up(140, 50, seconds(100, 100)), Decision::Skip);
        assert_eq!(down(50, 140, seconds(100, 100)), Decision::Move);
        // The less is known, the more must lie between.
        assert_eq!(up(100, 103, seconds(0, 0)), Decision::Skip);
        assert_eq!(up(100, 103, seconds(-2, 2)), Decision::Move);
        assert_eq!(down(100, 103, seconds(-2, 2)), Decision::Move);
    }
}

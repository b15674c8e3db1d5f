//! Two listings in the order of their names, side by side.

use std::cmp::Ordering;

use longshore_core_types::{Error, ErrorKind, Result};

use super::listing::{Entry, Listed};

/// What two listings say about one name.
#[derive(Debug)]
pub(super) enum Step {
    /// Only the source has it.
    New(Entry),
    /// Both have it.
    Both(Entry, Entry),
    /// Only the destination has it.
    Extra(Entry),
    /// Something in the source, or in the destination, that is no entry: skipped, failed.
    Aside(Side, Listed),
    /// A listing ended before its end.
    Broken(Side, Error),
    /// Both have ended.
    End,
}

/// Which listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// Where entries come from.
pub(super) trait Listing {
    /// The next line; [`Listed::End`] is the last one.
    async fn next(&mut self) -> Listed;
}

/// One side, one entry ahead.
struct Head<L> {
    listing: L,
    side: Side,
    /// The last name, which the next one must come after.
    last: Option<String>,
    state: State,
}

enum State {
    /// The next line has to be read.
    Unread,
    Entry(Entry),
    Ended,
}

impl<L: Listing> Head<L> {
    /// Reads on until there is an entry, or the end. `Some` is to be told first.
    async fn fill(&mut self) -> Option<Step> {
        if !matches!(self.state, State::Unread) {
            return None;
        }
        match self.listing.next().await {
            Listed::Entry(entry) => {
                if let Err(error) = self.check(&entry) {
                    self.state = State::Ended;
                    return Some(Step::Broken(self.side, error));
                }
                // In the memory of the name before it.
                self.last.get_or_insert_default().clone_from(&entry.name);
                self.state = State::Entry(entry);
                None
            }
            Listed::End => {
                self.state = State::Ended;
                None
            }
            Listed::Broken(error) => {
                self.state = State::Ended;
                Some(Step::Broken(self.side, error))
            }
            aside => Some(Step::Aside(self.side, aside)),
        }
    }

    /// A name that does not come after the one before it, from a page that came twice, say, makes the merge wrong.
    fn check(&self, entry: &Entry) -> Result<()> {
        match &self.last {
            Some(last) if *last >= entry.name => Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "the listing repeats itself or is not in order: {:?} comes after {last:?}",
                    entry.name
                ),
            )),
            _ => Ok(()),
        }
    }

    fn take(&mut self) -> Option<Entry> {
        match std::mem::replace(&mut self.state, State::Unread) {
            State::Entry(entry) => Some(entry),
            state => {
                self.state = state;
                None
            }
        }
    }

    fn name(&self) -> Option<&str> {
        match &self.state {
            State::Entry(entry) => Some(&entry.name),
            State::Unread | State::Ended => None,
        }
    }
}

/// Walks through both listings at once, with one entry of each in memory.
pub(super) struct Merge<A, B> {
    source: Head<A>,
    destination: Head<B>,
}

impl<A: Listing, B: Listing> Merge<A, B> {
    pub(super) fn new(source: A, destination: B) -> Self {
        Self {
            source: Head { listing: source, side: Side::Source, last: None, state: State::Unread },
            destination: Head {
                listing: destination,
                side: Side::Destination,
                last: None,
                state: State::Unread,
            },
        }
    }

    /// The next name. After [`Step::Broken`] what one side lacks means nothing any more.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(step) = self.source.fill().await {
                return step;
            }
            if let Some(step) = self.destination.fill().await {
                return step;
            }
            let ready = |state: &State| !matches!(state, State::Unread);
            if ready(&self.source.state) && ready(&self.destination.state) {
                break;
            }
        }
        let order = match (self.source.name(), self.destination.name()) {
            (None, None) => return Step::End,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(b),
        };
        let source = if order.is_le() { self.source.take() } else { None };
        let destination = if order.is_ge() { self.destination.take() } else { None };
        match (source, destination) {
            (Some(source), Some(destination)) => Step::Both(source, destination),
            (Some(source), None) => Step::New(source),
            (None, Some(destination)) => Step::Extra(destination),
            (None, None) => Step::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use super::*;

    struct Lines(VecDeque<Listed>);

    impl Listing for Lines {
        async fn next(&mut self) -> Listed {
            self.0.pop_front().unwrap_or(Listed::End)
        }
    }

    fn lines<'a>(names: impl IntoIterator<Item = &'a String>) -> Lines {
        let entry =
            |name: &String| Entry { name: name.clone(), size: 1, modified: None, checksums: Vec::new() };
        Lines(names.into_iter().map(|name| Listed::Entry(entry(name))).collect())
    }

    async fn steps(a: Lines, b: Lines) -> Vec<Step> {
        let mut merge = Merge::new(a, b);
        let mut steps = Vec::new();
        loop {
            match merge.next().await {
                Step::End => return steps,
                step => steps.push(step),
            }
        }
    }

    /// Names over a small alphabet, so that prefixes, folders and equal names are common.
    fn names(random: &mut fastrand::Rng) -> BTreeSet<String> {
        let alphabet = ["a", "b", "/", "a/", "é", ".", "-", "\u{10ffff}"];
        (0..random.usize(..12))
            .map(|_| (0..random.usize(1..5)).map(|_| alphabet[random.usize(..alphabet.len())]).collect())
            .collect()
    }

    #[tokio::test]
    async fn the_merge_agrees_with_sets() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..3000 {
            let (a, b) = (names(&mut random), names(&mut random));
            let (mut new, mut both, mut extra, mut order) = (vec![], vec![], vec![], vec![]);
            for step in steps(lines(&a), lines(&b)).await {
                let name = match &step {
                    Step::New(entry) | Step::Both(entry, _) | Step::Extra(entry) => entry.name.clone(),
                    other => panic!("{other:?}"),
                };
                order.push(name.clone());
                match step {
                    Step::New(_) => new.push(name),
                    Step::Both(one, other) => {
                        assert_eq!(one.name, other.name);
                        both.push(name);
                    }
                    _ => extra.push(name),
                }
            }
            assert_eq!(new, a.difference(&b).cloned().collect::<Vec<_>>());
            assert_eq!(both, a.intersection(&b).cloned().collect::<Vec<_>>());
            assert_eq!(extra, b.difference(&a).cloned().collect::<Vec<_>>());
            assert_eq!(order, a.union(&b).cloned().collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_page_that_comes_twice_breaks_the_listing() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..300 {
            let all: Vec<String> = names(&mut random).into_iter().collect();
            if all.is_empty() {
                continue;
            }
            let (from, to) = (random.usize(..all.len()), random.usize(1..=all.len()));
            let repeated = all[..to].iter().chain(&all[from.min(to - 1)..]);
            for source in [true, false] {
                let (odd, even) = (lines(repeated.clone()), lines(&all));
                let steps = if source { steps(odd, even).await } else { steps(even, odd).await };
                let side = if source { Side::Source } else { Side::Destination };
                let broken = |step: &Step| matches!(step, Step::Broken(found, _) if *found == side);
                assert_eq!(steps.iter().filter(|step| broken(step)).count(), 1);
            }
        }
    }
}

//! Complete listings of a cluster that skips names.
//!
//! Targets walk directories: they report what lies in `a/` before `a-b` and `a.b`, although `-` and `.` sort before
//! `/`. The cluster cuts pages by the order of names, and what a target comes to later but sorts before the cut
//! is in no page at all. A prefix without a final `/` is worse: if it is the name of a directory, or of one that
//! is empty by now, what merely starts with it is left out.
//!
//! Where there is an object `a` beside objects below `a/`, a target may forget the latter altogether when it is asked
//! for them; nothing can be done about that here.
//!
//! So only two questions are ever put to the cluster: everything below a directory, and one level of it. An answer
//! that is not full is complete. Of a full one, everything before the cut is there unless the cut lies between
//! neighbours of the kind above, which is easy to ask. Such a [`Stretch`] is gone through item by item.

use longshore_core_types::Result;

use super::position::{Position, Stretch, before, end_of, parent};
use crate::bucket::list::{ListEntry, ListPage};

/// Most entries of a level that can come out of order: each is a directory whose name is the start of one other name,
/// and no item of a path is longer than this.
const MARGIN: u32 = if cfg!(test) { 8 } else { 256 };

/// One request to the cluster.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// Empty, or with a final `/`.
    pub(super) dir: &'a str,
    pub(super) one_level: bool,
    pub(super) uuid: &'a str,
    pub(super) after: &'a str,
    pub(super) size: u32,
}

/// Where pages come from.
pub(super) trait Source: Sync {
    fn fetch(&self, ask: Ask<'_>) -> impl Future<Output = Result<ListPage>> + Send;
}

/// What is listed.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) prefix: String,
    pub(super) one_level: bool,
    /// Entries of a page.
    pub(super) size: u32,
    /// The most that the cluster puts into a page.
    pub(super) max_size: u32,
}

/// What was asked for of a directory.
#[derive(Clone, Copy)]
enum Level<'a> {
    One(&'a str),
    AllBelow(&'a str),
}

/// What one look at the cluster led to.
enum Step {
    Page(Vec<ListEntry>, Option<Position>),
    Go(Position),
}

impl Scan {
    /// Where it begins.
    pub(super) fn start(&self) -> Position {
        if !self.one_level && (self.prefix.is_empty() || self.prefix.ends_with('/')) {
            return Position { dir: Some(self.prefix.clone()), ..Position::default() };
        }
        let stretch = Stretch { stem: self.prefix.clone(), open: true };
        let after = if stretch.level() == self.prefix { String::new() } else { before(&self.prefix) };
        Position { after, stretch: Some(stretch), ..Position::default() }
    }

    /// Where it begins if only names after this one count.
    pub(super) fn start_after(&self, name: &str) -> Position {
        let start = self.start();
        Position { after: start.after.clone().max(name.to_owned()), ..start }
    }

    /// The next entries, in byte order, and where it goes on.
    pub(super) async fn page(
        &self,
        source: &impl Source,
        from: Position,
    ) -> Result<(Vec<ListEntry>, Option<Position>)> {
        let mut at = from;
        loop {
            let step = match (at.dir.clone(), at.stretch.clone()) {
                (Some(dir), _) => self.below(source, at, &dir).await?,
                (None, Some(stretch)) => self.level(source, at, &stretch).await?,
                (None, None) => Step::Go(self.start_after(&at.after)),
            };
            match step {
                Step::Page(entries, Some(next)) if entries.is_empty() => at = next,
                Step::Page(entries, next) => return Ok((entries, next)),
                Step::Go(next) => at = next,
            }
        }
    }

    /// Everything below a directory.
    async fn below(&self, source: &impl Source, at: Position, dir: &str) -> Result<Step> {
        let ask = Ask { dir, one_level: false, uuid: &at.uuid, after: &at.after, size: self.size };
        let mut page = source.fetch(ask).await?;
        page.entries.dedup_by(|a, b| a.name == b.name);
        if page.token.is_empty() {
            let next = at.stretch.map(|stretch| Position {
                after: end_of(dir),
                stretch: Some(stretch),
                ..Position::default()
            });
            return Ok(Step::Page(page.entries, next));
        }
        let Some(stem) = self.doubtful(source, Level::AllBelow(dir), &at, &page.token).await? else {
            return Ok(Step::Page(page.entries, Some(Position { after: page.token, uuid: page.uuid, ..at })));
        };
        page.entries.retain(|entry| entry.name <= stem);
        if !page.entries.is_empty() {
            let next = Position { after: stem, uuid: String::new(), ..at };
            return Ok(Step::Page(page.entries, Some(next)));
        }
        let after = at.after.max(stem.clone());
        Ok(Step::Go(Position { after, stretch: Some(Stretch { stem, open: false }), ..Position::default() }))
    }

    /// Items of a level. Files are reported, directories too if that is all that was asked for; otherwise they are
    /// listed with everything below, one after the other.
    async fn level(&self, source: &impl Source, at: Position, stretch: &Stretch) -> Result<Step> {
        if !self.one_level
            && let Some(dir) = stretch.unfinished(&at.after)
        {
            return Ok(Step::Go(Position { dir: Some(dir), uuid: String::new(), ..at }));
        }
        let (mut items, next) = self.items(source, &at, stretch).await?;
        let next = next.or_else(|| self.behind(stretch));
        if self.one_level {
            return Ok(Step::Page(items, next));
        }
        let files = items.iter().position(ListEntry::is_dir).unwrap_or(items.len());
        if files == items.len() {
            return Ok(Step::Page(items, next));
        }
        if files == 0 {
            return Ok(Step::Go(Position {
                dir: Some(items.swap_remove(0).name),
                uuid: String::new(),
                ..at
            }));
        }
        items.truncate(files);
        let after = items[files - 1].name.clone();
        Ok(Step::Page(items, Some(Position { after, uuid: String::new(), ..at })))
    }

    /// Items of a stretch in byte order, no more than a page, and where the next ones begin.
    async fn items(
        &self,
        source: &impl Source,
        at: &Position,
        stretch: &Stretch,
    ) -> Result<(Vec<ListEntry>, Option<Position>)> {
        let dir = stretch.level();
        let size = self.size.min(self.max_size.saturating_sub(MARGIN)).max(1);
        let ask = Ask { dir, one_level: true, uuid: &at.uuid, after: &at.after, size };
        let mut page = source.fetch(ask).await?;
        if !page.token.is_empty() && self.doubtful(source, Level::One(dir), at, &page.token).await?.is_some()
        {
            let ask = Ask { dir, one_level: true, uuid: "", after: &at.after, size: size + MARGIN };
            page = source.fetch(ask).await?;
            page.uuid.clear();
            if !page.token.is_empty() {
                // Whatever a target has not come to sorts behind all but these few.
                page.entries.truncate(page.entries.len().saturating_sub(MARGIN as usize).max(1));
                page.token = page.entries.last().map(|entry| entry.name.clone()).unwrap_or_default();
            }
        }
        let mut items = page.entries;
        let done = page.token.is_empty() || items.iter().any(|item| stretch.ends_before(&item.name));
        items.retain(|item| stretch.has(&item.name) && item.name > at.after);
        items.dedup_by(|a, b| a.name == b.name);
        let next = |after, uuid| Some(Position { after, uuid, ..at.clone() });
        if items.len() > size as usize {
            items.truncate(size as usize);
            let after = items.last().map(|item| item.name.clone()).unwrap_or_default();
            return Ok((items, next(after, String::new())));
        }
        Ok((items, if done { None } else { next(page.token, page.uuid) }))
    }

    /// Where it goes on behind a stretch.
    fn behind(&self, stretch: &Stretch) -> Option<Position> {
        (!stretch.open).then(|| self.start_after(&end_of(&format!("{}/", stretch.stem))))
    }

    /// The first name that makes a page doubtful which was cut behind `cut`: it is a directory, other names go on from
    /// it with a character that sorts before `/`, and the cut lies between all these.
    async fn doubtful(
        &self,
        source: &impl Source,
        listed: Level<'_>,
        at: &Position,
        cut: &str,
    ) -> Result<Option<String>> {
        let (Level::One(dir) | Level::AllBelow(dir)) = listed;
        for (end, byte) in cut.bytes().enumerate().skip(dir.len() + 1) {
            if byte > b'/' || cut.as_bytes()[end - 1] == b'/' {
                continue;
            }
            let stem = &cut[..end];
            // Nothing can have such a directory.
            if matches!(&stem[parent(stem).len()..], "." | "..") {
                continue;
            }
            // What the page before was cut between is settled.
            let known = at.after.as_bytes().get(..=end) == Some(&cut.as_bytes()[..=end]);
            let doubtful = if byte == b'/' {
                !known && has_siblings(source, stem, &at.after).await?
            } else if known && !at.uuid.is_empty() {
                false
            } else if let Level::One(_) = listed {
                shows_dir(source, stem).await?
            } else {
                is_dir(source, stem).await?
            };
            if doubtful {
                return Ok(Some(stem.to_owned()));
            }
        }
        Ok(None)
    }
}

/// Whether there is anything below a directory of this name.
async fn is_dir(source: &impl Source, name: &str) -> Result<bool> {
    let dir = format!("{name}/");
    let page = source.fetch(Ask { dir: &dir, one_level: false, uuid: "", after: "", size: 1 }).await?;
    Ok(!page.entries.is_empty())
}

/// Whether a level shows a directory of this name: it may be empty, until the cluster cleans up.
async fn shows_dir(source: &impl Source, name: &str) -> Result<bool> {
    let dir = parent(name);
    // Behind all that starts with the name and sorts before `/`.
    let after = end_of(&format!("{name}."));
    let size = early(&name[dir.len()..]).saturating_add(2);
    let page = source.fetch(Ask { dir, one_level: true, uuid: "", after: &after, size }).await?;
    let shown = |entry: &ListEntry| entry.is_dir() && entry.name.strip_prefix(name) == Some("/");
    Ok(page.entries.iter().any(shown))
}

/// How many directories of a level may come before an item although they sort behind it.
fn early(item: &str) -> u32 {
    let places = item.bytes().filter(|byte| *byte < b'/').count();
    u32::try_from(places).unwrap_or(MARGIN)
}

/// Whether there are names, after `after`, that start with that of a directory and sort before what lies in it.
async fn has_siblings(source: &impl Source, name: &str, after: &str) -> Result<bool> {
    let dir = parent(name);
    let after = after.max(name);
    // The directory itself comes first.
    let size = early(&after[dir.len()..]).saturating_add(2);
    let page = source.fetch(Ask { dir, one_level: true, uuid: "", after, size }).await?;
    let sibling =
        |entry: &ListEntry| entry.name.strip_prefix(name).is_some_and(|rest| rest.starts_with(|c| c < '/'));
    Ok(page.entries.iter().any(sibling))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::FutureExt;

    use super::*;
    use crate::store_list::model::Model;

    /// All pages, none of them longer than asked for.
    fn list(model: &Model, scan: &Scan, from: Position) -> Vec<String> {
        let mut found = Vec::new();
        let mut at = Some(from);
        while let Some(from) = at {
            let (entries, next) = scan.page(model, from).now_or_never().expect("never waits").unwrap();
            assert!(entries.len() <= scan.size as usize);
            found.extend(entries.into_iter().map(|entry| entry.name));
            at = next;
        }
        found
    }

    fn expected(names: &BTreeSet<String>, scan: &Scan, after: &str) -> Vec<String> {
        let level = parent(&scan.prefix);
        let shown = |name: &String| match name[level.len()..].split_once('/') {
            Some((item, _)) if scan.one_level => format!("{level}{item}/"),
            _ => name.clone(),
        };
        let names = names.iter().filter(|name| name.starts_with(&scan.prefix)).map(shown);
        let names: BTreeSet<_> = names.filter(|name| name.as_str() > after).collect();
        names.into_iter().collect()
    }

    /// With directories `gone` that are empty by now.
    fn check(names: &BTreeSet<String>, gone: &BTreeSet<String>, seed: u64) {
        for size in [1, 2, 3, 5, 9, 50] {
            for prefix in ["", "a/", "a", "a-", "b/a", "b/a/", "b."] {
                for one_level in [false, true] {
                    let scan = Scan { prefix: prefix.into(), one_level, size, max_size: 100 };
                    let model = Model::new(names, gone, seed);
                    let mut found = list(&model, &scan, scan.start());
                    let exists = |dir: &str| names.iter().any(|name| name.starts_with(dir));
                    found.retain(|name| !name.ends_with('/') || exists(name));
                    assert_eq!(found, expected(names, &scan, ""), "seed {seed}: {scan:?} of {names:?}");
                    if let Some(middle) = found.get(found.len() / 2).filter(|_| !one_level) {
                        let rest = list(&model, &scan, scan.start_after(middle));
                        assert_eq!(
                            rest,
                            expected(names, &scan, middle),
                            "seed {seed}: {scan:?} after {middle}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_name_is_listed_once_and_in_order() {
        for seed in 0..150 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut names = BTreeSet::new();
            for _ in 0..random.usize(5..60) {
                let name: String =
                    (0..random.usize(1..8)).map(|_| *random.choice(&ALPHABET).unwrap()).collect();
                if name.split('/').all(|item| !matches!(item, "" | "." | "..")) {
                    names.insert(name);
                }
            }
            let as_directory = |name: &String| format!("{name}/");
            let clash = |dir: &String| names.iter().any(|name| name.starts_with(dir));
            let plain = names.iter().filter(|name| !clash(&as_directory(name))).cloned();
            let (gone, names) = plain.partition(|name| name.contains('/') && random.u8(..3) == 0);
            check(&names, &gone, seed);
        }
    }

    const ALPHABET: [char; 8] = ['a', 'a', 'b', '-', '.', '/', '/', '\u{e9}'];

    #[test]
    fn the_model_does_lose_names() {
        let names = ["a-b", "a.b", "a!x", "a/b/c", "a/y/1", "a/z", "b"].map(String::from).into();
        let naive = |seed| {
            let model = Model::new(&names, &BTreeSet::new(), seed);
            let mut found = Vec::new();
            let (mut uuid, mut after) = (String::new(), String::new());
            loop {
                let ask = Ask { dir: "", one_level: false, uuid: &uuid, after: &after, size: 2 };
                let page = model.fetch(ask).now_or_never().expect("never waits").unwrap();
                found.extend(page.entries.into_iter().map(|entry| entry.name));
                (uuid, after) = (page.uuid, page.token);
                if after.is_empty() {
                    return found.len();
                }
            }
        };
        assert!((0..20).any(|seed| naive(seed) < names.len()));
    }

    #[test]
    fn plain_names_cost_one_question_a_page() {
        let names: BTreeSet<_> = (0..1000).map(|i| format!("dir/{i:04}")).collect();
        let model = Model::new(&names, &BTreeSet::new(), 1);
        let scan = Scan { prefix: "dir/".into(), one_level: false, size: 100, max_size: 1000 };
        assert_eq!(list(&model, &scan, scan.start()).len(), 1000);
        assert_eq!(model.requests(), 11);
    }
}

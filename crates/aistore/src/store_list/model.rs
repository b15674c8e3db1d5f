//! A cluster as far as listings go, with its faults: several targets with several disks each, walked directory by
//! directory, and pages that are cut by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use longshore_core_types::Result;

use super::scan::{Ask, Source};
use crate::bucket::list::{ListEntry, ListPage};

const TARGETS: usize = 2;
const DISKS: usize = 2;

pub(super) struct Model {
    /// Names by target and disk, and whether the object is there no more.
    disks: Vec<Vec<Vec<(String, bool)>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: usize,
    /// What each target holds ready for the next page, by id of the listing.
    listings: BTreeMap<String, Vec<Walk>>,
}

struct Walk {
    /// Still to come, in the order of the walk.
    rest: std::vec::IntoIter<ListEntry>,
    ready: Vec<ListEntry>,
    done: bool,
}

impl Model {
    /// Of the names `gone`, only the directories are left.
    pub(super) fn new(names: &BTreeSet<String>, gone: &BTreeSet<String>, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disks = vec![vec![Vec::<(String, bool)>::new(); DISKS]; TARGETS];
        for (name, gone) in names.iter().map(|name| (name, false)).chain(gone.iter().map(|name| (name, true)))
        {
            disks[random.usize(..TARGETS)][random.usize(..DISKS)].push((name.clone(), gone));
        }
        Self { disks, state: Mutex::default() }
    }

    pub(super) fn requests(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests
    }

    /// What a target reports, in its order.
    fn walk(&self, target: usize, ask: &Ask<'_>) -> Vec<ListEntry> {
        let mut disks: Vec<_> = self.disks[target].iter().map(|names| one_disk(names, ask)).collect();
        let mut found: Vec<ListEntry> = Vec::new();
        loop {
            // The smallest of the next items of all disks; a directory counts without its final `/`.
            let heads =
                disks.iter().enumerate().filter_map(|(index, disk)| Some((key(disk.first()?), index)));
            let Some((_, smallest)) = heads.min() else { return found };
            let entry = disks[smallest].remove(0);
            if found.last().is_none_or(|last| last.name != entry.name) {
                found.push(entry);
            }
        }
    }
}

fn key(entry: &ListEntry) -> (String, bool) {
    (entry.name.trim_end_matches('/').to_owned(), entry.is_dir())
}

/// What one disk reports: the items of a directory by name, each directory with all that is in it.
fn one_disk(names: &[(String, bool)], ask: &Ask<'_>) -> Vec<ListEntry> {
    let mut names: Vec<_> = names.iter().filter(|(name, _)| name.starts_with(ask.dir)).collect();
    names.sort_by_key(|(name, _)| name.replace('/', "\0"));
    let mut entries: Vec<ListEntry> = Vec::new();
    for (name, gone) in names {
        let entry = match name[ask.dir.len()..].split_once('/') {
            Some((item, _)) if ask.one_level => entry(&format!("{}{item}/", ask.dir), 1 << 8),
            _ if *gone => continue,
            _ => entry(name, 1 << 6),
        };
        if entries.last().is_none_or(|last| last.name != entry.name) {
            entries.push(entry);
        }
    }
    entries
}

fn entry(name: &str, flags: u16) -> ListEntry {
    ListEntry {
        name: name.to_owned(),
        size: 0,
        checksum: None,
        checksum_text: None,
        access_time: None,
        version: None,
        location: None,
        custom: None,
        copies: 1,
        flags,
    }
}

impl Walk {
    fn page(&mut self, after: &str, size: usize) -> Vec<ListEntry> {
        // The cluster searches what is ready as if it were sorted.
        let sent = self.ready.partition_point(|entry| entry.name.as_str() <= after);
        self.ready.drain(..sent);
        if !self.done && self.ready.len() < size {
            let mut taken = 0;
            while taken < size {
                let Some(entry) = self.rest.next() else {
                    self.done = true;
                    break;
                };
                if entry.name.as_str() > after {
                    self.ready.push(entry);
                    taken += 1;
                }
            }
        }
        self.ready.iter().take(size).cloned().collect()
    }
}

impl Source for Model {
    async fn fetch(&self, ask: Ask<'_>) -> Result<ListPage> {
        assert!(ask.dir.is_empty() || ask.dir.ends_with('/'), "other prefixes lose names: {ask:?}");
        assert!(
            ask.dir.split('/').all(|item| item != "." && item != ".."),
            "refused by the cluster: {ask:?}"
        );
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        let uuid = if ask.uuid.is_empty() { state.requests.to_string() } else { ask.uuid.to_owned() };
        let start = || {
            let walk =
                |target| Walk { rest: self.walk(target, &ask).into_iter(), ready: Vec::new(), done: false };
            (0..TARGETS).map(walk).collect()
        };
        let walks: &mut Vec<Walk> = state.listings.entry(uuid.clone()).or_insert_with(start);
        let size = ask.size as usize;
        let mut entries: Vec<_> = walks.iter_mut().flat_map(|walk| walk.page(ask.after, size)).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if ask.one_level {
            entries.dedup_by(|a, b| a.name == b.name);
        }
        let full = entries.len() >= size;
        entries.truncate(size);
        let token = entries.last().filter(|_| full).map(|entry| entry.name.clone()).unwrap_or_default();
        Ok(ListPage { entries, uuid, token, flags: 0 })
    }
}

//! The journal: what requests the server has seen.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// Entries that are kept when nothing else is configured.
pub(crate) const DEFAULT_CAPACITY: usize = 10_000;

/// The kind of node that a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// The gateway: it answers bucket calls and redirects object calls.
    Gateway,
    /// A target: it stores objects.
    Target,
    /// The AuthN service.
    Authn,
    /// The S3 endpoint.
    S3,
    /// The Supabase Storage service.
    Supabase,
    /// The Apolo buckets service.
    Apolo,
}

/// One request, as seen by the server. Holds no credential: of `Authorization` only the presence is recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JournalEntry {
    /// Position in the order of arrival, from 0.
    pub seq: u64,
    /// Time since the start of the server.
    pub at: Duration,
    /// Kind of the node that was asked.
    pub node: NodeKind,
    /// Its id in the cluster map.
    pub node_id: String,
    /// HTTP method.
    pub method: String,
    /// Path and query as received, but for tokens and signatures.
    pub path: String,
    /// Name of the operation, as used to select faults (`get`, `put`, `list`, ...).
    pub operation: &'static str,
    /// Object key, if the request named one.
    pub key: Option<String>,
    /// `Range` header.
    pub range: Option<String>,
    /// `Content-Length` of the request.
    pub content_length: Option<u64>,
    /// True if the request carried `Expect: 100-continue`.
    pub expects_continue: bool,
    /// True if the request carried an `Authorization` header; its value is not kept.
    pub authorized: bool,
    /// Status of the answer; `None` while there is none, or if the connection was cut before it.
    pub status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were handed to the connection.
    pub bytes_out: u64,
    /// The fault that was applied, in its textual form.
    pub fault: Option<String>,
}

/// A bounded record of requests in order of arrival; the oldest make room for new ones.
#[derive(Debug)]
pub struct Journal {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    capacity: usize,
    next: u64,
    entries: VecDeque<JournalEntry>,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        let inner = Inner { capacity: capacity.max(1), next: 0, entries: VecDeque::new() };
        Self { started: Instant::now(), inner: Mutex::new(inner) }
    }

    /// Everything that is kept, oldest first.
    pub fn entries(&self) -> Vec<JournalEntry> {
        lock(&self.inner).entries.iter().cloned().collect()
    }

    /// The kept entries that `keep` approves of, oldest first.
    pub fn filter(&self, keep: impl Fn(&JournalEntry) -> bool) -> Vec<JournalEntry> {
        lock(&self.inner).entries.iter().filter(|e| keep(e)).cloned().collect()
    }

    /// How many kept entries `matches` approves of.
    pub fn count(&self, matches: impl Fn(&JournalEntry) -> bool) -> usize {
        lock(&self.inner).entries.iter().filter(|e| matches(e)).count()
    }

    /// Number of requests since the start, kept or not.
    pub fn total(&self) -> u64 {
        lock(&self.inner).next
    }

    /// Time since the start of the server.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Forgets all entries; numbering goes on.
    pub fn clear(&self) {
        lock(&self.inner).entries.clear();
    }

    /// Adds an entry and returns its number.
    pub(crate) fn push(&self, mut entry: JournalEntry) -> u64 {
        entry.at = self.started.elapsed();
        let mut inner = lock(&self.inner);
        entry.seq = inner.next;
        inner.next += 1;
        if inner.entries.len() == inner.capacity {
            inner.entries.pop_front();
        }
        let seq = entry.seq;
        inner.entries.push_back(entry);
        seq
    }

    /// Changes an entry if it is still kept.
    pub(crate) fn update(&self, seq: u64, change: impl FnOnce(&mut JournalEntry)) {
        let mut inner = lock(&self.inner);
        let Some(first) = inner.entries.front().map(|e| e.seq) else { return };
        let Some(index) = seq.checked_sub(first).and_then(|i| usize::try_from(i).ok()) else { return };
        if let Some(entry) = inner.entries.get_mut(index) {
            let waits = entry.status.is_none();
            change(entry);
            if waits && let Some(status) = entry.status {
                let JournalEntry { seq, node_id, method, path, .. } = entry;
                tracing::debug!(seq, node = node_id, status, "{method} {path}");
            }
        }
    }
}

impl JournalEntry {
    /// An entry to be filled in.
    pub(crate) fn new(node: NodeKind, node_id: &str) -> Self {
        Self {
            seq: 0,
            at: Duration::ZERO,
            node,
            node_id: node_id.to_owned(),
            method: String::new(),
            path: String::new(),
            operation: "",
            key: None,
            range: None,
            content_length: None,
            expects_continue: false,
            authorized: false,
            status: None,
            bytes_in: 0,
            bytes_out: 0,
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_updates_by_number() {
        let journal = Journal::new(2);
        for _ in 0..3 {
            journal.push(JournalEntry::new(NodeKind::Gateway, "p1"));
        }
        journal.update(0, |e| e.status = Some(1));
        journal.update(2, |e| e.status = Some(200));
        let seqs: Vec<_> = journal.entries().iter().map(|e| (e.seq, e.status)).collect();
        assert_eq!(seqs, [(1, None), (2, Some(200))]);
        assert_eq!(journal.total(), 3);
        journal.clear();
        journal.update(2, |e| e.status = None);
        assert_eq!(journal.count(|_| true), 0);
    }
}

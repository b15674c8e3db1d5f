//! One writer per upload. Who comes asks the writer before to let go, so that a client that comes back after a broken
//! connection does not wait for the old one to be noticed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedMutexGuard};

use super::problem;
use crate::checksum::Hasher;
use crate::supabase::error::Result;
use crate::sync::lock;

/// The uploads that are, or were, written to by this process.
#[derive(Debug, Default)]
pub(in crate::supabase) struct Locks(Arc<Mutex<HashMap<String, Arc<Gate>>>>);

#[derive(Debug, Default)]
struct Gate {
    held: Arc<tokio::sync::Mutex<Option<Running>>>,
    wanted: AtomicBool,
    asked: Notify,
}

/// The hash of what is committed, for uploads that this process has written from the start.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) offset: u64,
    pub(super) hasher: Hasher,
}

/// The right to write to an upload, or to look at it while nobody does.
#[derive(Debug)]
pub(super) struct Held {
    id: String,
    gate: Arc<Gate>,
    guard: OwnedMutexGuard<Option<Running>>,
    all: Arc<Mutex<HashMap<String, Arc<Gate>>>>,
}

impl Locks {
    /// Waits for the upload, at most for `patience`.
    pub(super) async fn acquire(&self, id: &str, patience: Duration) -> Result<Held> {
        let gate = Arc::clone(lock(&self.0).entry(id.to_owned()).or_default());
        let held = Arc::clone(&gate.held);
        let guard = if let Ok(guard) = Arc::clone(&held).try_lock_owned() {
            guard
        } else {
            gate.wanted.store(true, Ordering::SeqCst);
            gate.asked.notify_waiters();
            let waiting = tokio::time::timeout(patience, held.lock_owned());
            waiting.await.map_err(|_| problem(503, "acquiring lock timeout"))?
        };
        gate.wanted.store(false, Ordering::SeqCst);
        Ok(Held { id: id.to_owned(), gate, guard, all: Arc::clone(&self.0) })
    }
}

impl Held {
    /// Returns once somebody else wants the upload.
    pub(super) async fn asked_to_let_go(&self) {
        let asked = self.gate.asked.notified();
        if !self.gate.wanted.load(Ordering::SeqCst) {
            asked.await;
        }
    }

    pub(super) fn running(&mut self) -> &mut Option<Running> {
        &mut self.guard
    }

    /// The upload is no more, or will not change any more.
    pub(super) fn forget(self) {
        lock(&self.all).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_writer_is_asked_to_let_go() {
        let locks = Arc::new(Locks::default());
        let first = locks.acquire("u", Duration::ZERO).await.unwrap();
        let refused = locks.acquire("u", Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(refused.status, 503);
        // It was asked, and sees so although it did not wait at that time.
        first.asked_to_let_go().await;
        drop(first);
        let second = locks.acquire("u", Duration::ZERO).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(1), second.asked_to_let_go());
        assert!(waiting.await.is_err(), "nobody asked");
        second.forget();
        assert!(lock(&locks.0).is_empty());
    }
}

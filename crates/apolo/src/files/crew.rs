//! The files and directories that are under way.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use longshore_core_types::{Error, ErrorKind};
use longshore_transfer::{CancelToken, TransferError};
use tokio::task::JoinSet;

use super::{
    Copied,
    event::{Events, FileEvent, Location},
};

/// A directory that was entered, and is left when everything in it is done.
#[derive(Debug)]
pub(super) struct Folder {
    above: Option<Arc<Self>>,
    from: Location,
    to: Location,
    /// What is not done yet: the directory's own listing, and what was found in it.
    left: AtomicUsize,
}

impl Folder {
    /// The directory above has been told of it.
    pub(super) fn enter(
        events: &Events,
        above: Option<Arc<Self>>,
        from: Location,
        to: Location,
    ) -> Arc<Self> {
        events.send(|| FileEvent::Enter { from: from.clone(), to: to.clone() });
        Arc::new(Self { above, from, to, left: AtomicUsize::new(1) })
    }

    /// Something was found in it, which will be done before it is left.
    pub(super) fn add(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Something in it is done, or its listing is.
    pub(super) fn done(&self, events: &Events) {
        let mut folder = self;
        // What others did in it has to be seen before it is left.
        while folder.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let (from, to) = (folder.from.clone(), folder.to.clone());
            events.send(|| FileEvent::Leave { from, to });
            let Some(above) = &folder.above else { break };
            folder = above;
        }
    }
}

/// Runs tasks side by side. The first failure stops all of them.
pub(super) struct Crew<T> {
    tasks: JoinSet<Result<T, TransferError>>,
    /// Stops what runs; the caller's token is another one, which may stop other things.
    pub(super) cancel: CancelToken,
    outer: CancelToken,
    failed: Option<TransferError>,
}

/// For each request that may run, so many items are in flight: one moves, the others open files or wait.
const ITEMS_PER_REQUEST: usize = 8;

impl<T: Send + 'static> Crew<T> {
    pub(super) fn new(outer: CancelToken) -> Self {
        Self { tasks: JoinSet::new(), cancel: CancelToken::new(), outer, failed: None }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.failed.is_some() || self.outer.is_stopped()
    }

    /// Whether there is room, where so many requests may be in flight.
    pub(super) fn has_room(&self, requests: usize) -> bool {
        self.tasks.len() < requests.saturating_mul(ITEMS_PER_REQUEST)
    }

    pub(super) fn start(&mut self, task: impl Future<Output = Result<T, TransferError>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// What the next task brought; `None` when none is left. Failures are kept.
    pub(super) async fn next(&mut self) -> Option<T> {
        loop {
            let ended = tokio::select! {
                biased;
                ended = self.tasks.join_next() => ended?,
                () = self.outer.stopped(), if !self.cancel.is_stopped() => {
                    self.cancel.stop();
                    continue;
                }
            };
            match ended {
                Ok(Ok(done)) => return Some(done),
                Ok(Err(error)) => self.fail(error),
                Err(error) => {
                    let text = "a task of the copy was lost";
                    self.fail(Error::new(ErrorKind::Other, text).with_source(error).into());
                }
            }
        }
    }

    /// Notes a failure and stops the others.
    pub(super) fn fail(&mut self, error: TransferError) {
        // Those that follow because of the first say nothing new.
        self.failed.get_or_insert(error);
        self.cancel.stop_now();
    }

    /// How it ended.
    pub(super) fn conclude(self, copied: Copied) -> Result<Copied, TransferError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.outer.is_stopped() => {
                Err(Error::new(ErrorKind::Cancelled, "the copy was stopped").into())
            }
            None => Ok(copied),
        }
    }
}

//! The items of a tree that are on their way.

use std::future::Future;

use longshore_core_types::ErrorKind;
use tokio::task::{JoinError, JoinSet};

use crate::{
    cancel::CancelToken,
    error::{Result, TransferError, cancelled, task_failed},
    progress::{Item, Reporter, SkipReason},
    report::{BatchReport, FailurePolicy},
};

/// For each request that may run, so many items are in flight: one moves, the others open files or wait.
const ITEMS_PER_REQUEST: usize = 8;

/// What became of one item, or of several that moved together.
enum Outcome {
    One(Result<u64>),
    Many(Vec<Result<u64>>),
}

/// Runs items side by side and accounts for every one.
pub(super) struct Running {
    items: JoinSet<Outcome>,
    most: usize,
    policy: FailurePolicy,
    cancel: CancelToken,
    pub(super) reporter: Reporter,
    report: BatchReport,
}

impl Running {
    pub(super) fn new(
        concurrency: usize,
        policy: FailurePolicy,
        cancel: CancelToken,
        reporter: Reporter,
    ) -> Self {
        Self {
            items: JoinSet::new(),
            most: concurrency.saturating_mul(ITEMS_PER_REQUEST),
            policy,
            cancel,
            reporter,
            report: BatchReport::default(),
        }
    }

    /// Whether nothing more shall start.
    pub(super) fn is_stopped(&self) -> bool {
        self.report.stopped.is_some() || self.cancel.is_stopped()
    }

    /// Adds an item that reports for itself, once there is room for it. Resolves to its size in bytes.
    pub(super) async fn add(&mut self, item: impl Future<Output = Result<u64>> + Send + 'static) {
        self.spawn(async move { Outcome::One(item.await) }).await;
    }

    /// Adds several items that move together and report for themselves.
    pub(super) async fn add_many(&mut self, items: impl Future<Output = Vec<Result<u64>>> + Send + 'static) {
        self.spawn(async move { Outcome::Many(items.await) }).await;
    }

    async fn spawn(&mut self, item: impl Future<Output = Outcome> + Send + 'static) {
        while self.items.len() >= self.most {
            self.next().await;
        }
        while let Some(ended) = self.items.try_join_next() {
            self.ended(ended);
        }
        if !self.is_stopped() {
            self.items.spawn(item);
        }
    }

    pub(super) fn skip(&mut self, item: Item, reason: SkipReason) {
        self.report.skipped += 1;
        self.reporter.skipped(item, reason);
    }

    /// An item that failed before it could start.
    pub(super) fn fail(&mut self, error: TransferError) {
        self.reporter.failed_early(&error);
        self.failed(error);
    }

    /// An item that needed no bytes.
    pub(super) fn succeed(&mut self, item: Item) {
        self.report.succeed(0);
        self.reporter.done_at_once(item);
    }

    /// The items end before the tree does.
    pub(super) fn stop(&mut self, error: TransferError) {
        self.report.stopped.get_or_insert(error);
    }

    async fn next(&mut self) {
        if let Some(ended) = self.items.join_next().await {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: std::result::Result<Outcome, JoinError>) {
        match ended {
            Ok(Outcome::One(result)) => self.account(result),
            Ok(Outcome::Many(results)) => results.into_iter().for_each(|result| self.account(result)),
            // It could not report for itself.
            Err(error) => self.fail(task_failed(error).into()),
        }
    }

    fn account(&mut self, result: Result<u64>) {
        match result {
            Ok(bytes) => self.report.succeed(bytes),
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: TransferError) {
        if self.policy == FailurePolicy::Stop && error.kind() != ErrorKind::Cancelled {
            self.report.stopped.get_or_insert_with(|| error.clone());
        }
        self.report.fail(error);
    }

    /// Waits for what runs and closes the account.
    pub(super) async fn finish(mut self) -> BatchReport {
        while !self.items.is_empty() {
            self.next().await;
        }
        if self.cancel.is_stopped() {
            self.report.stopped.get_or_insert_with(|| cancelled().into());
        }
        self.reporter.finished();
        self.report
    }
}

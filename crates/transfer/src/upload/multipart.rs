//! An upload in parts of a file or of bytes, several parts at once.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_blob_api::{BlobStore, MultipartLimits, PartOrder};
use longshore_core_types::ErrorKind;
use tokio::task::JoinSet;

use super::{
    Job, UploadOutcome,
    parts::{Begun, Failure, PART_SUM, Stored},
};
use crate::{
    body::{self, Body, Origin},
    budget::FULL,
    config::{MultipartFailure, Verify},
    error::{Result, TransferError, task_failed},
    plan::{Plan, upload_plan},
};

impl<S: BlobStore + Clone> Job<S> {
    /// Uploads in parts; begins anew, a few times, if the outcome of a part cannot be settled.
    pub(super) async fn multipart(
        self: Arc<Self>,
        origin: Origin,
        limits: MultipartLimits,
    ) -> Result<UploadOutcome> {
        let plan = upload_plan(origin.size(), self.context.config().part_size, &limits)
            .map_err(|error| self.fail(error))?;
        if let Origin::File(file) = &origin {
            file.advise();
        }
        let mut restarts = 0;
        loop {
            self.reporter.planned(plan.size, plan.parts(), plan.part);
            match self.once(&origin, plan, limits).await {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(error) if restarts == self.context.config().retry.restarts => {
                    return Err(error);
                }
                ControlFlow::Continue(error) => {
                    restarts += 1;
                    self.reporter.restarted(error.into());
                }
            }
        }
    }

    /// One upload; `Continue` if another one may succeed where this one failed.
    async fn once(
        self: &Arc<Self>,
        origin: &Origin,
        plan: Plan,
        limits: MultipartLimits,
    ) -> ControlFlow<Result<UploadOutcome>, TransferError> {
        let begun = match self.context.admit(1, 1).await {
            Ok(_admission) => Begun::begin(self, limits).await,
            Err(error) => Err(error),
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(error) => return ControlFlow::Break(Err(self.fail(error))),
        };
        let parts = Arc::new(Parts { begun, origin: origin.clone(), plan, next: AtomicU64::new(0) });
        let done = match parts.send_all().await {
            Ok(stored) => parts.complete(stored).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(outcome) => ControlFlow::Break(Ok(outcome)),
            Err(failure) => match parts.begun.clean_up(failure).await {
                Failure::Final(error) => ControlFlow::Break(Err(error)),
                Failure::Unsettled(error) => ControlFlow::Continue(error),
            },
        }
    }
}

/// The parts of one upload, and the next one to send.
struct Parts<S> {
    begun: Arc<Begun<S>>,
    origin: Origin,
    plan: Plan,
    next: AtomicU64,
}

impl<S: BlobStore + Clone> Parts<S> {
    /// Sends all parts and returns them in order.
    async fn send_all(self: &Arc<Self>) -> Result<Vec<Stored>, Failure> {
        let workers = match self.begun.limits.part_order {
            PartOrder::InOrder => 1,
            _ => self.begun.job.context.config().concurrency,
        };
        let mut tasks = JoinSet::new();
        for _ in 0..self.plan.parts().min(workers as u64) {
            tasks.spawn(Arc::clone(self).work());
        }
        let result = self.gather(&mut tasks).await;
        // What is still being sent would arrive after the upload has been aborted, and stay.
        tasks.shutdown().await;
        result
    }

    async fn gather(
        &self,
        tasks: &mut JoinSet<Result<Vec<Stored>, Failure>>,
    ) -> Result<Vec<Stored>, Failure> {
        let keep = self.begun.job.on_failure == MultipartFailure::Keep;
        let mut stored = Vec::new();
        let mut stopped = None;
        while let Some(ended) = tasks.join_next().await {
            match ended.map_err(task_failed)? {
                Ok(parts) => stored.extend(parts),
                // Parts that run are worth waiting for if they are kept.
                Err(failure) if keep && failure.error().kind() == ErrorKind::Cancelled => {
                    stopped.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        if let Some(failure) = stopped {
            return Err(failure);
        }
        stored.sort_by_key(|part| part.receipt.number);
        Ok(stored)
    }

    async fn work(self: Arc<Self>) -> Result<Vec<Stored>, Failure> {
        let mut stored = Vec::new();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.plan.parts() {
                return Ok(stored);
            }
            stored.push(Box::pin(self.part(index)).await?);
        }
    }

    async fn part(&self, index: u64) -> Result<Stored, Failure> {
        let job = &self.begun.job;
        let range = self.plan.range(index);
        let size = range.end - range.start;
        let _admission = job.context.admit(FULL, body::memory(size)).await?;
        let kind = (job.context.config().verify != Verify::Never).then_some(PART_SUM);
        let body = Body::new(&job.context.engine, self.origin.clone(), range, kind, &job.reporter);
        // The plan has no more parts than the store takes, whose number has 32 bits.
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let stored = self.begun.send(number, &body, &self.origin).await?;
        job.reporter.part_done(index, size);
        Ok(stored)
    }

    async fn complete(&self, stored: Vec<Stored>) -> Result<UploadOutcome, Failure> {
        if let Origin::File(file) = &self.origin {
            file.check()?;
        }
        self.begun.complete(stored).await
    }
}

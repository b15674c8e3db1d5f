//! An upload in parts of a file or of bytes, several parts at once.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use longshore_blob_api::{BlobStore, MultipartLimits, PartInfo, PartNumber, PartOrder, PartRetry};
use longshore_core_types::{Error, ErrorKind, checksum::Hasher};
use tokio::task::JoinSet;

use super::{
    Job, UploadOutcome,
    parts::{Begun, Failure, Found, PART_SUM, Stored, crc32c, part_sum, receipt_of},
    resume::{Known, Resumed},
};
use crate::{
    body::{self, AtEnd, Body, Origin},
    checkpoint::{SavedUpload, UploadKeeper as Keeper, is_worth_keeping},
    config::MultipartFailure,
    error::{Result, TransferError, task_failed},
    plan::{Plan, upload_plan},
    requests::FULL,
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
        let keeper = self.keeper(&origin, &limits);
        let mut saved = keeper.as_ref().and_then(|keeper| keeper.load());
        let mut restarts = 0;
        loop {
            let tried = if let Some(saved) = saved.take() {
                self.go_on(&origin, saved, keeper.as_ref(), limits).await
            } else {
                self.reporter.planned(plan.size, plan.parts(), plan.part);
                self.once(&origin, plan, limits, keeper.as_ref()).await
            };
            match tried {
                ControlFlow::Break(result) => {
                    if let (Ok(_), Some(keeper)) = (&result, &keeper) {
                        keeper.forget();
                    }
                    return result;
                }
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
        keeper: Option<&Arc<Keeper>>,
    ) -> ControlFlow<Result<UploadOutcome>, TransferError> {
        let begun = match self.context.admit(1, 1).await {
            Ok(_admission) => Begun::begin(self, limits).await,
            Err(error) => Err(error),
        };
        let begun = match begun {
            Ok(begun) => Begun { keeper: keeper.cloned(), ..begun },
            Err(error) => return ControlFlow::Break(Err(self.fail(error))),
        };
        if let Some(keeper) = keeper {
            keeper.begun(&begun.upload.id, plan.part);
        }
        match Parts::new(begun, origin, plan, BTreeMap::new()).run().await {
            Ok(outcome) => ControlFlow::Break(Ok(outcome)),
            Err(Failure::Final(error)) => ControlFlow::Break(Err(error)),
            Err(Failure::Unsettled(error)) => ControlFlow::Continue(error),
        }
    }

    /// Goes on with an interrupted upload; `Continue` if a new one is needed instead.
    async fn go_on(
        self: &Arc<Self>,
        origin: &Origin,
        saved: SavedUpload,
        keeper: Option<&Arc<Keeper>>,
        limits: MultipartLimits,
    ) -> ControlFlow<Result<UploadOutcome>, TransferError> {
        let (Origin::File(file), Some(keeper)) = (origin, keeper) else {
            let error = Error::new(ErrorKind::Other, "only files can be taken up again");
            return ControlFlow::Continue(self.fail(error));
        };
        let (begun, plan, known) = match self.take_up(file, saved, keeper, limits).await {
            Ok(Resumed::Parts { begun, plan, known }) => (begun, plan, known),
            Ok(Resumed::Done(outcome)) => {
                self.reporter.planned(outcome.bytes, outcome.parts, outcome.bytes);
                self.reporter.resumed(outcome.bytes);
                return ControlFlow::Break(Ok(outcome));
            }
            Err(error) if is_worth_keeping(&error) => return ControlFlow::Break(Err(self.fail(error))),
            Err(error) => {
                keeper.forget();
                return ControlFlow::Continue(self.fail(error));
            }
        };
        self.reporter.planned(plan.size, plan.parts(), plan.part);
        let there = |(index, known): (&u64, &Known)| {
            let range = plan.range(*index);
            if matches!(known, Known::Unsettled) { 0 } else { range.end - range.start }
        };
        let resumed = known.iter().map(there).sum();
        self.reporter.resumed(resumed);
        match Parts::new(begun, origin, plan, known).run().await {
            Ok(outcome) => ControlFlow::Break(Ok(UploadOutcome { resumed, ..outcome })),
            Err(Failure::Final(error)) if error.upload().is_some() || is_stopped(&error) => {
                ControlFlow::Break(Err(error))
            }
            // What an earlier process left may be what is wrong.
            Err(Failure::Final(error) | Failure::Unsettled(error)) => ControlFlow::Continue(error),
        }
    }
}

/// Whether another try would fail the same way.
fn is_stopped(error: &TransferError) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::LocalIo)
}

/// The parts of one upload, and the next one to send.
struct Parts<S> {
    begun: Arc<Begun<S>>,
    origin: Origin,
    plan: Plan,
    /// The next position: first all parts in order, then those that are unsettled.
    next: AtomicU64,
    /// The parts that may be there already, and must not be sent before it is clear that they are not. They come last.
    unsettled: Vec<u64>,
    /// The parts that are there.
    there: Mutex<BTreeMap<u64, Known>>,
}

impl<S: BlobStore + Clone> Parts<S> {
    fn new(begun: Begun<S>, origin: &Origin, plan: Plan, known: BTreeMap<u64, Known>) -> Arc<Self> {
        let (unsettled, there): (BTreeMap<_, _>, BTreeMap<_, _>) =
            known.into_iter().partition(|(_, known)| matches!(known, Known::Unsettled));
        Arc::new(Self {
            begun: Arc::new(begun),
            origin: origin.clone(),
            plan,
            next: AtomicU64::new(0),
            unsettled: unsettled.into_keys().collect(),
            there: Mutex::new(there),
        })
    }

    /// Sends what is missing and completes the upload, or cleans up.
    async fn run(self: Arc<Self>) -> Result<UploadOutcome, Failure> {
        let done = match self.send_all().await {
            Ok(stored) => self.complete(stored).await,
            Err(failure) => Err(failure),
        };
        match done {
            Err(failure) => Err(self.begun.clean_up(failure).await),
            done => done,
        }
    }

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
        let keep = self.begun.job.on_failure == MultipartFailure::Keep || self.begun.is_kept();
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
            let position = self.next.fetch_add(1, Ordering::Relaxed);
            let parts = self.plan.parts();
            if let Some(late) = position.checked_sub(parts) {
                let late = usize::try_from(late).ok().and_then(|late| self.unsettled.get(late));
                let Some(index) = late else { return Ok(stored) };
                stored.push(Box::pin(self.settle(*index)).await?);
            } else if !self.unsettled.contains(&position) {
                stored.push(Box::pin(self.part(position)).await?);
            }
        }
    }

    async fn part(&self, index: u64) -> Result<Stored, Failure> {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
        match there {
            Some(Known::Sent(info, sum)) => {
                let receipt = receipt_of(&info, self.size(index));
                Ok(Stored { receipt, checksum: part_sum(sum) })
            }
            Some(Known::There(info)) => self.found(index, &info).await,
            Some(Known::Unsettled) | None => self.send(index).await,
        }
    }

    fn size(&self, index: u64) -> u64 {
        let range = self.plan.range(index);
        range.end - range.start
    }

    /// A part that the store has although its answer never came: what it holds is what the file holds.
    async fn found(&self, index: u64, info: &PartInfo) -> Result<Stored, Failure> {
        let checksum = match &self.origin {
            Origin::File(file) => {
                let hashing = file.checksum(self.plan.range(index), Hasher::new(PART_SUM));
                Some(self.begun.job.context.unless_stopped(hashing).await?)
            }
            Origin::Memory(_) => None,
        };
        let stored = Stored { receipt: receipt_of(info, self.size(index)), checksum };
        self.note(index, &stored);
        Ok(stored)
    }

    /// Waits for a part of which every byte went out, and which nobody may send twice.
    async fn settle(&self, index: u64) -> Result<Stored, Failure> {
        let job = &self.begun.job;
        match self.begun.look(number(index), self.size(index), job.context.config().part_lookup).await? {
            Found::Part(info) => {
                let stored = self.found(index, &info).await?;
                job.reporter.moved(self.size(index));
                Ok(stored)
            }
            Found::NoAnswer => {
                let text = "the store does not say which parts it has";
                Err(job.fail(Error::new(ErrorKind::Unavailable, text)).in_part(index).into())
            }
            Found::Nothing | Found::UploadGone => {
                let text = "nobody knows whether a part arrived that was sent before the interruption";
                Err(Failure::Unsettled(job.fail(Error::new(ErrorKind::Unavailable, text)).in_part(index)))
            }
        }
    }

    async fn send(&self, index: u64) -> Result<Stored, Failure> {
        let job = &self.begun.job;
        let range = self.plan.range(index);
        let size = range.end - range.start;
        let _admission = job.context.admit(FULL, body::memory(size)).await?;
        let keeper = self.begun.keeper.as_ref();
        let kind = self.begun.part_sum();
        // Where a part must not be sent twice, it matters whether all of it may have gone out.
        let careful = self.begun.limits.part_retry != PartRetry::Safe;
        let at_end = keeper.filter(|_| careful).cloned().map(|keeper| {
            let at_end: AtEnd = Box::new(move || keeper.handed_out(index));
            at_end
        });
        let body = Body::observed(&job.context, self.origin.clone(), range, kind, &job.reporter, at_end);
        let number = number(index).get() - 1;
        let stored = self.begun.send(number, &body, &self.origin).await?;
        self.note(index, &stored);
        job.reporter.part_done(index, size);
        Ok(stored)
    }

    fn note(&self, index: u64, stored: &Stored) {
        if let (Some(keeper), Some(sum)) = (&self.begun.keeper, stored.checksum.as_ref().and_then(crc32c)) {
            keeper.finished(index, sum);
        }
    }

    async fn complete(&self, stored: Vec<Stored>) -> Result<UploadOutcome, Failure> {
        if let Origin::File(file) = &self.origin {
            file.check()?;
        }
        self.begun.complete(stored).await
    }
}

/// The plan has no more parts than the store takes, whose number has 32 bits.
fn number(index: u64) -> PartNumber {
    PartNumber::from_index(u32::try_from(index).unwrap_or(u32::MAX))
}

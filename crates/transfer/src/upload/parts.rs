//! One part of an upload, and what to do when its fate is unknown.

use std::{future::pending, sync::Arc, time::Duration};

use longshore_blob_api::{
    BlobStore, HeadOptions, MultipartLimits, MultipartRef, PartInfo, PartNumber, PartReceipt, PartRetry,
    PutResult,
};
use longshore_core_types::{
    Checksum, ChecksumKind, Error, ErrorKind, Result as CoreResult, Retryability, checksum::combine_crc32c,
};
use tokio::time::{Instant, timeout};

use super::{Job, UploadOutcome, answers::Answers};
use crate::{
    body::{Body, Origin},
    checkpoint::{UploadKeeper as Keeper, is_worth_keeping},
    config::{MultipartFailure, Verify},
    error::TransferError,
    retry::{Attempts, outcome_unknown},
};

/// What is computed over each part: the one checksum that can be combined.
pub(super) const PART_SUM: ChecksumKind = ChecksumKind::Crc32c;

/// Why an upload in parts did not get through.
pub(super) enum Failure {
    /// It fails.
    Final(TransferError),
    /// Nobody knows whether a part arrived, and it must not be sent twice: another upload may succeed.
    Unsettled(TransferError),
}

impl Failure {
    pub(super) fn error(&self) -> &TransferError {
        match self {
            Self::Final(error) | Self::Unsettled(error) => error,
        }
    }

    pub(super) fn into_error(self) -> TransferError {
        match self {
            Self::Final(error) | Self::Unsettled(error) => error,
        }
    }

    fn map(self, change: impl FnOnce(TransferError) -> TransferError) -> Self {
        match self {
            Self::Final(error) => Self::Final(change(error)),
            Self::Unsettled(error) => Self::Unsettled(change(error)),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error.into())
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Self::Final(error)
    }
}

/// A part that the store has.
pub(super) struct Stored {
    pub(super) receipt: PartReceipt,
    /// Of what was sent.
    pub(super) checksum: Option<Checksum>,
}

/// An upload in parts that has been begun.
pub(super) struct Begun<S> {
    pub(super) job: Arc<Job<S>>,
    pub(super) upload: MultipartRef,
    pub(super) limits: MultipartLimits,
    /// Notes what the store has, where the upload can be taken up again.
    pub(super) keeper: Option<Arc<Keeper>>,
    pub(super) answers: Answers,
}

impl<S: BlobStore + Clone> Begun<S> {
    pub(super) fn new(
        job: &Arc<Job<S>>,
        upload: MultipartRef,
        limits: MultipartLimits,
        keeper: Option<Arc<Keeper>>,
    ) -> Self {
        let answers = Answers::new(job.context.requests.limit());
        Self { job: Arc::clone(job), upload, limits, keeper, answers }
    }

    /// What is to be computed over each part: nothing, unless somebody compares it.
    pub(super) fn part_sum(&self) -> Option<ChecksumKind> {
        let compared = self.job.context.config().verify != Verify::Never
            && self.job.store.capability().checksums.contains(&PART_SUM);
        (compared || self.keeper.is_some()).then_some(PART_SUM)
    }

    pub(super) async fn begin(job: &Arc<Job<S>>, limits: MultipartLimits) -> CoreResult<Self> {
        let create = job.store.create_multipart(&job.key, job.options.clone());
        let id = job.context.within_grace(create).await?;
        let upload = MultipartRef { key: job.key.clone(), id };
        Ok(Self::new(job, upload, limits, None))
    }

    /// Sends one part, as often as the store allows.
    pub(super) async fn send(&self, index: u32, body: &Body, origin: &Origin) -> Result<Stored, Failure> {
        let number = PartNumber::from_index(index);
        let mut attempts = Attempts::new(&self.job.context.config().retry);
        loop {
            let sent = self.job.context.within_grace(self.answer(number, body)).await;
            let error = match sent.and_then(|receipt| accept(receipt, body)) {
                Ok(stored) => {
                    body.settle();
                    return Ok(stored);
                }
                Err(error) => Job::<S>::blame_source(origin, error),
            };
            let fatal = |error| Failure::Final(self.failed(index, error));
            let unsettled = |error| Failure::Unsettled(self.failed(index, error));
            match self.judge(&error) {
                Verdict::Fail => return Err(fatal(error)),
                Verdict::StartOver => return Err(unsettled(error)),
                Verdict::SendAgain => {}
                Verdict::Look { time, absence_is_final } => {
                    match self.look(number, body.len(), time).await.map_err(fatal)? {
                        Found::Part(info) => {
                            body.settle();
                            return Ok(Stored {
                                receipt: receipt_of(&info, body.len()),
                                checksum: body.checksum(),
                            });
                        }
                        // Another process may ask again: what the store has is not lost by that.
                        Found::NoAnswer if self.is_kept() => return Err(fatal(error)),
                        Found::Nothing | Found::NoAnswer if absence_is_final => {}
                        Found::Nothing | Found::NoAnswer | Found::UploadGone => return Err(unsettled(error)),
                    }
                }
            }
            body.forget();
            let (attempt, wait, error) = attempts.next(error).map_err(fatal)?;
            self.job.reporter.retried(index.into(), attempt, &Arc::new(error), wait);
            self.job.context.pause(wait).await.map_err(fatal)?;
        }
    }

    /// What the store says to a part, which must not take much longer than for other parts where it may simply be
    /// sent again.
    async fn answer(&self, number: PartNumber, body: &Body) -> CoreResult<PartReceipt> {
        let limit = self.answers.limit().filter(|_| self.limits.part_retry == PartRetry::Safe);
        let late = async {
            match limit {
                Some(limit) => body.unanswered_for(limit).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = self.job.store.upload_part(&self.upload, number, body.payload()) => {
                if let (Ok(_), Some(time)) = (&answer, body.waited()) {
                    self.answers.came(time);
                }
                answer
            }
            () = late => {
                self.answers.late();
                let text = format!("no answer to part {number}, which others had long before");
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }

    /// Whether another process could go on with it.
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.holds())
    }

    fn failed(&self, index: u32, error: Error) -> TransferError {
        self.job.fail(error).in_part(index.into())
    }

    fn judge(&self, error: &Error) -> Verdict {
        if error.kind() == ErrorKind::Cancelled {
            return Verdict::Fail;
        }
        match self.limits.part_retry {
            // The store knows that the part is not there: the server refused it, or not all of it was sent.
            _ if error.retryability() == Retryability::Always => Verdict::SendAgain,
            PartRetry::Safe => Verdict::SendAgain,
            // Looking would find the part, with the wrong bytes.
            _ if error.kind() == ErrorKind::ChecksumMismatch => Verdict::StartOver,
            _ if !outcome_unknown(error) => Verdict::Fail,
            PartRetry::LookFirst if self.limits.list_parts => {
                // A part of which bytes never left cannot show up later either.
                let absence_is_final = error.body_fully_sent() == Some(false);
                let time = self.job.context.config().part_lookup;
                Verdict::Look { time: if absence_is_final { Duration::ZERO } else { time }, absence_is_final }
            }
            _ => Verdict::StartOver,
        }
    }

    /// Asks whether the store has a part, at least once and for so long.
    pub(super) async fn look(&self, number: PartNumber, size: u64, time: Duration) -> CoreResult<Found> {
        let config = self.job.context.config();
        let begin = Instant::now();
        let mut answered = false;
        loop {
            let listed = self.job.context.within_grace(self.job.store.list_parts(&self.upload)).await;
            match listed {
                Ok(parts) => {
                    answered = true;
                    let found = parts.into_iter().find(|part| part.number == number);
                    if let Some(part) = found.filter(|part| part.size.is_none_or(|found| found == size)) {
                        return Ok(Found::Part(part));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::UploadGone),
                // A store that cannot answer now may answer before the time is over.
                Err(_) => {}
            }
            if begin.elapsed().saturating_add(config.part_lookup_interval) > time {
                return Ok(if answered { Found::Nothing } else { Found::NoAnswer });
            }
            self.job.context.pause(config.part_lookup_interval).await?;
        }
    }

    /// Makes the object of its parts, which are given in order, and compares checksums.
    pub(super) async fn complete(&self, parts: Vec<Stored>) -> Result<UploadOutcome, Failure> {
        let checksum = combined(&parts);
        let bytes = parts.iter().map(|part| part.receipt.size).sum();
        let count = parts.len() as u64;
        let receipts = parts.into_iter().map(|part| part.receipt).collect();
        let result = match self.job.store.complete_multipart(&self.upload, receipts).await {
            Err(error) if outcome_unknown(&error) => {
                self.completed_after_all(error, bytes, checksum.as_ref()).await?
            }
            result => result?,
        };
        // The answer of a completion seldom has a checksum of the whole, so the store is asked for it.
        let ask = self.job.store.capability().checksums.contains(&PART_SUM);
        let verified = self.job.verify(&result, checksum.as_ref(), ask).await?;
        Ok(UploadOutcome { result, bytes, parts: count, checksum, verified, resumed: 0 })
    }

    /// The answer of a completion was lost: if the object that is there has the checksum of what was sent, it worked.
    async fn completed_after_all(
        &self,
        error: Error,
        bytes: u64,
        checksum: Option<&Checksum>,
    ) -> CoreResult<PutResult> {
        let Some(checksum) = checksum else { return Err(error) };
        match self.job.store.head(&self.upload.key, HeadOptions::default()).await {
            Ok(head) if head.size == bytes && head.checksum(PART_SUM) == Some(checksum) => {
                let mut result = PutResult::default();
                (result.etag, result.version, result.checksums) = (head.etag, head.version, head.checksums);
                Ok(result)
            }
            _ => Err(error),
        }
    }

    /// Frees what the store has, or leaves it, as was asked for; the reason of the failure stays the reason.
    pub(super) async fn clean_up(&self, failure: Failure) -> Failure {
        let resumable = self.is_kept() && is_worth_keeping(failure.error().reason());
        let wanted = resumable || self.job.on_failure == MultipartFailure::Keep;
        if wanted && matches!(failure, Failure::Final(_)) {
            return failure.map(|error| error.keeping(self.upload.clone()));
        }
        if let Some(keeper) = &self.keeper {
            keeper.forget();
        }
        // Also when stopped: it is a short request, and parts that stay cost money.
        let time = self.job.context.config().grace.max(Duration::from_millis(100));
        let aborted = timeout(time, self.job.store.abort_multipart(&self.upload)).await;
        let aborted = aborted.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, format!("aborting upload {} took too long", self.upload.id)))
        });
        match aborted {
            Ok(()) => failure,
            Err(error) => failure.map(|failed| failed.with_related(error)),
        }
    }
}

enum Verdict {
    SendAgain,
    /// The store is asked for so long. If the part is not there, it is sent again only where that is final.
    Look {
        time: Duration,
        absence_is_final: bool,
    },
    StartOver,
    Fail,
}

/// What a store said about a part.
pub(super) enum Found {
    Part(PartInfo),
    Nothing,
    /// It said nothing at all.
    NoAnswer,
    /// What is sent to this upload will never count.
    UploadGone,
}

/// A receipt whose checksum is not that of what was sent is no success.
fn accept(receipt: PartReceipt, body: &Body) -> CoreResult<Stored> {
    let checksum = body.checksum();
    if let (Some(theirs), Some(ours)) = (&receipt.checksum, &checksum)
        && theirs.kind() == ours.kind()
        && theirs != ours
    {
        return Err(Error::new(
            ErrorKind::ChecksumMismatch,
            format!("the store received {theirs}, but {ours} was sent"),
        ));
    }
    Ok(Stored { receipt, checksum })
}

pub(super) fn receipt_of(info: &PartInfo, size: u64) -> PartReceipt {
    let receipt = PartReceipt::new(info.number, size);
    match &info.etag {
        Some(etag) => receipt.with_etag(etag),
        None => receipt,
    }
}

/// The checksum of the whole, if each part has one.
fn combined(parts: &[Stored]) -> Option<Checksum> {
    let mut whole = 0;
    for part in parts {
        let sum = crc32c(part.checksum.as_ref()?)?;
        whole = combine_crc32c(whole, sum, part.receipt.size);
    }
    Checksum::new(PART_SUM, whole.to_be_bytes().to_vec()).ok()
}

/// The crc32c as it stands in a checkpoint, as a checksum.
pub(super) fn part_sum(sum: u32) -> Option<Checksum> {
    Checksum::new(PART_SUM, sum.to_be_bytes().to_vec()).ok()
}

pub(crate) fn crc32c(sum: &Checksum) -> Option<u32> {
    (sum.kind() == ChecksumKind::Crc32c).then(|| sum.as_bytes().try_into().ok().map(u32::from_be_bytes))?
}

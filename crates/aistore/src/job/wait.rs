//! Waiting for jobs.

use std::time::SystemTime;

use longshore_core_types::{Error, ErrorKind, Resource, Result};

use super::{Job, JobKind, JobSnapshot};
use crate::wait::{Wait, Watched};

/// How a job ended.
#[doc(alias = "WaitResult")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobOutcome {
    /// Its id.
    pub id: String,
    /// What it does, if that is known.
    pub kind: Option<JobKind>,
    /// When it ended; `None` if it idles.
    pub ended: Option<SystemTime>,
    /// Whether it was stopped.
    pub aborted: bool,
    /// What went wrong, on any target.
    pub errors: Vec<String>,
    /// Objects that it worked on.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl JobOutcome {
    /// Whether it did all of its work.
    pub fn is_success(&self) -> bool {
        !self.aborted && self.errors.is_empty()
    }

    /// An error that says what went wrong, if anything did.
    pub fn into_result(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let what = if self.errors.is_empty() { "it was stopped".to_owned() } else { self.errors.join("; ") };
        let kind = if self.aborted { ErrorKind::Cancelled } else { ErrorKind::Other };
        let name = self.id.into();
        Err(Error::new(kind, format!("the job failed: {what}"))
            .with_resource(Resource::Named { kind: "job", name }))
    }

    fn of(job: &Job, snapshots: &[JobSnapshot]) -> Self {
        let mut errors: Vec<String> = Vec::new();
        for text in snapshots.iter().flat_map(|s| [&s.abort_error, &s.error]).flatten() {
            if !errors.contains(text) {
                errors.push(text.clone());
            }
        }
        let ended: Option<Vec<SystemTime>> = snapshots.iter().map(|s| s.ended).collect();
        Self {
            id: job.query.id.clone(),
            kind: snapshots.first().map(|s| s.kind.clone()).or_else(|| job.query.kind.clone()),
            ended: ended.and_then(|ended| ended.into_iter().max()),
            aborted: snapshots.iter().any(|s| s.aborted),
            errors,
            objects: snapshots.iter().map(|s| s.stats.objects).sum(),
            bytes: snapshots.iter().map(|s| s.stats.bytes).sum(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Done,
    Idle,
    OneEnded,
}

/// A wait for a job; see [`Job::wait`].
pub type WaitJob = Wait<WatchedJob>;

/// A job, and when its work counts as done.
#[derive(Clone, Debug)]
pub struct WatchedJob {
    job: Job,
    until: Until,
    /// Whether no target had anything to do when it was asked last.
    idle_before: bool,
}

impl WatchedJob {
    pub(super) fn wait(job: Job, until: Until) -> WaitJob {
        Wait::new(Self { job, until, idle_before: false })
    }

    fn is_done(&self, snapshots: &[JobSnapshot], idle_twice: bool) -> bool {
        if snapshots.iter().any(|s| s.aborted || s.abort_error.is_some()) {
            return true;
        }
        let kind = snapshots.first().map(|s| &s.kind);
        match self.until {
            Until::OneEnded => snapshots.iter().any(JobSnapshot::is_over),
            Until::Idle => idle_twice,
            Until::Done if kind.is_some_and(JobKind::idles) => idle_twice,
            Until::Done if kind.is_some_and(JobKind::is_single_node) => {
                snapshots.iter().any(JobSnapshot::is_over)
            }
            Until::Done => snapshots.iter().all(JobSnapshot::is_over),
        }
    }
}

impl Watched for WatchedJob {
    type Said = [JobSnapshot];
    type Answer = Vec<JobSnapshot>;
    type Outcome = JobOutcome;
    const KIND: &'static str = "job";

    fn name(&self) -> &str {
        &self.job.query.id
    }

    async fn ask(&self) -> Result<Option<Vec<JobSnapshot>>> {
        Ok(Some(self.job.snapshots().await?).filter(|snapshots| !snapshots.is_empty()))
    }

    async fn outcome(&mut self, snapshots: Vec<JobSnapshot>) -> Result<Option<JobOutcome>> {
        let idle = snapshots.iter().all(|s| s.idle || s.is_over());
        let done = self.is_done(&snapshots, idle && self.idle_before);
        self.idle_before = idle;
        Ok(done.then(|| JobOutcome::of(&self.job, &snapshots)))
    }

    // Targets forget a job after its end; gateways may still know how it ended.
    async fn forgotten(&self, unknown: Error) -> Result<JobOutcome> {
        match self.job.status().await {
            Ok(status) if status.ended.is_some() || status.aborted => Ok(JobOutcome {
                id: status.id,
                kind: Some(status.kind),
                ended: status.ended,
                aborted: status.aborted,
                errors: status.error.into_iter().collect(),
                objects: 0,
                bytes: 0,
            }),
            // A record without end of a job that no target knows: its start was absorbed by a running one.
            Ok(_) => Err(unknown),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown),
            Err(error) => Err(unknown.with_related(error)),
        }
    }
}

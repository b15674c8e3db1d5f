//! Waiting for jobs.

use std::{fmt, future::IntoFuture, time::SystemTime};

use futures_core::future::BoxFuture;
use longshore_core_types::{Error, ErrorKind, Resource, Result};

use super::{Job, JobKind, JobSnapshot};
use crate::pace::{Pace, pace_options};

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

type Show = Box<dyn FnMut(&[JobSnapshot]) + Send>;

/// A wait for a job; see [`Job::wait`]. Dropping it stops the waiting, not the job.
#[must_use = "nothing is waited for until it is awaited"]
pub struct WaitJob {
    job: Job,
    until: Until,
    pace: Pace,
    progress: Option<Show>,
}

impl WaitJob {
    pub(super) fn new(job: Job, until: Until) -> Self {
        Self { job, until, pace: Pace::default(), progress: None }
    }

    pace_options!(pace);

    /// Shows what the targets say, each time they were asked.
    pub fn progress(mut self, show: impl FnMut(&[JobSnapshot]) + Send + 'static) -> Self {
        self.progress = Some(Box::new(show));
        self
    }

    async fn run(mut self) -> Result<JobOutcome> {
        self.pace.begin();
        let mut idle_before = false;
        loop {
            match self.job.snapshots().await {
                Ok(snapshots) if !snapshots.is_empty() => {
                    if let Some(show) = &mut self.progress {
                        show(&snapshots);
                    }
                    let idle = snapshots.iter().all(|s| s.idle || s.is_over());
                    if self.is_done(&snapshots, idle && idle_before) {
                        return Ok(JobOutcome::of(&self.job, &snapshots));
                    }
                    idle_before = idle;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound && self.pace.is_early() => {}
                // Targets forget a job after its end; gateways may still know how it ended.
                Err(error) if error.kind() == ErrorKind::NotFound => return self.by_record(error).await,
                Err(error) => return Err(error),
            }
            self.pace.pause("job", &self.job.query.id).await?;
        }
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

    async fn by_record(self, unknown: Error) -> Result<JobOutcome> {
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

impl IntoFuture for WaitJob {
    type Output = Result<JobOutcome>;
    type IntoFuture = BoxFuture<'static, Result<JobOutcome>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for WaitJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitJob")
            .field("job", &self.job)
            .field("until", &self.until)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

//! Jobs of a cluster.

mod kind;
mod wait;

use std::{
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;
use longshore_core_types::Result;

use crate::{
    client::Client,
    names::BucketRef,
    wire::job::{self as wire, Query, StartParams},
};

pub use kind::JobKind;
pub use wait::{JobOutcome, WaitJob};
use wait::{Until, WatchedJob};

/// Longest answer about jobs that is read: everything that all targets of a large cluster remember.
const LIMIT: usize = 64 << 20;

/// The record that gateways keep of a job, for some minutes after its end.
///
/// Jobs that only targets know, such as copies of selected objects, have none; a job that ends within
/// milliseconds may look unfinished in it for half a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// What went wrong.
    pub error: Option<String>,
    /// When it ended; `None` while it runs.
    pub ended: Option<SystemTime>,
    /// Whether it was stopped.
    pub aborted: bool,
}

/// A job on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobSnapshot {
    /// The target.
    pub node: String,
    /// Id of the job.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When it ended; `None` while it runs.
    pub ended: Option<SystemTime>,
    /// The bucket it works on.
    pub bucket: Option<BucketRef>,
    /// The bucket it reads, of a job between two.
    pub source: Option<BucketRef>,
    /// The bucket it writes, of a job between two.
    pub destination: Option<BucketRef>,
    /// What else the target says about it.
    pub message: Option<String>,
    /// Why it was stopped.
    pub abort_error: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// How much it has done.
    pub stats: JobStats,
    /// Number of disks it works on at once.
    pub joggers: u32,
    /// Number of its workers.
    pub workers: u32,
    /// Whether it was stopped.
    pub aborted: bool,
    /// Whether it has nothing to do; also of a job that has ended.
    pub idle: bool,
}

impl JobSnapshot {
    fn is_over(&self) -> bool {
        self.aborted || self.abort_error.is_some() || self.ended.is_some()
    }
}

/// How much a job has done on one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStats {
    /// Objects that it worked on.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects sent to other targets.
    pub sent_objects: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Objects received from other targets.
    pub received_objects: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// A job, by its id or its kind. Cheap to clone; making one does no I/O.
#[derive(Clone, Debug)]
pub struct Job {
    client: Client,
    query: Query,
}

impl Client {
    /// A job by its id, as the call that started it answered.
    pub fn job(&self, id: impl Into<String>) -> Job {
        Job { client: self.clone(), query: Query { id: id.into(), ..Query::default() } }
    }

    /// The jobs of one kind.
    pub fn jobs_of(&self, kind: impl Into<JobKind>) -> Job {
        Job { client: self.clone(), query: Query { kind: Some(kind.into()), ..Query::default() } }
    }
}

impl Job {
    pub(crate) fn new(client: Client, id: String, kind: JobKind) -> Self {
        Self { client, query: Query { id, kind: Some(kind), ..Query::default() } }
    }

    /// Its id; empty if it is known by its kind only.
    pub fn id(&self) -> &str {
        &self.query.id
    }

    /// What it does, if that is known.
    pub fn kind(&self) -> Option<&JobKind> {
        self.query.kind.as_ref()
    }

    /// The same job, of this kind.
    #[must_use]
    pub fn of_kind(mut self, kind: impl Into<JobKind>) -> Self {
        self.query.kind = Some(kind.into());
        self
    }

    /// Only as far as it works on this bucket.
    #[must_use]
    pub fn on_bucket(mut self, bucket: &BucketRef) -> Self {
        self.query.bucket = Some(bucket.clone());
        self
    }

    /// Only jobs that run (`true`) or have ended (`false`), of those known by their kind.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.query.active = Some(active);
        self
    }

    /// The gateways' record of it. `NotFound`, after 2 s, for jobs without a record; see [`JobStatus`].
    pub async fn status(&self) -> Result<JobStatus> {
        let answer = self.client.call(wire::status(&self.query)?).await?;
        let call = answer.call.clone();
        wire::parse_status(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// What the targets say about it. `NotFound` if none of them knows it.
    #[doc(alias = "get_details")]
    pub async fn snapshots(&self) -> Result<Vec<JobSnapshot>> {
        let answer = self.client.call(wire::snapshots(&self.query)?).await?;
        let call = answer.call.clone();
        wire::parse_snapshots(&answer.bytes(LIMIT).await?, &self.query).map_err(|e| e.with_call(&call))
    }

    /// Snapshots of jobs that began no earlier than `start` and, if given, ended no later than `end`.
    #[doc(alias = "get_within_timeframe")]
    pub async fn within(&self, start: SystemTime, end: Option<SystemTime>) -> Result<Vec<JobSnapshot>> {
        let mut all = self.snapshots().await?;
        all.retain(|job| {
            let began = job.started.is_some_and(|began| began >= start);
            let ended = end.is_none_or(|end| job.ended.is_some_and(|ended| ended <= end));
            began && ended
        });
        Ok(all)
    }

    /// From its first start to its last end on any target; `None` while it runs.
    #[doc(alias = "get_total_time")]
    pub async fn total_time(&self) -> Result<Option<Duration>> {
        let all = self.snapshots().await?;
        let started = all.iter().filter_map(|job| job.started).min();
        let ended: Option<Vec<SystemTime>> = all.iter().map(|job| job.ended).collect();
        let ended = ended.and_then(|ended| ended.into_iter().max());
        Ok(started.zip(ended).and_then(|(from, to)| to.duration_since(from).ok()))
    }

    /// Starts a job of this kind. Awaiting it answers the new job.
    ///
    /// While such a job runs already, a start may be absorbed: the new job then never shows up, which
    /// [`wait`](Self::wait) reports as `NotFound`.
    pub fn start(&self) -> StartJob {
        let mut params = StartParams::default();
        params.buckets.extend(self.query.bucket.clone());
        StartJob { job: self.clone(), params }
    }

    /// Stops it. `Ok` also if there is no such job any more.
    #[doc(alias = "stop")]
    pub async fn abort(&self) -> Result<()> {
        self.client.call(wire::stop(&self.query)?).await?.done().await.map(drop)
    }

    /// Waits until it has ended, or, if it is of a kind that idles, until its work is done.
    pub fn wait(&self) -> WaitJob {
        WatchedJob::wait(self.clone(), Until::Done)
    }

    /// Waits until it has nothing to do on any target.
    pub fn wait_for_idle(&self) -> WaitJob {
        WatchedJob::wait(self.clone(), Until::Idle)
    }

    /// Waits until it has ended on one target, for jobs that run on one.
    pub fn wait_single_node(&self) -> WaitJob {
        WatchedJob::wait(self.clone(), Until::OneEnded)
    }
}

/// A start of a job; see [`Job::start`].
#[derive(Clone, Debug)]
#[must_use = "nothing is started until it is awaited"]
pub struct StartJob {
    job: Job,
    params: StartParams,
}

impl StartJob {
    /// Adds a bucket to work on.
    pub fn bucket(mut self, bucket: &BucketRef) -> Self {
        self.params.buckets.push(bucket.clone());
        self
    }

    /// The target to work on, for kinds that work on one.
    #[doc(alias = "daemon_id")]
    pub fn node(mut self, id: impl Into<String>) -> Self {
        self.params.node = id.into();
        self
    }

    /// Starts it although the cluster's settings speak against it.
    pub fn force(mut self, force: bool) -> Self {
        self.params.force = force;
        self
    }
}

impl IntoFuture for StartJob {
    type Output = Result<Job>;
    type IntoFuture = BoxFuture<'static, Result<Job>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { job, params } = self;
            let kind = job.query.kind.clone().ok_or_else(|| crate::names::invalid("a job of which kind?"))?;
            let answer = job.client.call(wire::start(&kind, &params)?).await?;
            let call = answer.call.clone();
            let id = crate::wire::from_text(&answer.bytes(4096).await?, "the id of a job");
            let id = id.map_err(|error| error.with_call(&call))?;
            Ok(Job::new(job.client, id, kind))
        })
    }
}

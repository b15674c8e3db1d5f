//! What a bucket holds.

use std::{future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use http::StatusCode;
use longshore_core_types::{Error, ErrorKind, Result};

use super::{Bucket, BucketProps};
use crate::{
    names::BucketRef,
    object::options::Presence,
    wait::Pace,
    wire::{bucket as wire_bucket, bucket_jobs as wire, from_text},
};

/// How many objects and bytes a bucket holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketSummary {
    /// Which bucket.
    pub bucket: BucketRef,
    /// Objects that the cluster holds.
    pub objects_present: u64,
    /// Objects that only the backend holds, if they were counted.
    pub objects_remote: u64,
    /// Size of the smallest object in bytes.
    pub smallest: u64,
    /// Average size in bytes.
    pub average: u64,
    /// Size of the largest object in bytes.
    pub largest: u64,
    /// Bytes on the disks of the cluster, copies and slices included.
    pub bytes_on_disk: u64,
    /// Bytes of the objects that the cluster holds.
    pub bytes_present: u64,
    /// Bytes of the objects that only the backend holds, if they were counted.
    pub bytes_remote: u64,
    /// Capacity of all disks of the cluster in bytes.
    pub disk_capacity: u64,
    /// Part of the capacity that the bucket uses, in percent.
    pub used_percent: u64,
    /// Whether the cluster knows the bucket.
    pub present: bool,
}

/// Summing up takes a moment, so the first question about it comes later than for other work.
fn pace() -> Pace {
    Pace::starting_with(Duration::from_millis(200))
}

/// A summary of a bucket; see [`Bucket::summary`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Summary {
    bucket: Bucket,
    params: wire::SummaryParams,
    pace: Pace,
}

impl Summary {
    pub(super) fn new(bucket: Bucket) -> Self {
        let params = wire::SummaryParams { cached: true, present: true, ..Default::default() };
        Self { bucket, params, pace: pace() }
    }

    /// Only names that start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.params.prefix = prefix.into();
        self
    }

    /// Whether only objects that the cluster holds are counted; so by default.
    pub fn cached(mut self, cached: bool) -> Self {
        self.params.cached = cached;
        self
    }

    /// Whether only a bucket that the cluster knows is summed up; so by default.
    pub fn present(mut self, present: bool) -> Self {
        self.params.present = present;
        self
    }

    /// How long to wait at most; 300 s by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.pace.deadline = deadline;
        self
    }

    /// How long to wait before the first question; 200 ms by default, then longer.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.pace.interval = interval;
        self
    }

    async fn run(self) -> Result<BucketSummary> {
        let Self { bucket, params, mut pace } = self;
        pace.begin();
        let answer = bucket.client().call(wire::summary(bucket.reference(), &params, "")?).await?;
        let call = answer.call.clone();
        let (parts, body) = answer.read(16 << 20).await?;
        if parts.status != StatusCode::ACCEPTED {
            let error = Error::new(ErrorKind::Protocol, "the summary was not started");
            return Err(error.with_call(&call).with_status(parts.status));
        }
        let id = from_text(&body, "the id of a job").map_err(|error| error.with_call(&call))?;
        loop {
            let answer = bucket.client().call(wire::summary(bucket.reference(), &params, &id)?).await?;
            let (parts, body) = answer.read(16 << 20).await?;
            if parts.status == StatusCode::OK {
                let all = wire::parse_summaries(&body).map_err(|error| error.with_call(&call))?;
                return all
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::new(ErrorKind::Protocol, "the summary is empty").with_call(&call));
            }
            pace.pause("summary", bucket.name()).await.map_err(|error| error.with_call(&call))?;
        }
    }
}

impl IntoFuture for Summary {
    type Output = Result<BucketSummary>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Properties and summary of a bucket; see [`Bucket::info`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Info {
    bucket: Bucket,
    prefix: String,
    presence: Presence,
    count_remote: bool,
    pace: Pace,
}

impl Info {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, prefix: String::new(), presence: Presence::Exists, count_remote: true, pace: pace() }
    }

    /// Only names that start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Where to look for the bucket.
    #[doc(alias = "flt_presence")]
    pub fn presence(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }

    /// Whether objects that only the backend holds are counted; so by default.
    pub fn count_remote(mut self, count: bool) -> Self {
        self.count_remote = count;
        self
    }

    /// How long to wait at most; 300 s by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.pace.deadline = deadline;
        self
    }

    /// How long to wait before the first question; 200 ms by default, then longer.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.pace.interval = interval;
        self
    }

    async fn run(self) -> Result<(BucketProps, BucketSummary)> {
        let Self { bucket, prefix, presence, count_remote, mut pace } = self;
        pace.begin();
        let ask = |id: String| {
            let request = wire::info(bucket.reference(), &prefix, presence, count_remote, &id);
            async { bucket.client().call(request?).await }
        };
        let answer = ask(String::new()).await?;
        let call = answer.call.clone();
        let parts = answer.done().await?;
        let (id, _) = wire::parse_info(&parts).map_err(|error| error.with_call(&call))?;
        let id = id.ok_or_else(|| {
            let error = Error::new(ErrorKind::Protocol, "the summary was not started");
            error.with_call(&call).with_status(parts.status)
        })?;
        loop {
            let parts = ask(id.clone()).await?.done().await?;
            let (_, summary) = wire::parse_info(&parts).map_err(|error| error.with_call(&call))?;
            if let (StatusCode::OK, Some(summary)) = (parts.status, summary) {
                let props = wire_bucket::parse_head(&parts).map_err(|error| error.with_call(&call))?;
                return Ok((props, summary));
            }
            pace.pause("summary", bucket.name()).await.map_err(|error| error.with_call(&call))?;
        }
    }
}

impl IntoFuture for Info {
    type Output = Result<(BucketProps, BucketSummary)>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

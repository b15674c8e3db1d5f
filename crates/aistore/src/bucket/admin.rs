//! Calls on buckets that start jobs.

use std::{future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use longshore_core_types::Result;

use super::{Bucket, Info, Summary};
use crate::{
    client::Client,
    job::{Job, JobKind},
    names::BucketRef,
    object::options::EtlCall,
    wire::{Request, bucket_jobs as wire, from_text},
};

/// Sends a request that starts jobs. Some answer several ids.
pub(crate) async fn start(client: &Client, request: Request, kind: &JobKind) -> Result<Vec<Job>> {
    let answer = client.call(request).await?;
    let call = answer.call.clone();
    let body = answer.bytes(64 << 10).await?;
    let ids = from_text(&body, "the id of a job").map_err(|error| error.with_call(&call))?;
    let ids = ids.split(',').filter(|id| !id.is_empty());
    Ok(ids.map(|id| Job::new(client.clone(), id.to_owned(), kind.clone())).collect())
}

/// Sends a request that starts one job.
pub(crate) async fn start_one(client: &Client, request: Request, kind: JobKind) -> Result<Job> {
    let call = request.call.clone();
    let jobs = start(client, request, &kind).await?;
    jobs.into_iter().next().ok_or_else(|| {
        use longshore_core_types::{Error, ErrorKind};
        Error::new(ErrorKind::Protocol, "the answer names no job").with_call(&call)
    })
}

impl Bucket {
    /// Gives it another name, inside the cluster. The old name is gone when the job is done.
    pub async fn rename(&self, to: &BucketRef) -> Result<(Self, Job)> {
        let request = wire::rename(&self.reference, to)?;
        let job = start_one(&self.client, request, JobKind::RenameBucket).await?;
        Ok((Self::new(self.client.clone(), to.clone()), job))
    }

    /// Drops what the cluster holds of a remote bucket; the backend keeps everything. With `keep_metadata` the
    /// cluster goes on knowing the bucket. Refused for buckets of the cluster itself.
    pub async fn evict(&self, keep_metadata: bool) -> Result<()> {
        let request = wire::evict(&self.reference, keep_metadata)?;
        self.client.call(request).await?.done().await.map(drop)
    }

    /// Copies it, by a job of the cluster. The destination is created if it does not exist.
    #[doc(alias = "copy")]
    pub fn copy_to(&self, to: &BucketRef) -> CopyBucket {
        CopyBucket { from: self.clone(), to: to.clone(), params: wire::CopyParams::default() }
    }

    /// Copies it through an ETL, by a job of the cluster.
    #[doc(alias = "transform")]
    pub fn transform_to(&self, to: &BucketRef, etl: EtlCall) -> CopyBucket {
        let params = wire::CopyParams { etl: Some(etl), ..wire::CopyParams::default() };
        CopyBucket { from: self.clone(), to: to.clone(), params }
    }

    /// Counts its objects and bytes.
    pub fn summary(&self) -> Summary {
        Summary::new(self.clone())
    }

    /// Its properties together with a summary.
    pub fn info(&self) -> Info {
        Info::new(self.clone())
    }

    /// Keeps this many copies of every object.
    pub async fn make_copies(&self, copies: u32) -> Result<Job> {
        let request = wire::make_copies(&self.reference, copies)?;
        start_one(&self.client, request, JobKind::MakeCopies).await
    }

    /// Erasure-codes every object.
    pub async fn ec_encode(&self, data_slices: u32, parity_slices: u32) -> Result<Job> {
        let request = wire::ec_encode(&self.reference, data_slices, parity_slices, false)?;
        start_one(&self.client, request, JobKind::EcEncode).await
    }

    /// Rebuilds what is missing of erasure-coded objects.
    pub async fn ec_recover(&self, data_slices: u32, parity_slices: u32) -> Result<Job> {
        let request = wire::ec_encode(&self.reference, data_slices, parity_slices, true)?;
        start_one(&self.client, request, JobKind::EcEncode).await
    }

    /// Stores objects of at least `over` bytes, whose names start with `prefix`, in chunks of `chunk` bytes.
    pub async fn rechunk(&self, over: u64, chunk: u64, prefix: &str) -> Result<Job> {
        let request = wire::rechunk(&self.reference, over, chunk, prefix)?;
        start_one(&self.client, request, JobKind::Rechunk).await
    }

    /// Indexes the archives whose names start with `prefix`.
    pub async fn index_shards(&self, prefix: &str) -> Result<Job> {
        start_one(&self.client, wire::index_shards(&self.reference, prefix)?, JobKind::IndexShard).await
    }
}

/// A copy of a bucket; see [`Bucket::copy_to`]. Awaiting it starts the job.
#[derive(Clone, Debug)]
#[must_use = "nothing is copied until it is awaited"]
pub struct CopyBucket {
    from: Bucket,
    to: BucketRef,
    params: wire::CopyParams,
}

macro_rules! copy_options {
    ($params:ident) => {
        /// Only names that start with this.
        pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
            self.$params.prefix = prefix.into();
            self
        }

        /// Puts this in front of every name; no `/` is added.
        pub fn prepend(mut self, text: impl Into<String>) -> Self {
            self.$params.prepend = text.into();
            self
        }

        /// Gives names that end in `.from` the extension `to`; both without dot.
        #[doc(alias = "ext")]
        pub fn extension(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
            self.$params.extensions.insert(from.into(), to.into());
            self
        }

        /// Visits the objects and copies nothing.
        pub fn dry_run(mut self, dry_run: bool) -> Self {
            self.$params.dry_run = dry_run;
            self
        }

        /// Starts although other jobs are in the way.
        pub fn force(mut self, force: bool) -> Self {
            self.$params.force = force;
            self
        }

        /// Copies the versions that the backend of a remote source has now.
        pub fn latest(mut self, latest: bool) -> Self {
            self.$params.latest = latest;
            self
        }

        /// Also deletes at the destination what the source has no more. Not together with `prepend`.
        pub fn sync(mut self, sync: bool) -> Self {
            self.$params.sync = sync;
            self
        }

        /// Number of workers on each target; 0 lets the cluster choose, -1 means one after the other.
        pub fn workers(mut self, workers: i32) -> Self {
            self.$params.workers = Some(workers);
            self
        }

        /// Goes on after an object that cannot be copied.
        pub fn continue_on_error(mut self, go_on: bool) -> Self {
            self.$params.continue_on_error = go_on;
            self
        }

        /// How long the transformation of one object may take.
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.$params.timeout = Some(timeout);
            self
        }
    };
}
pub(crate) use copy_options;

impl CopyBucket {
    copy_options!(params);

    /// Stays on the level of the prefix.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.params.not_recursive = !recursive;
        self
    }

    /// Also copies what a remote source has beyond the cluster's own copies.
    pub fn remote_too(mut self, remote_too: bool) -> Self {
        self.params.remote_too = remote_too;
        self
    }
}

impl IntoFuture for CopyBucket {
    type Output = Result<Vec<Job>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let kind = if self.params.etl.is_some() { JobKind::EtlBucket } else { JobKind::CopyBucket };
            let request = wire::copy(&self.from.reference, &self.to, &self.params)?;
            start(&self.from.client, request, &kind).await
        })
    }
}

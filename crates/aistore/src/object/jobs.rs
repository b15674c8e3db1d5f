//! Calls on objects that run as jobs.

use std::{future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use longshore_core_types::Result;

use super::Object;
use crate::{
    bucket::{Bucket, admin::start},
    job::{Job, JobKind},
    wire::object_jobs::{self as wire, BlobParams, PromoteParams},
};

impl Bucket {
    /// Takes a file or directory of the targets in: what lies at this absolute path there becomes objects.
    ///
    /// Servers allow it below one directory only, usually `/var/lib/ais/promote`.
    pub fn promote(&self, path: impl Into<String>) -> Promote {
        let params = PromoteParams { source: path.into(), ..PromoteParams::default() };
        Promote { bucket: self.clone(), params }
    }
}

impl Object {
    /// Takes a file of the targets in as this object; see [`Bucket::promote`].
    pub fn promote(&self, path: impl Into<String>) -> Promote {
        let params =
            PromoteParams { source: path.into(), name: self.key().to_string(), ..PromoteParams::default() };
        Promote { bucket: self.client().bucket_ref(self.bucket().clone()), params }
    }

    /// Lets the cluster fetch this remote object in parallel chunks. Refused for buckets of the cluster itself.
    pub fn blob_download(&self) -> BlobDownload {
        BlobDownload { object: self.clone(), params: BlobParams::default() }
    }
}

/// A promotion; see [`Bucket::promote`]. Awaiting it answers the job, or `None` if the work is done already.
#[derive(Clone, Debug)]
#[must_use = "nothing is promoted until it is awaited"]
pub struct Promote {
    bucket: Bucket,
    params: PromoteParams,
}

impl Promote {
    /// Name of the object, or what stands in front of the names of a directory's files (no `/` is added). A file
    /// keeps its own name behind a final `/`.
    #[doc(alias = "object_name")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.params.name = name.into();
        self
    }

    /// Only on this target.
    pub fn target(mut self, id: impl Into<String>) -> Self {
        self.params.target = id.into();
        self
    }

    /// Also what lies in directories of the directory.
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.params.recursive = recursive;
        self
    }

    /// Replaces objects that exist; otherwise they stay.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.params.overwrite = overwrite;
        self
    }

    /// Deletes the files afterwards.
    pub fn delete_source(mut self, delete: bool) -> Self {
        self.params.delete_source = delete;
        self
    }

    /// Each target has files of its own at the path; by default they are taken to share one file system.
    #[doc(alias = "src_not_file_share")]
    pub fn not_shared(mut self, not_shared: bool) -> Self {
        self.params.not_shared = not_shared;
        self
    }
}

impl IntoFuture for Promote {
    type Output = Result<Option<Job>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::promote(self.bucket.reference(), &self.params)?;
            Ok(start(self.bucket.client(), request, &JobKind::Promote).await?.into_iter().next())
        })
    }
}

/// A download into the cluster; see [`Object::blob_download`]. Awaiting it answers the job, or `None` if the
/// cluster holds the object already.
#[derive(Clone, Debug)]
#[must_use = "nothing is downloaded until it is awaited"]
pub struct BlobDownload {
    object: Object,
    params: BlobParams,
}

impl BlobDownload {
    /// Size of a chunk in bytes; the cluster's own by default.
    pub fn chunk_size(mut self, bytes: u64) -> Self {
        self.params.chunk_size = bytes;
        self
    }

    /// Number of readers, up to 128; chosen by the cluster by default.
    #[doc(alias = "num_workers")]
    pub fn workers(mut self, workers: u32) -> Self {
        self.params.workers = workers;
        self
    }

    /// Fetches the version that the backend has now.
    pub fn latest(mut self, latest: bool) -> Self {
        self.params.latest = latest;
        self
    }

    /// Longest wait for one chunk.
    pub fn chunk_timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for BlobDownload {
    type Output = Result<Option<Job>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (object, params) = (self.object, self.params);
            let request = wire::blob_download(object.bucket(), object.key(), &params)?;
            Ok(start(object.client(), request, &JobKind::BlobDownload).await?.into_iter().next())
        })
    }
}

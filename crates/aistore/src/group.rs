//! Selected objects of a bucket.

use std::{future::IntoFuture, time::Duration};

use futures_core::{Stream, future::BoxFuture};
use futures_util::{StreamExt, stream};
use longshore_core_types::{ErrorKind, ObjectKey, Result};

use crate::{
    bucket::{
        Bucket,
        admin::{copy_options, start, start_one},
    },
    collection::Collection,
    job::{Job, JobKind},
    names::{BucketRef, invalid},
    object::{ArchiveFormat, EtlCall, Object, ObjectProps, options::ObjectAt},
    tar::append::check_appendable,
    wire::{
        bucket_jobs::CopyParams,
        group::{self as wire, ArchiveParams, ListRangeParams, PrefetchParams},
    },
};

/// How many objects are asked about at a time.
const HEADS: usize = 16;

/// Selected objects of a bucket, which a job of the cluster works on. Cheap to clone; making one does no I/O.
///
/// Names that do not exist are no error of a call: the job reports them.
#[derive(Clone, Debug)]
pub struct ObjectGroup {
    bucket: Bucket,
    what: Collection,
}

impl Bucket {
    /// Selected objects of the bucket. No I/O.
    pub fn objects(&self, what: Collection) -> ObjectGroup {
        ObjectGroup { bucket: self.clone(), what }
    }
}

impl ObjectGroup {
    /// The client that made it.
    pub fn client(&self) -> &crate::Client {
        self.bucket.client()
    }

    /// The selection.
    pub fn collection(&self) -> &Collection {
        &self.what
    }

    /// The names, without asking the cluster; `InvalidInput` for a prefix.
    #[doc(alias = "list_names")]
    pub fn names(&self) -> Result<impl Iterator<Item = String> + Send + '_> {
        self.what.names().ok_or_else(|| invalid("only the cluster knows the names that start with a prefix"))
    }

    /// The addresses of the objects at the gateway, or of what an ETL makes of them, without asking the cluster;
    /// `InvalidInput` for a prefix.
    #[doc(alias = "list_urls")]
    pub fn http_urls<'a>(
        &'a self,
        etl: Option<&'a EtlCall>,
    ) -> Result<impl Iterator<Item = Result<String>> + Send + 'a> {
        Ok(self.names()?.map(move |name| self.bucket.object(name)?.http_url_with(None, etl)))
    }

    /// The objects that exist, with what the cluster says about each, some asked about at a time.
    #[doc(alias = "list_all_objects_iter")]
    pub fn objects(&self) -> Result<impl Stream<Item = Result<(Object, ObjectProps)>> + Send + Unpin + '_> {
        let bucket = &self.bucket;
        let heads = self.names()?.map(move |name| async move {
            let object = bucket.object(name)?;
            match object.head().await {
                Ok(props) => Ok(Some((object, props))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        });
        let found = stream::iter(heads).buffered(HEADS);
        Ok(Box::pin(found.filter_map(|result| std::future::ready(result.transpose()))))
    }

    /// Deletes them.
    pub fn delete(&self) -> GroupCall {
        GroupCall { group: self.clone(), params: ListRangeParams::default(), evict: false }
    }

    /// Drops the cluster's copies; the backend keeps the objects. Refused in buckets of the cluster itself.
    pub fn evict(&self) -> GroupCall {
        GroupCall { group: self.clone(), params: ListRangeParams::default(), evict: true }
    }

    /// Fetches remote objects into the cluster. Refused in buckets of the cluster itself.
    pub fn prefetch(&self) -> Prefetch {
        Prefetch { group: self.clone(), params: PrefetchParams::default() }
    }

    /// Copies them, also to other names in the same bucket. The destination is created if it does not exist.
    #[doc(alias = "copy")]
    pub fn copy_to(&self, to: &BucketRef) -> CopyGroup {
        CopyGroup { group: self.clone(), to: to.clone(), params: CopyParams::default() }
    }

    /// Copies them through an ETL.
    #[doc(alias = "transform")]
    pub fn transform_to(&self, to: &BucketRef, etl: EtlCall) -> CopyGroup {
        let params = CopyParams { etl: Some(etl), ..CopyParams::default() };
        CopyGroup { group: self.clone(), to: to.clone(), params }
    }

    /// Writes them into one archive, whose name says the format.
    ///
    /// If one of them is missing, the archive is made of the rest, and the job has an error. The next archive
    /// that is asked for while that job lives may not be made: wait for it to end first.
    pub fn archive(&self, name: impl Into<String>) -> ArchiveGroup {
        let to = self.bucket.reference().clone();
        ArchiveGroup { group: self.clone(), to, name: name.into(), params: ArchiveParams::default() }
    }
}

/// A deletion or eviction of selected objects. Awaiting it starts the job.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct GroupCall {
    group: ObjectGroup,
    params: ListRangeParams,
    evict: bool,
}

impl GroupCall {
    /// Number of workers on each target; 0 lets the cluster choose, -1 means one after the other.
    pub fn workers(mut self, workers: i32) -> Self {
        self.params.workers = Some(workers);
        self
    }

    /// Goes on after an object that fails.
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.params.continue_on_error = go_on;
        self
    }
}

impl IntoFuture for GroupCall {
    type Output = Result<Job>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (bucket, what) = (&self.group.bucket, &self.group.what);
            let (request, kind) = if self.evict {
                (wire::evict(bucket.reference(), what, &self.params)?, JobKind::EvictObjects)
            } else {
                (wire::delete(bucket.reference(), what, &self.params)?, JobKind::DeleteObjects)
            };
            start_one(bucket.client(), request, kind).await
        })
    }
}

/// A fetch of selected objects; see [`ObjectGroup::prefetch`]. Awaiting it starts the job.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is awaited"]
pub struct Prefetch {
    group: ObjectGroup,
    params: PrefetchParams,
}

impl Prefetch {
    /// Fetches again what the backend has in another version.
    pub fn latest(mut self, latest: bool) -> Self {
        self.params.latest = latest;
        self
    }

    /// Fetches objects of at least this many bytes in parallel chunks.
    pub fn blob_threshold(mut self, bytes: u64) -> Self {
        self.params.blob_threshold = Some(bytes);
        self
    }

    /// Size of those chunks in bytes.
    pub fn blob_chunk_size(mut self, bytes: u64) -> Self {
        self.params.blob_chunk_size = Some(bytes);
        self
    }

    /// Number of workers on each target; 0 lets the cluster choose, -1 means one after the other.
    #[doc(alias = "num_workers")]
    pub fn workers(mut self, workers: i32) -> Self {
        self.params.common.workers = Some(workers);
        self
    }

    /// Goes on after an object that fails.
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.params.common.continue_on_error = go_on;
        self
    }
}

impl IntoFuture for Prefetch {
    type Output = Result<Job>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (bucket, what) = (&self.group.bucket, &self.group.what);
            let request = wire::prefetch(bucket.reference(), what, &self.params)?;
            start_one(bucket.client(), request, JobKind::PrefetchObjects).await
        })
    }
}

/// A copy of selected objects; see [`ObjectGroup::copy_to`]. Awaiting it starts the jobs.
#[derive(Clone, Debug)]
#[must_use = "nothing is copied until it is awaited"]
pub struct CopyGroup {
    group: ObjectGroup,
    to: BucketRef,
    params: CopyParams,
}

impl CopyGroup {
    copy_options!(params);
}

impl IntoFuture for CopyGroup {
    type Output = Result<Vec<Job>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (bucket, what) = (&self.group.bucket, &self.group.what);
            let kind = if self.params.etl.is_some() { JobKind::EtlObjects } else { JobKind::CopyObjects };
            let request = wire::copy(bucket.reference(), &self.to, what, &self.params)?;
            start(bucket.client(), request, &kind).await
        })
    }
}

/// An archive of selected objects; see [`ObjectGroup::archive`]. Awaiting it starts the jobs.
#[derive(Clone, Debug)]
#[must_use = "nothing is archived until it is awaited"]
pub struct ArchiveGroup {
    group: ObjectGroup,
    to: BucketRef,
    name: String,
    params: ArchiveParams,
}

impl ArchiveGroup {
    /// The bucket of the archive, which must exist; that of the objects by default.
    pub fn into_bucket(mut self, bucket: &BucketRef) -> Self {
        self.to = bucket.clone();
        self
    }

    /// States the format, which must be that of the name.
    #[doc(alias = "mime")]
    pub fn format(mut self, format: ArchiveFormat) -> Self {
        self.params.format = Some(format);
        self
    }

    /// Puts the bucket's name in front of the members' names.
    #[doc(alias = "include_source_name")]
    pub fn include_bucket(mut self, include: bool) -> Self {
        self.params.include_bucket = include;
        self
    }

    /// Drops the directories of the members' names.
    pub fn base_names_only(mut self, base_only: bool) -> Self {
        self.params.base_names_only = base_only;
        self
    }

    /// Adds to an archive that exists, instead of replacing it.
    ///
    /// A TAR that is padded to records of 10,240 bytes, as many writers do, would be unreadable once the cluster has added
    /// to it in place. So the end of a TAR is read first, or all of it if the end does not tell; one that is padded is
    /// `Unsupported`. Archives that the cluster made have no padding.
    #[doc(alias = "allow_append")]
    pub fn append(mut self, append: bool) -> Self {
        self.params.append = append;
        self
    }

    /// Goes on after an object that fails.
    #[doc(alias = "continue_on_err")]
    pub fn continue_on_error(mut self, go_on: bool) -> Self {
        self.params.continue_on_error = go_on;
        self
    }
}

impl IntoFuture for ArchiveGroup {
    type Output = Result<Vec<Job>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (bucket, what) = (&self.group.bucket, &self.group.what);
            let name = ObjectKey::new(&self.name)?;
            let request = wire::archive(bucket.reference(), &self.to, &name, what, &self.params)?;
            if self.params.append && ArchiveFormat::from_name(name.as_str()) == Some(ArchiveFormat::Tar) {
                check_appendable(bucket.client(), &ObjectAt::new(self.to.clone(), name)?).await?;
            }
            start(bucket.client(), request, &JobKind::Archive).await
        })
    }
}

//! Listings, as the service has them.

use std::{collections::VecDeque, future::IntoFuture};

use futures_core::{Stream, future::BoxFuture};
use futures_util::{TryStreamExt, stream};
use longshore_core_types::{BucketName, Result};

use super::Bucket;
use crate::{
    client::Client,
    model::FileObject,
    wire::list::{
        self as wire, FilePage, FolderParams, MOST_OF_FOLDER, PageParams, Sort, SortColumn, SortOrder,
    },
};

/// The children of a folder; see [`Bucket::list`]. Awaiting it fetches one page.
///
/// The service compares names here without regard to case, and folders whose names differ only in that are one row.
/// [`Bucket::list_v2`] takes names as they are.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListFolder {
    bucket: Bucket,
    params: FolderParams,
}

impl ListFolder {
    pub(crate) fn new(bucket: Bucket, folder: String) -> Self {
        Self { bucket, params: FolderParams { prefix: folder, ..FolderParams::default() } }
    }

    /// So many rows at most, 1 to 1500; 100 by default.
    pub fn limit(mut self, most: u32) -> Self {
        self.params.limit = most;
        self
    }

    /// Leaves out the first so many rows.
    pub fn offset(mut self, first: u64) -> Self {
        self.params.offset = first;
        self
    }

    /// Only children whose names start with this, in upper or lower case.
    pub fn search(mut self, text: impl Into<String>) -> Self {
        self.params.search = Some(text.into());
        self
    }

    /// Sorts the rows. By name upwards by default.
    pub fn sort_by(mut self, column: SortColumn, order: SortOrder) -> Self {
        self.params.sort = Sort { column, order };
        self
    }

    /// All rows from the offset on, fetched in pages of 1500 as they are read. Ends after the first error. Rows may
    /// be missing or come twice if the folder changes meanwhile: the service counts rows.
    pub fn stream(self) -> impl Stream<Item = Result<FileObject>> + Send + Unpin {
        let Self { bucket, mut params } = self;
        params.limit = MOST_OF_FOLDER;
        let state = (bucket, Some(params), VecDeque::new());
        Box::pin(stream::try_unfold(state, |(bucket, mut next, mut rows)| async move {
            loop {
                if let Some(row) = rows.pop_front() {
                    return Ok(Some((row, (bucket, next, rows))));
                }
                let Some(mut params) = next else { return Ok(None) };
                let page = folder(bucket.client(), bucket.name(), &params).await?;
                params.offset += page.len() as u64;
                next = (page.len() >= MOST_OF_FOLDER as usize).then_some(params);
                rows = page.into();
            }
        }))
    }

    /// All rows in memory.
    pub async fn all(self) -> Result<Vec<FileObject>> {
        self.stream().try_collect().await
    }
}

async fn folder(client: &Client, bucket: &BucketName, params: &FolderParams) -> Result<Vec<FileObject>> {
    client.call(wire::folder(bucket, params)?).await?.json("a list of objects").await
}

impl IntoFuture for ListFolder {
    type Output = Result<Vec<FileObject>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { folder(self.bucket.client(), self.bucket.name(), &self.params).await })
    }
}

/// A listing of objects; see [`Bucket::list_v2`]. Awaiting it fetches one page as the server has it.
///
/// Servers lose names between the pages of a listing [with folders](Self::folders), and at its folders when sorted
/// downwards. Complete listings of one level come from [`Bucket::store`], which asks for what is lost.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListFiles {
    bucket: Bucket,
    params: PageParams,
}

impl ListFiles {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self { bucket, params: PageParams::default() }
    }

    /// Only names that start with this, literally.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.params.prefix = Some(prefix.into());
        self
    }

    /// So many entries at most, 1 to 1000; 1000 by default.
    pub fn limit(mut self, most: u32) -> Self {
        self.params.limit = Some(most);
        self
    }

    /// Goes on where an earlier page says.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.params.cursor = Some(cursor.into());
        self
    }

    /// One level only: names with a `/` behind the prefix are reported as folders.
    #[doc(alias = "with_delimiter")]
    pub fn folders(mut self, enabled: bool) -> Self {
        self.params.with_delimiter = Some(enabled);
        self
    }

    /// Sorts the entries. By name upwards, in byte order, by default.
    pub fn sort_by(mut self, column: SortColumn, order: SortOrder) -> Self {
        self.params.sort = Some(Sort { column, order });
        self
    }

    /// All objects below the prefix, fetched page by page as they are read, without folders. Ends after the first
    /// error.
    pub fn stream(self) -> impl Stream<Item = Result<FileObject>> + Send + Unpin {
        let Self { bucket, mut params } = self;
        params.with_delimiter = None;
        let state = (bucket, Some(params), VecDeque::new());
        Box::pin(stream::try_unfold(state, |(bucket, mut next, mut objects)| async move {
            loop {
                if let Some(object) = objects.pop_front() {
                    return Ok(Some((object, (bucket, next, objects))));
                }
                let Some(mut params) = next else { return Ok(None) };
                let found = page(bucket.client(), bucket.name(), &params).await?;
                next = found.next(params.cursor.as_deref())?.map(|cursor| {
                    params.cursor = Some(cursor);
                    params
                });
                objects = found.objects.into();
            }
        }))
    }

    /// All objects in memory. For listings that surely fit.
    pub async fn all(self) -> Result<Vec<FileObject>> {
        self.stream().try_collect().await
    }
}

pub(crate) async fn page(client: &Client, bucket: &BucketName, params: &PageParams) -> Result<FilePage> {
    client.call(wire::page(bucket, params)?).await?.json("a page of a listing").await
}

impl IntoFuture for ListFiles {
    type Output = Result<FilePage>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { page(self.bucket.client(), self.bucket.name(), &self.params).await })
    }
}

//! Vector buckets: indexes of vectors, searched by distance.

mod index;

use std::{
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;
use longshore_core_types::Result;
use serde::{Deserialize, Deserializer};

use crate::{
    client::Client,
    wire::vectors::{self as wire, Asked, Index},
};

pub use index::{FoundVector, GetVectors, ListVectors, QueryVectors, Vector, VectorIndex, VectorPage};

/// The vector buckets of a project; made by [`Client::vectors`]. All calls need the service role.
#[derive(Clone, Debug)]
pub struct Vectors {
    client: Client,
}

/// A vector bucket, as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VectorBucketInfo {
    /// Its name.
    #[serde(rename = "vectorBucketName")]
    pub name: String,
    /// When it was made, to the second.
    #[serde(default, rename = "creationTime", deserialize_with = "seconds")]
    pub created_at: Option<SystemTime>,
}

/// Some vector buckets, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct VectorBucketPage {
    /// The buckets.
    #[serde(rename = "vectorBuckets")]
    pub buckets: Vec<VectorBucketInfo>,
    /// Where the next page begins; `None`: there is none.
    #[serde(default, rename = "nextToken")]
    pub next: Option<String>,
}

/// An index, as the service describes it. Lists tell its names and time only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexInfo {
    /// Its name.
    #[serde(rename = "indexName")]
    pub name: String,
    /// The bucket that it is in.
    #[serde(rename = "vectorBucketName")]
    pub bucket: String,
    /// When it was made, to the second.
    #[serde(default, rename = "creationTime", deserialize_with = "seconds")]
    pub created_at: Option<SystemTime>,
    /// How many numbers its vectors have.
    #[serde(default)]
    pub dimension: Option<u32>,
    /// What distance is.
    #[serde(default)]
    pub distance_metric: Option<DistanceMetric>,
    /// Keys of metadata that filters cannot ask for.
    #[serde(default, rename = "metadataConfiguration", deserialize_with = "unfiltered")]
    pub non_filterable: Vec<String>,
}

/// Some indexes of a bucket, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct IndexPage {
    /// The indexes.
    pub indexes: Vec<IndexInfo>,
    /// Where the next page begins; `None`: there is none.
    #[serde(default, rename = "nextToken")]
    pub next: Option<String>,
}

/// What the distance of two vectors is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DistanceMetric {
    /// One less the cosine of their angle.
    Cosine,
    /// The length of their difference.
    Euclidean,
}

impl DistanceMetric {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Euclidean => "euclidean",
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    let since = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

fn unfiltered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Default, Deserialize)]
    struct Configuration {
        #[serde(default, rename = "nonFilterableMetadataKeys")]
        keys: Vec<String>,
    }
    Ok(Option::<Configuration>::deserialize(deserializer)?.unwrap_or_default().keys)
}

impl Vectors {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a bucket. `AlreadyExists` if there is one of this name. Not repeated after a failure.
    #[doc(alias = "create_bucket")]
    pub async fn create(&self, bucket: impl AsRef<str>) -> Result<()> {
        self.client.call(wire::create_bucket(bucket.as_ref())?).await?.done().await.map(drop)
    }

    /// A bucket by its name. `NotFound` if there is none.
    #[doc(alias = "get_bucket")]
    pub async fn get(&self, bucket: impl AsRef<str>) -> Result<VectorBucketInfo> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(rename = "vectorBucket")]
            bucket: VectorBucketInfo,
        }
        let answer = self.client.call(wire::get_bucket(bucket.as_ref())?).await?;
        Ok(answer.json::<Found>("a vector bucket").await?.bucket)
    }

    /// The vector buckets, in pages.
    #[doc(alias = "list_buckets")]
    pub fn list(&self) -> ListVectorBuckets {
        ListVectorBuckets { client: self.client.clone(), page: Page::default() }
    }

    /// Deletes a bucket that has no indexes; `Conflict` if it has. `Ok` if there is none.
    #[doc(alias = "delete_bucket")]
    pub async fn delete(&self, bucket: impl AsRef<str>) -> Result<()> {
        self.client.call(wire::delete_bucket(bucket.as_ref())?).await?.done().await.map(drop)
    }

    /// The indexes of a bucket. No I/O.
    #[doc(alias = "from_")]
    pub fn bucket(&self, name: impl Into<String>) -> VectorBucket {
        VectorBucket { client: self.client.clone(), name: name.into() }
    }
}

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default)]
struct Page {
    prefix: Option<String>,
    most: Option<u32>,
    after: Option<String>,
}

impl Page {
    fn asked(&self) -> Asked<'_> {
        Asked {
            prefix: self.prefix.as_deref(),
            max_results: self.most,
            next_token: self.after.as_deref(),
            ..Asked::default()
        }
    }
}

macro_rules! page {
    () => {
        /// Only names that start with this.
        pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
            self.page.prefix = Some(prefix.into());
            self
        }

        /// So many at most, 1 to 500.
        pub fn limit(mut self, most: u32) -> Self {
            self.page.most = Some(most);
            self
        }

        /// Goes on where an earlier page says.
        pub fn after(mut self, next: impl Into<String>) -> Self {
            self.page.after = Some(next.into());
            self
        }
    };
}

/// A list of vector buckets; see [`Vectors::list`]. Awaiting it fetches one page.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListVectorBuckets {
    client: Client,
    page: Page,
}

impl ListVectorBuckets {
    page!();
}

impl IntoFuture for ListVectorBuckets {
    type Output = Result<VectorBucketPage>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::list_buckets(&self.page.asked())?;
            self.client.call(request).await?.json("a list of vector buckets").await
        })
    }
}

/// A vector bucket and its indexes; made by [`Vectors::bucket`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VectorBucket {
    client: Client,
    name: String,
}

impl VectorBucket {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes an index of vectors with so many numbers, 1 to 4096. `AlreadyExists` if there is one of this name. Not
    /// repeated after a failure.
    pub fn create_index(
        &self,
        name: impl Into<String>,
        dimension: u32,
        metric: DistanceMetric,
    ) -> CreateIndex {
        let index = self.index(name);
        CreateIndex { index, dimension, metric, unfiltered: Vec::new() }
    }

    /// An index by its name. `NotFound` if there is none.
    pub async fn get_index(&self, name: impl AsRef<str>) -> Result<IndexInfo> {
        #[derive(Deserialize)]
        struct Found {
            index: IndexInfo,
        }
        let request = wire::get_index(Index { bucket: &self.name, name: name.as_ref() })?;
        Ok(self.client.call(request).await?.json::<Found>("a vector index").await?.index)
    }

    /// The indexes of the bucket, in pages.
    pub fn list_indexes(&self) -> ListIndexes {
        ListIndexes { bucket: self.clone(), page: Page::default() }
    }

    /// Deletes an index and its vectors. `NotFound` if there is none.
    pub async fn delete_index(&self, name: impl AsRef<str>) -> Result<()> {
        self.client.delete(wire::delete_index(Index { bucket: &self.name, name: name.as_ref() })?).await
    }

    /// The vectors of an index. No I/O.
    pub fn index(&self, name: impl Into<String>) -> VectorIndex {
        VectorIndex::new(self.client.clone(), self.name.clone(), name.into())
    }
}

/// A list of indexes; see [`VectorBucket::list_indexes`]. Awaiting it fetches one page.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListIndexes {
    bucket: VectorBucket,
    page: Page,
}

impl ListIndexes {
    page!();
}

impl IntoFuture for ListIndexes {
    type Output = Result<IndexPage>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::list_indexes(&self.bucket.name, &self.page.asked())?;
            self.bucket.client.call(request).await?.json("a list of vector indexes").await
        })
    }
}

/// An index that is to be made; see [`VectorBucket::create_index`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until it is awaited"]
pub struct CreateIndex {
    index: VectorIndex,
    dimension: u32,
    metric: DistanceMetric,
    unfiltered: Vec<String>,
}

impl CreateIndex {
    /// Keys of metadata that filters need not ask for, 10 at most.
    #[doc(alias = "nonFilterableMetadataKeys")]
    pub fn non_filterable(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.unfiltered = keys.into_iter().map(Into::into).collect();
        self
    }
}

impl IntoFuture for CreateIndex {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let metric = self.metric.as_str();
            let request = wire::create_index(self.index.names(), self.dimension, metric, &self.unfiltered)?;
            self.index.client().call(request).await?.done().await.map(drop)
        })
    }
}

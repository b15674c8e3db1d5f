//! Moves and copies at the server.

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use longshore_core_types::Result;
use serde_json::{Map, Value};

use super::Bucket;
use crate::{
    client::Client,
    model::{FileObject, Uploaded},
    names::bucket_name,
    wire::object::{self as wire, At, CopyParams, FileOptions},
};

/// Source and destination.
#[derive(Debug)]
struct Ends {
    client: Client,
    from: Result<At>,
    to: Result<At>,
}

impl Ends {
    fn new(bucket: &Bucket, from: &str, to: &str) -> Self {
        Self { client: bucket.client().clone(), from: bucket.at(from), to: bucket.at(to) }
    }

    fn into_bucket(mut self, id: &str) -> Self {
        self.to = self.to.and_then(|to| At::new(bucket_name(id)?, to.key));
        self
    }
}

/// A move; see [`Bucket::rename`]. The size and content rules of the destination bucket are not applied.
#[derive(Debug)]
#[must_use = "nothing is moved until it is awaited"]
pub struct MoveFile(Ends);

impl MoveFile {
    pub(crate) fn new(bucket: &Bucket, from: &str, to: &str) -> Self {
        Self(Ends::new(bucket, from, to))
    }

    /// Into another bucket of the project.
    #[doc(alias = "destinationBucket")]
    pub fn to_bucket(self, id: impl AsRef<str>) -> Self {
        Self(self.0.into_bucket(id.as_ref()))
    }
}

impl IntoFuture for MoveFile {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Ends { client, from, to } = self.0;
        Box::pin(async move { client.call(wire::relocate(&from?, &to?)?).await?.done().await.map(drop) })
    }
}

/// A copy; see [`Bucket::copy`]. The size and content rules of the destination bucket are not applied.
#[derive(Debug)]
#[must_use = "nothing is copied until it is awaited"]
pub struct CopyFile {
    ends: Ends,
    params: CopyParams,
}

impl CopyFile {
    pub(crate) fn new(bucket: &Bucket, from: &str, to: &str) -> Self {
        Self { ends: Ends::new(bucket, from, to), params: CopyParams::default() }
    }

    /// Into another bucket of the project.
    #[doc(alias = "destinationBucket")]
    pub fn to_bucket(mut self, id: impl AsRef<str>) -> Self {
        self.ends = self.ends.into_bucket(id.as_ref());
        self
    }

    /// Whether an object of that name is replaced. Off by default.
    pub fn upsert(mut self, upsert: bool) -> Self {
        self.params.upsert = Some(upsert);
        self
    }

    fn replaced(&mut self) -> &mut FileOptions {
        self.params.replace.get_or_insert_default()
    }

    /// A content type of its own. What is stored beside the source is then not copied at all.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.replaced().content_type = Some(value.into());
        self
    }

    /// A `Cache-Control` of its own. What is stored beside the source is then not copied at all.
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        self.replaced().cache_control = Some(value.into());
        self
    }

    /// Metadata of its own. What is stored beside the source is then not copied at all.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.replaced().metadata = Some(metadata);
        self
    }
}

/// What the service answers to a copy: where it is, and what.
#[derive(serde::Deserialize)]
struct Copied {
    #[serde(flatten)]
    place: Uploaded,
    #[serde(flatten)]
    object: FileObject,
}

pub(crate) async fn copy(client: &Client, from: &At, to: &At, params: &CopyParams) -> Result<FileObject> {
    let copied: Copied =
        client.call(wire::copy(from, to, params)?).await?.json("the description of a copy").await?;
    tracing::debug!(to = %copied.place, "copied");
    Ok(copied.object)
}

impl IntoFuture for CopyFile {
    type Output = Result<FileObject>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { ends, params } = self;
        Box::pin(async move { copy(&ends.client, &ends.from?, &ends.to?, &params).await })
    }
}

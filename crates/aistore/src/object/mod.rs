//! Objects.

pub(crate) mod append;
mod file;
pub(crate) mod get;
pub(crate) mod jobs;
pub(crate) mod options;
pub(crate) mod props;
pub(crate) mod put;
mod resume;
mod source;
mod upload;

use std::{collections::BTreeMap, future::IntoFuture};

use futures_core::future::BoxFuture;
use http::StatusCode;
use longshore_core_types::{Error, ErrorKind, ObjectKey, Payload, Result, StoreUrl};

use crate::{
    client::Client,
    error::is_bucket_missing,
    names::BucketRef,
    wire::object::{self as wire, CopyParams, GetParams, HeadParams},
};

pub use append::AppendSession;
pub use file::{ObjectFile, OpenObject, ReadBuffer};
pub use get::{GetObject, ObjectReader};
pub use jobs::{BlobDownload, Promote};
pub use options::{ArchiveFormat, ArchiveMode, ArchiveSelect, BlobRead, EtlCall, HeadProp, Presence};
pub use props::{ChunkProps, EcProps, ObjectProps};
pub use put::PutObject;
pub use upload::{MultipartUpload, ObjectWriter, StartUpload, WriteObject};

use options::ObjectAt;

/// An object of a bucket, which may or may not exist. Cheap to clone; making one does no I/O.
#[derive(Clone, Debug)]
pub struct Object {
    client: Client,
    at: ObjectAt,
}

/// What [`Object::head`] asks for: everything that the neutral description of an object has.
const HEAD_PROPS: [HeadProp; 7] = [
    HeadProp::Checksum,
    HeadProp::AccessTime,
    HeadProp::Version,
    HeadProp::Custom,
    HeadProp::Chunked,
    HeadProp::LastModified,
    HeadProp::Etag,
];

impl Object {
    pub(crate) fn new(client: Client, at: ObjectAt) -> Self {
        Self { client, at }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn at(&self) -> &ObjectAt {
        &self.at
    }

    /// Its name.
    pub fn key(&self) -> &ObjectKey {
        self.at.key()
    }

    /// The bucket that it is in.
    pub fn bucket(&self) -> &BucketRef {
        self.at.bucket()
    }

    /// The cluster's own path of it, `provider/@uuid#namespace/bucket/name`.
    pub fn uname(&self) -> String {
        self.at.uname()
    }

    /// Its store URL.
    #[doc(alias = "get_semantic_url")]
    pub fn url(&self) -> StoreUrl {
        self.bucket().url().with_key(self.key().as_str())
    }

    /// Its address at the gateway, for other HTTP clients, which must follow redirects.
    #[doc(alias = "get_url")]
    pub fn http_url(&self) -> String {
        self.url_of(&wire::head_v1(&self.at))
    }

    /// The address of a member of the archive that it is, or of what an ETL makes of it. `InvalidInput` for a path or
    /// an ETL that cannot be.
    pub fn http_url_with(&self, member: Option<&str>, etl: Option<&EtlCall>) -> Result<String> {
        let archive = member.map(|path| ArchiveSelect::Member(path.to_owned()));
        let params = GetParams { archive, etl: etl.cloned(), ..GetParams::default() };
        Ok(self.url_of(&wire::get(&self.at, &params)?))
    }

    fn url_of(&self, request: &crate::wire::Request) -> String {
        format!("{}{}?{}", self.client.gateway(), request.path, request.query.as_str())
    }

    /// Its size, checksum, version, times, custom metadata and chunks.
    #[doc(alias = "props")]
    pub async fn head(&self) -> Result<ObjectProps> {
        self.head_with().props(HEAD_PROPS).await
    }

    /// A HEAD that asks for what the caller wants.
    #[doc(alias = "head_v2")]
    pub fn head_with(&self) -> HeadObject {
        HeadObject { object: self.clone(), params: HeadParams::default() }
    }

    /// Everything that servers of the first generation say; later ones say more on
    /// [`head_with`](Self::head_with).
    pub async fn head_v1(&self) -> Result<ObjectProps> {
        let answer = self.client.call(wire::head_v1(&self.at)).await?;
        Ok(wire::parse_head(&answer.done().await?).of(&self.at))
    }

    /// Whether there is such an object, at the backend of a remote bucket too. A missing bucket is an error.
    pub async fn exists(&self) -> Result<bool> {
        match self.head_with().presence(Presence::ExistsNoProps).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound && !is_bucket_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads it. `NotFound` if there is none.
    #[doc(alias = "get_reader")]
    pub fn get(&self) -> GetObject {
        GetObject::new(self.clone())
    }

    /// Writes it, replacing one that is there. The bucket must exist.
    ///
    /// The checksum that the server answers is compared with what was sent. A body that can be read only once
    /// is sent only once.
    #[doc(alias = "put_content")]
    pub fn put(&self, body: impl Into<Payload>) -> PutObject {
        PutObject::new(self.clone(), body.into())
    }

    /// Writes the content of a file, which must be a regular one and stay as it is until it is sent.
    pub fn put_file(&self, path: impl Into<std::path::PathBuf>) -> PutObject {
        PutObject::from_file(self.clone(), path.into())
    }

    /// Begins a session of appends to it.
    pub fn append_session(&self) -> AppendSession {
        AppendSession::new(self.clone())
    }

    /// Goes on with a session of appends, by the handle that it had last; an empty handle begins anew.
    pub fn resume_append(&self, handle: &str) -> Result<AppendSession> {
        AppendSession::resume(self.clone(), handle)
    }

    /// Adds to its custom metadata; keys that are there get the new value.
    #[doc(alias = "set_custom_props")]
    pub async fn set_custom(&self, custom: &BTreeMap<String, String>) -> Result<()> {
        self.client.call(wire::patch_custom(&self.at, custom, false)?).await?.done().await.map(drop)
    }

    /// Replaces all its custom metadata; an empty map clears it.
    pub async fn replace_custom(&self, custom: &BTreeMap<String, String>) -> Result<()> {
        self.client.call(wire::patch_custom(&self.at, custom, true)?).await?.done().await.map(drop)
    }

    /// Deletes it, at the backend of a remote bucket too. `NotFound` if there is none in a bucket of the
    /// cluster itself; a remote bucket does not tell.
    pub async fn delete(&self) -> Result<()> {
        delete(&self.client, &self.at).await
    }

    /// Drops the cluster's copy; the backend keeps the object. Refused in buckets of the cluster itself.
    pub async fn evict(&self) -> Result<()> {
        self.client.call(wire::evict(&self.at)?).await?.done().await.map(drop)
    }

    /// Gives it another name in the same bucket, replacing an object of that name. For buckets of the cluster
    /// itself.
    pub async fn rename(&self, name: impl AsRef<str>) -> Result<Self> {
        let to = ObjectAt::new(self.bucket().clone(), ObjectKey::new(name)?)?;
        to.check_new()?;
        self.client.call(wire::rename(&self.at, &to)?).await?.done().await?;
        Ok(Self { client: self.client.clone(), at: to })
    }

    /// Copies it to another object of the cluster, which may be in another bucket.
    #[doc(alias = "copy")]
    pub fn copy_to(&self, to: &Self) -> CopyObject {
        CopyObject { from: self.clone(), to: to.at.clone(), params: CopyParams::default() }
    }

    /// Whether somebody reads or writes it at this moment. An object that does not exist is free.
    pub async fn lock_state(&self) -> Result<LockState> {
        match self.client.call(wire::check_lock(&self.at)?).await {
            Ok(answer) if answer.parts.status == StatusCode::ACCEPTED => {
                answer.done().await.map(|_| LockState::Read)
            }
            Ok(answer) => answer.done().await.map(|_| LockState::Free),
            Err(error) if error.status() == Some(StatusCode::LOCKED) => Ok(LockState::Write),
            Err(error) => Err(error),
        }
    }
}

/// Deletes an object. After an attempt without a clear answer, "missing" is what success looks like.
pub(crate) async fn delete(client: &Client, at: &ObjectAt) -> Result<()> {
    let gone = |error: &Error| {
        error.kind() == ErrorKind::NotFound && error.attempts() > 1 && !is_bucket_missing(error)
    };
    match client.call(wire::delete(at)).await {
        Ok(answer) => answer.done().await.map(drop),
        Err(error) if gone(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Who holds an object at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// Nobody.
    Free,
    /// Readers.
    Read,
    /// A writer.
    Write,
}

/// A HEAD of an object; see [`Object::head_with`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct HeadObject {
    object: Object,
    params: HeadParams,
}

impl HeadObject {
    /// What to ask for. Size and presence always come.
    pub fn props(mut self, props: impl IntoIterator<Item = HeadProp>) -> Self {
        self.params.props = props.into_iter().collect();
        self
    }

    /// Where to look.
    pub fn presence(mut self, presence: Presence) -> Self {
        self.params.presence = Some(presence);
        self
    }

    /// Compares with the backend: `PreconditionFailed` if it has another version, `NotFound` if it has none.
    /// Refused in buckets of the cluster itself.
    pub fn latest(mut self, latest: bool) -> Self {
        self.params.latest = latest;
        self
    }
}

impl IntoFuture for HeadObject {
    type Output = Result<ObjectProps>;
    type IntoFuture = BoxFuture<'static, Result<ObjectProps>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::head(&self.object.at, &self.params)?;
            let answer = self.object.client.call(request).await?;
            Ok(wire::parse_head(&answer.done().await?).of(&self.object.at))
        })
    }
}

/// A copy of an object; see [`Object::copy_to`].
#[derive(Clone, Debug)]
#[must_use = "nothing is copied until it is awaited"]
pub struct CopyObject {
    from: Object,
    to: ObjectAt,
    params: CopyParams,
}

impl CopyObject {
    /// Stores what this ETL makes of the object.
    pub fn etl(mut self, etl: EtlCall) -> Self {
        self.params.etl = Some(etl);
        self
    }

    /// Copies the version that the backend has now.
    pub fn latest(mut self, latest: bool) -> Self {
        self.params.latest = latest;
        self
    }

    /// If the backend has the object no more, removes it from the cluster and fails. Refused for buckets of
    /// the cluster itself.
    pub fn sync(mut self, sync: bool) -> Self {
        self.params.sync = sync;
        self
    }
}

impl IntoFuture for CopyObject {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.to.check_new()?;
            let request = wire::copy(&self.from.at, &self.to, &self.params)?;
            self.from.client.call(request).await?.done().await.map(drop)
        })
    }
}

//! Buckets.

pub(crate) mod admin;
mod archive;
mod files;
pub(crate) mod inventory;
pub(crate) mod list;
pub(crate) mod props;
pub(crate) mod summary;

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use longshore_core_types::{ErrorKind, ObjectKey, Result, StoreUrl};

use crate::{
    client::Client,
    error::is_bucket_missing,
    job::Job,
    names::{BucketRef, Provider, invalid},
    object::{
        Object,
        options::{ObjectAt, Presence},
    },
    store::Store,
    wire::bucket as wire,
};

pub use admin::CopyBucket;
pub use archive::ListArchive;
pub use files::{PutFiles, UploadedFile};
pub use inventory::{CreateInventory, Inventory};
pub use list::{ListEntry, ListFlags, ListObjects, ListPage, ListProp};
pub use props::{BucketPatch, BucketProps};
pub use summary::{BucketSummary, Info, Summary};

/// A bucket of a cluster, which may or may not exist. Cheap to clone; making one does no I/O.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    reference: BucketRef,
}

impl Bucket {
    pub(crate) fn new(client: Client, reference: BucketRef) -> Self {
        Self { client, reference }
    }

    /// The client that made it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Provider, namespace and name.
    #[doc(alias = "as_model")]
    pub fn reference(&self) -> &BucketRef {
        &self.reference
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.reference.name().as_str()
    }

    /// Where its objects live.
    pub fn provider(&self) -> Provider {
        self.reference.provider()
    }

    /// Its store URL.
    pub fn url(&self) -> StoreUrl {
        self.reference.url()
    }

    /// The bucket as a neutral store, for transfers and code that knows no AIStore.
    pub fn store(&self) -> Store {
        Store::new(self.clone())
    }

    /// An object of the bucket. No I/O.
    ///
    /// [`ErrorKind::InvalidInput`] for names that AIStore refuses or alters, and for names with `//`, which it
    /// stores but never lists; [`unlisted_object`](Self::unlisted_object) takes those.
    pub fn object(&self, name: impl AsRef<str>) -> Result<Object> {
        let at = ObjectAt::new(self.reference.clone(), ObjectKey::new(name)?)?;
        Ok(Object::new(self.client.clone(), at))
    }

    /// An object whose name may contain `//`, or be too long for listings. It can be written and read, but no listing
    /// shows it as what it is.
    pub fn unlisted_object(&self, name: impl AsRef<str>) -> Result<Object> {
        let at = ObjectAt::unlisted(self.reference.clone(), ObjectKey::new(name)?)?;
        Ok(Object::new(self.client.clone(), at))
    }

    /// Creates the bucket. `AlreadyExists` if it exists, unless that is fine with the caller.
    ///
    /// Buckets of cloud providers cannot be created through the cluster (`Unsupported`).
    pub fn create(&self) -> CreateBucket {
        CreateBucket { bucket: self.clone(), exist_ok: false, props: None }
    }

    /// Deletes the bucket and everything in it. `NotFound` if there is none, unless that is fine with the caller.
    ///
    /// Buckets of cloud providers cannot be deleted through the cluster (`Unsupported`).
    pub fn delete(&self) -> DeleteBucket {
        DeleteBucket { bucket: self.clone(), missing_ok: false }
    }

    /// Its properties. `NotFound` if there is no such bucket.
    ///
    /// A remote bucket that the cluster does not know yet is looked up at its provider and becomes known.
    pub async fn head(&self) -> Result<BucketProps> {
        self.head_with(None, true).await
    }

    /// Its properties if the cluster knows it, without asking the provider of a remote bucket.
    pub async fn head_present(&self) -> Result<BucketProps> {
        self.head_with(Some(Presence::Present), true).await
    }

    /// Its properties, leaving a remote bucket that the cluster does not know unknown to it.
    pub async fn head_unregistered(&self) -> Result<BucketProps> {
        self.head_with(None, false).await
    }

    async fn head_with(&self, presence: Option<Presence>, register: bool) -> Result<BucketProps> {
        let answer = self.client.call(wire::head(&self.reference, presence, register)).await?;
        let call = answer.call.clone();
        wire::parse_head(&answer.done().await?).map_err(|error| error.with_call(&call))
    }

    /// Whether there is such a bucket.
    pub async fn exists(&self) -> Result<bool> {
        let request = wire::head(&self.reference, Some(Presence::ExistsNoProps), true);
        match self.client.call(request).await {
            Ok(answer) => answer.done().await.map(|_| true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What stands in the query of every request about it: provider and, if it is not the global one, namespace.
    #[doc(alias = "qparam")]
    pub fn query(&self) -> Vec<(&'static str, String)> {
        let namespace = self.reference.namespace();
        let mut query = vec![("provider", self.provider().to_string())];
        if !namespace.is_global() {
            query.push(("namespace", crate::names::namespace_uname(namespace)));
        }
        query
    }

    /// Sends an action that this client has no call for, and answers the body; for servers that know more than it does.
    ///
    /// Nothing is checked, and it is never sent again. What has a call of its own is refused (`InvalidInput`), since some of
    /// these actions bring targets down unless they are checked. So are deletions: a server takes an action that it does
    /// not know for one, and a message without a selection for the whole bucket.
    #[doc(alias = "make_request")]
    pub async fn raw_action(
        &self,
        method: http::Method,
        action: &str,
        value: &serde_json::Value,
    ) -> Result<bytes::Bytes> {
        if method == http::Method::DELETE {
            return Err(invalid("a deletion goes through a call that says what is deleted"));
        }
        if action.is_empty() {
            return Err(invalid("an action has a name"));
        }
        if wire::ACTIONS.contains(&action) {
            return Err(invalid(format!("{action} has a call of its own, which checks what it sends")));
        }
        let request = wire::on_bucket(
            method,
            &self.reference,
            "aistore.bucket.raw_action",
            longshore_core_types::Idempotency::NotIdempotent,
        );
        self.client.call(request.action(action, "", value)?).await?.bytes(64 << 20).await
    }

    /// Lists its objects, page by page as the cluster has them.
    ///
    /// Clusters leave names out of such listings where directories and files of like names meet: `a/` beside `a-b` and
    /// `a.b`, and a prefix that is itself a directory. A listing that must be complete, as for copying or comparing, is
    /// that of [`store`](Self::store), which asks around these faults.
    #[doc(alias = "list_objects")]
    pub fn list(&self) -> ListObjects {
        ListObjects::new(self.clone())
    }

    /// Changes properties. What changes the placement of data starts a job, which is the answer.
    pub async fn set_props(&self, patch: &BucketPatch) -> Result<Option<Job>> {
        self.job_or_nothing(wire::set_props(&self.reference, patch)?).await
    }

    /// Sets all properties back to the cluster's defaults. May start a job, which is the answer.
    pub async fn reset_props(&self) -> Result<Option<Job>> {
        self.job_or_nothing(wire::reset_props(&self.reference)?).await
    }

    async fn job_or_nothing(&self, request: crate::wire::Request) -> Result<Option<Job>> {
        let body = self.client.call(request).await?.bytes(4096).await?;
        let id = crate::wire::from_text(&body, "a job id")?;
        Ok((!id.is_empty()).then(|| self.client.job(id)))
    }

    /// Fails unless the objects live outside the cluster.
    #[doc(alias = "verify_cloud_bucket")]
    pub fn require_remote(&self) -> Result<()> {
        if self.reference.is_remote() {
            return Ok(());
        }
        Err(invalid(format!("{} is not a remote bucket", self.reference)))
    }
}

/// Creation of a bucket; see [`Bucket::create`].
#[derive(Clone, Debug)]
#[must_use = "nothing is created until it is awaited"]
pub struct CreateBucket {
    bucket: Bucket,
    exist_ok: bool,
    props: Option<BucketPatch>,
}

impl CreateBucket {
    /// Whether a bucket that exists already is fine. Its properties then stay as they are.
    pub fn exist_ok(mut self, ok: bool) -> Self {
        self.exist_ok = ok;
        self
    }

    /// Properties that differ from the cluster's defaults.
    pub fn props(mut self, props: BucketPatch) -> Self {
        self.props = Some(props);
        self
    }
}

impl IntoFuture for CreateBucket {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::create(&self.bucket.reference, self.props.as_ref())?;
            match self.bucket.client.call(request).await {
                Ok(answer) => answer.done().await.map(drop),
                Err(error) if self.exist_ok && error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

/// Deletion of a bucket; see [`Bucket::delete`].
#[derive(Clone, Debug)]
#[must_use = "nothing is deleted until it is awaited"]
pub struct DeleteBucket {
    bucket: Bucket,
    missing_ok: bool,
}

impl DeleteBucket {
    /// Whether a bucket that does not exist is fine.
    pub fn missing_ok(mut self, ok: bool) -> Self {
        self.missing_ok = ok;
        self
    }
}

impl IntoFuture for DeleteBucket {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.bucket.client.call(wire::destroy(&self.bucket.reference)?).await {
                Ok(answer) => answer.done().await.map(drop),
                // After an attempt without a clear answer, "missing" is what success looks like.
                Err(error) if is_bucket_missing(&error) && (self.missing_ok || error.attempts() > 1) => {
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })
    }
}

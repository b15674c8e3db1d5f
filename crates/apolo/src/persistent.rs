//! Credentials that do not expire.

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Result};
use serde_json::json;

use crate::{
    buckets::{check_known, check_name},
    client::Client,
    model::PersistentCredentials,
    ndjson,
    wire::Request,
};

use Idempotency::{Idempotent, NotIdempotent};

/// Calls on the caller's persistent credentials; made by [`Client::persistent_credentials`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PersistentKeys {
    client: Client,
}

impl PersistentKeys {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    fn one(method: Method, name: &str, operation: &'static str, how: Idempotency) -> Result<Request> {
        check_known(name, operation)?;
        let request = Request::new(method, format!("/persistent_credentials/{name}"), operation, how);
        Ok(request.on("persistent credentials", name))
    }

    fn on_cluster(&self, mut found: PersistentCredentials) -> PersistentCredentials {
        self.client.cluster().clone_into(&mut found.cluster_name);
        found
    }

    /// All of the caller's.
    #[doc(alias = "persistent_credentials_list")]
    pub async fn list(&self) -> Result<BoxStream<'static, Result<PersistentCredentials>>> {
        const OPERATION: &str = "apolo.credentials.list";
        let request = Request::new(Method::GET, "/persistent_credentials", OPERATION, Idempotent).lines();
        let found = ndjson::items::<PersistentCredentials>(self.client.call(request).await?).await?;
        let this = self.clone();
        Ok(found.map(move |item| item.map(|item| this.on_cluster(item))).boxed())
    }

    /// Makes credentials of buckets, which are named by their ids: of one at least, and on Azure of one at most.
    ///
    /// [`ErrorKind::AlreadyExists`] if the caller has some of this name, [`ErrorKind::InvalidInput`] for imported buckets,
    /// [`ErrorKind::NotFound`] if there is no bucket of such an id. Not repeated where the service may have it.
    #[doc(alias = "persistent_credentials_create")]
    pub async fn create(
        &self,
        bucket_ids: &[String],
        name: Option<&str>,
        read_only: bool,
    ) -> Result<PersistentCredentials> {
        const OPERATION: &str = "apolo.credentials.create";
        if let Some(name) = name {
            check_name(name, OPERATION)?;
        }
        if bucket_ids.is_empty() {
            let message = "the credentials are of no bucket: name one at least";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_operation(OPERATION));
        }
        let body = json!({ "name": name, "bucket_ids": bucket_ids, "read_only": read_only });
        let request = Request::new(Method::POST, "/persistent_credentials", OPERATION, NotIdempotent);
        let request = request.on("persistent credentials", name.unwrap_or("without a name")).json(&body)?;
        let made = self.client.call(request).await?.json("persistent credentials").await?;
        Ok(self.on_cluster(made))
    }

    /// Those of this name or id.
    #[doc(alias = "persistent_credentials_get")]
    pub async fn get(&self, id_or_name: &str) -> Result<PersistentCredentials> {
        let request = Self::one(Method::GET, id_or_name, "apolo.credentials.get", Idempotent)?;
        Ok(self.on_cluster(self.client.call(request).await?.json("persistent credentials").await?))
    }

    /// Removes them; what was opened with them stays closed from then on.
    #[doc(alias = "persistent_credentials_rm")]
    pub async fn remove(&self, id_or_name: &str) -> Result<()> {
        let request = Self::one(Method::DELETE, id_or_name, "apolo.credentials.remove", NotIdempotent)?;
        self.client.call(request).await?.done().await
    }
}

//! Registered clusters.

use std::{collections::BTreeMap, time::Duration};

use longshore_core_types::{Error, ErrorKind, Result};

use crate::{AuthnClient, Cluster, wire};

/// How long the service tries to reach one dead gateway, and some more.
const PATIENCE_PER_URL: Duration = Duration::from_secs(120);

/// Calls on clusters, of [`AuthnClient::clusters`]. Reading needs no rights, changing an administrator.
#[derive(Clone, Debug)]
#[doc(alias = "ClusterManager")]
pub struct Clusters {
    client: AuthnClient,
}

impl Clusters {
    pub(crate) fn new(client: AuthnClient) -> Self {
        Self { client }
    }

    /// The client that makes the calls.
    pub fn client(&self) -> &AuthnClient {
        &self.client
    }

    /// All registered clusters by id. Retried.
    pub async fn list(&self) -> Result<BTreeMap<String, Cluster>> {
        let list: wire::ClusterList = self.client.json(wire::list_clusters()).await?;
        Ok(list.clusters)
    }

    /// One cluster, by id or alias. `NotFound` if it is not registered. Retried.
    pub async fn get(&self, id_or_alias: &str) -> Result<Cluster> {
        let request = wire::get_cluster(id_or_alias)?;
        let call = request.call.clone();
        let list: wire::ClusterList = self.client.json(request).await?;
        let mut found = list.clusters.into_values();
        found.next().ok_or_else(|| {
            let message = format!("the service answered without a cluster when asked for {id_or_alias}");
            Error::new(ErrorKind::Protocol, message).with_call(&call)
        })
    }

    /// Registers the cluster behind these gateways under an alias, which may be empty.
    ///
    /// The first gateway is asked for the id of the cluster, with the token of this client. The service then
    /// checks that the cluster accepts its tokens, and makes the roles `ClusterOwner-`, `BucketOwner-` and
    /// `Guest-` followed by the alias. It tries a dead gateway for more than a minute, so this call waits up
    /// to two minutes for each. Not retried.
    pub async fn register(&self, alias: &str, urls: &[String]) -> Result<Cluster> {
        let Some(first) = urls.first() else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a cluster needs the URL of at least one gateway",
            ));
        };
        if !alias.is_empty() {
            crate::names::check("cluster", alias)?;
        }
        let map: wire::ClusterMap = self.client.json_at(first, wire::cluster_map()).await?;
        if map.uuid.is_empty() {
            let message = format!("{first} does not know the id of its cluster yet");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let request = wire::register_cluster(&map.uuid, alias, urls)?;
        self.client.done_slowly(request, patience(urls)).await?;
        self.get(&map.uuid).await
    }

    /// Changes alias or gateways of a cluster, named by its id. What is `None` stays.
    ///
    /// The service checks the gateways as [`register`](Self::register) does. `NotFound` also for an alias.
    pub async fn update(&self, id: &str, alias: Option<&str>, urls: Option<&[String]>) -> Result<Cluster> {
        if alias.is_none() && urls.is_none_or(<[String]>::is_empty) {
            return Err(Error::new(ErrorKind::InvalidInput, "neither an alias nor a URL to change"));
        }
        let urls = urls.unwrap_or_default();
        let request = wire::update_cluster(id, alias, urls)?;
        self.client.done_slowly(request, patience(urls)).await?;
        self.get(id).await
    }

    /// Unregisters a cluster, named by id or alias. Its predefined roles stay. Retried.
    pub async fn delete(&self, id_or_alias: &str) -> Result<()> {
        self.client.delete(wire::delete_cluster(id_or_alias)?).await
    }
}

/// The service tries the gateways one after the other; without any it tries those it knows.
fn patience(urls: &[String]) -> Duration {
    PATIENCE_PER_URL * u32::try_from(urls.len().clamp(3, 100)).unwrap_or(100)
}

//! The cluster as a whole.

use std::collections::BTreeMap;

use http::Method;
use longshore_core_types::{ErrorKind, Idempotency, Namespace, Resource, Result};
use longshore_transport::RequestOptions;

use crate::{
    client::Client,
    endpoint::Endpoint,
    job::{JobKind, JobStatus},
    names::{BucketRef, Provider},
    object::options::Presence,
    smap::ClusterMap,
    wire::{Request, bucket as wire, from_json, headers, job as wire_job},
};

/// Longest cluster map that is read: some ten thousand nodes.
pub(crate) const MAP_LIMIT: usize = 16 << 20;

/// Calls on the cluster as a whole. Cheap to clone; made by [`Client::cluster`].
#[derive(Clone, Debug)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Its nodes.
    #[doc(alias = "get_info")]
    pub async fn map(&self) -> Result<ClusterMap> {
        let answer = self.client.call(ClusterMap::request()).await?;
        let call = answer.call.clone();
        let body = answer.bytes(MAP_LIMIT).await?;
        ClusterMap::parse(&body).map_err(|error| error.with_call(&call))
    }

    /// Its id.
    #[doc(alias = "get_uuid")]
    pub async fn uuid(&self) -> Result<String> {
        Ok(self.map().await?.uuid)
    }

    /// Base URL of the gateway that decides.
    #[doc(alias = "get_primary_url")]
    pub async fn primary_url(&self) -> Result<String> {
        Ok(self.map().await?.primary.public_net.url)
    }

    /// Whether the gateway runs and takes part in the cluster. An error says why it does not.
    pub async fn health(&self) -> Result<()> {
        let request = health().query("readiness", "true");
        self.client.call(request).await?.done().await.map(drop)
    }

    /// Whether the cluster serves requests: its primary gateway is up and has finished starting.
    ///
    /// `false` only if a node says that it is not ready; that a node cannot be reached, or refuses the
    /// credentials, is an error.
    pub async fn is_ready(&self) -> Result<bool> {
        let map = match self.map().await {
            Ok(map) => map,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(false),
            Err(error) => return Err(error),
        };
        let request = health().query("prr", "true");
        // An address that cannot be read is as good as none: any gateway passes the question on.
        let primary = Endpoint::parse(&map.primary.public_net.url, false);
        let node = primary.as_ref().unwrap_or_else(|_| self.client.gateway());
        match self.client.call_at(node, request, RequestOptions::default()).await {
            Ok(answer) => answer.done().await.map(|_| true),
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The buckets of one provider, in all namespaces, in order.
    ///
    /// For a cloud provider the cluster asks there, with its own credentials. There is no listing of all
    /// providers at once: the failure of one would fail it.
    pub async fn list_buckets(&self, provider: Provider) -> Result<Vec<BucketRef>> {
        self.buckets(wire::ListBuckets { provider: Some(provider), ..Default::default() }).await
    }

    /// The buckets of one provider in one namespace.
    pub async fn list_buckets_in(&self, provider: Provider, namespace: Namespace) -> Result<Vec<BucketRef>> {
        let namespace = Some(namespace);
        self.buckets(wire::ListBuckets { provider: Some(provider), namespace, presence: None }).await
    }

    /// The buckets of one provider that the cluster knows, or that it does not know
    /// ([`Presence::Outside`]).
    pub async fn list_buckets_by_presence(
        &self,
        provider: Provider,
        presence: Presence,
    ) -> Result<Vec<BucketRef>> {
        let presence = Some(presence);
        self.buckets(wire::ListBuckets { provider: Some(provider), namespace: None, presence }).await
    }

    /// The records that gateways keep of jobs, of one kind or of all: those that run and those that ended some
    /// minutes ago at most.
    #[doc(alias = "list_jobs_status")]
    pub async fn jobs(&self, kind: Option<&JobKind>) -> Result<Vec<JobStatus>> {
        self.job_records(wire_job::status_all(kind, false, false)?).await
    }

    /// The same, of jobs that run.
    pub async fn active_jobs(&self, kind: Option<&JobKind>) -> Result<Vec<JobStatus>> {
        self.job_records(wire_job::status_all(kind, true, false)?).await
    }

    /// The same as [`jobs`](Self::jobs) after asking the targets, which also closes records of jobs that no target
    /// knows.
    pub async fn jobs_now(&self, kind: Option<&JobKind>) -> Result<Vec<JobStatus>> {
        self.job_records(wire_job::status_all(kind, false, true)?).await
    }

    async fn job_records(&self, request: Request) -> Result<Vec<JobStatus>> {
        let answer = self.client.call(request).await?;
        let call = answer.call.clone();
        wire_job::parse_status_all(&answer.bytes(64 << 20).await?).map_err(|error| error.with_call(&call))
    }

    /// Kind and id of the jobs that run, idle ones included.
    #[doc(alias = "list_running_jobs")]
    pub async fn running_jobs(&self, kind: Option<&JobKind>) -> Result<Vec<(JobKind, String)>> {
        let answer = self.client.call(wire_job::running(kind)?).await?;
        let call = answer.call.clone();
        wire_job::parse_running(&answer.bytes(64 << 20).await?).map_err(|error| error.with_call(&call))
    }

    /// State, statistics and capacity of one node, as it tells them: the layout is that of the server's version.
    pub async fn node_status(&self, id: &str) -> Result<serde_json::Value> {
        self.node_value(id, "node_status").await
    }

    /// State, statistics and capacity of every target, by its id.
    #[doc(alias = "get_performance")]
    pub async fn performance(&self) -> Result<BTreeMap<String, serde_json::Value>> {
        let mut all = BTreeMap::new();
        for id in self.map().await?.targets.into_keys() {
            let status = self.node_status(&id).await?;
            all.insert(id, status);
        }
        Ok(all)
    }

    /// Configuration of one node; the cluster leaves secrets out.
    pub async fn node_config(&self, id: &str) -> Result<serde_json::Value> {
        self.node_value(id, "config").await
    }

    async fn node_value(&self, id: &str, what: &str) -> Result<serde_json::Value> {
        let name = id.to_owned().into();
        let request =
            Request::new(Method::GET, "/v1/reverse/daemon", "aistore.cluster.node", Idempotency::Idempotent);
        let request = request.query("what", what).header(headers::NODE_ID, id)?;
        let answer = self.client.call(request.on(Resource::Named { kind: "node", name })).await?;
        let call = answer.call.clone();
        let body = answer.bytes(MAP_LIMIT).await?;
        from_json(&body, "the state of a node").map_err(|error| error.with_call(&call))
    }

    async fn buckets(&self, params: wire::ListBuckets) -> Result<Vec<BucketRef>> {
        let answer = self.client.call(wire::list(&params)?).await?;
        let call = answer.call.clone();
        let body = answer.bytes(64 << 20).await?;
        wire::parse_list(&body).map_err(|error| error.with_call(&call))
    }
}

fn health() -> Request {
    Request::new(Method::GET, "/v1/health", "aistore.cluster.health", Idempotency::Idempotent)
}

//! The cluster as a whole.

mod logs;
pub(crate) mod node;
mod stability;

use std::collections::BTreeMap;

use longshore_core_types::{ErrorKind, Namespace, Result};
use longshore_transport::{BaseUrl, RequestOptions};

use crate::{
    client::Client,
    job::{JobKind, JobStatus},
    names::{BucketRef, Provider},
    object::options::Presence,
    smap::ClusterMap,
    wire::{Request, bucket as wire_bucket, cluster as wire, from_json, job as wire_job},
};

pub use logs::{LogSeverity, NodeLog};
pub use node::{
    Capacity, ClusterStats, Counters, LoadAverage, Mountpath, NodeState, NodeStats, NodeStatus, SystemInfo,
    SystemOverview,
};
pub use stability::Stability;

/// Longest answer about the cluster that is read: everything that the nodes of a large one say.
const LIMIT: usize = 64 << 20;

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

    /// The client that made it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its nodes.
    #[doc(alias = "get_info")]
    pub async fn map(&self) -> Result<ClusterMap> {
        self.read(ClusterMap::request(), ClusterMap::parse).await
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
        self.client.call(wire::health("readiness")).await?.done().await.map(drop)
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
        let request = wire::health("prr");
        // An address that cannot be read is as good as none: any gateway passes the question on.
        let primary = BaseUrl::parse(&map.primary.public_net.url, "a node");
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
        self.buckets(wire_bucket::ListBuckets { provider: Some(provider), ..Default::default() }).await
    }

    /// The buckets of one provider in one namespace.
    pub async fn list_buckets_in(&self, provider: Provider, namespace: Namespace) -> Result<Vec<BucketRef>> {
        let namespace = Some(namespace);
        self.buckets(wire_bucket::ListBuckets { provider: Some(provider), namespace, presence: None }).await
    }

    /// The buckets of one provider that the cluster knows, or that it does not know
    /// ([`Presence::Outside`]).
    pub async fn list_buckets_by_presence(
        &self,
        provider: Provider,
        presence: Presence,
    ) -> Result<Vec<BucketRef>> {
        let presence = Some(presence);
        self.buckets(wire_bucket::ListBuckets { provider: Some(provider), namespace: None, presence }).await
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
        self.read(request, wire_job::parse_status_all).await
    }

    /// Kind and id of the jobs that run, idle ones included. `InvalidInput` for a kind that this client does not know,
    /// which the cluster would take for all kinds.
    #[doc(alias = "list_running_jobs")]
    pub async fn running_jobs(&self, kind: Option<&JobKind>) -> Result<Vec<(JobKind, String)>> {
        self.read(wire_job::running(kind)?, wire_job::parse_running).await
    }

    /// State, counters and capacity of one node, gateway or target.
    pub async fn node_status(&self, id: &str) -> Result<NodeStatus> {
        let request = wire::ask_node(id, "node_status", "aistore.cluster.node")?;
        self.read(request, NodeStatus::parse).await
    }

    /// State, counters and capacity of every target, by its id. The failure of one fails it.
    #[doc(alias = "get_performance")]
    pub async fn performance(&self) -> Result<BTreeMap<String, NodeStatus>> {
        let mut all = BTreeMap::new();
        for id in self.map().await?.targets.into_keys() {
            let status = self.node_status(&id).await?;
            all.insert(id, status);
        }
        Ok(all)
    }

    /// Counters and capacity of all targets in service and of the gateway that is asked, in one request.
    pub async fn stats(&self) -> Result<ClusterStats> {
        self.read(wire::ask("node_stats", "aistore.cluster.stats"), wire::parse_stats).await
    }

    /// Memory, load and disks of all machines.
    pub async fn system(&self) -> Result<SystemOverview> {
        self.read(wire::ask("sysinfo", "aistore.cluster.system"), wire::parse_system).await
    }

    /// Which counters a node has, and of what kind each is (`counter`, `size`, `latency`, `gauge`, ...).
    pub async fn metrics(&self, id: &str) -> Result<BTreeMap<String, String>> {
        let request = wire::ask_node(id, "metrics", "aistore.cluster.metrics")?;
        self.read(request, |body| from_json(body, "kinds of counters")).await
    }

    /// Configuration of one node; the cluster leaves secrets out.
    pub async fn node_config(&self, id: &str) -> Result<serde_json::Value> {
        let request = wire::ask_node(id, "config", "aistore.cluster.node_config")?;
        self.read(request, |body| from_json(body, "a configuration")).await
    }

    /// Configuration of the cluster; it leaves secrets out.
    pub async fn config(&self) -> Result<serde_json::Value> {
        let request = wire::ask("cluster_config", "aistore.cluster.config");
        self.read(request, |body| from_json(body, "a configuration")).await
    }

    /// The cloud providers whose buckets the cluster can reach.
    pub async fn backends(&self) -> Result<Vec<String>> {
        let request = wire::ask("backends", "aistore.cluster.backends");
        let mut all: Vec<String> = self.read(request, |body| from_json(body, "a list of backends")).await?;
        all.sort_unstable();
        Ok(all)
    }

    /// The clusters that are attached to this one, after trying to reach each.
    pub async fn remote_clusters(&self) -> Result<Vec<RemoteCluster>> {
        self.read(wire::ask("remote", "aistore.cluster.remotes"), wire::parse_remotes).await
    }

    /// Attaches another cluster: its buckets become reachable as `ais://@alias/bucket`. A cluster that cannot be
    /// reached is attached all the same; [`remote_clusters`](Self::remote_clusters) tells.
    pub async fn attach_remote(&self, alias: &str, url: &str) -> Result<()> {
        self.client.call(wire::attach(alias, url)?).await?.done().await.map(drop)
    }

    /// Detaches another cluster. `NotFound` if none has this alias.
    pub async fn detach_remote(&self, alias: &str) -> Result<()> {
        self.client.call(wire::detach(alias)?).await?.done().await.map(drop)
    }

    async fn read<T>(&self, request: Request, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let answer = self.client.call(request).await?;
        let call = answer.call.clone();
        parse(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    async fn buckets(&self, params: wire_bucket::ListBuckets) -> Result<Vec<BucketRef>> {
        self.read(wire_bucket::list(&params)?, wire_bucket::parse_list).await
    }
}

/// Another cluster that is attached to this one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RemoteCluster {
    /// The name it has here.
    pub alias: String,
    /// Its id; empty if it was never reached.
    pub uuid: String,
    /// Where it is reached.
    pub url: String,
    /// Its nodes; `None` if it cannot be reached.
    pub map: Option<ClusterMap>,
}

//! An AIStore cluster: one gateway and two targets over one storage.

mod absent_api;
mod actmsg;
mod admin_api;
mod append;
mod archive;
mod batch;
mod bucket_api;
mod bucket_jobs;
mod buckets;
pub(crate) mod cloud;
mod cluster_api;
pub(crate) mod error;
mod etl_api;
mod gateway;
pub(crate) mod gojson;
mod gotime;
mod guard;
mod hrw;
pub(crate) mod ids;
mod job_api;
mod jobs;
mod list;
mod multi;
mod multipart;
mod names;
mod node;
mod node_api;
mod objects;
mod promote;
mod props;
pub(crate) mod query;
mod range;
mod redirect;
pub(crate) mod reply;
mod s3;
mod target;
mod template;
mod token_api;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub(crate) use guard::Guard;
pub(crate) use node::Node;

use crate::fault::Faults;
use crate::http::Restart;
use crate::journal::{Journal, NodeKind};
use crate::storage::{Storage, StorageError};
use append::WorkFiles;
use batch::Batches;
use bucket_jobs::Summaries;
use buckets::{Bucket, Buckets};
use cloud::Cloud;
use etl_api::Transformations;
pub(crate) use jobs::JobTime;
use jobs::Jobs;
use multipart::RunningHashes;
use node_api::Counters;

/// Targets of the cluster.
pub(crate) const TARGETS: usize = 2;

/// Ids of the nodes. They are the same in every server, so that placement repeats from run to run.
const GATEWAY_ID: &str = "LgSp51080";
const TARGET_IDS: [&str; TARGETS] = ["qRTt51081", "KmVt51082"];

/// A node as the cluster map has it.
#[derive(Debug)]
pub(crate) struct NodeInfo {
    pub(crate) kind: NodeKind,
    pub(crate) id: &'static str,
    pub(crate) digest: u64,
    pub(crate) address: SocketAddr,
    pub(crate) restarts: mpsc::Sender<Restart>,
}

impl NodeInfo {
    /// `http://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Name in messages: `p[id]` or `t[id]`.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            NodeKind::Gateway => format!("p[{}]", self.id),
            _ => format!("t[{}]", self.id),
        }
    }
}

/// Everything that the nodes share.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) storage: Arc<Storage>,
    pub(crate) buckets: Buckets,
    pub(crate) gateway: NodeInfo,
    pub(crate) targets: Vec<NodeInfo>,
    pub(crate) uuid: String,
    pub(crate) created: String,
    pub(crate) started: Instant,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) hashes: RunningHashes,
    pub(crate) appends: WorkFiles,
    pub(crate) jobs: Jobs,
    pub(crate) summaries: Summaries,
    pub(crate) batches: Batches,
    pub(crate) transformations: Transformations,
    /// Of the gateway, then of the targets.
    pub(crate) counters: Vec<Counters>,
    pub(crate) promote_root: PathBuf,
    /// What `aws://` buckets are copies of, if there is anything.
    pub(crate) cloud: Option<Cloud>,
    /// Shared with the AuthN service, which revokes.
    pub(crate) guard: Arc<Guard>,
}

/// What can be set from outside.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Directory below which files may be promoted.
    pub(crate) promote_root: PathBuf,
    /// How long jobs that idle stay listed as running.
    pub(crate) job_idle: Duration,
    /// How long jobs pretend to be at work.
    pub(crate) job_time: Arc<JobTime>,
    /// Identity of the cluster; it stays over restarts.
    pub(crate) uuid: String,
    /// Who may do what.
    pub(crate) guard: Arc<Guard>,
    /// What stands behind the cluster.
    pub(crate) cloud: Option<Cloud>,
}

/// Where a node listens and how it is restarted.
#[derive(Debug)]
pub(crate) struct NodeAddress {
    pub(crate) address: SocketAddr,
    pub(crate) restarts: mpsc::Sender<Restart>,
}

impl Cluster {
    pub(crate) fn new(
        storage: Arc<Storage>,
        gateway: NodeAddress,
        targets: Vec<NodeAddress>,
        faults: Arc<Faults>,
        journal: Arc<Journal>,
        settings: Settings,
    ) -> Result<Self, StorageError> {
        let node = |kind, id: &'static str, at: NodeAddress| NodeInfo {
            kind,
            id,
            digest: hrw::digest(id),
            address: at.address,
            restarts: at.restarts,
        };
        let gateway = node(NodeKind::Gateway, GATEWAY_ID, gateway);
        let targets =
            TARGET_IDS.into_iter().zip(targets).map(|(id, at)| node(NodeKind::Target, id, at)).collect();
        Ok(Self {
            buckets: Buckets::load(Arc::clone(&storage))?,
            storage,
            gateway,
            targets,
            uuid: settings.uuid,
            created: gotime::format(ids::now(), "2006-01-02 15:04:05"),
            started: Instant::now(),
            faults,
            journal,
            hashes: RunningHashes::default(),
            appends: WorkFiles::default(),
            jobs: Jobs::new(settings.job_idle, settings.job_time),
            summaries: Summaries::default(),
            batches: Batches::default(),
            transformations: Transformations::default(),
            counters: (0..=TARGETS).map(|_| Counters::default()).collect(),
            promote_root: settings.promote_root,
            cloud: settings.cloud,
            guard: settings.guard,
        })
    }

    /// Index of the target that an object belongs to.
    pub(crate) fn place(&self, bucket: &Bucket, object: &str) -> usize {
        let uname = bucket.name.uname() + object;
        hrw::choose(self.targets.iter().map(|t| t.digest), &uname)
    }
}

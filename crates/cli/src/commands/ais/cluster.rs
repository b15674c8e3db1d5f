//! Nodes, state and configuration.

use clap::{Subcommand, ValueEnum};
use futures_util::TryStreamExt;
use longshore::aistore::{LogSeverity, Node};
use serde_json::{Map, Value};

use super::{Ais, facts, failed};
use crate::failure::Failure;

/// Calls on the cluster.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// List the nodes
    Map,
    /// Say whether the cluster serves, and whether it moves objects about
    Status,
    /// Show state, disks and counters of targets
    Stats {
        /// Ids of nodes; all targets by default
        nodes: Vec<String>,
        /// Also all counters
        #[arg(long)]
        counters: bool,
    },
    /// Show the configuration of the cluster or of a node
    Config {
        /// Id of the node
        node: Option<String>,
    },
    /// Write the log of a node to standard output
    Log {
        /// Id of the node
        node: String,
        /// Which log
        #[arg(long, value_enum, default_value = "info")]
        severity: Severity,
        /// All logs, also rotated ones, as a compressed archive
        #[arg(long)]
        archive: bool,
    },
    /// List, attach or detach other clusters
    Remote {
        /// Attach the cluster at this address under an alias
        #[arg(long, num_args = 2, value_names = ["ALIAS", "URL"])]
        attach: Option<Vec<String>>,
        /// Detach the cluster with this alias
        #[arg(long, value_name = "ALIAS", conflicts_with = "attach")]
        detach: Option<String>,
    },
}

/// Which log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Severity {
    Info,
    Warning,
    Error,
}

impl From<Severity> for LogSeverity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Error => Self::Error,
        }
    }
}

pub(super) async fn run(ais: &Ais<'_>, command: ClusterCommand) -> Result<(), Failure> {
    let cluster = ais.client().await?.cluster();
    let context = || failed("cannot ask the cluster");
    match command {
        ClusterCommand::Map => {
            let map = cluster.map().await.map_err(context())?;
            for (kind, nodes) in [("gateway", &map.gateways), ("target", &map.targets)] {
                for (id, node) in nodes {
                    ais.print(kind, id, node_facts(node, map.primary.id == *id))?;
                }
            }
            Ok(())
        }
        ClusterCommand::Status => {
            let ready = cluster.is_ready().await.map_err(context())?;
            let map = cluster.map().await.map_err(context())?;
            let state = cluster.stability().await.map_err(context())?;
            let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone().into());
            let known = [
                ("ready", Some(ready.into())),
                ("gateways", Some(map.gateways.len().into())),
                ("targets", Some(map.targets.len().into())),
                ("settled", Some(state.is_settled().into())),
                ("rebalancing", list(&state.rebalancing)),
                ("interrupted", list(&state.interrupted)),
                ("out of service", list(&state.out_of_service)),
            ];
            ais.print("cluster", &map.uuid, facts(known))
        }
        ClusterCommand::Stats { nodes, counters } => {
            let nodes = if nodes.is_empty() {
                cluster.map().await.map_err(context())?.targets.into_keys().collect()
            } else {
                nodes
            };
            for id in nodes {
                let status = cluster.node_status(&id).await;
                let status = status.map_err(failed(format!("cannot look at node {id}")))?;
                let state: Vec<&str> = status.state.names().collect();
                let mut known = facts([
                    ("version", super::text(&status.version)),
                    ("state", Some(state.into())),
                    ("out of service", status.out_of_service.clone().map(Value::from)),
                    ("disk used", Some(status.capacity.used.into())),
                    ("disk free", Some(status.capacity.available.into())),
                    ("fullest disk percent", Some(status.capacity.fullest_percent.into())),
                    ("disk error", status.capacity.error.clone().map(Value::from)),
                    ("memory used", Some(status.system.memory_used.into())),
                ]);
                if counters {
                    let all: Map<_, _> =
                        status.counters.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                    known.insert("counters".to_owned(), all.into());
                }
                ais.print("node", &id, known)?;
            }
            Ok(())
        }
        ClusterCommand::Config { node } => {
            let (name, config) = match node {
                Some(node) => (node.clone(), cluster.node_config(&node).await),
                None => ("cluster".to_owned(), cluster.config().await),
            };
            let config = config.map_err(context())?;
            ais.print("config", &name, config.as_object().cloned().unwrap_or_default())
        }
        ClusterCommand::Log { node, severity, archive } => {
            let log = cluster.node_log(&node).severity(severity.into());
            let body = if archive { log.archive().await } else { log.await };
            let context = || failed(format!("cannot read the log of {node}"));
            let mut body = body.map_err(context())?;
            while let Some(chunk) = body.try_next().await.map_err(context())? {
                ais.app.out.write(&chunk)?;
            }
            Ok(())
        }
        ClusterCommand::Remote { attach, detach } => {
            if let Some([alias, url]) = attach.as_deref() {
                return cluster.attach_remote(alias, url).await.map_err(context());
            }
            if let Some(alias) = detach {
                return cluster.detach_remote(&alias).await.map_err(context());
            }
            for remote in cluster.remote_clusters().await.map_err(context())? {
                let known = [
                    ("id", super::text(&remote.uuid)),
                    ("address", super::text(&remote.url)),
                    ("targets", remote.map.as_ref().map(|map| map.targets.len().into())),
                ];
                ais.print("remote cluster", &remote.alias, facts(known))?;
            }
            Ok(())
        }
    }
}

fn node_facts(node: &Node, primary: bool) -> Map<String, Value> {
    facts([
        ("address", super::text(&node.public_net.url)),
        ("primary", primary.then(|| true.into())),
        ("in service", Some(node.in_service().into())),
    ])
}

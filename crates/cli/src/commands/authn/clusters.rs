//! Registered clusters.

use clap::Subcommand;
use longshore::authn::Cluster;
use serde_json::{Map, json};

use super::{Authn, failed};
use crate::failure::Failure;

/// Calls on clusters.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// List the registered clusters
    Ls,
    /// Show one cluster
    Show {
        /// Id or alias
        cluster: String,
    },
    /// Register the cluster behind some gateways; a dead gateway takes more than a minute
    Add {
        /// Another name for the cluster
        alias: String,
        /// Addresses of its gateways
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
    },
    /// Change the alias or the gateways of a cluster
    Set {
        /// Id of the cluster, not its alias
        id: String,
        /// Another name
        #[arg(long)]
        alias: Option<String>,
        /// Replace the gateways by this; may be repeated
        #[arg(long = "url", value_name = "URL")]
        urls: Vec<String>,
    },
    /// Unregister clusters
    Rm {
        /// Ids or aliases
        #[arg(required = true)]
        clusters: Vec<String>,
    },
}

pub(super) async fn run(authn: &Authn<'_>, command: ClusterCommand) -> Result<(), Failure> {
    let clusters = authn.client()?.clusters();
    match command {
        ClusterCommand::Ls => {
            for cluster in clusters.list().await.map_err(failed("cannot list the clusters"))?.values() {
                print(authn, cluster)?;
            }
            Ok(())
        }
        ClusterCommand::Show { cluster } => {
            let found = clusters.get(&cluster).await;
            print(authn, &found.map_err(failed(format!("cannot look at cluster {cluster}")))?)
        }
        ClusterCommand::Add { alias, urls } => {
            let added = clusters.register(&alias, &urls).await;
            print(authn, &added.map_err(failed(format!("cannot register cluster {alias}")))?)
        }
        ClusterCommand::Set { id, alias, urls } => {
            let urls = (!urls.is_empty()).then_some(urls);
            let changed = clusters.update(&id, alias.as_deref(), urls.as_deref()).await;
            print(authn, &changed.map_err(failed(format!("cannot change cluster {id}")))?)
        }
        ClusterCommand::Rm { clusters: names } => {
            for name in names {
                clusters.delete(&name).await.map_err(failed(format!("cannot unregister cluster {name}")))?;
                authn.notice(format!("unregistered cluster {name}"));
            }
            Ok(())
        }
    }
}

fn print(authn: &Authn<'_>, cluster: &Cluster) -> Result<(), Failure> {
    let mut facts = Map::new();
    if !cluster.alias.is_empty() {
        facts.insert("alias".to_owned(), json!(cluster.alias));
    }
    facts.insert("urls".to_owned(), json!(cluster.urls));
    authn.print("cluster", &cluster.id, facts)
}

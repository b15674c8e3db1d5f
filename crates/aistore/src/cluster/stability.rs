//! Whether a cluster is moving objects about.

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{Error, ErrorKind, Result};

use super::{Cluster, node::NodeState};
use crate::job::JobKind;

/// How many targets are asked at a time.
const AT_ONCE: usize = 16;

/// What makes a cluster's listings, and what its targets find, incomplete; see [`Cluster::stability`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stability {
    /// Targets that move objects to where they belong.
    pub rebalancing: Vec<String>,
    /// Targets on which that was stopped or broke off: objects are not where they belong until it is run again.
    pub interrupted: Vec<String>,
    /// Targets under maintenance or being decommissioned, by the cluster map.
    pub out_of_service: Vec<String>,
}

impl Stability {
    /// Whether every object is where the cluster looks for it.
    pub fn is_settled(&self) -> bool {
        self.rebalancing.is_empty() && self.interrupted.is_empty() && self.out_of_service.is_empty()
    }
}

impl Cluster {
    /// Whether the cluster moves objects about, was stopped doing so, or has targets out of service: what a listing
    /// lacks then must not be taken for deleted.
    ///
    /// Asks for the cluster map and, through the gateway, each target in service. An error if one cannot be asked: its
    /// objects are missing from listings, too. A server whose targets do not tell their state is asked for jobs that
    /// rebalance, whose ids are then reported.
    pub async fn stability(&self) -> Result<Stability> {
        let map = self.map().await?;
        let (serving, out): (Vec<_>, Vec<_>) =
            map.targets.into_iter().partition(|(_, node)| node.in_service());
        let mut found =
            Stability { out_of_service: out.into_iter().map(|(id, _)| id).collect(), ..Stability::default() };
        let states: Vec<(String, NodeState)> = stream::iter(serving)
            .map(|(id, _)| async move {
                let state = self.node_status(&id).await?.state;
                Ok::<_, Error>((id, state))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .or_else(|error| if is_unknown(&error) { Ok(Vec::new()) } else { Err(error) })?;
        if states.is_empty() {
            let running = self.running_jobs(Some(&JobKind::Rebalance)).await?;
            found.rebalancing.extend(running.into_iter().map(|(_, job)| job));
        }
        for (id, state) in states {
            if state.contains(NodeState::REBALANCING) {
                found.rebalancing.push(id.clone());
            }
            if state.contains(NodeState::REBALANCE_INTERRUPTED) {
                found.interrupted.push(id);
            }
        }
        Ok(found)
    }
}

/// Whether a server does not know the question.
fn is_unknown(error: &Error) -> bool {
    error.kind() == ErrorKind::InvalidInput && error.message().contains("unrecognized 'what=")
}

#[cfg(test)]
mod tests {
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };
    use serde_json::json;

    use super::*;
    use crate::Client;

    async fn ask(states: [(u64, Option<u64>); 3]) -> Result<Stability> {
        let server = ScriptedService::new(move |request| {
            if request.uri.path() == "/v1/daemon" {
                let targets: serde_json::Map<_, _> = (0..3)
                    .map(|i| (format!("t{i}"), json!({"daemon_id": format!("t{i}"), "flags": states[i].0})))
                    .collect();
                return Reply::ok(json!({"tmap": targets, "proxy_si": {"daemon_id": "p"}}).to_string());
            }
            let node: usize = request.header("ais-node-id").unwrap()[1..].parse().unwrap();
            match states[node].1 {
                Some(flags) => Reply::ok(
                    json!({"snode": {"daemon_id": format!("t{node}")}, "cluster": {"flags": flags}})
                        .to_string(),
                ),
                None => Reply::status(503),
            }
        });
        let builder = Client::builder("http://gateway:1").service(server);
        builder.retry(RetryConfig::off()).build().unwrap().cluster().stability().await
    }

    #[tokio::test]
    async fn what_keeps_a_cluster_from_being_complete() {
        assert!(ask([(0, Some(6)), (0, Some(6)), (0, Some(6))]).await.unwrap().is_settled());
        let found = ask([(0, Some(6 | 8)), (0, Some(6 | 16)), (4, None)]).await.unwrap();
        assert_eq!(found.rebalancing, ["t0"]);
        assert_eq!(found.interrupted, ["t1"]);
        assert_eq!(found.out_of_service, ["t2"]);
        assert!(!found.is_settled());
        let error = ask([(0, Some(6)), (0, None), (0, Some(6))]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

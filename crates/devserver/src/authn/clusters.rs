//! `/v1/clusters`: registered clusters.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Serialize;

use super::state::{Role, State};
use super::{Call, Service, check_name, document, failed, handshake, messages, missing, need_admin};
use crate::access::ClusterAcl;
use crate::access::bits::{RO, RW};
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;

#[derive(Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clusters: BTreeMap<&'a str, &'a ClusterAcl>,
}

pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    match call.method {
        Method::GET => get(service, call),
        Method::POST => register(service, call).await,
        Method::PUT => update(service, call).await,
        _ => remove(service, call).await,
    }
}

fn unknown(name: &str) -> Fail {
    Fail::not_found(format!("AuthN: cluster {name} does not exist"))
}

fn get(service: &Service, call: &Call) -> Result<Reply> {
    let state = service.state();
    let clusters = match call.item() {
        None => state.clusters.iter().map(|(id, cluster)| (id.as_str(), cluster)).collect(),
        Some(name) => {
            let cluster = state.cluster(name).ok_or_else(|| unknown(name))?;
            BTreeMap::from([(cluster.id.as_str(), cluster)])
        }
    };
    document(&Told { clusters })
}

/// Refuses what cannot be registered, before the cluster is asked.
fn check(state: &State, cluster: &ClusterAcl) -> Result<()> {
    if cluster.id.is_empty() {
        return Err(Fail::bad("cluster UUID is undefined"));
    }
    if !cluster.alias.is_empty() {
        check_name("cluster alias", &cluster.alias)?;
    }
    let same_id = state.clusters.get(&cluster.id);
    let same_alias = || state.cluster(&cluster.alias).filter(|_| !cluster.alias.is_empty());
    match same_id.or_else(same_alias) {
        Some(known) => {
            let text = format!("cluster {}[{}] already registered", cluster.id, known.id);
            Err(Fail::new(StatusCode::CONFLICT, text))
        }
        None => Ok(()),
    }
}

/// Stores a cluster and the roles that come with it; roles of these names that exist stay as they are.
pub(super) fn store(state: &mut State, cluster: ClusterAcl) {
    let (name, title) = if cluster.alias.is_empty() {
        (&cluster.id, cluster.id.clone())
    } else {
        (&cluster.alias, format!("{}[{}]", cluster.id, cluster.alias))
    };
    let predefined = [
        ("ClusterOwner", "Admin access to", u64::MAX),
        ("BucketOwner", "Full access to buckets in", RW),
        ("Guest", "Read-only access to buckets in", RO),
    ];
    for (kind, desc, perm) in predefined {
        let role = Role {
            name: format!("{kind}-{name}"),
            desc: format!("{desc} {title}"),
            clusters: Some(vec![ClusterAcl { id: cluster.id.clone(), perm, ..ClusterAcl::default() }]),
            ..Role::default()
        };
        // These may have longer names than those that a caller chooses.
        state.roles.entry(role.name.clone()).or_insert(role);
    }
    state.clusters.insert(cluster.id.clone(), cluster);
}

async fn register(service: &Service, call: &Call) -> Result<Reply> {
    need_admin(service, call)?;
    let cluster = messages::registration(call)?;
    let failed = failed("add cluster", &cluster.id);
    check(&service.state(), &cluster).map_err(&failed)?;
    handshake::introduce(service, &cluster).await.map_err(&failed)?;
    let store = |state: &mut State| {
        // The cluster took its time; another call may have been faster.
        check(state, &cluster)?;
        state.prune();
        store(state, cluster);
        Ok(())
    };
    service.change(store).await.map_err(&failed)?;
    Ok(Reply::ok())
}

/// The registration as it will be after a change.
fn changed(state: &State, id: &str, change: &ClusterAcl) -> Result<ClusterAcl> {
    if change.id.is_empty() {
        return Err(Fail::bad("cluster ID is undefined"));
    }
    let mut cluster = state.clusters.get(id).ok_or_else(|| missing("cluster", id))?.clone();
    if !change.alias.is_empty() {
        check_name("cluster alias", &change.alias)?;
        if let Some(other) = state.cluster(&change.alias).filter(|other| other.id != id) {
            let text = format!("alias \"{}\" is used for cluster \"{}\"", change.alias, other.id);
            return Err(Fail::new(StatusCode::CONFLICT, text));
        }
        cluster.alias.clone_from(&change.alias);
    }
    if !change.urls.is_empty() {
        cluster.urls.clone_from(&change.urls);
    }
    Ok(cluster)
}

async fn update(service: &Service, call: &Call) -> Result<Reply> {
    let id = call.need_item()?;
    need_admin(service, call)?;
    let change = messages::registration(call)?;
    let failed = failed("update cluster", id);
    let cluster = changed(&service.state(), id, &change).map_err(&failed)?;
    handshake::introduce(service, &cluster).await.map_err(&failed)?;
    let update = |state: &mut State| {
        let cluster = changed(state, id, &change)?;
        state.clusters.insert(id.to_owned(), cluster);
        Ok(())
    };
    service.change(update).await.map_err(&failed)?;
    Ok(Reply::ok())
}

async fn remove(service: &Service, call: &Call) -> Result<Reply> {
    let Some(name) = call.item() else {
        return Err(failed("delete cluster", "undefined")(Fail::bad("cluster name or ID not defined")));
    };
    need_admin(service, call)?;
    let remove = |state: &mut State| {
        let id = state.cluster(name).ok_or_else(|| unknown(name))?.id.clone();
        state.clusters.remove(&id);
        Ok(())
    };
    service.change(remove).await.map_err(failed("delete cluster", name))?;
    Ok(Reply::ok())
}

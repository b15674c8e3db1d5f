//! `/v1/roles`.

use http::{Method, StatusCode};

use super::state::{Role, State};
use super::{ADMIN_ROLE, Call, Service, check_name, document, failed, messages, missing, need_admin};
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;

pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    match call.method {
        Method::GET => get(service, call),
        Method::POST => add(service, call).await,
        Method::PUT => update(service, call).await,
        _ => remove(service, call).await,
    }
}

fn get(service: &Service, call: &Call) -> Result<Reply> {
    if call.items.len() > 1 {
        return Err(Fail::bad("invalid request"));
    }
    let state = service.state();
    let Some(name) = call.item() else {
        return document(&state.roles.values().collect::<Vec<_>>());
    };
    let mut role = state.roles.get(name).ok_or_else(|| missing("role", name))?.clone();
    for entry in role.clusters.iter_mut().flatten() {
        if let Some(known) = state.clusters.get(&entry.id) {
            entry.alias.clone_from(&known.alias);
        }
    }
    document(&role)
}

/// Adds a role that must not exist.
fn insert(state: &mut State, role: Role) -> Result<()> {
    if role.name.is_empty() {
        return Err(Fail::bad("role name is undefined"));
    }
    check_name("role name", &role.name)?;
    if role.admin {
        let text = "only built-in roles can have \"admin\" permissions";
        return Err(Fail::new(StatusCode::FORBIDDEN, text));
    }
    if state.roles.contains_key(&role.name) {
        let text = format!("AuthN: role {} already exists", role.name);
        return Err(Fail::new(StatusCode::CONFLICT, text));
    }
    state.roles.insert(role.name.clone(), role);
    Ok(())
}

async fn add(service: &Service, call: &Call) -> Result<Reply> {
    need_admin(service, call)?;
    let role = messages::added_role(call)?;
    let name = role.name.clone();
    service.change(|state| insert(state, role)).await.map_err(failed("add role", &name))?;
    Ok(Reply::ok())
}

/// Overwrites entries that are the same in the sense of `same`, and appends the others.
fn merge<T>(list: &mut Option<Vec<T>>, change: Option<Vec<T>>, same: impl Fn(&T, &T) -> bool) {
    for entry in change.into_iter().flatten() {
        let list = list.get_or_insert_default();
        match list.iter_mut().find(|old| same(old, &entry)) {
            Some(old) => *old = entry,
            None => list.push(entry),
        }
    }
}

async fn update(service: &Service, call: &Call) -> Result<Reply> {
    let name = call.need_item()?;
    need_admin(service, call)?;
    let change = messages::updated_role(call)?;
    let update = |state: &mut State| {
        if name == ADMIN_ROLE {
            return Err(Fail::new(StatusCode::FORBIDDEN, "cannot modify built-in \"Admin\" role"));
        }
        let role = state.roles.get_mut(name).ok_or_else(|| missing("role", name))?;
        if !change.desc.is_empty() {
            role.desc = change.desc;
        }
        merge(&mut role.clusters, change.clusters, |a, b| a.id == b.id);
        merge(&mut role.buckets, change.buckets, |a, b| a.bck == b.bck);
        Ok(())
    };
    service.change(update).await.map_err(failed("update role", name))?;
    Ok(Reply::ok())
}

async fn remove(service: &Service, call: &Call) -> Result<Reply> {
    let name = call.need_item()?;
    need_admin(service, call)?;
    let remove = |state: &mut State| {
        if name == ADMIN_ROLE {
            return Err(Fail::new(StatusCode::FORBIDDEN, "cannot remove built-in \"Admin\" role"));
        }
        state.roles.remove(name).ok_or_else(|| missing("role", name))?;
        for user in state.users.values_mut() {
            user.roles.retain(|role| role != name);
        }
        Ok(())
    };
    service.change(remove).await.map_err(failed("delete role", name))?;
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ClusterAcl;

    #[test]
    fn merging_keeps_order() {
        let entry = |id: &str, perm| ClusterAcl { id: id.into(), perm, ..ClusterAcl::default() };
        let mut list = None;
        merge(&mut list, None, |a: &ClusterAcl, b| a.id == b.id);
        assert_eq!(list, None);
        merge(&mut list, Some(vec![entry("a", 1), entry("b", 2)]), |a, b| a.id == b.id);
        merge(&mut list, Some(vec![entry("c", 3), entry("a", 4)]), |a, b| a.id == b.id);
        assert_eq!(list, Some(vec![entry("a", 4), entry("b", 2), entry("c", 3)]));
    }
}

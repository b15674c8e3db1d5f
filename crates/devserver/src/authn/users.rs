//! `/v1/users`: users and logins.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Serialize;

use super::password::{Hashed, MAX_PASSWORD};
use super::state::{Role, State, User};
use super::{
    ADMIN_USER, Call, Service, caller, check_name, document, failed, messages, missing, need_admin, tokens,
};
use crate::access::remaining;
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;

/// A user as it is told.
#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    roles: Vec<&'a Role>,
}

fn told<'a>(state: &'a State, id: &'a str, user: &'a User) -> Told<'a> {
    Told { id, roles: user.roles.iter().filter_map(|name| state.roles.get(name)).collect() }
}

pub(super) async fn handle(service: &Service, call: &Call) -> Result<Reply> {
    match call.method {
        Method::GET => get(service, call),
        Method::POST if call.items.is_empty() => add(service, call).await,
        Method::POST => tokens::login(service, call),
        Method::PUT => update(service, call).await,
        _ => remove(service, call).await,
    }
}

fn get(service: &Service, call: &Call) -> Result<Reply> {
    if call.items.len() > 1 {
        return Err(Fail::bad("invalid request"));
    }
    let Some(id) = call.item() else {
        need_admin(service, call)?;
        let state = service.state();
        let all: BTreeMap<_, _> = state.users.iter().map(|(id, user)| (id, told(&state, id, user))).collect();
        return document(&all);
    };
    let claims = caller(service, call)?;
    if !claims.admin && claims.subject != id {
        return Err(Fail::new(StatusCode::UNAUTHORIZED, "not authorized: requires admin or self"));
    }
    let state = service.state();
    let user = state.users.get(id).ok_or_else(|| missing("user", id))?;
    document(&told(&state, id, user))
}

/// Passwords that are too long end the connection, as they crash the original's handler.
fn hashed(password: &str) -> Result<Hashed> {
    if password.len() > MAX_PASSWORD {
        return Err(Fail::abort());
    }
    Ok(Hashed::new(password))
}

/// The roles that exist, of those that are named.
fn known(state: &State, names: Vec<Option<String>>) -> Vec<String> {
    names.into_iter().flatten().filter(|name| state.roles.contains_key(name)).collect()
}

async fn add(service: &Service, call: &Call) -> Result<Reply> {
    need_admin(service, call)?;
    let message = messages::User::added(call)?;
    let id = message.id.clone();
    let add = |state: &mut State| {
        if message.id.is_empty() || message.password.is_empty() {
            return Err(Fail::bad("invalid credentials"));
        }
        check_name("user ID", &message.id)?;
        if state.users.contains_key(&message.id) {
            let text = format!("AuthN: user {} already exists", message.id);
            return Err(Fail::new(StatusCode::CONFLICT, text));
        }
        let roles = known(state, message.roles);
        state.users.insert(message.id, User { password: hashed(&message.password)?, roles });
        Ok(())
    };
    service.change(add).await.map_err(failed("add user", &id))?;
    Ok(Reply::ok())
}

async fn update(service: &Service, call: &Call) -> Result<Reply> {
    let id = call.need_item()?.to_owned();
    let message = messages::User::updated(call)?;
    let claims = caller(service, call)?;
    if !claims.admin && (claims.subject != id || !message.roles.is_empty()) {
        let (user, left) = (claims.subject, remaining(claims.expires));
        return Err(Fail::new(
            StatusCode::UNAUTHORIZED,
            format!("not authorized: (user {user}, token expires in {left})"),
        ));
    }
    let name = id.clone();
    let update = |state: &mut State| {
        if id == ADMIN_USER && !message.roles.is_empty() {
            return Err(Fail::new(StatusCode::FORBIDDEN, "cannot change administrator's role"));
        }
        let replaces_roles = !message.roles.is_empty();
        let roles = known(state, message.roles);
        let user = state.users.get_mut(&id).ok_or_else(|| missing("user", &id))?;
        if !message.password.is_empty() {
            user.password = hashed(&message.password)?;
        }
        if replaces_roles {
            user.roles = roles;
        }
        Ok(())
    };
    service.change(update).await.map_err(failed("update user", &name))?;
    Ok(Reply::ok())
}

async fn remove(service: &Service, call: &Call) -> Result<Reply> {
    let id = call.need_item()?;
    need_admin(service, call)?;
    let remove = |state: &mut State| {
        if id == ADMIN_USER {
            return Err(Fail::new(StatusCode::FORBIDDEN, "cannot remove built-in \"admin\" account"));
        }
        state.users.remove(id).map(drop).ok_or_else(|| missing("user", id))
    };
    service.change(remove).await.map_err(failed("delete user", id))?;
    Ok(Reply::ok())
}

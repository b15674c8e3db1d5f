//! Logins, revocation, and what a token claims.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::duration::{MINUTE, SECOND};
use super::state::{Config, State, User};
use super::{ADMIN_ROLE, Call, Service, failed, messages, password};
use crate::access::{BucketAcl, ClusterAcl, now_seconds, sign, verify};
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;

/// The claims of a token, in their order.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    clusters: Option<Vec<ClusterAcl>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buckets: Vec<BucketAcl>,
    admin: bool,
    iss: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    aud: BTreeSet<String>,
    exp: i64,
    iat: i64,
    /// The original has no such claim, and gives out the same token twice within one second.
    jti: String,
}

impl Claims<'_> {
    fn sign(&self, secret: &str) -> Result<String> {
        let text = serde_json::to_string(self)
            .map_err(|e| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
        Ok(sign(secret, &text))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
fn now() -> i64 {
    now_seconds() as i64
}

/// Seconds of life for a request in nanoseconds.
fn lifetime(config: &Config, wanted: Option<i64>) -> Result<i64> {
    let nanos = match wanted {
        None => config.lifetime,
        Some(0) => config.max_age,
        Some(nanos) if nanos < MINUTE => {
            return Err(Fail::bad("invalid requested expiry date: must be 0 or >= 1m"));
        }
        Some(nanos) if nanos > config.max_age => {
            let max = super::state::printed(config.max_age);
            return Err(Fail::bad(format!(
                "invalid requested expiry date: cannot exceed configured max token age: {max}"
            )));
        }
        Some(nanos) => nanos,
    };
    Ok(nanos / SECOND)
}

/// Adds the bits of an entry to the one for the same thing, or the entry.
fn unite<T: Clone>(list: &mut Vec<T>, entry: &T, same: impl Fn(&T, &T) -> bool, add: impl Fn(&mut T)) {
    match list.iter_mut().find(|old| same(old, entry)) {
        Some(old) => add(old),
        None => list.push(entry.clone()),
    }
}

/// The access lists of a user's roles, united.
fn lists(state: &State, user: &User) -> (Option<Vec<ClusterAcl>>, Vec<BucketAcl>) {
    let (mut clusters, mut buckets) = (Vec::new(), Vec::new());
    for role in user.roles.iter().filter_map(|name| state.roles.get(name)) {
        for entry in role.clusters.iter().flatten() {
            unite(&mut clusters, entry, |a, b| a.id == b.id, |old| old.perm |= entry.perm);
        }
        for entry in role.buckets.iter().flatten() {
            unite(&mut buckets, entry, |a, b| a.bck == b.bck, |old| old.perm |= entry.perm);
        }
    }
    for entry in &mut clusters {
        if !state.clusters.contains_key(&entry.id)
            && let Some(known) = state.clusters.values().find(|c| !c.alias.is_empty() && c.alias == entry.id)
        {
            entry.id.clone_from(&known.id);
        }
    }
    ((!clusters.is_empty()).then_some(clusters), buckets)
}

/// A token for a user that has proved to be itself.
fn issue(service: &Service, state: &State, id: &str, user: &User, seconds: i64) -> Result<String> {
    let iat = now();
    let issuer = service.issuer();
    let claims = Claims {
        clusters: None,
        buckets: Vec::new(),
        admin: true,
        iss: &issuer,
        sub: id,
        aud: state.clusters.keys().cloned().collect(),
        exp: iat + seconds,
        iat,
        jti: password::token_id(),
    };
    if user.roles.iter().any(|role| role == ADMIN_ROLE) {
        return claims.sign(&state.config.secret);
    }
    let (clusters, buckets) = lists(state, user);
    let in_clusters = clusters.iter().flatten().map(|acl| &acl.id);
    let in_buckets = buckets.iter().map(|acl| &acl.bck.namespace.uuid);
    let aud = in_clusters.chain(in_buckets).filter(|id| !id.is_empty()).cloned().collect();
    Claims { clusters, buckets, admin: false, aud, ..claims }.sign(&state.config.secret)
}

/// `POST /v1/users/{id}`.
pub(super) fn login(service: &Service, call: &Call) -> Result<Reply> {
    let (password, wanted) = messages::login(call)?;
    if password.is_empty() {
        return Err(Fail::new(StatusCode::UNAUTHORIZED, "empty password"));
    }
    let id = call.need_item()?;
    let state = service.state();
    let token = || {
        let user = state.users.get(id).filter(|user| user.password.matches(&password));
        let user = user.ok_or_else(|| Fail::new(StatusCode::UNAUTHORIZED, "invalid credentials"))?;
        issue(service, &state, id, user, lifetime(&state.config, wanted)?)
    };
    let token = token().map_err(failed("generate token for", id))?;
    Ok(Reply::ok()
        .with(http::header::CONTENT_TYPE, "application/json")
        .body(format!("{{\"token\": \"{token}\"}}")))
}

/// A token by which a cluster knows this service.
pub(super) fn own(service: &Service, cluster: &str) -> String {
    let (iat, issuer) = (now(), service.issuer());
    let claims = Claims {
        clusters: None,
        buckets: Vec::new(),
        admin: true,
        iss: &issuer,
        sub: "AuthN",
        aud: BTreeSet::from([cluster.to_owned()]),
        exp: iat + 300,
        iat,
        jti: password::token_id(),
    };
    claims.sign(&service.state().config.secret).unwrap_or_default()
}

/// `DELETE /v1/tokens`.
pub(super) async fn revoke(service: &Arc<Service>, call: &Call) -> Result<Reply> {
    let token = messages::token(call)?;
    if token.is_empty() {
        return Err(Fail::bad("empty token"));
    }
    let claims = verify(&service.state().config.secret, &token).map_err(|e| {
        Fail::new(StatusCode::UNAUTHORIZED, format!("invalid token [err: {}]", e.0)).tcode("wrapErrors")
    })?;
    let key = token.clone();
    service
        .change(move |state| {
            state.revoked.insert(key, claims.expires);
            Ok(())
        })
        .await
        .map_err(failed("revoke token", ""))?;
    service.push(&token);
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::super::state::Role;
    use super::*;

    fn config() -> Config {
        Config { lifetime: 24 * 60 * MINUTE, max_age: 90 * 24 * 60 * MINUTE, ..Config::default() }
    }

    #[test]
    fn lifetimes() {
        let seconds = |wanted| lifetime(&config(), wanted).map_err(|f| f.message);
        assert_eq!(seconds(None), Ok(86_400));
        assert_eq!(seconds(Some(0)), Ok(7_776_000));
        assert_eq!(seconds(Some(MINUTE)), Ok(60));
        assert_eq!(seconds(Some(config().max_age)), Ok(7_776_000));
        assert!(seconds(Some(MINUTE - 1)).expect_err("short").ends_with("must be 0 or >= 1m"));
        assert!(seconds(Some(-1)).is_err());
        assert!(seconds(Some(config().max_age + 1)).expect_err("long").ends_with("max token age: 2160h0m"));
    }

    #[test]
    fn access_lists_are_united() {
        let mut state = State::default();
        let entry = |id: &str, perm| ClusterAcl { id: id.into(), perm, ..ClusterAcl::default() };
        for (name, list) in [("a", vec![entry("c", 1)]), ("b", vec![entry("c", 4), entry("alias", 2)])] {
            let role = Role { name: name.into(), clusters: Some(list), ..Role::default() };
            state.roles.insert(name.into(), role);
        }
        let known = ClusterAcl { id: "other".into(), alias: "alias".into(), ..ClusterAcl::default() };
        state.clusters.insert("other".into(), known);
        let roles = vec!["a".into(), "gone".into(), "b".into()];
        let user = User { password: password::Hashed::new("pw"), roles };
        let (clusters, buckets) = lists(&state, &user);
        assert_eq!((clusters, buckets), (Some(vec![entry("c", 5), entry("other", 2)]), Vec::new()));
    }
}

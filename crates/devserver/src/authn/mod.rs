//! An AuthN service: users, roles, registered clusters, and the tokens that clusters trust.

mod clusters;
mod config;
mod duration;
mod handshake;
mod messages;
mod password;
mod roles;
mod server;
mod state;
mod tokens;
mod users;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) use server::Server;

use crate::access::{Claims, ClusterAcl, presented, remaining, verify};
use crate::aistore::Guard;
use crate::aistore::error::{Fail, Result};
use crate::aistore::reply::Reply;
use crate::fault::Faults;
use crate::http::Restart;
use crate::journal::Journal;
use crate::raw;
use crate::storage::{Storage, StorageError};
use crate::sync::{lock, read, write};
use state::State;

/// The account and the role that cannot be taken away.
const ADMIN_USER: &str = "admin";
const ADMIN_ROLE: &str = "Admin";

/// Alias of the cluster that runs in the same process.
const OWN_ALIAS: &str = "dev";

/// What can be set from outside.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Name and password of the administrator, for a store without users.
    pub(crate) superuser: (String, String),
    /// Lifetime of a token that was asked for without one.
    pub(crate) lifetime: Duration,
    /// Longest lifetime of a token.
    pub(crate) max_age: Duration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("superuser", &self.superuser.0)
            .field("lifetime", &self.lifetime)
            .field("max_age", &self.max_age)
            .finish()
    }
}

/// The cluster in the same process: it hears of revocations before their caller gets an answer.
#[derive(Debug)]
pub(crate) struct OwnCluster {
    pub(crate) uuid: String,
    pub(crate) url: String,
    pub(crate) guard: Arc<Guard>,
}

/// The service behind its listener.
pub(crate) struct Service {
    state: RwLock<State>,
    /// Changes are made one after another.
    changing: tokio::sync::Mutex<()>,
    storage: Arc<Storage>,
    own: OwnCluster,
    address: SocketAddr,
    restarts: mpsc::Sender<Restart>,
    faults: Arc<Faults>,
    journal: Arc<Journal>,
    /// Revocations on their way to other clusters.
    pushes: Mutex<JoinSet<()>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where the service listens and what it shares with the rest of the process.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) restarts: mpsc::Sender<Restart>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
}

/// The secret that a store's tokens are signed with: the given one, the stored one, or a new one.
pub(crate) fn secret(storage: &Storage, given: Option<&str>) -> std::result::Result<String, StorageError> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let stored = State::load(storage)?.config.secret;
    Ok(if stored.is_empty() { password::random_secret() } else { stored })
}

impl Service {
    /// Opens what the storage holds; a new store gets the administrator and the built-in role.
    pub(crate) async fn open(
        storage: Arc<Storage>,
        settings: &Settings,
        secret: String,
        own: OwnCluster,
        register: bool,
        place: Place,
    ) -> Result<Self> {
        let state = State::load(&storage)?;
        own.guard.revoke(state.revoked.keys().cloned());
        let service = Self {
            state: RwLock::new(state),
            changing: tokio::sync::Mutex::default(),
            storage,
            own,
            address: place.address,
            restarts: place.restarts,
            faults: place.faults,
            journal: place.journal,
            pushes: Mutex::default(),
        };
        let own = ClusterAcl {
            id: service.own.uuid.clone(),
            alias: OWN_ALIAS.into(),
            urls: vec![service.own.url.clone()],
            perm: 0,
        };
        let settings = settings.clone();
        service
            .change(move |state| {
                state.config.secret = secret;
                state.config.set_lifetimes(settings.lifetime, settings.max_age);
                if state.users.is_empty() {
                    state.found(&settings.superuser.0, &settings.superuser.1);
                }
                if register {
                    // Its address may be another one since the last start; its alias may have been changed.
                    let alias = state.clusters.get(&own.id).map_or(own.alias.clone(), |c| c.alias.clone());
                    clusters::store(state, ClusterAcl { alias, ..own });
                }
                Ok(())
            })
            .await?;
        Ok(service)
    }

    /// The URL that tokens name as their issuer, and that the service announces.
    fn issuer(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        read(&self.state)
    }

    /// Makes a change and stores it; nothing is changed if it is refused.
    async fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let _changing = self.changing.lock().await;
        let mut next = self.state().clone();
        let result = change(&mut next)?;
        let differences = next.differences(&self.state())?;
        if !differences.is_empty() {
            self.storage
                .write(move |tables| {
                    differences.iter().try_for_each(|(key, v)| tables.set_authn(key, v.as_deref()))
                })
                .await?;
        }
        *write(&self.state) = next;
        Ok(result)
    }

    /// Tells registered clusters, the own one at once, that a token is revoked.
    fn push(self: &Arc<Self>, token: &str) {
        let others: Vec<ClusterAcl> = {
            let state = self.state();
            if state.clusters.contains_key(&self.own.uuid) {
                self.own.guard.revoke([token.to_owned()]);
            }
            state.clusters.values().filter(|c| c.id != self.own.uuid && !c.urls.is_empty()).cloned().collect()
        };
        let mut pushes = lock(&self.pushes);
        while pushes.try_join_next().is_some() {}
        for cluster in others {
            let (service, tokens) = (Arc::clone(self), vec![token.to_owned()]);
            pushes.spawn(async move {
                if let Err(error) = handshake::revoke(&service, &cluster, &tokens).await {
                    tracing::warn!(cluster = cluster.id, error, "revocation not delivered");
                }
            });
        }
    }
}

/// A request on its way through the service.
#[derive(Debug)]
struct Call {
    method: Method,
    /// Decoded path.
    path: String,
    /// What follows the resource in the path.
    items: Vec<String>,
    headers: http::HeaderMap,
    body: bytes::Bytes,
}

impl Call {
    fn item(&self) -> Option<&str> {
        self.items.first().map(String::as_str)
    }

    /// The item that a call cannot do without.
    fn need_item(&self) -> Result<&str> {
        self.item().ok_or_else(|| {
            let path = self.path.trim_matches('/');
            Fail::bad(format!("URL '{path}' is too short: expected 3 items, got 2"))
        })
    }
}

/// Who calls.
fn caller(service: &Service, call: &Call) -> Result<Claims> {
    let unauthorized = |message: String| Fail::new(StatusCode::UNAUTHORIZED, message);
    let Some((_, token)) = presented(&call.headers) else {
        return Err(unauthorized("token required".into()));
    };
    let state = service.state();
    if state.revoked.contains_key(&token) {
        return Err(unauthorized(format!(
            "not authorized (invalid token: token revoked): {}",
            quote(&token)
        )));
    }
    verify(&state.config.secret, &token).map_err(|e| {
        unauthorized(format!("not authorized (invalid token [err: {}]): {}", e.0, quote(&token)))
    })
}

/// Refuses everybody but administrators; lack of rights is 401 here.
fn need_admin(service: &Service, call: &Call) -> Result<()> {
    let claims = caller(service, call)?;
    if claims.admin {
        return Ok(());
    }
    let (user, left) = (claims.subject, remaining(claims.expires));
    Err(Fail::new(
        StatusCode::UNAUTHORIZED,
        format!("not authorized: requires admin (user {user}, token expires in {left})"),
    ))
}

/// Wraps the reason why something was not done.
fn failed(action: &'static str, what: &str) -> impl Fn(Fail) -> Fail + use<> {
    let what = what.to_owned();
    move |cause| {
        let message = format!("AuthN: failed to {action} {what}, err: {}", cause.message);
        Fail { message, tcode: "ErrFailedTo", ..cause }
    }
}

/// 404 for something that is missing.
fn missing(kind: &str, name: &str) -> Fail {
    Fail::not_found(format!("{kind} {} does not exist", quote(name)))
}

/// A document as this service sends it.
fn document(value: &impl serde::Serialize) -> Result<Reply> {
    let text = serde_json::to_string(value)
        .map_err(|e| Fail::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(Reply::ok().with(http::header::CONTENT_TYPE, "application/json").body(raw::unescape(&(text + "\n"))))
}

/// Checks a name of a user, a role or a cluster.
fn check_name(what: &str, name: &str) -> Result<()> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let outer = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    if bytes.len() <= 32 && bytes.iter().all(|b| inner(*b)) && outer(bytes.first()) && outer(bytes.last()) {
        return Ok(());
    }
    Err(Fail::bad(format!(
        "{what} {} is invalid: must be less than 32 characters and may only contain letters, numbers, dashes (-), \
         underscores (_)",
        quote(name)
    )))
}

/// Text in quotes, escaped as Go does.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match (character, raw::byte(character)) {
            (_, Some(byte)) => drop(write!(quoted, "\\x{byte:02x}")),
            ('"' | '\\', _) => quoted.extend(['\\', character]),
            ('\n', _) => quoted += "\\n",
            ('\r', _) => quoted += "\\r",
            ('\t', _) => quoted += "\\t",
            (c, _) if c.is_ascii_control() => drop(write!(quoted, "\\x{:02x}", u32::from(c))),
            (c, _) => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "Test-Role-x", "a_b", &"a".repeat(32)] {
            assert!(check_name("role name", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a_", "a.b", "a b", "a/b", "\u{17c}aba", &"a".repeat(33)] {
            assert!(check_name("role name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quoting() {
        assert_eq!(quote(&raw::escape(b"\xff\xfe")), r#""\xff\xfe""#);
        assert_eq!(quote("a\"b\n\u{17c}"), "\"a\\\"b\\n\u{17c}\"");
    }

    #[test]
    fn wrapped_reasons() {
        let fail = failed("add role", "r1")(Fail::bad("role name is undefined"));
        assert_eq!(
            (fail.message.as_str(), fail.tcode),
            ("AuthN: failed to add role r1, err: role name is undefined", "ErrFailedTo")
        );
    }
}

//! What the service remembers, and how it is stored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::password::Hashed;
use super::{ADMIN_ROLE, duration};
use crate::access::{BucketAcl, ClusterAcl, now_seconds};
use crate::storage::{Storage, StorageError};

/// A user. Roles are kept by name; whoever asks gets what they are by then.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) password: Hashed,
    pub(super) roles: Vec<String>,
}

/// A role, in the form in which it is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) desc: String,
    pub(super) clusters: Option<Vec<ClusterAcl>>,
    pub(super) buckets: Option<Vec<BucketAcl>>,
    pub(super) admin: bool,
}

/// What can be changed while the service runs, and the limits.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Config {
    pub(super) secret: String,
    /// Nanoseconds.
    pub(super) lifetime: i64,
    /// Nanoseconds.
    pub(super) max_age: i64,
    /// As set at the start; a change at run time stays until another start sets something else.
    pub(super) started_with: (i64, i64),
    pub(super) log_level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { secret: String::new(), lifetime: 0, max_age: 0, started_with: (0, 0), log_level: "3".into() }
    }
}

impl Config {
    pub(super) fn set_lifetimes(&mut self, lifetime: Duration, max_age: Duration) {
        let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let given = (nanos(lifetime), nanos(max_age));
        if self.started_with != given {
            (self.lifetime, self.max_age) = given;
            self.started_with = given;
        }
    }
}

/// Everything.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) users: BTreeMap<String, User>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) clusters: BTreeMap<String, ClusterAcl>,
    /// Revoked tokens, with the time they expire at.
    pub(super) revoked: BTreeMap<String, f64>,
    pub(super) config: Config,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

type Difference = (String, Option<Vec<u8>>);

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(bytes).map_err(|e| StorageError::Corrupt(e.to_string()))
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(value).map_err(|e| StorageError::Corrupt(e.to_string()))
}

fn compare<V: PartialEq + Serialize>(
    kind: &str,
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    found: &mut Vec<Difference>,
) -> Result<(), StorageError> {
    for (key, value) in new.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
        found.push((format!("{kind}/{key}"), Some(encode(value)?)));
    }
    found.extend(old.keys().filter(|k| !new.contains_key(*k)).map(|key| (format!("{kind}/{key}"), None)));
    Ok(())
}

impl State {
    pub(super) fn load(storage: &Storage) -> Result<Self, StorageError> {
        let mut state = Self::default();
        for (key, bytes) in storage.snapshot()?.authn()? {
            let corrupt = || StorageError::Corrupt(format!("AuthN record {key}"));
            let (kind, name) = key.split_once('/').ok_or_else(corrupt)?;
            let name = name.to_owned();
            match kind {
                "user" => drop(state.users.insert(name, decode(&bytes)?)),
                "role" => drop(state.roles.insert(name, decode(&bytes)?)),
                "cluster" => drop(state.clusters.insert(name, decode(&bytes)?)),
                "revoked" => drop(state.revoked.insert(name, decode(&bytes)?)),
                "config" => state.config = decode(&bytes)?,
                _ => return Err(corrupt()),
            }
        }
        Ok(state)
    }

    /// What has to be stored to get here from `old`: keys and values, none for what is gone.
    pub(super) fn differences(&self, old: &Self) -> Result<Vec<Difference>, StorageError> {
        let mut found = Vec::new();
        compare("user", &old.users, &self.users, &mut found)?;
        compare("role", &old.roles, &self.roles, &mut found)?;
        compare("cluster", &old.clusters, &self.clusters, &mut found)?;
        compare("revoked", &old.revoked, &self.revoked, &mut found)?;
        if old.config != self.config {
            found.push(("config/".into(), Some(encode(&self.config)?)));
        }
        Ok(found)
    }

    /// Fills an empty store: the built-in role and its holder.
    pub(super) fn found(&mut self, name: &str, password: &str) {
        let role = Role {
            name: ADMIN_ROLE.into(),
            desc: "AuthN administrator".into(),
            admin: true,
            ..Role::default()
        };
        self.roles.insert(role.name.clone(), role);
        let user = User { password: Hashed::new(password), roles: vec![ADMIN_ROLE.into()] };
        self.users.insert(name.to_owned(), user);
    }

    /// A registered cluster by alias or id.
    pub(super) fn cluster(&self, name: &str) -> Option<&ClusterAcl> {
        let by_alias = self.clusters.values().find(|c| !c.alias.is_empty() && c.alias == name);
        by_alias.or_else(|| self.clusters.get(name))
    }

    /// Forgets revoked tokens that have expired.
    pub(super) fn prune(&mut self) {
        let now = now_seconds();
        self.revoked.retain(|_, expires| *expires > now);
    }
}

/// Nanoseconds as durations are printed in the configuration.
pub(super) fn printed(nanos: i64) -> String {
    duration::print(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_what_changed() {
        let mut old = State::default();
        old.found("admin", "pw");
        let mut new = old.clone();
        assert!(new.differences(&old).expect("differences").is_empty());
        new.users.remove("admin");
        new.roles.insert("r".into(), Role { name: "r".into(), ..Role::default() });
        let found = new.differences(&old).expect("differences");
        let keys: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.is_some())).collect();
        assert_eq!(keys, [("user/admin", false), ("role/r", true)]);
    }
}

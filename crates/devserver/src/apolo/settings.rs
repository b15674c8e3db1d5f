//! The world that the buckets service serves: its users, what they may do, how long credentials last.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::supabase::jwt;

/// What a user may do with the buckets of a place. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ApoloAction {
    /// Read objects.
    Read,
    /// Create and remove buckets, write objects.
    Write,
}

impl ApoloAction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A user's right on everything below a path `org/project`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) user: String,
    pub(super) place: String,
    pub(super) action: ApoloAction,
}

/// Users, rights and limits of the Apolo buckets service.
///
/// By default the cluster is `default-cluster`; `alice` may write in `acme/proj1`, `acme/proj2` and `acme/alice`, `bob` may
/// read in `acme/proj1`, `carol` may do nothing, and `admin` everything. Tokens are JSON Web Tokens (HS256, secret
/// `secret`) with the user's name in the claim `identity`.
///
/// ```
/// use longshore_devserver::{ApoloAction, ApoloSettings};
///
/// let settings = ApoloSettings::default().grant("dave", "acme/proj9", ApoloAction::Write);
/// assert!(settings.token("dave").starts_with("eyJ"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApoloSettings {
    pub(super) secret: String,
    pub(super) cluster: String,
    pub(super) region: String,
    pub(super) lifetime: Duration,
    pub(super) creation: bool,
    pub(super) seed_era: bool,
    pub(super) users: Vec<String>,
    pub(super) grants: Vec<Grant>,
}

impl Default for ApoloSettings {
    fn default() -> Self {
        let mut settings = Self {
            secret: "secret".into(),
            cluster: "default-cluster".into(),
            region: "us-east-1".into(),
            lifetime: Duration::from_hours(1),
            creation: true,
            seed_era: false,
            users: vec!["carol".into()],
            grants: Vec::new(),
        };
        for project in ["proj1", "proj2", "alice"] {
            settings = settings.grant("alice", format!("acme/{project}"), ApoloAction::Write);
        }
        settings.grant("bob", "acme/proj1", ApoloAction::Read).grant("admin", "", ApoloAction::Write)
    }
}

impl ApoloSettings {
    /// Secret that tokens are signed with (HS256).
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Name of the cluster.
    #[must_use]
    pub fn cluster_name(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// Region that credentials name. In `us-east-1` and other old ones the service signs URLs with Signature Version 2, in
    /// all others with Version 4. Default: `us-east-1`.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// How long temporary credentials are good. Default: 1 h.
    #[must_use]
    pub fn credentials_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Whether buckets and persistent credentials can be created; where not, buckets are imported. Default: they can.
    #[must_use]
    pub fn creation(mut self, allowed: bool) -> Self {
        self.creation = allowed;
        self
    }

    /// Serves as servers before 2023 did: without projects, buckets belong to their owner, organisations are optional, and
    /// a list holds all that the caller may read. Default: off.
    #[must_use]
    pub fn seed_era(mut self, on: bool) -> Self {
        self.seed_era = on;
        self
    }

    /// Adds a user without any right.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.users.push(name.into());
        self
    }

    /// Lets a user act on everything below a path `org` or `org/project`; an empty one is everything.
    #[must_use]
    pub fn grant(mut self, user: impl Into<String>, place: impl Into<String>, action: ApoloAction) -> Self {
        self.grants.push(Grant { user: user.into(), place: place.into(), action });
        self
    }

    /// A user's token, which never expires.
    pub fn token(&self, user: &str) -> String {
        self.sign(&format!(r#"{{"identity":{}}}"#, Value::from(user)))
    }

    /// A user's token that is good for `lifetime`.
    pub fn token_for(&self, user: &str, lifetime: Duration) -> String {
        let expires = jiff::Timestamp::now().as_second().saturating_add_unsigned(lifetime.as_secs());
        self.sign(&format!(r#"{{"identity":{},"exp":{expires}}}"#, Value::from(user)))
    }

    /// What the token endpoint gives a new token for.
    pub fn refresh_token(&self, user: &str) -> String {
        self.sign(&format!(r#"{{"refresh":{}}}"#, Value::from(user)))
    }

    /// What the platform passes to its jobs in `APOLO_PASSED_CONFIG`; `url` is the address of the platform.
    pub fn passed_config(&self, url: &str, user: &str, org: &str, project: &str) -> String {
        let config = json!({"token": self.token(user), "cluster": self.cluster, "url": url,
            "org_name": org, "project_name": project});
        BASE64_STANDARD.encode(config.to_string())
    }

    /// Name of the cluster, as it was set.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    fn sign(&self, claims: &str) -> String {
        jwt::sign(&self.secret, r#"{"alg":"HS256","typ":"JWT"}"#, claims)
    }

    pub(super) fn knows(&self, user: &str) -> bool {
        self.users.iter().chain(self.grants.iter().map(|g| &g.user)).any(|known| known == user)
    }

    /// Whether a user may do this in `org/project`.
    pub(super) fn allows(&self, user: &str, org: &str, project: &str, action: ApoloAction) -> bool {
        let place = format!("{org}/{project}/");
        let below = |g: &Grant| g.place.is_empty() || place.starts_with(&format!("{}/", g.place));
        let owns = self.seed_era && project == user;
        owns || self.grants.iter().any(|g| g.user == user && g.action >= action && below(g))
    }
}

impl fmt::Debug for ApoloSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApoloSettings")
            .field("cluster", &self.cluster)
            .field("region", &self.region)
            .field("lifetime", &self.lifetime)
            .field("creation", &self.creation)
            .field("seed_era", &self.seed_era)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights() {
        let settings = ApoloSettings::default();
        let may = |user: &str, project: &str, action| settings.allows(user, "acme", project, action);
        assert!(may("alice", "proj1", ApoloAction::Write) && !may("alice", "proj10", ApoloAction::Read));
        assert!(may("bob", "proj1", ApoloAction::Read) && !may("bob", "proj1", ApoloAction::Write));
        assert!(may("admin", "any", ApoloAction::Write) && !may("carol", "proj1", ApoloAction::Read));
        assert!(settings.knows("carol") && !settings.knows("nobody"));
        assert!(!format!("{:?}", settings.secret("sentinel")).contains("sentinel"));
    }
}

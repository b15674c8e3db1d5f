//! What clients ask of the platform before they come to buckets: where everything is, and new tokens.

use std::time::Duration;

use serde_json::{Value, json};

use super::Service;
use super::caller::Presented;
use super::error::{Fail, Result};
use crate::supabase::{jwt, query};

/// Lifetime of tokens that are given for a refresh token.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

impl Service {
    /// What the platform says about itself; to whom shows no token, without clusters.
    pub(super) fn config(&self, presented: Result<Presented>) -> Result<Value> {
        let url = &self.place.url;
        let mut config = json!({
            "auth_url": format!("{url}/authorize"),
            "token_url": format!("{url}/oauth/token"),
            "logout_url": format!("{url}/logout"),
            "client_id": "longshore-dev",
            "audience": url,
            "headless_callback_url": format!("{url}/oauth/show-code"),
            "success_redirect_url": url,
            "callback_urls": ["http://127.0.0.1:54540", "http://127.0.0.1:54541", "http://127.0.0.1:54542"],
        });
        if let Ok(presented) = presented {
            let user = self.confirm(&presented)?;
            let api = format!("{url}/api/v1");
            let (orgs, projects) = self.projects(&user);
            config["authorized"] = true.into();
            config["admin_url"] = format!("{url}/apis/admin/v1").into();
            config["clusters"] = json!([{
                "name": self.settings.cluster,
                "orgs": orgs,
                "registry_url": url,
                "storage_url": format!("{api}/storage"),
                "users_url": format!("{api}/users"),
                "monitoring_url": format!("{api}/jobs"),
                "secrets_url": format!("{api}/secrets"),
                "disks_url": format!("{api}/disk"),
                "buckets_url": format!("{api}/buckets"),
                "resource_pool_types": [],
                "resource_presets": [],
                "apps": {},
            }]);
            config["projects"] = projects.into();
        }
        Ok(config)
    }

    /// Organisations and projects that a user has a right on.
    fn projects(&self, user: &str) -> (Vec<String>, Vec<Value>) {
        let mut orgs: Vec<String> = Vec::new();
        let mut projects = Vec::new();
        let all = user == "admin";
        for grant in self.settings.grants.iter().filter(|g| all || g.user == user) {
            let Some((org, project)) = grant.place.split_once('/') else { continue };
            if !orgs.iter().any(|known| known == org) {
                orgs.push(org.to_owned());
            }
            let project = json!({"name": project, "cluster_name": self.settings.cluster, "org_name": org,
                "role": "manager"});
            if !projects.contains(&project) {
                projects.push(project);
            }
        }
        (orgs, projects)
    }

    /// A token for a refresh token.
    pub(super) fn renew(&self, form: &[u8]) -> Result<Value> {
        let pairs = query::pairs(&String::from_utf8_lossy(form));
        let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
        let refused = || Fail::Json(403, json!({"error": "invalid_grant"}).to_string());
        if get("grant_type") != "refresh_token" {
            return Err(refused());
        }
        let claims = jwt::verify(&self.settings.secret, get("refresh_token")).map_err(|_| refused())?;
        let user = claims.get("refresh").and_then(Value::as_str).ok_or_else(refused)?;
        if !self.settings.knows(user) {
            return Err(refused());
        }
        Ok(json!({"access_token": self.settings.token_for(user, TOKEN_LIFETIME),
            "expires_in": TOKEN_LIFETIME.as_secs(), "token_type": "Bearer"}))
    }
}

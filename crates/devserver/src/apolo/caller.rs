//! Who calls, and what they may do.

use http::HeaderMap;

use super::Service;
use super::error::{Fail, Result};
use super::settings::ApoloAction;
use super::state::Bucket;
use crate::supabase::jwt::{self, Claims};

/// What a request presents; nobody has confirmed it yet.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    token: String,
    /// Name that the token claims.
    pub(super) user: String,
}

/// The claim of a token that nobody has checked.
fn claimed(token: &str) -> Option<String> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&bytes).ok()?;
    let claim = |name: &str| claims.get(name)?.as_str().map(str::to_owned);
    claim("identity").or_else(|| claim("https://platform.neuromation.io/user"))
}

impl Presented {
    /// From the header, or from the query where there is none.
    pub(super) fn find(headers: &HeaderMap, query: &[(String, String)]) -> Result<Self> {
        let header = headers.get("authorization").map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let token = match header {
            Some(header) => {
                let (scheme, token) = header.split_once(' ').unwrap_or((&header, ""));
                if token.is_empty() {
                    return Err(Fail::value("No credentials"));
                }
                if scheme != "Bearer" {
                    return Err(Fail::value("Unexpected authorization scheme"));
                }
                token.to_owned()
            }
            None => query
                .iter()
                .find(|(name, _)| name == "neuro-auth-token")
                .map(|(_, token)| token.clone())
                .ok_or_else(Fail::unauthorized)?,
        };
        let user = claimed(&token).ok_or_else(Fail::unauthorized)?;
        Ok(Self { token, user })
    }
}

impl Service {
    /// The user, once token and name are confirmed.
    pub(super) fn confirm(&self, presented: &Presented) -> Result<String> {
        jwt::verify(&self.settings.secret, &presented.token).map_err(|_| Fail::unauthorized())?;
        if !self.settings.knows(&presented.user) {
            return Err(Fail::unauthorized());
        }
        Ok(presented.user.clone())
    }

    pub(super) fn may(&self, user: &str, bucket: &Bucket, action: ApoloAction) -> bool {
        self.settings.allows(user, &bucket.org, &bucket.project, action)
    }

    /// Refuses a caller who may not do this with a bucket.
    pub(super) fn need(&self, presented: &Presented, bucket: &Bucket, action: ApoloAction) -> Result<String> {
        let user = self.confirm(presented)?;
        if self.may(&user, bucket, action) {
            return Ok(user);
        }
        let place = self.place_uri(&bucket.org, &bucket.project);
        // The original writes so where there is no name.
        let name = bucket.name.as_deref().unwrap_or("None");
        Err(Fail::denied(&[format!("{place}/{name}"), format!("{place}/{}", bucket.id)], action))
    }

    /// Refuses a caller who may not make buckets in a project.
    pub(super) fn need_project(&self, presented: &Presented, org: &str, project: &str) -> Result<String> {
        let user = self.confirm(presented)?;
        if self.settings.allows(&user, org, project, ApoloAction::Write) {
            return Ok(user);
        }
        Err(Fail::denied(&[self.place_uri(org, project)], ApoloAction::Write))
    }

    fn place_uri(&self, org: &str, project: &str) -> String {
        format!("blob://{}/{org}/{project}", self.settings.cluster)
    }
}

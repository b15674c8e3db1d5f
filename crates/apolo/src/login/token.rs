//! Tokens on requests, and what they say of themselves.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use longshore_core_types::Result;
use longshore_object_store::credentials::{CredentialSource, Renewing};
use longshore_transport::{BearerToken, CredentialProvider};
use serde::Deserialize;

use super::renew::Login;

/// Puts the token of the moment on each attempt.
#[derive(Debug)]
pub(super) struct Bearer(pub(super) Renewing<Login>);

impl CredentialProvider for Bearer {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        BearerToken::new(&self.0.credentials().await?)?.authorize(parts).await
    }

    fn invalidate(&self) {
        self.0.invalidate();
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

/// When a JSON Web Token ends by its own word.
pub(super) fn end(token: &str) -> Option<SystemTime> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    moment(claims.exp)
}

/// A moment in seconds since the epoch.
pub(super) fn moment(seconds: f64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds.max(0.0)).ok()?)
}

/// Seconds since the epoch.
pub(super) fn seconds(moment: SystemTime) -> f64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(r#"{"exp": 1700000000, "identity": "a"}"#));
        assert_eq!(end(&token), moment(1_700_000_000.0));
        for none in ["opaque", "a.b.c", "h.e30.s"] {
            assert_eq!(end(none), None);
        }
        assert!(moment(f64::NAN).is_some() && moment(1e300).is_none());
    }
}

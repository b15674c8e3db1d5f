//! What proves who asks.

use http::{header, request::Parts};
use longshore_core_types::{Result, Secret};
use longshore_transport::{BearerToken, CredentialProvider};
use object_store_0_14::gcp::GcpCredential;

use crate::credentials::{CredentialSource, Source};

/// An access token of Google Cloud.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GcsCredentials {
    /// The token, as it stands behind `Bearer`.
    pub token: Secret,
}

impl GcsCredentials {
    /// A token that was issued elsewhere.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self { token: token.into() }
    }

    pub(super) fn from_library(found: &GcpCredential) -> Self {
        Self::new(found.bearer.as_str())
    }
}

impl CredentialSource<Self> for GcsCredentials {
    async fn credentials(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

/// Puts the token of the moment on each attempt.
#[derive(Clone, Debug)]
pub(super) struct Bearer(pub(super) Source<GcsCredentials>);

impl CredentialProvider for Bearer {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let credentials = self.0.credentials().await?;
        // An emulator may want none.
        if credentials.token.expose().is_empty() {
            parts.headers.remove(header::AUTHORIZATION);
            return Ok(());
        }
        BearerToken::new(&credentials.token)?.authorize(parts).await
    }

    fn invalidate(&self) {
        self.0.invalidate();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_are_put_on_requests_and_not_printed() {
        let bearer = Bearer(Source::new(GcsCredentials::new("sentinel")));
        assert!(!format!("{bearer:?} {:?}", GcsCredentials::new("sentinel")).contains("sentinel"));
        let (mut parts, ()) = http::Request::get("http://h/b").body(()).unwrap().into_parts();
        bearer.authorize(&mut parts).await.unwrap();
        assert_eq!(parts.headers[header::AUTHORIZATION], "Bearer sentinel");
        assert!(parts.headers[header::AUTHORIZATION].is_sensitive());
        Bearer(Source::new(GcsCredentials::new(""))).authorize(&mut parts).await.unwrap();
        assert!(!parts.headers.contains_key(header::AUTHORIZATION));
    }
}

//! Access keys, and where they come from.

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use longshore_core_types::{Result, Secret};

/// An access key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AwsCredentials {
    /// Id of the key.
    pub access_key: String,
    /// The key itself.
    pub secret_key: Secret,
    /// Token that goes with temporary keys.
    pub session_token: Option<Secret>,
}

impl AwsCredentials {
    /// A key without a session.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<Secret>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), session_token: None }
    }

    /// The token of a temporary key.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<Secret>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// Where access keys come from.
///
/// It is asked for each attempt, so it should answer from a cache, and renew keys before they expire.
pub trait CredentialSource: Debug + Send + Sync + 'static {
    /// The key to sign with. An error fails the request, which is not sent.
    fn credentials(&self) -> impl Future<Output = Result<AwsCredentials>> + Send;

    /// The server did not accept the last key: it expired early, or it was revoked.
    fn invalidate(&self) {}
}

impl CredentialSource for AwsCredentials {
    async fn credentials(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

type Giving<'a> = Pin<Box<dyn Future<Output = Result<AwsCredentials>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn credentials(&self) -> Giving<'_>;
    fn invalidate(&self);
}

impl<S: CredentialSource> Erased for S {
    fn credentials(&self) -> Giving<'_> {
        Box::pin(CredentialSource::credentials(self))
    }

    fn invalidate(&self) {
        CredentialSource::invalidate(self);
    }
}

/// A source with its type erased.
#[derive(Clone, Debug)]
pub(super) struct Source(Arc<dyn Erased>);

impl Source {
    pub(super) fn new(source: impl CredentialSource) -> Self {
        Self(Arc::new(source))
    }

    pub(super) async fn credentials(&self) -> Result<AwsCredentials> {
        self.0.credentials().await
    }

    pub(super) fn invalidate(&self) {
        self.0.invalidate();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_are_not_printed() {
        let key = AwsCredentials::new("id", "sentinel").with_session_token("sentinel");
        assert!(!format!("{key:?}").contains("sentinel"));
        let source = Source::new(key);
        assert!(!format!("{source:?}").contains("sentinel"));
        assert_eq!(source.credentials().await.unwrap().secret_key.expose(), "sentinel");
    }
}

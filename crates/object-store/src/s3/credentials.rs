//! Access keys.

use longshore_core_types::{Error, ErrorKind, Result, Secret};
use object_store_0_14::aws::AwsCredential;

use crate::credentials::CredentialSource;

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

    /// As the signer of the library wants it, which does not survive what a header cannot hold.
    pub(super) fn for_signing(&self) -> Result<AwsCredential> {
        let token = self.session_token.as_ref().map(Secret::expose);
        let plain = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !plain(&self.access_key) || !token.is_none_or(plain) {
            let message = "the access key or its session token has characters that a header cannot hold";
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        Ok(AwsCredential {
            key_id: self.access_key.clone(),
            secret_key: self.secret_key.expose().to_owned(),
            token: token.map(str::to_owned),
        })
    }

    pub(super) fn from_library(found: &AwsCredential) -> Self {
        let mut key = Self::new(&found.key_id, found.secret_key.as_str());
        key.session_token = found.token.as_deref().map(Secret::from);
        key
    }
}

impl CredentialSource<Self> for AwsCredentials {
    async fn credentials(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Source;

    #[tokio::test]
    async fn keys_are_not_printed() {
        let key = AwsCredentials::new("id", "sentinel").with_session_token("sentinel");
        assert!(!format!("{key:?}").contains("sentinel"));
        let source = Source::new(key);
        assert!(!format!("{source:?}").contains("sentinel"));
        assert_eq!(source.credentials().await.unwrap().secret_key.expose(), "sentinel");
    }

    #[test]
    fn keys_that_no_header_can_hold_are_refused_before_they_are_used() {
        assert!(AwsCredentials::new("id", "ü\n").for_signing().is_ok());
        for bad in [
            AwsCredentials::new("i\nd", "s"),
            AwsCredentials::new("id", "s").with_session_token("sentinel\n"),
        ] {
            let error = bad.for_signing().unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidConfig && !error.to_string().contains("sentinel"));
        }
    }
}

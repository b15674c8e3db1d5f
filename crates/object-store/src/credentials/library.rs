//! Credentials that the `object_store` crate finds: in files, from token services and metadata services.

use std::{fmt::Debug, sync::Arc};

use longshore_core_types::{Error, ErrorKind, Result};
use object_store_0_14::CredentialProvider;

use super::CredentialSource;

/// A provider of the crate, which caches and renews by itself.
pub(crate) struct Library<P: Debug, C> {
    provider: Arc<dyn CredentialProvider<Credential = P>>,
    convert: fn(&P) -> C,
    /// For errors: what was tried, and what else would do.
    hint: &'static str,
}

impl<P: Debug, C> Debug for Library<P, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The providers of the crate print their settings, which hold secrets.
        f.debug_struct("Library").finish_non_exhaustive()
    }
}

impl<P: Debug, C> Library<P, C> {
    pub(crate) fn new(
        provider: Arc<dyn CredentialProvider<Credential = P>>,
        convert: fn(&P) -> C,
        hint: &'static str,
    ) -> Self {
        Self { provider, convert, hint }
    }
}

impl<P, C> CredentialSource<C> for Library<P, C>
where
    P: Debug + Send + Sync + 'static,
    C: Send + 'static,
{
    async fn credentials(&self) -> Result<C> {
        let found = self
            .provider
            .get_credential()
            .await
            .map_err(|error| Error::new(ErrorKind::Unauthenticated, self.hint).with_source(error))?;
        Ok((self.convert)(&found))
    }
}

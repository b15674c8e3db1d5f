//! Where credentials come from.

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use http::{HeaderValue, header::AUTHORIZATION, request::Parts};
use longshore_core_types::{Error, ErrorKind, Result, Secret};

/// Puts credentials on a request.
///
/// It is asked for each attempt, so it should answer from a cache, and it may do I/O when the cache is
/// stale. Header values that grant access must be marked with [`HeaderValue::set_sensitive`]: the redirect
/// layer removes such headers before it follows a redirect to another server, and `Debug` hides them.
/// `Authorization`, `Cookie` and `Proxy-Authorization` count as sensitive in any case.
pub trait CredentialProvider: Debug + Send + Sync + 'static {
    /// Adds the credentials to the head of a request. An error fails the request, which is not sent.
    fn authorize(&self, parts: &mut Parts) -> impl Future<Output = Result<()>> + Send;

    /// The server did not accept the last credentials (401): the next [`authorize`](Self::authorize) must
    /// not use them again if it can get others. Called once, whatever the number of requests that failed.
    fn invalidate(&self) {}
}

/// A provider with its type erased, as clients keep it.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<dyn Erased>);

type Authorizing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

trait Erased: Debug + Send + Sync {
    fn authorize<'a>(&'a self, parts: &'a mut Parts) -> Authorizing<'a>;
    fn invalidate(&self);
}

impl<P: CredentialProvider> Erased for P {
    fn authorize<'a>(&'a self, parts: &'a mut Parts) -> Authorizing<'a> {
        Box::pin(CredentialProvider::authorize(self, parts))
    }

    fn invalidate(&self) {
        CredentialProvider::invalidate(self);
    }
}

impl Credentials {
    /// Erases the type of a provider.
    pub fn new(provider: impl CredentialProvider) -> Self {
        Self(Arc::new(provider))
    }

    /// As [`CredentialProvider::authorize`].
    pub async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        self.0.authorize(parts).await
    }

    /// As [`CredentialProvider::invalidate`].
    pub fn invalidate(&self) {
        self.0.invalidate();
    }
}

/// `Authorization: Bearer` with a token that does not change.
#[derive(Clone, Debug)]
pub struct BearerToken(HeaderValue);

impl BearerToken {
    /// Fails ([`ErrorKind::InvalidConfig`]) if the token cannot stand in a header.
    pub fn new(token: &Secret) -> Result<Self> {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| {
            Error::new(ErrorKind::InvalidConfig, "the token has characters that a header cannot hold")
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

impl CredentialProvider for BearerToken {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        parts.headers.insert(AUTHORIZATION, self.0.clone());
        Ok(())
    }
}

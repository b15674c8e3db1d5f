//! Where the credentials of a cloud come from, and how they are kept fresh.

mod library;
mod renew;

use std::{fmt::Debug, future::Future, pin::Pin, sync::Arc};

use longshore_core_types::Result;

pub(crate) use library::Library;
pub use renew::{Issued, Issuer, Renewing};

/// Where credentials of the kind `C` come from: [`AwsCredentials`](crate::s3::AwsCredentials) and its siblings of the
/// other clouds.
///
/// It is asked for each attempt, so it should answer from a cache, and renew credentials before they expire. For those
/// that a service issues for a limited time, implement [`Issuer`] instead and wrap it in [`Renewing`].
pub trait CredentialSource<C>: Debug + Send + Sync + 'static {
    /// The credentials to sign with. An error fails the request, which is not sent.
    fn credentials(&self) -> impl Future<Output = Result<C>> + Send;

    /// The server did not accept the last credentials: they expired early, or were revoked.
    fn invalidate(&self) {}
}

type Giving<'a, C> = Pin<Box<dyn Future<Output = Result<C>> + Send + 'a>>;

trait Erased<C>: Debug + Send + Sync {
    fn credentials(&self) -> Giving<'_, C>;
    fn invalidate(&self);
}

impl<C: 'static, S: CredentialSource<C>> Erased<C> for S {
    fn credentials(&self) -> Giving<'_, C> {
        Box::pin(CredentialSource::credentials(self))
    }

    fn invalidate(&self) {
        CredentialSource::invalidate(self);
    }
}

/// A source with its type erased.
#[derive(Debug)]
pub(crate) struct Source<C>(Arc<dyn Erased<C>>);

impl<C> Clone for Source<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: 'static> Source<C> {
    pub(crate) fn new(source: impl CredentialSource<C>) -> Self {
        Self(Arc::new(source))
    }

    pub(crate) async fn credentials(&self) -> Result<C> {
        self.0.credentials().await
    }

    pub(crate) fn invalidate(&self) {
        self.0.invalidate();
    }
}

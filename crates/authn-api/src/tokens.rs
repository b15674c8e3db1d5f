//! Revoking tokens.

use longshore_core_types::{Result, Secret};

use crate::{AuthnClient, wire};

/// Calls on tokens, of [`AuthnClient::tokens`].
#[derive(Clone, Debug)]
#[doc(alias = "TokenManager")]
pub struct Tokens {
    client: AuthnClient,
}

impl Tokens {
    pub(crate) fn new(client: AuthnClient) -> Self {
        Self { client }
    }

    /// The client that makes the calls.
    pub fn client(&self) -> &AuthnClient {
        &self.client
    }

    /// Revokes a token, here at once and at all registered clusters a few milliseconds later.
    ///
    /// Needs no rights: who has the token may end it. `Unauthenticated` if it is expired or not one of this
    /// service; revoking it twice is no error. Retried.
    pub async fn revoke(&self, token: &Secret) -> Result<()> {
        self.client.done(wire::revoke(token)?).await
    }
}

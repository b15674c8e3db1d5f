//! Logging in.

use std::{future::IntoFuture, pin::Pin, time::Duration};

use longshore_core_types::{Error, ErrorKind, Result, Secret};

use crate::{AuthnClient, Token, wire};

/// How long a token shall live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenLifetime {
    /// As the service is configured; 24 hours unless changed.
    #[default]
    ServerDefault,
    /// As long as the service allows; 90 days unless changed.
    Maximum,
    /// So long; at least a minute, and no longer than the service allows.
    For(Duration),
}

impl TokenLifetime {
    /// The wire form: integer nanoseconds, zero for the maximum, nothing for the default.
    pub(crate) fn nanoseconds(self) -> Result<Option<i64>> {
        let fault =
            |why: &str| Err(Error::new(ErrorKind::InvalidInput, format!("a token cannot live {why}")));
        match self {
            Self::ServerDefault => Ok(None),
            Self::Maximum => Ok(Some(0)),
            Self::For(time) if time < Duration::from_secs(60) => fault("shorter than a minute"),
            Self::For(time) => match i64::try_from(time.as_nanos()) {
                Ok(nanoseconds) => Ok(Some(nanoseconds)),
                Err(_) => fault("longer than 292 years"),
            },
        }
    }
}

/// A login that is about to be sent; `.await` sends it.
///
/// The client keeps the token and uses it from then on. Fails with `Unauthenticated` if user or password are
/// wrong; the service does not say which. Retried only if the request surely was not seen.
#[must_use = "nothing is sent until it is awaited"]
#[derive(Debug)]
pub struct Login {
    client: AuthnClient,
    user: String,
    password: Secret,
    lifetime: TokenLifetime,
}

impl Login {
    pub(crate) fn new(client: AuthnClient, user: String, password: Secret) -> Self {
        Self { client, user, password, lifetime: TokenLifetime::default() }
    }

    /// Asks for a token that lives so long. The server's default by default.
    #[doc(alias = "expires_in")]
    pub fn lifetime(mut self, lifetime: TokenLifetime) -> Self {
        self.lifetime = lifetime;
        self
    }
}

impl IntoFuture for Login {
    type Output = Result<Token>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::login(&self.user, &self.password, self.lifetime)?;
            let answer: wire::TokenBody = self.client.json_without_token(request).await?;
            let token = Token::new(Secret::from(answer.token));
            self.client.set_token(Some(token.clone()))?;
            Ok(token)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_on_the_wire() {
        let nanos = |lifetime: TokenLifetime| lifetime.nanoseconds();
        assert_eq!(nanos(TokenLifetime::ServerDefault).unwrap(), None);
        assert_eq!(nanos(TokenLifetime::Maximum).unwrap(), Some(0));
        assert_eq!(nanos(TokenLifetime::For(Duration::from_secs(600))).unwrap(), Some(600_000_000_000));
        for bad in [Duration::ZERO, Duration::from_millis(59_999), Duration::MAX] {
            assert_eq!(nanos(TokenLifetime::For(bad)).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}

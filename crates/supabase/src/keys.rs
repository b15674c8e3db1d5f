//! Who asks: the project's key and, in front of it, a user's token.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use http::{HeaderName, HeaderValue, header::AUTHORIZATION, request::Parts};
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::{BearerToken, CredentialProvider, Credentials};

const API_KEY: HeaderName = HeaderName::from_static("apikey");

/// Stands in the extensions of a request that grants access by itself: no credentials go with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anonymous;

/// Puts key and token on requests.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Sent with every request: gateways want it.
    api_key: Option<HeaderValue>,
    bearer: Option<Credentials>,
    /// Whether somebody else than the project's key is asked for tokens, who may have a newer one.
    renewable: bool,
    /// The key is of the newer generation, which only a gateway understands.
    opaque: bool,
    /// Counts tokens that were given up.
    generation: AtomicU64,
}

impl Keys {
    /// The user's token takes the bearer place, otherwise the key does.
    pub(crate) fn new(key: Option<&Secret>, user: Option<Credentials>) -> Result<Self> {
        let renewable = user.is_some();
        let mut bearer = user;
        let mut api_key = None;
        if let Some(key) = key {
            let mut value = HeaderValue::try_from(key.expose()).map_err(|_| {
                Error::new(ErrorKind::InvalidConfig, "the key has characters that a header cannot hold")
            })?;
            value.set_sensitive(true);
            api_key = Some(value);
            if bearer.is_none() {
                bearer = Some(Credentials::new(BearerToken::new(key)?));
            }
        }
        let opaque = key.is_some_and(|key| is_opaque(key.expose()));
        Ok(Self(Arc::new(Inner { api_key, bearer, renewable, opaque, generation: AtomicU64::new(0) })))
    }

    /// Whether requests carry anything at all.
    pub(crate) fn any(&self) -> bool {
        self.0.bearer.is_some()
    }

    /// Whether the bearer is a key that only a gateway understands.
    pub(crate) fn bearer_is_opaque(&self) -> bool {
        self.0.opaque && !self.0.renewable
    }

    /// The project's key.
    pub(crate) fn api_key(&self) -> Option<Secret> {
        self.0.api_key.as_ref()?.to_str().ok().map(Secret::from)
    }

    /// What requests carry as their bearer.
    #[cfg(feature = "s3")]
    pub(crate) async fn bearer(&self) -> Result<Option<Secret>> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        self.authorize(&mut parts).await?;
        let value = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(value.map(|value| Secret::from(value.strip_prefix("Bearer ").unwrap_or(value))))
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(SeqCst)
    }

    /// The token of `generation` was refused. Whether another try may have a newer one.
    pub(crate) fn renew(&self, generation: u64) -> bool {
        let Some(user) = self.0.bearer.as_ref().filter(|_| self.0.renewable) else { return false };
        // Of all requests that were refused with the same token, one gives it up.
        if self.0.generation.compare_exchange(generation, generation + 1, SeqCst, SeqCst).is_ok() {
            user.invalidate();
        }
        true
    }
}

/// Keys of the newer generation, `sb_publishable_...` and `sb_secret_...`, are no JSON web tokens.
fn is_opaque(key: &str) -> bool {
    key.starts_with("sb_")
}

impl CredentialProvider for Keys {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        if parts.extensions.get::<Anonymous>().is_some() {
            return Ok(());
        }
        if let Some(key) = &self.0.api_key {
            parts.headers.insert(API_KEY, key.clone());
        }
        match &self.0.bearer {
            Some(bearer) => bearer.authorize(parts).await,
            None => Ok(()),
        }?;
        if let Some(value) = parts.headers.get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        Ok(())
    }

    fn invalidate(&self) {
        // A gateway said 401; a refusal by the service itself comes through `renew`.
        if let Some(user) = self.0.bearer.as_ref().filter(|_| self.0.renewable) {
            user.invalidate();
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::{Token, TokenCache, TokenSource};

    use super::*;

    #[derive(Debug, Default)]
    struct Sessions(AtomicU64);

    impl TokenSource for Sessions {
        async fn fetch(&self) -> Result<Token> {
            Ok(Token::new(format!("session-{}", self.0.fetch_add(1, SeqCst))))
        }
    }

    async fn headers(keys: &Keys) -> (Option<String>, Option<String>) {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        keys.authorize(&mut parts).await.unwrap();
        assert!(parts.headers.values().all(HeaderValue::is_sensitive));
        let get = |name: &HeaderName| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        (get(&API_KEY), get(&AUTHORIZATION))
    }

    #[tokio::test]
    async fn the_key_is_bearer_unless_a_user_is() {
        let key = Secret::from("anon");
        let own = Keys::new(Some(&key), None).unwrap();
        assert_eq!(headers(&own).await, (Some("anon".into()), Some("Bearer anon".into())));
        assert!(!own.renew(0));

        let users = Credentials::new(TokenCache::new(Sessions::default()));
        let both = Keys::new(Some(&key), Some(users)).unwrap();
        assert_eq!(headers(&both).await, (Some("anon".into()), Some("Bearer session-0".into())));
        assert!(both.renew(0));
        // A second request that was refused with the same token does not throw the new one away.
        assert_eq!(headers(&both).await.1.as_deref(), Some("Bearer session-1"));
        assert!(both.renew(0));
        assert_eq!(headers(&both).await.1.as_deref(), Some("Bearer session-1"));
        assert!(!format!("{both:?}").contains("session-1"));
    }

    #[tokio::test]
    async fn requests_that_grant_access_by_themselves_carry_nothing() {
        let keys = Keys::new(Some(&Secret::from("sb_secret_x")), None).unwrap();
        assert!(keys.bearer_is_opaque());
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.extensions.insert(Anonymous);
        keys.authorize(&mut parts).await.unwrap();
        assert!(parts.headers.is_empty());
    }

    #[test]
    fn a_key_that_no_header_can_hold() {
        let error = Keys::new(Some(&Secret::from("a\nb")), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}

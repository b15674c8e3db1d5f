//! A token that is fetched when needed and kept while it is valid.

use std::{fmt::Debug, future::Future, sync::PoisonError, time::Duration};

use http::{HeaderValue, header::AUTHORIZATION, request::Parts};
use longshore_core_types::{Result, Secret};
use tokio::time::Instant;

use super::{BearerToken, CredentialProvider};

/// A new token that could not be had ahead of time is asked for again after this.
const EARLY_RETRY: Duration = Duration::from_secs(5);

/// Where a token comes from: a login, a metadata service, a file.
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// Gets a new token. Called by one request at a time; the others wait for its result.
    fn fetch(&self) -> impl Future<Output = Result<Token>> + Send;
}

/// A token and how long it is good for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// From now; `None` if it does not expire.
    pub valid_for: Option<Duration>,
}

impl Token {
    /// A token that is good until the server refuses it.
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self { secret: secret.into(), valid_for: None }
    }

    /// A token that expires.
    #[must_use]
    pub fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }
}

/// `Authorization: Bearer` with a token from a [`TokenSource`].
///
/// The token is fetched by the first request that needs it, again when a fifth of its time is left (at
/// most a minute), and after the server refused it. Ahead of time one request fetches and the others use the old token
/// meanwhile; if that fails, all of them do until it expires, and every 5 s one tries again. Any other failed fetch is
/// not remembered.
#[derive(Debug)]
pub struct TokenCache<S> {
    source: S,
    current: std::sync::Mutex<Option<Current>>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Current {
    header: HeaderValue,
    fresh_until: Option<Instant>,
    expires: Option<Instant>,
}

impl<S: TokenSource> TokenCache<S> {
    /// Nothing is fetched yet.
    pub fn new(source: S) -> Self {
        Self { source, current: std::sync::Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Where the tokens come from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Gives the source back, and forgets the token.
    pub fn into_source(self) -> S {
        self.source
    }

    fn current(&self, passes: impl FnOnce(&Current) -> Option<Instant>) -> Option<HeaderValue> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = current.as_ref()?;
        passes(current).is_none_or(|end| Instant::now() < end).then(|| current.header.clone())
    }

    fn fresh(&self) -> Option<HeaderValue> {
        self.current(|token| token.fresh_until)
    }

    fn good(&self) -> Option<HeaderValue> {
        self.current(|token| token.expires)
    }

    async fn header(&self) -> Result<HeaderValue> {
        if let Some(header) = self.fresh() {
            return Ok(header);
        }
        let _turn = match (self.fetching.try_lock(), self.good()) {
            (Ok(turn), _) => turn,
            (Err(_), Some(old)) => return Ok(old),
            (Err(_), None) => self.fetching.lock().await,
        };
        if let Some(header) = self.fresh() {
            return Ok(header);
        }
        let fetched = match self.source.fetch().await {
            Ok(token) => BearerToken::new(&token.secret).map(|header| (header, token.valid_for)),
            Err(error) => Err(error),
        };
        match fetched {
            Ok((bearer, valid_for)) => Ok(self.keep(bearer.into_header(), valid_for)),
            Err(error) => self.keep_old().ok_or(error),
        }
    }

    /// The old token for a while longer, if it is good.
    fn keep_old(&self) -> Option<HeaderValue> {
        let old = self.good()?;
        let again = Instant::now() + EARLY_RETRY;
        if let Some(current) = &mut *self.current.lock().unwrap_or_else(PoisonError::into_inner) {
            current.fresh_until = Some(current.expires.map_or(again, |expires| expires.min(again)));
        }
        Some(old)
    }

    fn keep(&self, header: HeaderValue, valid_for: Option<Duration>) -> HeaderValue {
        let now = Instant::now();
        let margin = |time: Duration| (time / 5).min(Duration::from_secs(60));
        let current = Current {
            header: header.clone(),
            fresh_until: valid_for.and_then(|time| now.checked_add(time.saturating_sub(margin(time)))),
            expires: valid_for.and_then(|time| now.checked_add(time)),
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
        header
    }
}

impl<S: TokenSource> CredentialProvider for TokenCache<S> {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let header = self.header().await?;
        parts.headers.insert(AUTHORIZATION, header);
        Ok(())
    }

    fn invalidate(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use longshore_core_types::{Error, ErrorKind};

    use super::*;

    #[derive(Debug, Default)]
    struct Source {
        calls: AtomicU32,
        fails_from: Option<u32>,
    }

    impl TokenSource for Source {
        async fn fetch(&self) -> Result<Token> {
            let n = self.calls.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.fails_from.is_some_and(|from| n >= from) {
                return Err(Error::new(ErrorKind::Unavailable, "login is down"));
            }
            Ok(Token::new(format!("token-{n}")).valid_for(Duration::from_secs(100)))
        }
    }

    async fn bearer<S: TokenSource>(cache: &TokenCache<S>) -> Result<String> {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        cache.authorize(&mut parts).await?;
        let value = &parts.headers[AUTHORIZATION];
        assert!(value.is_sensitive());
        Ok(value.to_str().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_requests_fetch_once() {
        let cache = TokenCache::new(Source::default());
        let all = futures_util::future::join_all((0..20).map(|_| bearer(&cache))).await;
        assert!(all.iter().all(|token| token.as_ref().unwrap() == "Bearer token-0"));
        assert_eq!(cache.source.calls.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn renewed_before_it_expires_and_after_a_refusal() {
        let cache = TokenCache::new(Source::default());
        assert_eq!(bearer(&cache).await.unwrap(), "Bearer token-0");
        tokio::time::advance(Duration::from_secs(79)).await;
        assert_eq!(bearer(&cache).await.unwrap(), "Bearer token-0");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(bearer(&cache).await.unwrap(), "Bearer token-1");
        cache.invalidate();
        assert_eq!(bearer(&cache).await.unwrap(), "Bearer token-2");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_login_that_is_down_while_the_old_token_is_good() {
        let cache = TokenCache::new(Source { fails_from: Some(1), ..Source::default() });
        assert!(bearer(&cache).await.is_ok());
        tokio::time::advance(Duration::from_secs(85)).await;
        let many = async || {
            let start = Instant::now();
            let all = futures_util::future::join_all((0..20).map(|_| bearer(&cache))).await;
            assert!(all.iter().all(|token| token.as_ref().unwrap() == "Bearer token-0"));
            (cache.source.calls.load(SeqCst), start.elapsed().as_secs())
        };
        // One of them tries to get a new one.
        assert_eq!(many().await, (2, 1));
        // The next try comes a little later.
        assert_eq!(many().await, (2, 0));
        tokio::time::advance(EARLY_RETRY).await;
        assert_eq!(many().await, (3, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_old_token_serves_until_it_expires() {
        let cache = TokenCache::new(Source { fails_from: Some(1), ..Source::default() });
        assert!(bearer(&cache).await.is_ok());
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(bearer(&cache).await.unwrap(), "Bearer token-0");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(bearer(&cache).await.unwrap_err().message(), "login is down");
        assert!(!format!("{cache:?}").contains("token-0"));
    }
}

//! The client.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::{
    BaseUrl, RequestOptions, TimeoutConfig, Transport, TransportBuilder, TransportConfig, body,
};
use serde::de::DeserializeOwned;

use crate::{
    Clusters, Login, Roles, Token, Tokens, Users, error,
    wire::{self, Request},
};

/// Largest answer that is read: lists of users and roles have no pages.
const LARGEST_ANSWER: usize = 64 << 20;

/// What errors call an address that is none.
const SERVICE: &str = "an AuthN service";

/// A client of one AuthN service.
///
/// Clones share the connections and the token: after one of them logged in, all of them are. Making one
/// does no I/O.
#[derive(Clone)]
#[doc(alias = "AuthNClient")]
pub struct AuthnClient(Arc<Inner>);

struct Inner {
    transport: Transport,
    timeouts: TimeoutConfig,
    base: BaseUrl,
    session: RwLock<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    token: Token,
    header: HeaderValue,
}

impl AuthnClient {
    /// A client of the service at this address, `http://host:port` or `https://...`; 52001 is the usual port.
    pub fn builder(url: impl Into<String>) -> AuthnClientBuilder {
        AuthnClientBuilder {
            url: url.into(),
            config: TransportConfig::default(),
            builder: Transport::builder(),
            transport: None,
            token: None,
        }
    }

    /// Logs a user in. See [`Login`] for the lifetime of the token.
    pub fn login(&self, user: impl Into<String>, password: &Secret) -> Login {
        Login::new(self.clone(), user.into(), password.clone())
    }

    /// Revokes the token of this client, here and at all registered clusters, and forgets it.
    ///
    /// Clusters learn of it a few milliseconds later. Two logins of one user within a second give the same
    /// token, so the other one ends too. `InvalidInput` if nobody is logged in.
    pub async fn logout(&self) -> Result<()> {
        let Some(token) = self.token() else {
            return Err(Error::new(ErrorKind::InvalidInput, "nobody is logged in"));
        };
        self.tokens().revoke(token.secret()).await?;
        self.set_token(None)
    }

    /// The token that calls are made with.
    pub fn token(&self) -> Option<Token> {
        self.session().map(|session| session.token)
    }

    /// A client of the same service over the same connections, with a session of its own: nobody logged in.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let (transport, timeouts, base) = (self.0.transport.clone(), self.0.timeouts, self.0.base.clone());
        Self(Arc::new(Inner { transport, timeouts, base, session: RwLock::default() }))
    }

    /// Users.
    #[doc(alias = "user_manager")]
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// Roles.
    #[doc(alias = "role_manager")]
    pub fn roles(&self) -> Roles {
        Roles::new(self.clone())
    }

    /// Registered clusters.
    #[doc(alias = "cluster_manager")]
    pub fn clusters(&self) -> Clusters {
        Clusters::new(self.clone())
    }

    /// Tokens.
    #[doc(alias = "token_manager")]
    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.clone())
    }

    /// The HTTP client underneath, for calls that this crate does not have. It adds no token.
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// Address of the service.
    pub fn url(&self) -> &BaseUrl {
        &self.0.base
    }

    pub(crate) fn set_token(&self, token: Option<Token>) -> Result<()> {
        let session = token.map(Session::new).transpose()?;
        *self.0.session.write().unwrap_or_else(PoisonError::into_inner) = session;
        Ok(())
    }

    fn session(&self) -> Option<Session> {
        self.0.session.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request whose answer says nothing.
    pub(crate) async fn done(&self, request: Request) -> Result<()> {
        self.send(&self.0.base, request, self.header(), None).await.map(drop)
    }

    /// Sends a deletion. After an attempt without a clear answer, "missing" is what success looks like.
    pub(crate) async fn delete(&self, request: Request) -> Result<()> {
        match self.done(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound && error.attempts() > 1 => Ok(()),
            done => done,
        }
    }

    /// Sends a request whose answer the service works on for minutes: it calls clusters that may be dead.
    pub(crate) async fn done_slowly(&self, request: Request, patience: Duration) -> Result<()> {
        self.send(&self.0.base, request, self.header(), Some(patience)).await.map(drop)
    }

    /// Sends a request whose answer is JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let call = request.call.clone();
        wire::read(&call, &self.send(&self.0.base, request, self.header(), None).await?)
    }

    /// The same, without saying who asks.
    pub(crate) async fn json_without_token<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let call = request.call.clone();
        wire::read(&call, &self.send(&self.0.base, request, None, None).await?)
    }

    /// The same, at a gateway of a cluster, which accepts the same token.
    pub(crate) async fn json_at<T: DeserializeOwned>(&self, url: &str, request: Request) -> Result<T> {
        let call = request.call.clone();
        let base = BaseUrl::parse(url, SERVICE);
        let base = base.map_err(|error| error.with_kind(ErrorKind::InvalidInput).with_call(&call))?;
        wire::read(&call, &self.send(&base, request, self.header(), None).await?)
    }

    fn header(&self) -> Option<HeaderValue> {
        self.session().map(|session| session.header)
    }

    async fn send(
        &self,
        base: &BaseUrl,
        request: Request,
        token: Option<HeaderValue>,
        patience: Option<Duration>,
    ) -> Result<Bytes> {
        let (mut request, call) = request.at(base, token)?;
        if let Some(patience) = patience {
            let timeouts = self.0.timeouts.head_at_least(patience);
            request.extensions_mut().insert(RequestOptions::default().timeouts(timeouts));
        }
        let answer = self.0.transport.send(request).await.map_err(|error| error.into_error(&call))?;
        let (parts, content) = answer.into_parts();
        let read = body::collect(content, LARGEST_ANSWER).await;
        let content = read.map_err(|error| error.into_error(&call))?;
        if parts.status.is_success() {
            Ok(content)
        } else {
            Err(error::from_response(&call, &parts, &content))
        }
    }
}

impl Session {
    fn new(token: Token) -> Result<Self> {
        let value = HeaderValue::try_from(format!("Bearer {}", token.secret().expose()));
        let mut header = value.map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token has characters that a header cannot hold")
        })?;
        header.set_sensitive(true);
        Ok(Self { token, header })
    }
}

impl fmt::Debug for AuthnClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthnClient").field("url", &self.0.base).field("token", &self.token()).finish()
    }
}

/// Assembles an [`AuthnClient`].
#[must_use]
#[derive(Debug)]
pub struct AuthnClientBuilder {
    url: String,
    config: TransportConfig,
    builder: TransportBuilder,
    transport: Option<Transport>,
    token: Option<Secret>,
}

impl AuthnClientBuilder {
    longshore_transport::client_settings!();

    /// Sends everything through this transport, which must add no credentials of its own. No other setting of the HTTP
    /// client then has an effect.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Starts with a token from an earlier login.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The client. Fails ([`ErrorKind::InvalidConfig`]) naming the setting that is wrong.
    pub fn build(self) -> Result<AuthnClient> {
        let (base, timeouts) = (BaseUrl::parse(&self.url, SERVICE)?, self.config.timeouts);
        let transport = match self.transport {
            Some(transport) => transport,
            None => self.builder.config(self.config).build()?,
        };
        let client = AuthnClient(Arc::new(Inner { transport, timeouts, base, session: RwLock::default() }));
        client.set_token(self.token.map(Token::new))?;
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    #[test]
    fn addresses() {
        let client = AuthnClient::builder(" http://h:52001/authn/ ").build().unwrap();
        assert_eq!(client.url().to_string(), "http://h:52001/authn");
        for bad in ["", "h:52001", "ftp://h", "http://", "http://h?x", "http://u:sesame@h"] {
            let error = AuthnClient::builder(bad).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let builder = AuthnClient::builder("http://h").token("sesame");
        assert!(!format!("{builder:?}").contains("sesame"));
        let client = builder.build().unwrap();
        assert!(!format!("{client:?}").contains("sesame"));
        assert!(client.token().is_some() && client.fresh().token().is_none());
    }

    /// What takes long waits longer for an answer, and keeps all other limits that were set.
    #[tokio::test(start_paused = true)]
    async fn slow_calls_are_patient() {
        for (total, waited) in [(None, 360), (Some(Duration::from_secs(100)), 100)] {
            let service = ScriptedService::new(|_| Reply::silence());
            let builder = AuthnClient::builder("http://h").service(service).retry(RetryConfig::off());
            let client = builder.timeouts(TimeoutConfig::default().total(total)).build().unwrap();
            let began = tokio::time::Instant::now();
            let error = client.clusters().update("id", Some("main"), None).await.unwrap_err();
            assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Timeout, waited));
        }
    }

    #[tokio::test]
    async fn what_cannot_work_is_refused_before_anything_is_sent() {
        let service = ScriptedService::replies([]);
        let client = AuthnClient::builder("http://h").service(service.clone()).build().unwrap();
        let (users, roles, clusters) = (client.users(), client.roles(), client.clusters());
        let secret = |text: &str| Secret::from(text);
        let url = |text: &str| [text.to_owned()];
        let outcomes = [
            ("no password", client.login("bob", &secret("")).await.map(drop)),
            ("a new user without password", users.create("bob", &secret("")).await.map(drop)),
            ("a password that is too long", users.create("bob", &secret(&"x".repeat(73))).await.map(drop)),
            ("a user's bad name", users.create("a.b", &secret("x")).await.map(drop)),
            ("nothing to change about a user", users.update("bob").await.map(drop)),
            ("a role's bad name", roles.create("bad name").await.map(drop)),
            ("nothing to change about a role", roles.update("r").await.map(drop)),
            ("a role of no cluster", roles.create("r").cluster("", crate::AccessFlags::RO).await.map(drop)),
            ("a cluster without gateway", clusters.register("main", &[]).await.map(drop)),
            ("a gateway that is no URL", clusters.register("main", &url("nonsense")).await.map(drop)),
            ("an alias that is no name", clusters.register("bad alias", &url("http://h")).await.map(drop)),
            ("nothing to change about a cluster", clusters.update("id", None, None).await.map(drop)),
            ("nobody to log out", client.logout().await),
            ("no token to revoke", client.tokens().revoke(&secret("")).await),
        ];
        for (what, outcome) in outcomes {
            assert_eq!(outcome.map_err(|error| error.kind()), Err(ErrorKind::InvalidInput), "{what}");
        }
        assert!(service.requests().is_empty());
    }
}

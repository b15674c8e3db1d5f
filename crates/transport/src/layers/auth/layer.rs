//! Credentials on each attempt, and a second try after a refusal.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode, header, request::Parts};
use http_body::Body;
use tokio::sync::Mutex;
use tower_layer::Layer;
use tower_service::Service;
use tracing::debug;

use super::{CredentialProvider, Credentials};
use crate::{
    HttpRequest, TransportError, TransportErrorKind, body,
    endpoint::Endpoint,
    layers::attempt::{Attempt, Direct},
    replay::Template,
};

/// Puts credentials on each request. After a 401 they are renewed once and the request is sent once more.
///
/// However many requests are refused at the same time, [`CredentialProvider::invalidate`] is called once
/// and one request renews the credentials while all others wait. If that fails, those that waited fail
/// too. A request whose body cannot be sent again comes back with its 401, the credentials renewed for
/// the next one.
#[derive(Clone, Debug)]
pub struct AuthLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    credentials: Credentials,
    /// Counts renewals that succeeded; credentials belong to the generation they were made in.
    generation: AtomicU64,
    /// Counts renewals that came to an end, good or bad.
    tried: AtomicU64,
    renewing: AtomicBool,
    turn: Mutex<()>,
}

impl AuthLayer {
    /// Takes credentials from `provider`.
    pub fn new(provider: impl CredentialProvider) -> Self {
        Self::erased(Credentials::new(provider))
    }

    /// Takes credentials from a provider that is erased already.
    pub fn erased(credentials: Credentials) -> Self {
        Self(Arc::new(Shared {
            credentials,
            generation: AtomicU64::new(0),
            tried: AtomicU64::new(0),
            renewing: AtomicBool::new(false),
            turn: Mutex::new(()),
        }))
    }

    pub(in crate::layers) fn around<A>(&self, next: A) -> Authorized<A> {
        Authorized { next, shared: Arc::clone(&self.0) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, shared: Arc::clone(&self.0) }
    }
}

/// Made by [`AuthLayer`].
#[derive(Clone, Debug)]
pub struct Auth<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, B> Service<HttpRequest> for Auth<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    type Response = Response<B>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<B>, TransportError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let spare = self.inner.clone();
        let service = Direct(mem::replace(&mut self.inner, spare));
        let mut authorized = Authorized { next: service, shared: Arc::clone(&self.shared) };
        let mut template = Template::new(request);
        Box::pin(async move { authorized.send(&mut template).await })
    }
}

/// Sends requests with credentials, and once more after a 401.
pub(in crate::layers) struct Authorized<A> {
    next: A,
    shared: Arc<Shared>,
}

impl<A> Attempt for Authorized<A>
where
    A: Attempt,
    A::Body: Body<Data = Bytes>,
    <A::Body as Body>::Error: Send,
{
    type Body = A::Body;

    async fn ready(&mut self) -> Result<(), TransportError> {
        self.next.ready().await
    }

    async fn send(&mut self, template: &mut Template) -> Result<Response<A::Body>, TransportError> {
        let mut first = template.fork();
        let generation = self.shared.authorize(&mut first.parts).await?;
        let answer = self.next.send(&mut first).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        if !template.can_repeat() {
            self.shared.expire(generation);
            return Ok(answer);
        }
        Box::pin(self.send_again(template.fork(), generation, answer)).await
    }
}

impl<A> Authorized<A>
where
    A: Attempt,
    A::Body: Body<Data = Bytes>,
{
    async fn send_again(
        &mut self,
        mut template: Template,
        generation: u64,
        refused: Response<A::Body>,
    ) -> Result<Response<A::Body>, TransportError> {
        debug!("refused with 401; renewing the credentials");
        // The old answer's connection and permit go before anything new is asked for.
        body::discard(refused.into_body()).await;
        self.shared.renew(generation, &mut template.parts).await?;
        self.next.ready().await?;
        self.next.send(&mut template).await
    }
}

impl Shared {
    /// Credentials as they are; waits if somebody is renewing them.
    async fn authorize(&self, parts: &mut Parts) -> Result<u64, TransportError> {
        if self.renewing.load(SeqCst) {
            drop(self.turn.lock().await);
        }
        let generation = self.generation.load(SeqCst);
        self.apply(parts).await?;
        Ok(generation)
    }

    /// The credentials of `generation` were refused: gets new ones, unless somebody else did.
    async fn renew(&self, generation: u64, parts: &mut Parts) -> Result<(), TransportError> {
        let tried = self.tried.load(SeqCst);
        let turn = self.turn.lock().await;
        if self.generation.load(SeqCst) != generation {
            drop(turn);
            return self.apply(parts).await;
        }
        if self.tried.load(SeqCst) != tried {
            let error = "another request tried to renew the credentials and failed";
            return Err(failed(parts, error));
        }
        let _renewing = Renewing::start(&self.renewing);
        self.credentials.invalidate();
        let outcome = self.apply(parts).await;
        self.tried.fetch_add(1, SeqCst);
        outcome?;
        self.generation.fetch_add(1, SeqCst);
        Ok(())
    }

    /// The credentials of `generation` were refused, and there is no request left to renew them with.
    fn expire(&self, generation: u64) {
        let Ok(_turn) = self.turn.try_lock() else { return };
        if self.generation.load(SeqCst) == generation {
            self.credentials.invalidate();
            self.generation.fetch_add(1, SeqCst);
        }
    }

    async fn apply(&self, parts: &mut Parts) -> Result<(), TransportError> {
        if let Err(error) = self.credentials.authorize(parts).await {
            return Err(failed(parts, "no credentials for the request").with_source(error));
        }
        for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
            if let Some(value) = parts.headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        Ok(())
    }
}

/// Clears the flag even if the call that renews is dropped halfway.
struct Renewing<'a>(&'a AtomicBool);

impl<'a> Renewing<'a> {
    fn start(flag: &'a AtomicBool) -> Self {
        flag.store(true, SeqCst);
        Self(flag)
    }
}

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

fn failed(parts: &Parts, message: &'static str) -> TransportError {
    let error = TransportError::new(TransportErrorKind::Credentials, message);
    match Endpoint::of(&parts.uri) {
        Some(endpoint) => error.with_endpoint(endpoint.to_string()),
        None => error,
    }
}

#[cfg(test)]
mod tests;

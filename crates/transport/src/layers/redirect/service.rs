//! The redirect loop.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{
    HeaderMap, HeaderName, Method, Response, StatusCode, Uri,
    header::{self, LOCATION},
};
use http_body::Body;
use tower_service::Service;
use tracing::debug;

use super::{RedirectAction, RedirectHop, RedirectPolicy, location};
use crate::{
    HttpRequest, RequestOptions, TransportError, TransportErrorKind, body,
    endpoint::Endpoint,
    layers::attempt::{Attempt, Direct},
    replay::Template,
};

/// Made by [`RedirectLayer`](super::RedirectLayer).
#[derive(Clone, Debug)]
pub struct Redirect<S> {
    inner: S,
    policy: Arc<dyn RedirectPolicy>,
    limit: usize,
}

impl<S> Redirect<S> {
    pub(super) fn new(inner: S, policy: Arc<dyn RedirectPolicy>, limit: usize) -> Self {
        Self { inner, policy, limit }
    }
}

impl<S, B> Service<HttpRequest> for Redirect<S>
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
        let mut hops = Hops { next: service, policy: Arc::clone(&self.policy), limit: self.limit };
        let mut template = Template::new(request);
        Box::pin(async move { hops.send(&mut template).await })
    }
}

/// Follows the redirects of a request.
pub(in crate::layers) struct Hops<A> {
    pub(super) next: A,
    pub(super) policy: Arc<dyn RedirectPolicy>,
    pub(super) limit: usize,
}

impl<A> Attempt for Hops<A>
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
        let answer = self.next.send(template).await?;
        if !leads_on(&answer) {
            return Ok(answer);
        }
        // Most requests never come here.
        Box::pin(self.follow(template.fork(), answer)).await
    }
}

impl<A> Hops<A>
where
    A: Attempt,
    A::Body: Body<Data = Bytes>,
{
    async fn follow(
        &mut self,
        template: Template,
        mut answer: Response<A::Body>,
    ) -> Result<Response<A::Body>, TransportError> {
        let mut journey =
            Journey { template, policy: Arc::clone(&self.policy), limit: self.limit, visited: Vec::new() };
        loop {
            match journey.judge(answer)? {
                Step::Arrived(answer) => return Ok(answer),
                // Its connection and its permit are needed for the next request.
                Step::On(answer) => body::discard(answer.into_body()).await,
            }
            self.next.ready().await?;
            if !journey.template.can_repeat() {
                let why = "the body was a one-shot stream, already being read, and cannot follow";
                return Err(journey.refuse(why));
            }
            let outcome = self.next.send(&mut journey.template).await;
            answer = outcome.map_err(|error| error.with_redirects(journey.count()))?;
        }
    }
}

/// A request on its way through redirects.
struct Journey {
    /// The next request.
    template: Template,
    policy: Arc<dyn RedirectPolicy>,
    limit: usize,
    visited: Vec<Uri>,
}

/// What an answer means for the journey.
enum Step<B> {
    Arrived(Response<B>),
    On(Response<B>),
}

impl Journey {
    fn judge<B>(&mut self, answer: Response<B>) -> Result<Step<B>, TransportError> {
        if !leads_on(&answer) {
            return Ok(Step::Arrived(answer));
        }
        let Some(location) = answer.headers().get(LOCATION) else { return Ok(Step::Arrived(answer)) };
        let to = location::resolve(&self.template.parts.uri, location)
            .map_err(|why| self.refuse(format!("its Location leads nowhere: {why}")))?;
        let credentials = match self.decide(answer.status(), &to)? {
            RedirectAction::Follow { credentials } => credentials,
            RedirectAction::Get { credentials } => {
                into_get(&mut self.template);
                credentials
            }
            RedirectAction::Stop => return Ok(Step::Arrived(answer)),
            RedirectAction::Refuse(why) => return Err(self.refuse(why)),
        };
        debug!(status = answer.status().as_u16(), to = %Shown(&to), credentials, "redirected");
        self.go(to, credentials);
        Ok(Step::On(answer))
    }

    fn decide(&self, status: StatusCode, to: &Uri) -> Result<RedirectAction, TransportError> {
        let count = self.visited.len() + 1;
        if count > self.limit {
            return Err(self.refuse(format!("more than {} redirects", self.limit)));
        }
        if *to == self.template.parts.uri || self.visited.contains(to) {
            return Err(self.refuse("a loop of redirects"));
        }
        let parts = &self.template.parts;
        Ok(self.policy.on_redirect(&RedirectHop {
            call: parts.extensions.get(),
            method: &parts.method,
            status,
            from: &parts.uri,
            to,
            count,
        }))
    }

    /// Turns the template into the request for the next server.
    fn go(&mut self, to: Uri, credentials: bool) {
        let parts = &mut self.template.parts;
        if !credentials {
            remove_sensitive(&mut parts.headers);
        }
        let same = Endpoint::of(&to).zip(Endpoint::of(&parts.uri)).is_some_and(|(a, b)| a.same_as(&b));
        if !same {
            parts.headers.remove(header::HOST);
        }
        parts.headers.remove(header::EXPECT);
        if let Some(options) = parts.extensions.get_mut::<RequestOptions>() {
            options.expect_continue = None;
        }
        self.visited.push(mem::replace(&mut parts.uri, to));
    }

    fn refuse(&self, why: impl Into<std::borrow::Cow<'static, str>>) -> TransportError {
        let error = TransportError::new(TransportErrorKind::Redirect, "the redirect was not followed")
            .with_redirects(self.count())
            .with_note(why);
        match Endpoint::of(&self.template.parts.uri) {
            Some(endpoint) => error.with_endpoint(endpoint.to_string()),
            None => error,
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.visited.len()).unwrap_or(u32::MAX)
    }
}

fn leads_on<B>(answer: &Response<B>) -> bool {
    matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn remove_sensitive(headers: &mut HeaderMap) {
    let always = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];
    let marked = headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone());
    let names: Vec<HeaderName> = always.into_iter().chain(marked).collect();
    for name in names {
        headers.remove(name);
    }
}

fn into_get(template: &mut Template) {
    if template.parts.method != Method::HEAD {
        template.parts.method = Method::GET;
    }
    template.drop_body();
    for name in
        [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::TRANSFER_ENCODING]
    {
        template.parts.headers.remove(name);
    }
}

/// Scheme and authority of a URL: a redirect's path and query may hold a signature.
struct Shown<'a>(&'a Uri);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Endpoint::of(self.0) {
            Some(endpoint) => endpoint.fmt(f),
            None => f.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests;

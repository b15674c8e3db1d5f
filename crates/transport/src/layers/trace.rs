//! A span for each call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use longshore_core_types::{CallInfo, Resource};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::{Span, debug, field::Empty};

use super::retry::Attempts;
use crate::{HttpRequest, TransportError, endpoint::Endpoint};

/// Opens a `tracing` span named `http` at level `DEBUG` for each call, from the request to the head of its
/// answer, and one event at its end.
///
/// Fields: `operation` and `resource` (from [`CallInfo`]), `method`, `endpoint`, `path`, then `status` or
/// `error`, and `attempts`. Headers and queries are never shown, nor the path of a call that is
/// [sensitive](CallInfo::sensitive).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TraceLayer;

impl TraceLayer {
    /// There is nothing to set.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// Made by [`TraceLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Trace<S> {
    inner: S,
}

impl<S, B> Service<HttpRequest> for Trace<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError>,
{
    type Response = Response<B>;
    type Error = TransportError;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let span = open(&request);
        let inner = span.in_scope(|| self.inner.call(request));
        TraceFuture { inner, span }
    }
}

fn open(request: &HttpRequest) -> Span {
    let span = tracing::debug_span!(
        "http",
        operation = Empty,
        resource = Empty,
        method = Empty,
        endpoint = Empty,
        path = Empty,
        status = Empty,
        attempts = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    let call = request.extensions().get::<CallInfo>();
    if let Some(call) = call {
        span.record("operation", call.operation);
        if call.resource != Resource::Endpoint {
            span.record("resource", tracing::field::display(&call.resource));
        }
    }
    span.record("method", request.method().as_str());
    if let Some(endpoint) = Endpoint::of(request.uri()) {
        span.record("endpoint", tracing::field::display(endpoint));
    }
    if !call.is_some_and(|call| call.sensitive) {
        span.record("path", request.uri().path());
    }
    span
}

pin_project! {
    /// Future of [`Trace`].
    #[derive(Debug)]
    pub struct TraceFuture<F> {
        #[pin]
        inner: F,
        span: Span,
    }
}

impl<F, B> Future for TraceFuture<F>
where
    F: Future<Output = Result<Response<B>, TransportError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.span.is_disabled() {
            return this.inner.poll(cx);
        }
        let _in = this.span.enter();
        let outcome = ready!(this.inner.poll(cx));
        match &outcome {
            Ok(answer) => {
                let attempts = answer.extensions().get::<Attempts>().map_or(1, |attempts| attempts.count());
                this.span.record("status", answer.status().as_u16());
                this.span.record("attempts", attempts);
                debug!("answered");
            }
            Err(error) => {
                this.span.record("attempts", error.attempts());
                debug!(%error, "failed");
            }
        }
        Poll::Ready(outcome)
    }
}

//! The HTTP client and its time-outs, as the default stack has them.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::TimeoutFuture;
use crate::{
    HttpClient, HttpRequest, HttpResponse, Progress, RequestOptions, TimeoutConfig, TransportError, body,
    endpoint::Endpoint,
};

/// What [`TimeoutLayer`](super::TimeoutLayer) makes of the client, without the detour by the extensions of
/// the request.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Settings>);

struct Settings {
    client: HttpClient,
    limits: TimeoutConfig,
}

impl Exchange {
    pub(crate) fn new(client: HttpClient, limits: &TimeoutConfig) -> Self {
        Self(Arc::new(Settings { client, limits: *limits }))
    }
}

impl Service<HttpRequest> for Exchange {
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = ExchangeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        // The client always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let own = request.extensions().get::<RequestOptions>().and_then(|options| options.timeouts);
        let endpoint = Endpoint::of(request.uri());
        let progress = Progress::new();
        let inner = self.0.client.send(request, progress.clone());
        let limits = own.as_ref().unwrap_or(&self.0.limits);
        ExchangeFuture { inner: TimeoutFuture::new(inner, progress, limits, endpoint) }
    }
}

pin_project! {
    /// Future of [`Exchange`]. The body is boxed here, so that what goes up through the layers is small.
    pub(crate) struct ExchangeFuture {
        #[pin]
        inner: TimeoutFuture<<HttpClient as Service<HttpRequest>>::Future>,
    }
}

impl Future for ExchangeFuture {
    type Output = Result<HttpResponse, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().inner.poll(cx));
        Poll::Ready(outcome.map(|answer| answer.map(body::boxed)))
    }
}

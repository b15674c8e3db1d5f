//! The HTTP client and its time-outs, as the default stack has them.

use std::task::{Context, Poll};

use http::Response;
use tower_service::Service;

use super::{IdleBody, TimeoutFuture};
use crate::{
    ClientBody, HttpClient, HttpRequest, Progress, RequestOptions, TimeoutConfig, TransportError,
    endpoint::Endpoint,
};

/// What [`TimeoutLayer`](super::TimeoutLayer) makes of the client, without the detour by the extensions of
/// the request.
#[derive(Clone)]
pub(crate) struct Exchange {
    client: HttpClient,
    limits: TimeoutConfig,
}

impl Exchange {
    pub(crate) fn new(client: HttpClient, limits: &TimeoutConfig) -> Self {
        Self { client, limits: *limits }
    }
}

impl Service<HttpRequest> for Exchange {
    type Response = Response<IdleBody<ClientBody>>;
    type Error = TransportError;
    type Future = TimeoutFuture<<HttpClient as Service<HttpRequest>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let own = request.extensions().get::<RequestOptions>().and_then(|options| options.timeouts);
        let endpoint = Endpoint::of(request.uri());
        let progress = Progress::new();
        let inner = self.client.send(request, progress.clone());
        TimeoutFuture { inner, sleep: None, progress, limits: own.unwrap_or(self.limits), endpoint }
    }
}

//! Type erasure for services and layers that callers bring.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use longshore_core_types::BoxError;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{HttpRequest, HttpResponse, HttpService, TransportError, body};

/// Turns any HTTP service into an [`HttpService`].
///
/// An error, and a body's error, that is a [`TransportError`] inside a box comes out as itself; any other
/// becomes one of kind [`Middleware`](crate::TransportErrorKind::Middleware).
pub fn erase<S, B>(service: S) -> HttpService
where
    S: Service<HttpRequest, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    HttpService::new(Uniform(service))
}

/// A service whose answers and errors have the types of this crate.
#[derive(Clone)]
struct Uniform<S>(S);

impl<S, B> Service<HttpRequest> for Uniform<S>
where
    S: Service<HttpRequest, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = UniformFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(cx).map_err(|error| TransportError::from_boxed(error.into()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        UniformFuture { inner: self.0.call(request) }
    }
}

pin_project! {
    struct UniformFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F, B, E> Future for UniformFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<HttpResponse, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().inner.poll(cx)) {
            Ok(answer) => Ok(answer.map(body::boxed)),
            Err(error) => Err(TransportError::from_boxed(error.into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Payload;
    use tower::{ServiceExt, timeout::TimeoutLayer};
    use tower_layer::Layer;

    use super::*;
    use crate::{
        TransportErrorKind,
        testing::{Reply, ScriptedService},
    };

    /// tower's own time-out boxes every error.
    fn boxing(reply: Reply) -> HttpService {
        let layer = TimeoutLayer::new(std::time::Duration::from_secs(9));
        erase(layer.layer(erase(layer.layer(ScriptedService::replies([reply])))))
    }

    fn request() -> HttpRequest {
        http::Request::new(Payload::empty())
    }

    #[tokio::test(start_paused = true)]
    async fn errors_come_through_layers_that_box_them() {
        let error = boxing(Reply::refused()).oneshot(request()).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Connect);
        assert!(std::error::Error::source(&error).is_none());
        let error = boxing(Reply::silence()).oneshot(request()).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Middleware);
    }

    #[tokio::test(start_paused = true)]
    async fn so_do_errors_of_bodies() {
        let answer = boxing(Reply::status(200).broken_body(["ab"])).oneshot(request()).await.unwrap();
        let error = body::collect(answer.into_body(), 9).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Body);
        assert!(std::error::Error::source(&error).is_none());
    }
}

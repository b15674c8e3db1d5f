//! Type erasure for services and layers that callers bring.

use bytes::Bytes;
use http_body::Body;
use longshore_core_types::BoxError;
use tower::ServiceExt;
use tower_service::Service;

use crate::{HttpRequest, HttpService, TransportError, body};

/// Turns any HTTP service into an [`HttpService`].
///
/// An error, and a body's error, that is a [`TransportError`] inside a box comes out as itself; any other
/// becomes one of kind [`Middleware`](crate::TransportErrorKind::Middleware).
pub fn erase<S, B>(service: S) -> HttpService
where
    S: Service<HttpRequest, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    let service = service.map_response(|answer: http::Response<B>| answer.map(body::boxed));
    HttpService::new(service.map_err(|error: S::Error| TransportError::from_boxed(error.into())))
}

//! A server that exists only in a test, and sees whole requests.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::TryStreamExt;
use http::request::Parts;
use longshore_transport::{HttpRequest, HttpResponse, TransportError, TransportErrorKind, body};

/// What a request is answered with; `None` breaks the connection.
pub(crate) type Reply = Option<http::Response<String>>;

/// Answers every request with what a function makes of it.
pub(crate) fn server(
    answer: impl Fn(&Parts, &Bytes) -> Reply + Send + Sync + 'static,
) -> impl tower_service::Service<
    HttpRequest,
    Response = HttpResponse,
    Error = TransportError,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    Server(Arc::new(answer))
}

struct Server<F>(Arc<F>);

impl<F> Clone for Server<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> tower_service::Service<HttpRequest> for Server<F>
where
    F: Fn(&Parts, &Bytes) -> Reply + Send + Sync + 'static,
{
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<HttpResponse, TransportError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), TransportError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let answer = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, payload) = request.into_parts();
            let chunks: Vec<Bytes> = payload.into_stream().try_collect().await.map_err(|error| {
                TransportError::new(TransportErrorKind::RequestBody, "the body failed").with_source(error)
            })?;
            match answer(&parts, &chunks.concat().into()) {
                Some(reply) => Ok(reply.map(body::full)),
                None => Err(TransportError::new(TransportErrorKind::Closed, "the connection broke")),
            }
        })
    }
}

/// An answer with headers.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], text: &str) -> Reply {
    let mut reply = http::Response::builder().status(status);
    for (name, value) in headers {
        reply = reply.header(*name, *value);
    }
    reply.body(text.to_owned()).ok()
}

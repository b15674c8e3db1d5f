//! What the loops of retry, credentials and redirect call.
//!
//! Each of them may need the request again. They hand down the template instead of a request, so that in
//! the default stack, where the three stand directly above one another, one of them keeps the request and
//! nobody copies it for a second try that rarely comes.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;
use tower::ServiceExt;
use tower_service::Service;

use crate::{HttpRequest, TransportError, TransportErrorKind, replay::Template};

/// Sends a request, and can be asked to do so again.
pub(super) trait Attempt: Send {
    type Body: Send;

    /// Must have come to an end before each call of [`send`](Self::send) but the first.
    fn ready(&mut self) -> impl Future<Output = Result<(), TransportError>> + Send;

    /// Sends the request as it stands in the template.
    fn send(
        &mut self,
        template: &mut Template,
    ) -> impl Future<Output = Result<Response<Self::Body>, TransportError>> + Send;
}

/// A service that gets a request of its own each time.
pub(super) struct Direct<S>(pub(super) S);

impl<S, B> Attempt for Direct<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError> + Send,
    S::Future: Send,
    B: Send,
{
    type Body = B;

    async fn ready(&mut self) -> Result<(), TransportError> {
        self.0.ready().await.map(drop)
    }

    fn send(
        &mut self,
        template: &mut Template,
    ) -> impl Future<Output = Result<Response<B>, TransportError>> + Send {
        // Handed over before the future exists, which then does not have to hold it.
        match template.request() {
            Some(request) => Leg::Sent { call: self.0.call(request) },
            None => Leg::Gone,
        }
    }
}

pin_project! {
    /// An `async` block would hold the call twice.
    #[project = Projected]
    enum Leg<F> {
        Sent { #[pin] call: F },
        Gone,
    }
}

impl<F, T> Future for Leg<F>
where
    F: Future<Output = Result<T, TransportError>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Sent { call } => call.poll(cx),
            // Another attempt is asked for only if the body is there.
            Projected::Gone => {
                let error = TransportError::new(TransportErrorKind::RequestBody, "the body was already read");
                Poll::Ready(Err(error))
            }
        }
    }
}

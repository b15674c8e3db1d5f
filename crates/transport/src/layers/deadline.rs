//! A limit of the whole call: attempts, waits, and the answer's body.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use longshore_core_types::BoxError;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    HttpRequest, RequestOptions, TimeoutConfig, TransportError, TransportErrorKind, endpoint::Endpoint,
};

/// Ends a call, its answer's body included, at its deadline: [`RequestOptions::deadline`], or the
/// configured [`TimeoutConfig::total`] after its start, whichever is earlier. Without either it does
/// nothing.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    total: Option<Duration>,
}

impl DeadlineLayer {
    /// Takes the limit from the settings.
    pub fn new(timeouts: &TimeoutConfig) -> Self {
        Self { total: timeouts.total }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, total: self.total }
    }
}

/// Made by [`DeadlineLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Deadline<S> {
    inner: S,
    total: Option<Duration>,
}

/// When the call ends, for layers below that wait: they need not start a wait that ends later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndsAt(pub(crate) Instant);

impl<S, B> Service<HttpRequest> for Deadline<S>
where
    S: Service<HttpRequest, Response = http::Response<B>, Error = TransportError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = http::Response<DeadlineBody<B>>;
    type Error = TransportError;
    type Future = DeadlineFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: HttpRequest) -> Self::Future {
        let options = request.extensions().get::<RequestOptions>().copied().unwrap_or_default();
        let total = options.timeouts.map_or(self.total, |timeouts| timeouts.total);
        let total = total.and_then(|total| Instant::now().checked_add(total));
        let ends = match (total, options.deadline.map(Instant::from_std)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => {
                return DeadlineFuture { state: State::Unlimited { inner: self.inner.call(request) } };
            }
        };
        request.extensions_mut().insert(EndsAt(ends));
        let endpoint = Endpoint::of(request.uri());
        let answer = self.inner.call(request);
        let inner = Box::pin(async move {
            match tokio::time::timeout_at(ends, answer).await {
                Ok(answer) => answer.map(|answer| {
                    answer.map(|inner| {
                        let limit = Some((Box::pin(sleep_until(ends)), endpoint));
                        DeadlineBody { inner, limit }
                    })
                }),
                Err(_) => Err(passed(endpoint.as_ref(), "before the server answered")),
            }
        });
        DeadlineFuture { state: State::Limited { inner } }
    }
}

fn passed(endpoint: Option<&Endpoint>, when: &str) -> TransportError {
    let error = TransportError::new(TransportErrorKind::Deadline, format!("the deadline passed {when}"));
    match endpoint {
        Some(endpoint) => error.with_endpoint(endpoint.to_string()),
        None => error,
    }
}

pin_project! {
    /// Future of [`Deadline`]. Without a deadline it costs nothing.
    pub struct DeadlineFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B> {
        Unlimited { #[pin] inner: F },
        Limited { inner: BoxFuture<'static, Result<http::Response<DeadlineBody<B>>, TransportError>> },
    }
}

impl<F, B> Future for DeadlineFuture<F, B>
where
    F: Future<Output = Result<http::Response<B>, TransportError>>,
{
    type Output = Result<http::Response<DeadlineBody<B>>, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Unlimited { inner } => {
                let answer = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(answer.map(|inner| DeadlineBody { inner, limit: None })))
            }
            Projected::Limited { inner } => inner.as_mut().poll(cx),
        }
    }
}

pin_project! {
    /// A body that ends with an error at the deadline.
    #[derive(Debug)]
    pub struct DeadlineBody<B> {
        #[pin]
        inner: B,
        limit: Option<(Pin<Box<Sleep>>, Option<Endpoint>)>,
    }
}

impl<B> Body for DeadlineBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = self.project();
        if let Some((sleep, endpoint)) = this.limit
            && sleep.as_mut().poll(cx).is_ready()
        {
            let error = passed(endpoint.as_ref(), "while the answer's body was read");
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(this.inner.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| TransportError::from_boxed(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

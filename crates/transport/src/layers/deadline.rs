//! A limit of the whole call: attempts, waits, and the answer's body.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    HttpRequest, HttpResponse, RequestOptions, ResponseBody, TimeoutConfig, TransportError,
    TransportErrorKind, body, endpoint::Endpoint,
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

impl<S> Service<HttpRequest> for Deadline<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = TransportError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = DeadlineFuture<S::Future>;

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
                    let sleep = Box::pin(sleep_until(ends));
                    answer.map(|inner| body::boxed(DeadlineBody { inner, sleep, endpoint }))
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
    pub struct DeadlineFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Unlimited { #[pin] inner: F },
        Limited { inner: BoxFuture<'static, Result<HttpResponse, TransportError>> },
    }
}

impl<F: Future<Output = Result<HttpResponse, TransportError>>> Future for DeadlineFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Unlimited { inner } => inner.poll(cx),
            Projected::Limited { inner } => inner.as_mut().poll(cx),
        }
    }
}

/// A body that ends with an error at the deadline.
struct DeadlineBody {
    inner: ResponseBody,
    sleep: Pin<Box<Sleep>>,
    endpoint: Option<Endpoint>,
}

impl Body for DeadlineBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.sleep.as_mut().poll(cx).is_ready() {
            let error = passed(self.endpoint.as_ref(), "while the answer's body was read");
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Payload;
    use tower::ServiceExt;

    use super::*;
    use crate::testing::{Reply, ScriptedService};

    const S: Duration = Duration::from_secs(1);

    fn request() -> HttpRequest {
        http::Request::get("http://h:1/x").body(Payload::empty()).unwrap()
    }

    fn stack(total: Option<Duration>, reply: Reply) -> Deadline<ScriptedService> {
        let limits = TimeoutConfig::NONE.total(total);
        DeadlineLayer::new(&limits).layer(ScriptedService::replies([reply]))
    }

    #[tokio::test(start_paused = true)]
    async fn the_total_covers_the_head() {
        let start = Instant::now();
        let error = stack(Some(5 * S), Reply::silence()).oneshot(request()).await.unwrap_err();
        assert_eq!(start.elapsed(), 5 * S);
        assert_eq!(error.to_string(), "http://h:1: the deadline passed before the server answered");
        assert_eq!(error.retryability(), longshore_core_types::Retryability::Never);
    }

    #[tokio::test(start_paused = true)]
    async fn and_the_body() {
        let start = Instant::now();
        let answer = stack(Some(5 * S), Reply::status(200).stalled_body(["ab"])).oneshot(request()).await;
        let error = body::collect(answer.unwrap().into_body(), 9).await.unwrap_err();
        assert_eq!((start.elapsed(), error.kind()), (5 * S, TransportErrorKind::Deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_one_counts_and_none_is_none() {
        for (total, own, ends) in [(Some(5), Some(3), 3), (Some(2), Some(3), 2), (None, Some(3), 3)] {
            let start = Instant::now();
            let mut request = request();
            let own = own.map(|seconds| (start + seconds * S).into_std());
            request.extensions_mut().insert(RequestOptions { deadline: own, ..RequestOptions::default() });
            assert!(stack(total.map(|t| t * S), Reply::silence()).oneshot(request).await.is_err());
            assert_eq!(start.elapsed(), ends * S);
        }
        let late = Reply::ok("").after(1_000_000 * S);
        assert!(stack(None, late).oneshot(request()).await.is_ok());
    }
}

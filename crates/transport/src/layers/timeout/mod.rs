//! Limits of time within one attempt.

mod body;
mod exchange;

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::IdleBody;
pub(crate) use self::exchange::Exchange;
use crate::{
    HttpRequest, Phase, Progress, RequestOptions, TimeoutConfig, TransportError, TransportErrorKind,
    endpoint::Endpoint,
};

/// Ends an attempt whose answer's head does not come, or whose request or answer body stands still.
///
/// The clock of the head starts when the last byte of the request is sent, that of a body with each step
/// of it. It does not run while the request stands in line for a connection, or while its own body's
/// source has nothing to give. A body that keeps flowing, however slowly, never times out.
/// [`RequestOptions::timeouts`] replaces the limits for one request.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limits: TimeoutConfig,
}

impl TimeoutLayer {
    /// Takes `head` and `idle` from the settings.
    pub fn new(limits: &TimeoutConfig) -> Self {
        Self { limits: *limits }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limits: self.limits }
    }
}

/// Made by [`TimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S> {
    inner: S,
    limits: TimeoutConfig,
}

impl<S, B> Service<HttpRequest> for Timeout<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError>,
{
    type Response = Response<IdleBody<B>>;
    type Error = TransportError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: HttpRequest) -> Self::Future {
        let own = request.extensions().get::<RequestOptions>().and_then(|options| options.timeouts);
        let progress = Progress::new();
        request.extensions_mut().insert(progress.clone());
        let endpoint = Endpoint::of(request.uri());
        let limits = own.as_ref().unwrap_or(&self.limits);
        TimeoutFuture::new(self.inner.call(request), progress, limits, endpoint)
    }
}

pin_project! {
    /// Future of [`Timeout`].
    #[derive(Debug)]
    pub struct TimeoutFuture<F> {
        #[pin]
        inner: F,
        // Made when the answer is not there at once.
        #[pin]
        sleep: Option<Sleep>,
        progress: Progress,
        head: Option<Duration>,
        idle: Option<Duration>,
        endpoint: Option<Endpoint>,
    }
}

impl<F> TimeoutFuture<F> {
    fn new(inner: F, progress: Progress, limits: &TimeoutConfig, endpoint: Option<Endpoint>) -> Self {
        Self { inner, sleep: None, progress, head: limits.head, idle: limits.idle, endpoint }
    }
}

impl<F, B> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<Response<B>, TransportError>>,
{
    type Output = Result<Response<IdleBody<B>>, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(outcome) = this.inner.poll(cx) {
            let endpoint = this.endpoint.take();
            return Poll::Ready(
                outcome.map(|answer| answer.map(|body| IdleBody::new(body, *this.idle, endpoint))),
            );
        }
        loop {
            let now = Instant::now();
            let (phase, since) = this.progress.waiting(now);
            let limit = match phase {
                Phase::Head => *this.head,
                Phase::Body => *this.idle,
                Phase::Local => None,
            };
            let end = limit.and_then(|limit| since.checked_add(limit));
            if let Some((end, limit)) = end.zip(limit)
                && end <= now
            {
                return Poll::Ready(Err(expired(this.progress, phase, limit, this.endpoint.as_ref())));
            }
            // Phases change without a word to this future, so it looks again after the shortest limit.
            let again = [*this.head, *this.idle].into_iter().flatten().min();
            let Some(again) = end.or_else(|| now.checked_add(again?)) else { return Poll::Pending };
            match this.sleep.as_mut().as_pin_mut() {
                None => this.sleep.set(Some(tokio::time::sleep_until(again))),
                Some(mut sleep) => {
                    // It rings too early after a step was made, which costs one look; resetting it with each
                    // step would cost more.
                    if sleep.is_elapsed() || sleep.deadline() > again {
                        sleep.as_mut().reset(again);
                    }
                    if sleep.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

fn expired(
    progress: &Progress,
    phase: Phase,
    limit: Duration,
    endpoint: Option<&Endpoint>,
) -> TransportError {
    let sent = progress.sent();
    let message = match phase {
        Phase::Body => format!(
            "the request's body stalled: no byte was taken for {limit:?} after {} bytes",
            sent.body_bytes
        ),
        _ => format!("no answer within {limit:?}"),
    };
    let error = TransportError::new(TransportErrorKind::Timeout, message).with_sent(sent);
    match endpoint {
        Some(endpoint) => error.with_endpoint(endpoint.to_string()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::pending;
    use longshore_core_types::Payload;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{ResponseBody, body};

    const S: Duration = Duration::from_secs(1);

    fn request() -> HttpRequest {
        http::Request::get("http://h:1/x").body(Payload::empty()).unwrap()
    }

    fn limits(head: u32, idle: u32) -> TimeoutConfig {
        TimeoutConfig::NONE.head(head * S).idle(idle * S)
    }

    fn progress(request: &HttpRequest) -> Progress {
        request.extensions().get::<Progress>().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come() {
        let inner = service_fn(|_| pending::<Result<Response<ResponseBody>, TransportError>>());
        let start = Instant::now();
        let error = TimeoutLayer::new(&limits(30, 5)).layer(inner).oneshot(request()).await.unwrap_err();
        assert_eq!(start.elapsed(), 30 * S);
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        assert_eq!(error.to_string(), "http://h:1: no answer within 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn standing_in_line_does_not_count() {
        let inner = service_fn(|request: HttpRequest| async move {
            let progress = progress(&request);
            progress.enter(Phase::Local);
            tokio::time::sleep(1000 * S).await;
            progress.enter(Phase::Head);
            tokio::time::sleep(29 * S).await;
            Ok::<_, TransportError>(Response::new(body::empty()))
        });
        let service = TimeoutLayer::new(&limits(30, 5)).layer(inner);
        assert!(service.oneshot(request()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_body_that_flows_for_ten_hours_and_one_that_stalls() {
        let steps = |steps: u32| {
            let inner = service_fn(move |request: HttpRequest| async move {
                let progress = progress(&request);
                for _ in 0..steps {
                    progress.enter(Phase::Body);
                    tokio::time::sleep(4 * S).await;
                }
                if steps < 100 {
                    pending::<()>().await;
                }
                progress.enter(Phase::Head);
                Ok::<_, TransportError>(Response::new(body::empty()))
            });
            TimeoutLayer::new(&limits(30, 5)).layer(inner)
        };
        assert!(steps(9000).oneshot(request()).await.is_ok());
        let start = Instant::now();
        let error = steps(3).oneshot(request()).await.unwrap_err();
        assert!(error.to_string().contains("the request's body stalled"), "{error}");
        assert_eq!(start.elapsed(), 13 * S);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_bring_its_own_limits() {
        let inner = service_fn(|_| pending::<Result<Response<ResponseBody>, TransportError>>());
        let mut request = request();
        request.extensions_mut().insert(RequestOptions::default().timeouts(limits(2, 5)));
        let start = Instant::now();
        let service = TimeoutLayer::new(&limits(30, 5)).layer(inner);
        assert!(service.oneshot(request).await.is_err());
        assert_eq!(start.elapsed(), 2 * S);
    }
}

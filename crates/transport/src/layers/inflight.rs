//! A limit of exchanges at one time.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use crate::{HttpRequest, Phase, Progress, TransportError, TransportErrorKind};

/// Lets at most so many exchanges happen at one time; others wait in line.
///
/// An exchange ends when its answer's body ends or is dropped, not when its head is there. A caller that
/// keeps a body without reading it keeps its place too. The permit is taken when the request is sent, not
/// when the service says it is ready, so a service that is ready and unused holds none.
#[derive(Clone, Debug)]
pub struct InFlightLayer(Option<Arc<Semaphore>>);

impl InFlightLayer {
    /// At most `limit` exchanges over all services of this layer, `None` for no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self(limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))))
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, permits: self.0.clone() }
    }
}

/// Made by [`InFlightLayer`].
#[derive(Clone, Debug)]
pub struct InFlight<S> {
    inner: S,
    permits: Option<Arc<Semaphore>>,
}

impl<S, B> Service<HttpRequest> for InFlight<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<PermitBody<B>>;
    type Error = TransportError;
    type Future = InFlightFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let Some(permits) = &self.permits else {
            return InFlightFuture { state: State::Unlimited { inner: self.inner.call(request) } };
        };
        let permits = Arc::clone(permits);
        let inner = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, inner);
        let inner = Box::pin(async move {
            let permit = acquire(permits, &request).await?;
            let answer = inner.ready().await?.call(request).await?;
            Ok(answer.map(|inner| PermitBody { inner, permit: Some(permit) }))
        });
        InFlightFuture { state: State::Limited { inner } }
    }
}

async fn acquire(
    permits: Arc<Semaphore>,
    request: &HttpRequest,
) -> Result<OwnedSemaphorePermit, TransportError> {
    let permit = if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
        permit
    } else {
        // Standing in line is not the server's fault.
        let progress = request.extensions().get::<Progress>().cloned();
        if let Some(progress) = &progress {
            progress.enter(Phase::Local);
        }
        let closed = |_| TransportError::new(TransportErrorKind::Middleware, "the limiter is closed");
        let permit = permits.acquire_owned().await.map_err(closed)?;
        if let Some(progress) = &progress {
            progress.enter(Phase::Head);
        }
        permit
    };
    Ok(permit)
}

pin_project! {
    /// Future of [`InFlight`]. Without a limit it costs nothing.
    pub struct InFlightFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, B> {
        Unlimited { #[pin] inner: F },
        Limited { inner: BoxFuture<'static, Result<Response<PermitBody<B>>, TransportError>> },
    }
}

impl<F, B> Future for InFlightFuture<F, B>
where
    F: Future<Output = Result<Response<B>, TransportError>>,
{
    type Output = Result<Response<PermitBody<B>>, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Unlimited { inner } => {
                let answer = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(answer.map(|inner| PermitBody { inner, permit: None })))
            }
            Projected::Limited { inner } => inner.as_mut().poll(cx),
        }
    }
}

pin_project! {
    /// A body that gives its permit back when it ends.
    #[derive(Debug)]
    pub struct PermitBody<B> {
        #[pin]
        inner: B,
        permit: Option<OwnedSemaphorePermit>,
    }
}

impl<B: Body<Data = Bytes>> Body for PermitBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        // Whoever counts bytes stops after the last one and never sees the end.
        if !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream() {
            *this.permit = None;
        }
        Poll::Ready(frame)
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
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    use futures_util::future::join_all;
    use http_body_util::{BodyExt, Full};
    use longshore_core_types::Payload;
    use tower::service_fn;

    use super::*;

    fn request() -> HttpRequest {
        http::Request::new(Payload::empty())
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit() {
        let now = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let inner = service_fn({
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            move |_| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                async move {
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    now.fetch_sub(1, SeqCst);
                    Ok(Response::new(Full::new(Bytes::from("x"))))
                }
            }
        });
        let service = InFlightLayer::new(Some(3)).layer(inner);
        let call = |_| async { drop(service.clone().oneshot(request()).await.unwrap()) };
        join_all((0..10).map(call)).await;
        assert_eq!(most.load(SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_permit_lives_until_the_body_ends() {
        let inner = service_fn(|_: HttpRequest| async {
            Ok::<_, TransportError>(Response::new(Full::new(Bytes::from("x"))))
        });
        let service = InFlightLayer::new(Some(1)).layer(inner);
        let first = service.clone().oneshot(request()).await.unwrap();
        let blocked = tokio::time::timeout(Duration::from_secs(9), service.clone().oneshot(request())).await;
        assert!(blocked.is_err());
        drop(first);
        let second = service.clone().oneshot(request()).await.unwrap();
        // Read to its last byte, though not to the end of the stream.
        let mut body = second.into_body();
        assert!(body.frame().await.is_some());
        let third = tokio::time::timeout(Duration::from_secs(9), service.clone().oneshot(request())).await;
        assert!(third.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ready_service_holds_no_permit() {
        let inner = service_fn(|_: HttpRequest| async {
            Ok::<_, TransportError>(Response::new(Full::new(Bytes::new())))
        });
        let service = InFlightLayer::new(Some(1)).layer(inner);
        let mut ready = service.clone();
        ready.ready().await.unwrap();
        let other = tokio::time::timeout(Duration::from_secs(9), service.oneshot(request())).await;
        assert!(other.is_ok());
    }
}

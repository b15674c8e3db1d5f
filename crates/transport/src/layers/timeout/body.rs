//! A body that must not stand still.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use longshore_core_types::BoxError;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use crate::{TransportError, TransportErrorKind, endpoint::Endpoint};

pin_project! {
    /// A body that ends with a time-out error when no byte arrives for too long while it is being read.
    ///
    /// Time that passes while nobody reads does not count.
    #[derive(Debug)]
    pub struct IdleBody<B> {
        #[pin]
        inner: B,
        limit: Option<Duration>,
        endpoint: Option<Endpoint>,
        // Since when the reader has been waiting.
        waiting: Option<Instant>,
        // Made when the reader waits for the first time; most short bodies never do.
        sleep: Option<Pin<Box<Sleep>>>,
        received: u64,
    }
}

impl<B> IdleBody<B> {
    pub(super) fn new(inner: B, limit: Option<Duration>, endpoint: Option<Endpoint>) -> Self {
        Self { inner, limit, endpoint, waiting: None, sleep: None, received: 0 }
    }
}

impl<B> Body for IdleBody<B>
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
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.waiting = None;
            if let Some(Ok(frame)) = &frame {
                *this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|e| TransportError::from_boxed(e.into()))));
        }
        let Some(limit) = *this.limit else { return Poll::Pending };
        let end = this.waiting.get_or_insert_with(Instant::now).checked_add(limit);
        let Some(end) = end else { return Poll::Pending };
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        // Left over from an earlier wait it rings too early; then it is set to the right time, once.
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= end {
                return Poll::Ready(Some(Err(stalled(limit, *this.received, this.endpoint.as_ref()))));
            }
            sleep.as_mut().reset(end);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn stalled(limit: Duration, received: u64, endpoint: Option<&Endpoint>) -> TransportError {
    let message = format!("the answer's body stalled: no byte for {limit:?} after {received} bytes");
    let error = TransportError::new(TransportErrorKind::Timeout, message);
    match endpoint {
        Some(endpoint) => error.with_endpoint(endpoint.to_string()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn slow(frames: u32, gap: Duration) -> impl Body<Data = Bytes, Error = BoxError> {
        let frames = stream::iter(0..frames).then(move |_| async move {
            tokio::time::sleep(gap).await;
            Ok(Frame::data(Bytes::from_static(b"abcd")))
        });
        StreamBody::new(Box::pin(frames))
    }

    #[tokio::test(start_paused = true)]
    async fn ten_hours_of_slow_flow_are_fine() {
        let start = Instant::now();
        let body = IdleBody::new(slow(1241, Duration::from_secs(29)), Some(Duration::from_secs(30)), None);
        let all = body.collect().await.unwrap().to_bytes();
        assert_eq!(all.len(), 4 * 1241);
        assert!(start.elapsed() > Duration::from_secs(35_900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_named() {
        let gone = stream::once(async { Ok::<_, BoxError>(Frame::data(Bytes::from("abc"))) });
        let body = StreamBody::new(Box::pin(gone.chain(stream::pending())));
        let endpoint = Endpoint::of(&http::Uri::from_static("http://h:1/secret?x"));
        let mut body = IdleBody::new(body, Some(Duration::from_secs(30)), endpoint);
        assert!(body.frame().await.unwrap().is_ok());
        // Nobody reads for a while: that is not the server's standstill.
        tokio::time::advance(Duration::from_secs(100)).await;
        let start = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(30));
        assert_eq!(error.to_string(), "http://h:1: the answer's body stalled: no byte for 30s after 3 bytes");
    }
}

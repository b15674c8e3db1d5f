//! Bodies of answers: boxing them, reading them whole or as a stream.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, combinators::BoxBody};
use longshore_core_types::{BoxError, CallInfo, Error};

use crate::{ResponseBody, TransportError, TransportErrorKind};

/// A body of no bytes.
pub fn empty() -> ResponseBody {
    full(Bytes::new())
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    BoxBody::new(http_body_util::Full::new(bytes.into()).map_err(|never| match never {}))
}

/// Any body as a [`ResponseBody`]. One that is one already is passed on, not boxed again, and an error
/// that is a [`TransportError`] stays one.
pub fn boxed<B>(body: B) -> ResponseBody
where
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    let mut body = Some(body);
    if let Some(ours) = (&mut body as &mut dyn Any).downcast_mut::<Option<ResponseBody>>() {
        // The slot was filled two lines above.
        return ours.take().unwrap_or_default();
    }
    match body {
        Some(body) => BoxBody::new(body.map_err(|error| TransportError::from_boxed(error.into()))),
        None => empty(),
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// A longer one is an error of kind [`TransportErrorKind::Protocol`], and what was read is dropped.
pub async fn collect<B>(body: B, limit: usize) -> Result<Bytes, TransportError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = std::pin::pin!(body);
    let stated = body.size_hint().lower();
    if stated > limit as u64 {
        return Err(too_long(limit));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| TransportError::from_boxed(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_long(limit));
        }
        // Most bodies that are collected come in one frame, which then needs no copy.
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut all = BytesMut::with_capacity(first.len() + rest.len());
    all.extend_from_slice(&first);
    all.extend_from_slice(&rest);
    Ok(all.freeze())
}

fn too_long(limit: usize) -> TransportError {
    TransportError::new(TransportErrorKind::Protocol, format!("the answer is longer than {limit} bytes"))
}

/// Reads at most `limit` bytes of a body and ignores what follows and every error: for the text of an
/// error answer, where half of it is better than none. What has not come after two seconds is not waited for.
pub async fn excerpt(mut body: ResponseBody, limit: usize) -> Bytes {
    const PATIENCE: Duration = Duration::from_secs(2);

    let mut all = BytesMut::new();
    let read = async {
        while all.len() < limit {
            let Some(Ok(frame)) = body.frame().await else { break };
            if let Ok(data) = frame.into_data() {
                let room = limit - all.len();
                all.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
    };
    // A server that says an error and then nothing more must not hold up who would try again.
    let _ = tokio::time::timeout(PATIENCE, read).await;
    all.freeze()
}

/// Reads and drops what is left of a short body, so that its connection can be used again. A body that is
/// long or slow is dropped as it is, which closes its connection: cheaper than to wait for it.
pub(crate) async fn discard<B: Body<Data = Bytes>>(body: B) {
    const MOST: usize = 64 * 1024;
    const PATIENCE: Duration = Duration::from_millis(100);

    if body.is_end_stream() || body.size_hint().lower() > MOST as u64 {
        return;
    }
    let read = async {
        let mut body = std::pin::pin!(body);
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > MOST {
                break;
            }
        }
    };
    // Either way the body is gone.
    let _ = tokio::time::timeout(PATIENCE, read).await;
}

/// The body as a stream of chunks, with errors of the layer above that name `call`.
pub fn stream(body: ResponseBody, call: CallInfo) -> BodyStream {
    BodyStream { body: Some(body), call }
}

/// Chunks of a body as they come; ends after the first error. Made by [`stream`].
#[derive(Debug)]
pub struct BodyStream {
    body: Option<ResponseBody>,
    call: CallInfo,
}

impl Stream for BodyStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(body) = &mut self.body {
            match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.is_empty() => {}
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Ok(Err(_trailers))) => {}
                Some(Err(error)) => {
                    self.body = None;
                    return Poll::Ready(Some(Err(error.into_error(&self.call))));
                }
                None => self.body = None,
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use longshore_core_types::{ErrorKind, Idempotency};

    use super::*;

    fn frames(parts: Vec<io::Result<&'static str>>) -> ResponseBody {
        let frames = parts.into_iter().map(|part| part.map(|text| Frame::data(Bytes::from(text))));
        boxed(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())))
    }

    #[tokio::test]
    async fn collects_up_to_the_limit() {
        assert_eq!(collect(frames(vec![Ok("ab"), Ok("cd")]), 4).await.unwrap(), "abcd");
        let error = collect(frames(vec![Ok("ab"), Ok("cd")]), 3).await.unwrap_err();
        assert_eq!(error.to_string(), "the answer is longer than 3 bytes");
        assert!(collect(full("abcd"), 3).await.is_err());
    }

    #[tokio::test]
    async fn an_excerpt_survives_a_broken_body() {
        let body = frames(vec![Ok("ab"), Ok("cd"), Err(io::Error::other("gone"))]);
        assert_eq!(excerpt(body, 3).await, "abc");
        assert_eq!(excerpt(frames(vec![Ok("ab"), Err(io::Error::other("gone"))]), 9).await, "ab");
    }

    #[tokio::test(start_paused = true)]
    async fn an_excerpt_waits_for_nothing_that_does_not_come() {
        let some = stream::iter([Ok::<_, io::Error>(Frame::data(Bytes::from("ab")))]);
        let body = boxed(StreamBody::new(some.chain(stream::pending())));
        let asked = tokio::time::Instant::now();
        assert_eq!(excerpt(body, 9).await, "ab");
        assert_eq!(asked.elapsed().as_secs(), 2);
    }

    #[tokio::test]
    async fn boxing_twice_keeps_a_transport_error_on_top() {
        let cause = TransportError::new(TransportErrorKind::Timeout, "stalled");
        let inner = StreamBody::new(stream::iter([Err::<Frame<Bytes>, BoxError>(cause.into())]));
        let mut body = boxed(boxed(inner));
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        assert!(std::error::Error::source(&error).is_none());
    }

    #[tokio::test]
    async fn the_stream_ends_after_an_error_that_names_the_call() {
        let call = CallInfo::new("aistore.object.get", Idempotency::Idempotent);
        let body = frames(vec![Ok("ab"), Err(io::Error::other("gone")), Ok("cd")]);
        let mut chunks = super::stream(body, call);
        assert_eq!(chunks.next().await.unwrap().unwrap(), "ab");
        let error = chunks.next().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Other, "aistore.object.get"));
        assert!(chunks.next().await.is_none());
    }
}

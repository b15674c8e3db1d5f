//! The body of an answer on its way in.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Lease;
use crate::{Progress, TransportError, TransportErrorKind};

/// Reads from the connection it holds, and gives it back to the pool after the last byte. Dropped before
/// that, it closes the connection.
pub struct ClientBody {
    incoming: Incoming,
    lease: Option<Lease>,
    progress: Progress,
    received: u64,
}

impl ClientBody {
    pub(super) fn new(incoming: Incoming, lease: Lease, progress: Progress) -> Self {
        let mut body = Self { incoming, lease: Some(lease), progress, received: 0 };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    fn end(&mut self) {
        // A server may answer before it has the whole request; the rest of it then has no reader.
        if let Some(lease) = self.lease.take()
            && self.progress.is_body_pulled()
        {
            lease.give_back();
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Asking first tells the connection that there is room for a frame; then it may bring one.
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(conn) = self.lease.as_mut().and_then(Lease::conn) {
            conn.drive(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn broken(&mut self, cause: Option<hyper::Error>) -> TransportError {
        // Closes the connection.
        let endpoint = self.lease.take().map(|lease| lease.endpoint().to_string());
        let message = match self.incoming.size_hint().exact() {
            Some(left) if left > 0 => format!(
                "the connection broke after {} of {} bytes of the answer's body",
                self.received,
                self.received + left
            ),
            _ => format!("the connection broke after {} bytes of the answer's body", self.received),
        };
        let error = TransportError::new(TransportErrorKind::Body, message);
        let error = match endpoint {
            Some(endpoint) => error.with_endpoint(endpoint),
            None => error,
        };
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.broken(Some(error))))),
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                #[cfg(feature = "http2")]
                if self.lease.as_ref().is_some_and(Lease::is_shared) {
                    return Poll::Pending;
                }
                let conn = self.lease.as_mut().and_then(Lease::conn);
                if conn.as_ref().is_some_and(|conn| !conn.has_ended()) {
                    return Poll::Pending;
                }
                let cause = conn.and_then(super::conn::Conn::fault);
                Poll::Ready(Some(Err(self.broken(cause))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody").field("received", &self.received).finish_non_exhaustive()
    }
}

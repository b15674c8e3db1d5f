//! What a scripted server answers.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use longshore_core_types::BoxError;

use crate::{HttpResponse, TransportError, TransportErrorKind, body};

/// One answer, or failure, of a [`ScriptedService`](super::ScriptedService).
///
/// ```
/// # use std::time::Duration;
/// # use longshore_transport::testing::Reply;
/// let busy = Reply::status(503).header("retry-after", "1").body("later").after(Duration::from_secs(2));
/// let gone = Reply::close();
/// ```
#[derive(Debug)]
#[must_use]
pub struct Reply {
    pub(super) outcome: Outcome,
    pub(super) delay: Duration,
    pub(super) reads_body: bool,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Box<HttpResponse>),
    Error(TransportError),
    Silence,
}

impl Reply {
    fn new(outcome: Outcome) -> Self {
        Self { outcome, delay: Duration::ZERO, reads_body: true }
    }

    /// An answer with this status and an empty body.
    ///
    /// # Panics
    ///
    /// If it is no HTTP status.
    #[expect(clippy::expect_used, reason = "a wrong status is a fault of the test that wrote it")]
    pub fn status(status: u16) -> Self {
        let mut answer = HttpResponse::new(body::empty());
        *answer.status_mut() = StatusCode::from_u16(status).expect("an HTTP status");
        Self::new(Outcome::Answer(Box::new(answer)))
    }

    /// 200 with these bytes.
    pub fn ok(bytes: impl Into<Bytes>) -> Self {
        Self::status(200).body(bytes)
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// A failure.
    pub fn error(error: TransportError) -> Self {
        Self::new(Outcome::Error(error))
    }

    /// Nobody listens.
    pub fn refused() -> Self {
        Self::error(TransportError::new(TransportErrorKind::Connect, "connection refused")).unread()
    }

    /// The connection ends before the status line.
    pub fn close() -> Self {
        Self::error(TransportError::new(TransportErrorKind::Closed, "closed without an answer"))
    }

    /// No answer, ever.
    pub fn silence() -> Self {
        Self::new(Outcome::Silence)
    }

    /// Adds a header to an answer.
    ///
    /// # Panics
    ///
    /// If name or value cannot stand in a header.
    #[expect(clippy::expect_used, reason = "a wrong header is a fault of the test that wrote it")]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Outcome::Answer(answer) = &mut self.outcome {
            let name = HeaderName::try_from(name).expect("a header name");
            answer.headers_mut().append(name, HeaderValue::try_from(value).expect("a header value"));
        }
        self
    }

    /// Sets the body of an answer.
    pub fn body(self, bytes: impl Into<Bytes>) -> Self {
        self.with(body::full(bytes))
    }

    /// Sets the body of an answer to these chunks, after which the connection breaks.
    pub fn broken_body(self, chunks: impl IntoIterator<Item = &'static str>) -> Self {
        let broken = TransportError::new(TransportErrorKind::Body, "the connection broke");
        let end = stream::once(async { Err(BoxError::from(broken)) });
        self.with_stream(chunks, end.boxed())
    }

    /// Sets the body of an answer to these chunks, after which nothing more comes.
    pub fn stalled_body(self, chunks: impl IntoIterator<Item = &'static str>) -> Self {
        self.with_stream(chunks, stream::pending().boxed())
    }

    /// Sets the body of an answer to a stream.
    pub fn stream(
        self,
        chunks: impl futures_core::Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Self {
        let frames = chunks.map(|chunk| chunk.map(Frame::data).map_err(BoxError::from));
        self.with(body::boxed(StreamBody::new(sync_wrapper::SyncStream::new(frames.boxed()))))
    }

    /// Waits first.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Answers without reading the request's body.
    pub fn unread(mut self) -> Self {
        self.reads_body = false;
        self
    }

    fn with_stream(
        self,
        chunks: impl IntoIterator<Item = &'static str>,
        end: BoxStream<'static, Result<Frame<Bytes>, BoxError>>,
    ) -> Self {
        let chunks: Vec<_> = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from(chunk)))).collect();
        let frames = stream::iter(chunks).chain(end).boxed();
        self.with(body::boxed(StreamBody::new(sync_wrapper::SyncStream::new(frames))))
    }

    fn with(mut self, body: crate::ResponseBody) -> Self {
        if let Outcome::Answer(answer) = &mut self.outcome {
            *answer.body_mut() = body;
        }
        self
    }
}

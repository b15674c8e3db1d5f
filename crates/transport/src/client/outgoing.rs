//! The body of a request on its way out.

#[cfg(feature = "http2")]
use std::sync::{Mutex, PoisonError};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use longshore_core_types::{BoxError, Payload};
use tokio::time::Sleep;

use crate::{Phase, Progress};

/// A payload that reports its progress and may have to wait for the server's consent.
pub(super) struct Outgoing {
    payload: Payload,
    progress: Progress,
    gate: Option<(Gate, Silence)>,
    /// What is left of a chunk that goes out in pieces.
    #[cfg(feature = "http2")]
    pieces: Option<Bytes>,
    /// Why the body broke, for whoever sent the request.
    #[cfg(feature = "http2")]
    fault: Option<Fault>,
}

/// Why a body could not be read. HTTP/2 only says that the request was given up.
#[cfg(feature = "http2")]
#[derive(Clone, Debug, Default)]
pub(super) struct Fault(Arc<Mutex<Option<BoxError>>>);

#[cfg(feature = "http2")]
impl Fault {
    pub(super) fn take(&self) -> Option<BoxError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the reason and answers one that stands for it.
    fn keep(&self, error: BoxError) -> BoxError {
        let text = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        text.into()
    }
}

/// HTTP/2 takes a chunk into its buffer whole, however long the server needs for it. In pieces it asks for
/// the next one when there is room, and a standstill is seen.
#[cfg(feature = "http2")]
const PIECE: usize = 64 * 1024;

/// How long to wait for the server's word; the clock starts when the head is written.
enum Silence {
    Ahead(Duration),
    Running(Pin<Box<Sleep>>),
}

/// Whether a body that was announced with `Expect: 100-continue` may go.
///
/// It needs no waker: whoever opens it is polled by the task that polls the body.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<AtomicU8>);

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const REFUSED: u8 = 2;

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(CLOSED)))
    }

    /// The server said 100, or nothing for too long.
    pub(super) fn open(&self) {
        let _ = self.0.compare_exchange(CLOSED, OPEN, Relaxed, Relaxed);
    }

    /// The server gave its final answer: from now on the body stays where it is.
    pub(super) fn refuse(&self) {
        let _ = self.0.compare_exchange(CLOSED, REFUSED, Relaxed, Relaxed);
    }
}

impl Outgoing {
    pub(super) fn new(payload: Payload, progress: Progress, gate: Option<(Gate, Duration)>) -> Self {
        let gate = gate.map(|(gate, silence)| (gate, Silence::Ahead(silence)));
        Self {
            payload,
            progress,
            gate,
            #[cfg(feature = "http2")]
            pieces: None,
            #[cfg(feature = "http2")]
            fault: None,
        }
    }

    /// For HTTP/2: the body goes without the server's consent, in pieces. Tells why it broke, should it break.
    #[cfg(feature = "http2")]
    pub(super) fn open_gate(&mut self) -> Fault {
        self.gate = None;
        self.pieces.get_or_insert_default();
        self.fault.get_or_insert_default().clone()
    }

    #[cfg(not(feature = "http2"))]
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.payload).poll_frame(cx)
    }

    #[cfg(feature = "http2")]
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(rest) = self.pieces.as_mut().filter(|rest| !rest.is_empty()) {
            let piece = rest.split_to(rest.len().min(PIECE));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let mut polled = Pin::new(&mut self.payload).poll_frame(cx);
        if let Some(fault) = &self.fault {
            polled = polled.map_err(|error| fault.keep(error));
        }
        let Some(rest) = &mut self.pieces else { return polled };
        polled.map_ok(|frame| match frame.into_data() {
            Ok(mut chunk) => {
                let piece = chunk.split_to(chunk.len().min(PIECE));
                *rest = chunk;
                Frame::data(piece)
            }
            Err(trailers) => trailers,
        })
    }

    /// Whether every byte was given away.
    fn is_drained(&self) -> bool {
        #[cfg(feature = "http2")]
        if self.pieces.as_ref().is_some_and(|rest| !rest.is_empty()) {
            return false;
        }
        self.payload.is_empty()
    }

    /// Whether the body may be read; waits for the end of the silence meanwhile.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((gate, silence)) = &mut self.gate else { return Poll::Ready(()) };
        if gate.0.load(Relaxed) == CLOSED {
            if let Silence::Ahead(limit) = silence {
                *silence = Silence::Running(Box::pin(tokio::time::sleep(*limit)));
            }
            if let Silence::Running(sleep) = silence
                && sleep.as_mut().poll(cx).is_ready()
            {
                gate.open();
            }
        }
        if gate.0.load(Relaxed) != OPEN {
            return Poll::Pending;
        }
        self.gate = None;
        Poll::Ready(())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.poll_gate(cx).is_pending() {
            return Poll::Pending;
        }
        let polled = self.poll_chunk(cx);
        match &polled {
            // The next wait is for the socket to take it.
            Poll::Ready(Some(Ok(_))) => {
                self.progress.enter(Phase::Body);
                if self.is_drained() {
                    self.progress.body_pulled();
                    self.progress.enter(Phase::Head);
                }
            }
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(None) => {
                self.progress.body_pulled();
                self.progress.enter(Phase::Head);
            }
            Poll::Pending => self.progress.enter(Phase::Local),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        #[cfg(feature = "http2")]
        if self.pieces.as_ref().is_some_and(|rest| !rest.is_empty()) {
            return false;
        }
        self.payload.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.payload.size_hint();
        #[cfg(feature = "http2")]
        if let (Some(rest), Some(left)) = (&self.pieces, hint.exact()) {
            return SizeHint::with_exact(left + rest.len() as u64);
        }
        hint
    }
}

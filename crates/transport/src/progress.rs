//! How far one attempt has come: for time-outs, and for errors that say what was sent.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::Sent;

/// Travels in the extensions of each attempt; the HTTP client reports to it, the time-out layer reads it.
///
/// A service that replaces the HTTP client may report too, and should if it sends large bodies: without
/// reports the time limit of the answer's head runs from the start.
#[derive(Clone, Debug)]
pub struct Progress(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    /// Nanoseconds from `start` to the last step.
    last: AtomicU64,
    phase: AtomicU8,
    reported: AtomicBool,
    body_pulled: AtomicBool,
    /// The connection is shared, so its bytes say nothing of this request.
    #[cfg(feature = "http2")]
    shared: AtomicBool,
    probe: Mutex<Option<Probe>>,
}

/// Counts bytes on a connection, from where this attempt began.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) written: Arc<AtomicU64>,
    pub(crate) start: u64,
    pub(crate) body_len: Option<u64>,
    /// What `written` was when somebody last looked.
    pub(crate) seen: u64,
}

/// What an attempt is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The answer's head; the limit is [`TimeoutConfig::head`](crate::TimeoutConfig::head).
    Head,
    /// The server, to take more of the body; the limit is [`TimeoutConfig::idle`](crate::TimeoutConfig::idle).
    Body,
    /// Something on this side: a free connection, connecting (which has its own limit), or the source of
    /// the body. No limit.
    Local,
}

impl Progress {
    /// An attempt that starts now and waits for the answer's head.
    pub fn new() -> Self {
        Self(Arc::new(State {
            start: Instant::now(),
            last: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Head as u8),
            reported: AtomicBool::new(false),
            body_pulled: AtomicBool::new(false),
            #[cfg(feature = "http2")]
            shared: AtomicBool::new(false),
            probe: Mutex::new(None),
        }))
    }

    /// A step was made, and what comes next is a wait of this sort. The clock starts again.
    pub fn enter(&self, phase: Phase) {
        self.step(Instant::now());
        self.0.phase.store(phase as u8, Relaxed);
        self.0.reported.store(true, Relaxed);
    }

    fn step(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.0.start);
        let nanos = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        self.0.last.store(nanos, Relaxed);
    }

    /// What the attempt is waiting for at this moment, and since when. Bytes that went to the socket count
    /// as a step.
    pub(crate) fn waiting(&self, now: Instant) -> (Phase, Instant) {
        let state = &*self.0;
        if let Some(probe) = &mut *state.probe.lock().unwrap_or_else(PoisonError::into_inner) {
            let written = probe.written.load(Relaxed);
            if written != probe.seen {
                probe.seen = written;
                self.step(now);
            }
        }
        let phase = match state.phase.load(Relaxed) {
            0 => Phase::Head,
            1 => Phase::Body,
            _ => Phase::Local,
        };
        (phase, state.start + Duration::from_nanos(state.last.load(Relaxed)))
    }

    /// The last byte of the body was taken from its source.
    pub(crate) fn body_pulled(&self) {
        self.0.body_pulled.store(true, Relaxed);
    }

    /// Whether the whole body, if there is any, was taken from its source.
    pub(crate) fn is_body_pulled(&self) -> bool {
        self.0.body_pulled.load(Relaxed)
    }

    /// The request goes out on a connection with this counter.
    pub(crate) fn attach(&self, probe: Probe) {
        self.0.body_pulled.store(probe.body_len == Some(0), Relaxed);
        #[cfg(feature = "http2")]
        self.0.shared.store(false, Relaxed);
        *self.0.probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
        self.0.reported.store(true, Relaxed);
    }

    /// The request goes out on a connection that others use too: what reached the socket is not known,
    /// only what was taken from the body's source.
    #[cfg(feature = "http2")]
    pub(crate) fn share(&self, body_len: Option<u64>) {
        self.0.body_pulled.store(body_len == Some(0), Relaxed);
        self.0.shared.store(true, Relaxed);
        self.0.reported.store(true, Relaxed);
    }

    /// What went to the socket so far.
    ///
    /// The counter cannot tell head from body, so a few hundred bytes at the end of a body may be taken
    /// for sent that are not; the other way round it never errs.
    pub(crate) fn sent(&self) -> Sent {
        let state = &*self.0;
        if !state.reported.load(Relaxed) {
            return Sent::UNKNOWN;
        }
        #[cfg(feature = "http2")]
        if state.shared.load(Relaxed) {
            let body_complete = state.body_pulled.load(Relaxed);
            return Sent { anything: true, body_bytes: 0, body_complete };
        }
        let probe = state.probe.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(probe) = probe else { return Sent::NOTHING };
        let written = probe.written.load(Relaxed).saturating_sub(probe.start);
        let pulled = state.body_pulled.load(Relaxed);
        Sent {
            anything: written > 0,
            body_bytes: probe.body_len.map_or(written, |len| len.min(written)),
            body_complete: match probe.body_len {
                Some(0) => written > 0,
                Some(len) => pulled && written >= len,
                None => pulled,
            },
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn remembers_the_last_step() {
        let progress = Progress::new();
        tokio::time::advance(Duration::from_secs(2)).await;
        progress.enter(Phase::Body);
        tokio::time::advance(Duration::from_secs(1)).await;
        let (phase, since) = progress.waiting(Instant::now());
        assert_eq!((phase, since.elapsed()), (Phase::Body, Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_body_is_complete_only_if_as_many_bytes_went_out() {
        let progress = Progress::new();
        assert_eq!(progress.sent(), Sent::UNKNOWN);
        progress.enter(Phase::Local);
        assert_eq!(progress.sent(), Sent::NOTHING);
        let written = Arc::new(AtomicU64::new(1000));
        progress.attach(Probe {
            written: Arc::clone(&written),
            start: 1000,
            body_len: Some(500),
            seen: 1000,
        });
        assert!(!progress.sent().anything);
        written.store(1499, Relaxed);
        progress.body_pulled();
        assert_eq!(progress.sent(), Sent { anything: true, body_bytes: 499, body_complete: false });
        written.store(1700, Relaxed);
        assert_eq!(progress.sent(), Sent { anything: true, body_bytes: 500, body_complete: true });
    }
}

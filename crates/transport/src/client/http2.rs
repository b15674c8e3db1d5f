//! One HTTP/2 connection, shared by all requests to a server.
//!
//! Unlike a connection of HTTP/1.1 it is driven by a task, as no request may stand still because another
//! one is not polled. The tasks belong to the connection and end with it.

use std::{
    error::Error as StdError,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::{EXPECT, HOST},
    uri::{Authority, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use longshore_core_types::BoxError;
use tokio::{sync::MutexGuard, task::JoinSet, time::Instant};

use super::{
    origin_form,
    outgoing::{Fault, Outgoing},
    stream::{Kind, Stream},
};
use crate::{Sent, TransportError, TransportErrorKind};

type Tasks = Mutex<JoinSet<()>>;

pub(super) struct Multiplexed {
    sender: SendRequest<Outgoing>,
    /// Bytes that came from the server.
    read: Arc<AtomicU64>,
    // Dropping it closes the connection.
    _tasks: Arc<Tasks>,
}

/// An exchange that failed before the head of the answer.
pub(super) struct Failed {
    error: hyper::Error,
    /// Present if not one byte of the request was written.
    pub(super) unsent: Option<Box<Request<Outgoing>>>,
    /// Nothing came from the server since the request was handed over.
    pub(super) silent: bool,
}

impl Multiplexed {
    pub(super) async fn new(kind: Kind) -> Result<Self, hyper::Error> {
        let tasks = Arc::new(Tasks::default());
        let (stream, counters) = Stream::new(kind);
        let spawner = Spawner(Arc::downgrade(&tasks));
        let (sender, driver) = Builder::new(spawner.clone()).handshake(TokioIo::new(stream)).await?;
        spawner.execute(async move {
            // Each request learns by itself how the connection ended.
            let _ = driver.await;
        });
        Ok(Self { sender, read: Arc::clone(&counters.read), _tasks: tasks })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request, and waits for the head of its answer.
    pub(super) fn exchange(
        &self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, Failed>> + use<> {
        let read = Arc::clone(&self.read);
        let before = read.load(Relaxed);
        let answer = self.sender.clone().try_send_request(request);
        async move {
            answer.await.map_err(|mut failed| Failed {
                unsent: failed.take_message().map(Box::new),
                error: failed.into_error(),
                silent: read.load(Relaxed) == before,
            })
        }
    }
}

/// Starts tasks that live no longer than their connection.
#[derive(Clone)]
struct Spawner(Weak<Tasks>);

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            future.await;
        });
    }
}

/// What is known of a server's HTTP/2.
#[derive(Default)]
pub(super) struct Slot {
    current: Mutex<Option<(Arc<Multiplexed>, Instant)>>,
    /// Held while a connection is made, so that requests at one time do not make one each.
    opening: tokio::sync::Mutex<()>,
    /// How often that came to nothing.
    failures: AtomicU64,
    /// The server prefers HTTP/1.1, where connections are made side by side.
    declined: AtomicBool,
}

impl Slot {
    /// Waits for whoever makes a connection. `None` if it is of no use to wait: with a server that cannot
    /// be reached, each that waited would need as long again as the one before.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let failures = self.failures.load(Relaxed);
        if self.declined.load(Relaxed) {
            return None;
        }
        let turn = self.opening.lock().await;
        (self.failures.load(Relaxed) == failures).then_some(turn)
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn decline(&self) {
        self.declined.store(true, Relaxed);
    }

    /// The connection, unless it has ended or has been unused for too long.
    pub(super) fn get(&self, idle_limit: Duration) -> Option<Arc<Multiplexed>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (shared, used) = current.as_mut()?;
        let unused = Arc::strong_count(shared) == 1 && used.elapsed() >= idle_limit;
        if shared.is_closed() || unused {
            *current = None;
            return None;
        }
        *used = Instant::now();
        Some(Arc::clone(shared))
    }

    pub(super) fn set(&self, shared: &Arc<Multiplexed>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((Arc::clone(shared), Instant::now()));
        self.declined.store(false, Relaxed);
    }

    /// An exchange is over.
    pub(super) fn touch(&self) {
        if let Some((_, used)) = &mut *self.current.lock().unwrap_or_else(PoisonError::into_inner) {
            *used = Instant::now();
        }
    }

    /// Closes the connection if it has been unused for too long.
    pub(super) fn sweep(&self, idle_limit: Duration) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|(shared, used)| {
            shared.is_closed() || Arc::strong_count(shared) == 1 && used.elapsed() >= idle_limit
        });
    }
}

/// Turns a request as HTTP/1.1 has it into one of HTTP/2: the server's name stands in the URL. Answers where its body
/// will say why it broke.
pub(super) fn upgrade(request: &mut Request<Outgoing>) -> Fault {
    // No server says 100 by HTTP/2 that is known; a refused stream costs little.
    request.headers_mut().remove(EXPECT);
    let fault = request.body_mut().open_gate();
    let host = request.headers_mut().remove(HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTPS);
    parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    fault
}

/// The way back, for a request that was not sent.
pub(super) fn downgrade(request: &mut Request<Outgoing>) {
    let uri = std::mem::take(request.uri_mut());
    if let Some(host) = uri.authority().and_then(|name| HeaderValue::try_from(name.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = origin_form(uri);
    *request.version_mut() = Version::HTTP_11;
}

/// What a failure means.
pub(super) fn describe(failed: Failed, fault: &Fault, sent: Sent) -> TransportError {
    let Failed { error, unsent, .. } = failed;
    if let Some(reason) = fault.take() {
        return unreadable(sent, reason);
    }
    let cause = find(&error);
    let remote = cause.is_some_and(h2::Error::is_remote);
    // The server says of these that it has not looked at them.
    let refused = remote
        && cause
            .is_some_and(|cause| cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM));
    let (kind, message) = if error.is_user() {
        return unreadable(sent, error.into());
    } else if refused {
        (TransportErrorKind::Closed, "the server refused the request before it looked at it")
    } else if cause.is_some_and(|cause| cause.is_reset() && cause.is_remote()) {
        (TransportErrorKind::Closed, "the server gave the request up")
    } else if cause.is_some_and(h2::Error::is_reset) {
        return unreadable(sent, error.into());
    } else if cause.is_some_and(h2::Error::is_library) {
        (TransportErrorKind::Protocol, "the answer is not HTTP/2")
    } else {
        (TransportErrorKind::Closed, "the connection was closed without an answer")
    };
    let sent = if refused || unsent.is_some() { Sent::NOTHING } else { sent };
    TransportError::new(kind, message).with_sent(sent).with_source(error)
}

fn unreadable(sent: Sent, reason: BoxError) -> TransportError {
    TransportError::new(TransportErrorKind::RequestBody, "the request's body could not be read")
        .with_sent(sent)
        .with_source(reason)
}

fn find(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

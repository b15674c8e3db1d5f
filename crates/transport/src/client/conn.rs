//! One HTTP/1.1 connection.
//!
//! No task drives it: whoever waits for the answer or reads its body polls the connection too. That saves
//! a wake-up of another task per step, a dropped answer closes its connection at once, and a transport
//! needs no runtime to exist.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;
use tokio::task::unconstrained;

use super::{
    outgoing::Outgoing,
    stream::{Counters, Kind, Stream},
};

type Driver = Connection<TokioIo<Stream>, Outgoing>;

pub(super) struct Conn {
    sender: SendRequest<Outgoing>,
    driver: SyncWrapper<Pin<Box<Driver>>>,
    /// How the connection ended, once it has.
    ended: Option<Result<(), hyper::Error>>,
    pub(super) counters: Counters,
}

/// An exchange that failed before the head of the answer.
pub(super) struct Failed {
    pub(super) error: hyper::Error,
    /// The error that ended the connection, if one did.
    pub(super) fault: Option<hyper::Error>,
    /// Not one byte of an answer had come.
    pub(super) silent: bool,
    /// Present if not one byte of the request was written.
    pub(super) unsent: Option<Request<Outgoing>>,
}

impl Conn {
    pub(super) async fn new(kind: Kind) -> Result<Self, hyper::Error> {
        let (stream, counters) = Stream::new(kind);
        let (sender, driver) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        let driver = SyncWrapper::new(Box::pin(driver));
        Ok(Self { sender, driver, ended: None, counters })
    }

    /// Lets the connection read and write.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(end) = self.driver.get_mut().as_mut().poll(cx)
        {
            self.ended = Some(end);
        }
    }

    /// Whether it can take a request now.
    pub(super) fn is_usable(&mut self) -> bool {
        // A task that has done much reads as if its sockets had nothing to say; here that would cost a good
        // connection.
        let look = pin!(unconstrained(poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.ended.is_none() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        })));
        matches!(look.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(true))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The error that ended it, if one did.
    pub(super) fn fault(&mut self) -> Option<hyper::Error> {
        self.ended.take()?.err()
    }

    /// Sends a request, and waits for the head of its answer when polled.
    ///
    /// Not an `async fn`: the request is handed over before the future exists, which keeps it small.
    pub(super) fn exchange(
        &mut self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, Box<Failed>>> + use<'_> {
        let answer = self.sender.try_send_request(request);
        let read = &*self.counters.read;
        let before = read.load(Relaxed);
        Wait { answer, driver: &mut self.driver, ended: &mut self.ended, read, before }
    }
}

pin_project! {
    /// An `async` block would hold the answer's future twice, and it is as large as a request.
    struct Wait<'a, F> {
        #[pin]
        answer: F,
        driver: &'a mut SyncWrapper<Pin<Box<Driver>>>,
        ended: &'a mut Option<Result<(), hyper::Error>>,
        read: &'a AtomicU64,
        before: u64,
    }
}

impl<F> Future for Wait<'_, F>
where
    F: Future<Output = Result<Response<Incoming>, TrySendError<Request<Outgoing>>>>,
{
    type Output = Result<Response<Incoming>, Box<Failed>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.ended.is_none()
            && let Poll::Ready(end) = this.driver.get_mut().as_mut().poll(cx)
        {
            **this.ended = Some(end);
        }
        // When a connection ends it resolves the answer, one way or the other.
        this.answer.poll(cx).map_err(|mut failed| {
            // It is as large as a request, so it is boxed before it goes any further.
            Box::new(Failed {
                unsent: failed.take_message(),
                error: failed.into_error(),
                fault: this.ended.take().and_then(Result::err),
                silent: this.read.load(Relaxed) == *this.before,
            })
        })
    }
}

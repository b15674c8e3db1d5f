//! One HTTP/1.1 connection.
//!
//! No task drives it: whoever waits for the answer or reads its body polls the connection too. That saves
//! a wake-up of another task per step, a dropped answer closes its connection at once, and a transport
//! needs no runtime to exist.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
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
        let (driver, ended, read) = (&mut self.driver, &mut self.ended, &*self.counters.read);
        let before = read.load(Relaxed);
        async move {
            let mut answer = pin!(answer);
            poll_fn(|cx| {
                if ended.is_none()
                    && let Poll::Ready(end) = driver.get_mut().as_mut().poll(cx)
                {
                    *ended = Some(end);
                }
                // When a connection ends it resolves the answer, one way or the other.
                // A failed request is large, so it is boxed before it goes any further.
                answer.as_mut().poll(cx).map_err(|mut failed| {
                    Box::new(Failed {
                        unsent: failed.take_message(),
                        error: failed.into_error(),
                        fault: ended.take().and_then(Result::err),
                        silent: read.load(Relaxed) == before,
                    })
                })
            })
            .await
        }
    }
}

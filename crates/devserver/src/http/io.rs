//! A connection that can be broken on purpose.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::sync::lock;

/// How long a connection that is closed with unread input stays half open, so that the peer gets to read the answer
/// before its kernel sees a reset.
const LINGER: Duration = Duration::from_millis(500);

/// How a connection is to end once everything written so far is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// With RST.
    Reset,
    /// With FIN.
    Close,
}

/// What bodies and handlers ask of the connection they run on.
#[derive(Debug, Default)]
pub(crate) struct ConnControl {
    broken: Mutex<Option<Break>>,
    byte_writes: AtomicBool,
    linger: AtomicBool,
    close_idle: AtomicBool,
    extra: AtomicU64,
}

impl ConnControl {
    /// Ends the connection after what is written now.
    pub(crate) fn break_off(&self, how: Break) {
        *lock(&self.broken) = Some(how);
    }

    /// Every later write carries one byte.
    pub(crate) fn write_bytewise(&self) {
        self.byte_writes.store(true, Ordering::Relaxed);
    }

    /// Gives the peer time to read the last answer although it is still sending.
    pub(crate) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    /// Closes the connection after this answer, unannounced.
    pub(crate) fn close_idle(&self) {
        self.close_idle.store(true, Ordering::Relaxed);
    }

    /// Sends `n` bytes that no length announces after this answer.
    pub(crate) fn send_extra(&self, n: u64) {
        self.extra.store(n, Ordering::Relaxed);
    }
}

/// A TCP stream that does what its [`ConnControl`] says.
#[derive(Debug)]
pub(crate) struct FaultIo {
    stream: TcpStream,
    control: std::sync::Arc<ConnControl>,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl FaultIo {
    pub(crate) fn new(stream: TcpStream, control: std::sync::Arc<ConnControl>) -> Self {
        Self { stream, control, lingering: None }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }

    fn check(&self) -> io::Result<()> {
        if *lock(&self.control.broken) == Some(Break::Reset) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for FaultIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for FaultIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let len = if self.control.byte_writes.load(Ordering::Relaxed) { buf.len().min(1) } else { buf.len() };
        self.stream().poll_write(cx, &buf[..len])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.control.byte_writes.load(Ordering::Relaxed) {
            let first = bufs.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| &b[..1]);
            return self.stream().poll_write(cx, first);
        }
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream().poll_flush(cx))?;
        loop {
            let extra = self.control.extra.load(Ordering::Relaxed);
            if extra == 0 {
                break;
            }
            let chunk = [b'x'; 1024];
            let len = usize::try_from(extra).map_or(chunk.len(), |n| n.min(chunk.len()));
            let sent = ready!(self.stream().poll_write(cx, &chunk[..len]))? as u64;
            self.control.extra.store(extra - sent.min(extra), Ordering::Relaxed);
        }
        self.check()?;
        if *lock(&self.control.broken) == Some(Break::Close)
            || self.control.close_idle.load(Ordering::Relaxed)
        {
            ready!(self.stream().poll_shutdown(cx))?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.stream().poll_shutdown(cx))?;
            if !self.control.linger.load(Ordering::Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let wait = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        wait.as_mut().poll(cx).map(Ok)
    }
}

//! A connection's bytes, counted.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How many bytes went each way since the connection was made. Under TLS these are the plain bytes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) written: Arc<AtomicU64>,
    pub(super) read: Arc<AtomicU64>,
}

/// Plain or encrypted, read and written by hyper.
pub(super) struct Stream {
    kind: Kind,
    written: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
}

pub(super) enum Kind {
    Plain(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<super::tls::TlsStream>),
}

#[cfg(feature = "http2")]
impl Kind {
    /// Whether the server chose HTTP/2 when the connection was made.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl Stream {
    pub(super) fn new(kind: Kind) -> (Self, Counters) {
        let counters = Counters::default();
        let (written, read) = (Arc::clone(&counters.written), Arc::clone(&counters.read));
        (Self { kind, written, read }, counters)
    }
}

/// One writer, so a plain store does; it is read by others.
fn add(counter: &AtomicU64, n: usize) {
    counter.store(counter.load(Relaxed) + n as u64, Relaxed);
}

macro_rules! each {
    ($self:ident, $stream:ident => $do:expr) => {
        match &mut $self.kind {
            Kind::Plain($stream) => $do,
            #[cfg(feature = "rustls")]
            Kind::Tls($stream) => $do,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(each!(self, stream => Pin::new(stream).poll_read(cx, buf)))?;
        add(&self.read, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(each!(self, stream => Pin::new(stream).poll_write(cx, buf)))?;
        add(&self.written, n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs)))?;
        add(&self.written, n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Kind::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

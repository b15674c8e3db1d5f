//! A body as a reader.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::io_error;
use crate::ByteStream;

/// A stream of chunks as a reader.
pub(crate) struct StreamReader {
    stream: ByteStream,
    chunk: Bytes,
}

impl StreamReader {
    pub(crate) fn new(stream: ByteStream) -> Self {
        Self { stream, chunk: Bytes::new() }
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(this.stream.as_mut().poll_next(cx)).transpose().map_err(io_error)? {
                Some(chunk) => this.chunk = chunk,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.chunk.len().min(buf.remaining());
        buf.put_slice(&this.chunk[..length]);
        this.chunk.advance(length);
        Poll::Ready(Ok(()))
    }
}

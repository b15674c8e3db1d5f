//! Bodies of answers and of requests, shaped by faults and counted for the journal.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::io::{Break, ConnControl};
use crate::fault::{CutEnd, Plan, Shape};
use crate::journal::Journal;
use crate::storage::BodyReader;

/// Pause between two pieces of a body with a limited rate.
const RATE_TICK: Duration = Duration::from_millis(20);

/// A request's entry in the journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalRef {
    pub(crate) journal: Arc<Journal>,
    pub(crate) seq: u64,
}

/// Where an answer's bytes come from.
pub(crate) enum Source {
    Full(Bytes),
    File(BodyReader),
    Stream(Pieces),
}

/// What is made while it is sent.
pub(crate) struct Pieces {
    /// Bytes in all; if unknown, the answer is sent in chunks.
    size: Option<u64>,
    stream: BoxStream<'static, io::Result<Bytes>>,
    /// What did not fit into the last piece.
    rest: Bytes,
}

impl Pieces {
    fn poll(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<io::Result<Bytes>>> {
        while self.rest.is_empty() {
            match self.stream.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.rest = bytes,
                other => return other,
            }
        }
        Poll::Ready(Some(Ok(self.rest.split_to(limit.min(self.rest.len())))))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Full({})", bytes.len()),
            Self::File(reader) => write!(f, "File({})", reader.left()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Source {
    pub(crate) fn empty() -> Self {
        Self::Full(Bytes::new())
    }

    /// Bytes that are made while they are sent, `size` in all if that is known.
    pub(crate) fn stream(size: Option<u64>, stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self::Stream(Pieces { size, stream, rest: Bytes::new() })
    }

    /// Bytes to come, if known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::File(reader) => Some(reader.left()),
            Self::Stream(pieces) => pieces.size,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(bytes.split_to(limit.min(bytes.len()))))),
            // Reads come from the page cache nearly always: a hop to another thread costs more than it saves.
            Self::File(reader) => Poll::Ready(reader.read(limit).transpose()),
            Self::Stream(pieces) => pieces.poll(cx, limit),
        }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct ResBody {
    source: Source,
    shape: Shape,
    /// Bytes to be sent; less than the source holds if the fault says so.
    len: Option<u64>,
    sent: u64,
    extra: u64,
    close_idle: bool,
    pause: Option<Pin<Box<Sleep>>>,
    control: Arc<ConnControl>,
    journal: Option<JournalRef>,
}

impl ResBody {
    pub(crate) fn new(
        source: Source,
        plan: &Plan,
        control: Arc<ConnControl>,
        journal: Option<JournalRef>,
    ) -> Self {
        let len = source.left().map(|l| l.saturating_sub(plan.short_by()));
        let close_idle = matches!(plan.kind(), Some(crate::fault::FaultKind::CloseIdle));
        let mut body = Self {
            source,
            shape: plan.response_shape(),
            len,
            sent: 0,
            extra: plan.extra(),
            close_idle,
            pause: None,
            control,
            journal,
        };
        body.note_end();
        body
    }

    /// Bytes that will be sent, if known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    fn ended(&self) -> bool {
        self.len.is_some_and(|len| self.sent >= len)
    }

    /// Tells the connection what is to happen behind the last byte. The server may never ask a body that has
    /// delivered what was announced for its end, so this is said early; it acts at the next flush.
    fn note_end(&mut self) {
        if self.ended() {
            self.control.send_extra(self.extra);
            if self.close_idle {
                self.control.close_idle();
            }
        }
    }

    /// How much may be sent now; `None` if the body breaks off here.
    fn allowance(&mut self) -> Option<usize> {
        let mut limit = self.len.map_or(u64::MAX, |len| len - self.sent);
        if let Some(cut) = self.shape.cut {
            limit = limit.min(cut.at.saturating_sub(self.sent));
            if limit == 0 {
                match cut.end {
                    CutEnd::Reset => self.control.break_off(Break::Reset),
                    CutEnd::Close => self.control.break_off(Break::Close),
                    CutEnd::Stall => {}
                }
                return None;
            }
        }
        if let Some(rate) = self.shape.rate {
            limit = limit.min(per_tick(rate));
        }
        Some(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

/// Bytes that a rate allows between two pauses.
fn per_tick(rate: u64) -> u64 {
    (rate * u64::try_from(RATE_TICK.as_millis()).unwrap_or(1) / 1000).max(1)
}

impl Body for ResBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended() {
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut self.pause {
            match pause.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => self.pause = None,
            }
        }
        // Pending without a waker: the connection ends, or hangs until the client gives up.
        let Some(limit) = self.allowance() else { return Poll::Pending };
        let polled = self.source.poll(cx, limit);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            let n = bytes.len() as u64;
            self.sent += n;
            self.note_end();
            if self.shape.rate.is_some() {
                self.pause = Some(Box::pin(sleep(RATE_TICK)));
            }
            if let Some(entry) = &self.journal {
                entry.journal.update(entry.seq, |e| e.bytes_out += n);
            }
        }
        polled.map(|o| o.map(|r| r.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended()
    }

    fn size_hint(&self) -> SizeHint {
        self.len.map_or_else(SizeHint::new, |len| SizeHint::with_exact(len.saturating_sub(self.sent)))
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection closed on purpose, or broken by the client")]
pub(crate) struct Abort;

/// The body of a request.
#[derive(Debug)]
pub(crate) struct ReqBody {
    incoming: Incoming,
    shape: Shape,
    read: u64,
    done: bool,
    chunks: Option<AwsChunks>,
    expects_continue: bool,
    control: Arc<ConnControl>,
    journal: JournalRef,
}

/// Bytes of an unread body up to which a connection is kept and the body thrown away.
const DISCARD_LIMIT: u64 = 256 * 1024;

/// Undoes `aws-chunked`: a line with the length in front of each piece, a line break behind it, lines at the end.
/// Signatures and trailing checksums are not checked.
#[derive(Debug, Default)]
struct AwsChunks {
    /// What has come of a line.
    line: Vec<u8>,
    /// Bytes of the current piece, and of the line break behind it, that are still to come.
    data: u64,
    skip: u64,
    ended: bool,
}

impl AwsChunks {
    fn decode(&mut self, mut bytes: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() && !self.ended {
            let data = usize::try_from(self.data).unwrap_or(usize::MAX).min(bytes.len());
            if data > 0 {
                out.extend_from_slice(&bytes[..data]);
                self.data -= data as u64;
                bytes = &bytes[data..];
                continue;
            }
            let (first, rest) = (bytes[0], &bytes[1..]);
            bytes = rest;
            if self.skip > 0 {
                self.skip -= 1;
            } else if first == b'\n' {
                let line = String::from_utf8_lossy(&self.line);
                let digits = line.trim().split(';').next().unwrap_or_default();
                self.data = u64::from_str_radix(digits, 16).unwrap_or(0);
                self.skip = 2;
                self.ended = self.data == 0;
                self.line.clear();
            } else {
                self.line.push(first);
            }
        }
        out.into()
    }
}

impl ReqBody {
    pub(crate) fn new(
        incoming: Incoming,
        plan: &Plan,
        expects_continue: bool,
        control: Arc<ConnControl>,
        journal: JournalRef,
    ) -> Self {
        let done = incoming.is_end_stream();
        Self {
            incoming,
            shape: plan.request_shape(),
            read: 0,
            done,
            chunks: None,
            expects_continue,
            control,
            journal,
        }
    }

    /// Lets a fault that was chosen later act on the rest.
    pub(crate) fn reshape(&mut self, plan: &Plan) {
        self.shape = plan.request_shape();
    }

    /// The length of the body, if the request announced it or has none.
    pub(crate) fn known_len(&self) -> Option<u64> {
        self.incoming.size_hint().exact().map(|left| left + self.read)
    }

    /// Bytes that were read so far.
    pub(crate) fn received(&self) -> u64 {
        self.read
    }

    /// True once all of the body was read, or if there is none.
    pub(crate) fn is_read(&self) -> bool {
        self.done
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Abort> {
        if self.done {
            return Ok(None);
        }
        let frame = self.incoming.frame().await;
        let Some(frame) = frame else {
            self.done = true;
            return Ok(None);
        };
        let bytes = frame.map_err(|_| Abort)?.into_data().unwrap_or_default();
        self.done = self.incoming.is_end_stream();
        let n = bytes.len() as u64;
        if let Some(cut) = self.shape.cut
            && self.read + n > cut.at
        {
            match cut.end {
                CutEnd::Reset => self.control.break_off(Break::Reset),
                CutEnd::Close => self.control.break_off(Break::Close),
                CutEnd::Stall => {}
            }
            std::future::pending::<()>().await;
        }
        if let Some(rate) = self.shape.rate {
            sleep(Duration::from_millis(n.saturating_mul(1000) / rate)).await;
        }
        self.read += n;
        self.journal.journal.update(self.journal.seq, |e| e.bytes_in += n);
        Ok(Some(match &mut self.chunks {
            Some(chunks) => chunks.decode(&bytes),
            None => bytes,
        }))
    }

    /// Takes the framing of `aws-chunked` off what follows.
    pub(crate) fn decode_aws_chunks(&mut self) {
        self.chunks = Some(AwsChunks::default());
    }

    /// The whole body, if it is not longer than `limit`; else `None`.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Option<Bytes>, Abort> {
        let Some(first) = self.next().await? else { return Ok(Some(Bytes::new())) };
        if self.done {
            return Ok((first.len() <= limit).then_some(first));
        }
        let mut all = Vec::from(first);
        while let Some(bytes) = self.next().await? {
            if all.len() + bytes.len() > limit {
                return Ok(None);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all.into()))
    }

    /// Reads to the end and throws away.
    pub(crate) async fn discard(&mut self) -> Result<(), Abort> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    /// Deals with what the handler left unread, as Go's HTTP server does: a short rest is read so that the connection
    /// can be used again; otherwise, or if the client still waits for `100 Continue`, it has to be closed. Returns
    /// whether it has to.
    pub(crate) async fn settle(&mut self) -> Result<bool, Abort> {
        if self.done {
            return Ok(false);
        }
        let waits = self.expects_continue && self.read == 0;
        let mut left = DISCARD_LIMIT;
        let close = waits || self.incoming.size_hint().exact().is_some_and(|n| n >= DISCARD_LIMIT);
        if close {
            self.control.linger();
            return Ok(true);
        }
        loop {
            match self.next().await? {
                None => return Ok(false),
                Some(bytes) if bytes.len() as u64 > left => break,
                Some(bytes) => left -= bytes.len() as u64,
            }
        }
        self.control.linger();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunks_in_pieces_of_any_size() {
        let wire =
            b"5;chunk-signature=x\r\nhello\r\n7\r\n\r\nworld\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        for size in 1..wire.len() {
            let mut chunks = AwsChunks::default();
            let decoded: Vec<u8> = wire.chunks(size).flat_map(|piece| chunks.decode(piece)).collect();
            assert_eq!(decoded, b"hello\r\nworld", "{size}");
        }
    }
}

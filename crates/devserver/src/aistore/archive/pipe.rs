//! Bytes that one thread makes and a connection sends.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;

/// Bytes that go to the connection at a time, and how many such pieces may wait.
const PIECE: usize = 128 * 1024;
const QUEUE: usize = 4;

/// The end that is written to, on a thread that may block. Dropped before [`end`](Self::end) it breaks the answer off.
#[derive(Debug)]
pub(crate) struct Pipe {
    buffer: Vec<u8>,
    to: mpsc::Sender<io::Result<Bytes>>,
    ended: Arc<AtomicBool>,
}

/// A pipe and the stream of what is written into it.
pub(crate) fn pipe() -> (Pipe, BoxStream<'static, io::Result<Bytes>>) {
    let (to, pieces) = mpsc::channel(QUEUE);
    let ended = Arc::new(AtomicBool::new(false));
    let state = (pieces, Arc::clone(&ended));
    let pieces = stream::unfold(state, |(mut pieces, ended)| async {
        let piece = match pieces.recv().await {
            Some(piece) => piece,
            None if ended.swap(true, Ordering::AcqRel) => return None,
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Some((piece, (pieces, ended)))
    });
    (Pipe { buffer: Vec::new(), to, ended }, pieces.boxed())
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.buffer);
        self.to.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Ends the stream, after what was written, with the error if there was one.
    pub(crate) fn end(mut self, result: io::Result<()>) {
        self.ended.store(true, Ordering::Release);
        // A client that is gone needs to be told nothing.
        if let Err(error) = result.and_then(|()| self.flush()) {
            drop(self.to.blocking_send(Err(error)));
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(PIECE);
        }
        let n = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..n]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ended_is_broken() {
        let (pipe, pieces) = pipe();
        drop(pipe);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let pieces: Vec<_> = runtime.block_on(pieces.collect());
        assert!(matches!(pieces.as_slice(), [Err(_)]));
    }

    #[test]
    fn pieces_come_out_whole_and_in_order() {
        let (mut pipe, pieces) = pipe();
        let writer = std::thread::spawn(move || {
            let result = (0..10_000_u32).try_for_each(|n| pipe.write_all(&n.to_le_bytes()));
            pipe.end(result.and(Err(io::ErrorKind::StorageFull.into())));
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let pieces: Vec<_> = runtime.block_on(pieces.collect());
        writer.join().expect("a writer");
        let (last, whole) = pieces.split_last().expect("pieces");
        assert_eq!(last.as_ref().expect_err("an error").kind(), io::ErrorKind::StorageFull);
        let len: usize = whole.iter().map(|p| p.as_ref().expect("a piece").len()).sum();
        assert!(len <= 40_000 && whole.iter().all(|p| p.as_ref().is_ok_and(|p| p.len() == PIECE)));
    }
}

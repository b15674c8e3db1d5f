//! Exactly the bytes that an answer announced.

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use longshore_blob_api::ByteStream;
use longshore_core_types::{CallInfo, Error, ErrorKind, Result};

/// A body that must have so many bytes: fewer are an error, and so are more, unless it is cut there.
pub(crate) struct Exact {
    body: Option<ByteStream>,
    left: u64,
    /// The body goes on behind what is wanted, and is dropped there.
    cut: bool,
    call: CallInfo,
}

impl Exact {
    pub(crate) fn new(body: ByteStream, length: u64, cut: bool, call: CallInfo) -> Self {
        // Nothing is wanted of a body that is cut at its start.
        let body = (length > 0 || !cut).then_some(body);
        Self { body, left: length, cut, call }
    }

    fn end(&mut self, kind: ErrorKind, message: String) -> Poll<Option<Result<Bytes>>> {
        self.body = None;
        Poll::Ready(Some(Err(Error::new(kind, message).with_call(&self.call))))
    }
}

impl Stream for Exact {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match ready!(body.as_mut().poll_next(cx)) {
            Some(Ok(mut chunk)) => {
                let length = chunk.len() as u64;
                if length > this.left && !this.cut {
                    let message = format!("the body is {} bytes longer than announced", length - this.left);
                    return this.end(ErrorKind::Protocol, message);
                }
                chunk.truncate(usize::try_from(this.left).unwrap_or(usize::MAX));
                this.left -= chunk.len() as u64;
                if this.left == 0 && this.cut {
                    this.body = None;
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(Err(error)) => {
                this.body = None;
                Poll::Ready(Some(Err(error)))
            }
            None if this.left > 0 => {
                let message = format!("the body ended {} bytes early", this.left);
                this.end(ErrorKind::Transport, message)
            }
            None => {
                this.body = None;
                Poll::Ready(None)
            }
        }
    }
}

/// The part of a body in memory that lies in `range`.
pub(crate) fn window(chunks: Vec<Bytes>, range: &Range<u64>) -> Vec<Bytes> {
    let mut end = 0;
    let inside = |mut chunk: Bytes| {
        let start = end;
        end += chunk.len() as u64;
        // Positions in a chunk are `usize`s.
        let at = |position: u64| usize::try_from(position.clamp(start, end) - start).unwrap_or(usize::MAX);
        chunk.truncate(at(range.end));
        chunk.slice(at(range.start).min(chunk.len())..)
    };
    chunks.into_iter().map(inside).filter(|chunk| !chunk.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt, stream};
    use longshore_core_types::Idempotency;

    use super::*;

    fn read(chunks: &'static [&'static str], length: u64, cut: bool) -> (String, Option<ErrorKind>) {
        let body = stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))).boxed();
        let call = CallInfo::new("http.object.get", Idempotency::Idempotent);
        let all: Vec<_> = Exact::new(body, length, cut, call).collect().now_or_never().unwrap();
        let (mut text, mut kind) = (String::new(), None);
        for chunk in all {
            match chunk {
                Ok(chunk) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Err(error) => kind = Some(error.kind()),
            }
        }
        (text, kind)
    }

    #[test]
    fn lengths_are_kept_or_missed() {
        assert_eq!(read(&["ab", "cd"], 4, false), ("abcd".into(), None));
        assert_eq!(read(&[], 0, false), (String::new(), None));
        assert_eq!(read(&["ab"], 4, false), ("ab".into(), Some(ErrorKind::Transport)));
        assert_eq!(read(&["ab", "cd"], 3, false), ("ab".into(), Some(ErrorKind::Protocol)));
    }

    #[test]
    fn a_cut_body_ends_where_it_is_cut() {
        assert_eq!(read(&["ab", "cd", "ef"], 3, true), ("abc".into(), None));
        assert_eq!(read(&["ab"], 0, true), (String::new(), None));
        assert_eq!(read(&["ab"], 3, true), ("ab".into(), Some(ErrorKind::Transport)));
    }

    #[test]
    fn a_window_of_chunks() {
        let cut = |range| {
            let chunks = ["ab", "cd", "", "ef"].map(Bytes::from).to_vec();
            window(chunks, &range).concat()
        };
        assert_eq!(cut(0..6), b"abcdef");
        assert_eq!(cut(1..5), b"bcde");
        assert_eq!(cut(2..4), b"cd");
        assert_eq!(cut(3..3), b"");
    }
}

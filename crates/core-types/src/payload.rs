//! Bodies of requests.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use http_body::{Frame, SizeHint};
use sync_wrapper::SyncWrapper;

use crate::BoxError;

type Open = dyn Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync;

/// Body of a request: nothing, bytes in memory, a stream that can be opened again, or one that cannot.
///
/// A retry or a redirect needs the body a second time and takes it with [`Payload::try_clone`]; a
/// one-shot stream has none to give, so its request is never repeated once a byte of it is gone.
///
/// ```
/// # use longshore_core_types::Payload;
/// let body = Payload::from("hello");
/// assert_eq!(body.len(), Some(5));
/// assert!(body.try_clone().is_some());
/// ```
pub struct Payload(State);

enum State {
    Bytes(Bytes),
    Replayable { len: Option<u64>, open: Arc<Open> },
    Once { len: Option<u64>, stream: SyncWrapper<BoxStream<'static, io::Result<Bytes>>> },
    Running { left: Option<u64>, stream: SyncWrapper<BoxStream<'static, io::Result<Bytes>>> },
}

impl Payload {
    /// No bytes.
    pub fn empty() -> Self {
        Self(State::Bytes(Bytes::new()))
    }

    /// A stream that `open` starts anew for each attempt, such as the reading of a file.
    ///
    /// With `len` (bytes) the request has a `Content-Length`, and a stream of another length is an error.
    pub fn replayable<F>(len: Option<u64>, open: F) -> Self
    where
        F: Fn() -> BoxStream<'static, io::Result<Bytes>> + Send + Sync + 'static,
    {
        Self(State::Replayable { len, open: Arc::new(open) })
    }

    /// A stream that can be read once, such as standard input.
    pub fn once(len: Option<u64>, stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(State::Once { len, stream: SyncWrapper::new(Box::pin(stream)) })
    }

    /// Length in bytes, if known; of a body that is being read, what is left.
    pub fn len(&self) -> Option<u64> {
        match &self.0 {
            State::Bytes(bytes) => Some(bytes.len() as u64),
            State::Replayable { len, .. } | State::Once { len, .. } | State::Running { left: len, .. } => {
                *len
            }
        }
    }

    /// Whether it surely holds no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// A body with the same bytes; `None` for a one-shot stream and for one that is being read.
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            State::Bytes(bytes) => Some(Self(State::Bytes(bytes.clone()))),
            State::Replayable { len, open } => {
                Some(Self(State::Replayable { len: *len, open: Arc::clone(open) }))
            }
            State::Once { .. } | State::Running { .. } => None,
        }
    }

    /// The bytes as a stream. A stream that is shorter or longer than the stated length ends in an error.
    pub fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        Box::pin(PayloadStream(self))
    }

    /// Shows every chunk to an observer, as it is sent.
    ///
    /// `start` is called when the body is opened, so each attempt has an observer of its own: a hasher
    /// starts from nothing, a progress counter from zero.
    #[must_use]
    pub fn observe<F, O>(self, start: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: FnMut(&Bytes) + Send + 'static,
    {
        let len = self.len();
        match self.0 {
            State::Bytes(bytes) => Self::replayable(len, move || {
                let inner = Self(State::Bytes(bytes.clone()));
                Box::pin(Observed { inner: PayloadStream(inner), observer: start() })
            }),
            State::Replayable { open, .. } => {
                Self::replayable(len, move || Box::pin(Observed { inner: open(), observer: start() }))
            }
            other => {
                let inner = PayloadStream(Self(other));
                Self::once(len, Observed { inner, observer: start() })
            }
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let State::Bytes(bytes) = &mut self.0 {
            let bytes = std::mem::take(bytes);
            return Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)));
        }
        self.start();
        let State::Running { left, stream } = &mut self.0 else {
            return Poll::Ready(None);
        };
        match (ready!(stream.get_mut().as_mut().poll_next(cx)), left) {
            (Some(Ok(chunk)), Some(left)) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Poll::Ready(Some(Ok(chunk)))
                }
                None => Poll::Ready(Some(Err(length_error("longer")))),
            },
            (None, Some(left)) if *left > 0 => {
                *left = 0;
                Poll::Ready(Some(Err(length_error("shorter"))))
            }
            (item, _) => Poll::Ready(item),
        }
    }

    /// Opens a stream that was only described so far.
    fn start(&mut self) {
        let state = std::mem::replace(&mut self.0, State::Bytes(Bytes::new()));
        self.0 = match state {
            State::Replayable { len, open } => State::Running { left: len, stream: SyncWrapper::new(open()) },
            State::Once { len, stream } => State::Running { left: len, stream },
            other => other,
        };
    }
}

fn length_error(how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the body is {how} than its stated length"))
}

impl http_body::Body for Payload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let chunk = ready!(self.get_mut().poll_chunk(cx));
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, State::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.len().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

struct PayloadStream(Payload);

impl Stream for PayloadStream {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_chunk(cx)
    }
}

struct Observed<S, O> {
    inner: S,
    observer: O,
}

// The observer is only called, never pinned.
impl<S: Unpin, O> Unpin for Observed<S, O> {}

impl<S, O> Stream for Observed<S, O>
where
    S: Stream<Item = io::Result<Bytes>> + Unpin,
    O: FnMut(&Bytes),
{
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let item = ready!(Pin::new(&mut this.inner).poll_next(cx));
        if let Some(Ok(chunk)) = &item {
            (this.observer)(chunk);
        }
        Poll::Ready(item)
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            State::Bytes(_) => "bytes",
            State::Replayable { .. } => "replayable stream",
            State::Once { .. } => "one-shot stream",
            State::Running { .. } => "stream being read",
        };
        f.debug_struct("Payload").field("kind", &kind).field("len", &self.len()).finish()
    }
}

macro_rules! from_bytes {
    ($($source:ty)*) => {$(
        impl From<$source> for Payload {
            fn from(source: $source) -> Self {
                Self(State::Bytes(source.into()))
            }
        }
    )*};
}

from_bytes!(Bytes Vec<u8> String &'static [u8] &'static str);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, StreamExt, stream};

    use super::*;

    fn read(payload: Payload) -> io::Result<Vec<u8>> {
        let chunks: Vec<io::Result<Bytes>> = payload.into_stream().collect().now_or_never().unwrap();
        chunks.into_iter().try_fold(Vec::new(), |mut all, chunk| {
            all.extend_from_slice(&chunk?);
            Ok(all)
        })
    }

    fn chunks(parts: &'static [&'static str]) -> BoxStream<'static, io::Result<Bytes>> {
        Box::pin(stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes())))))
    }

    #[test]
    fn a_replayable_stream_reads_the_same_again() {
        let payload = Payload::replayable(Some(4), || chunks(&["ab", "cd"]));
        let again = payload.try_clone().unwrap();
        assert_eq!(read(payload).unwrap(), b"abcd");
        assert_eq!(read(again).unwrap(), b"abcd");
    }

    #[test]
    fn a_one_shot_stream_has_no_second_copy() {
        let payload = Payload::once(None, chunks(&["ab"]));
        assert!(payload.try_clone().is_none());
        assert_eq!(payload.len(), None);
        assert_eq!(read(payload).unwrap(), b"ab");
    }

    #[test]
    fn the_stated_length_is_checked() {
        for (len, word) in [(3, "longer"), (5, "shorter")] {
            let error = read(Payload::once(Some(len), chunks(&["ab", "cd"]))).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn every_attempt_has_its_own_observer() {
        let opened = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        let payload = Payload::from("abcd").observe({
            let (opened, seen) = (Arc::clone(&opened), Arc::clone(&seen));
            move || {
                opened.fetch_add(1, Ordering::Relaxed);
                let seen = Arc::clone(&seen);
                move |chunk: &Bytes| {
                    seen.fetch_add(chunk.len(), Ordering::Relaxed);
                }
            }
        });
        assert_eq!(payload.len(), Some(4));
        let again = payload.try_clone().unwrap();
        assert_eq!(read(payload).unwrap(), b"abcd");
        assert_eq!(read(again).unwrap(), b"abcd");
        assert_eq!((opened.load(Ordering::Relaxed), seen.load(Ordering::Relaxed)), (2, 8));
    }
}

//! Checksums of bodies, both ways.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use futures_util::StreamExt;
use longshore_core_types::{
    CallInfo, Checksum, ChecksumKind, Error, ErrorKind, Payload, Result, checksum::Hasher,
};

/// What went out of a body that was sent last: its length and checksums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<Mutex<Passed>>);

#[derive(Debug, Default)]
struct Passed {
    /// Which opening of the body the rest is about: a body is opened for each attempt and redirect.
    opening: u64,
    length: u64,
    hashers: Vec<Hasher>,
}

impl Sent {
    /// A body that is watched while it is sent.
    pub(crate) fn watch(body: Payload, kinds: &[ChecksumKind]) -> (Payload, Self) {
        let this = Self::default();
        let (shared, kinds) = (Arc::clone(&this.0), kinds.to_vec());
        let watched = body.observe(move || {
            let opening = {
                let mut passed = lock(&shared);
                passed.opening += 1;
                passed.length = 0;
                passed.hashers = kinds.iter().copied().map(Hasher::new).collect();
                passed.opening
            };
            let shared = Arc::clone(&shared);
            move |chunk: &Bytes| {
                let mut passed = lock(&shared);
                if passed.opening == opening {
                    passed.length += chunk.len() as u64;
                    passed.hashers.iter_mut().for_each(|hasher| hasher.update(chunk));
                }
            }
        });
        (watched, this)
    }

    /// Bytes of the last sending.
    pub(crate) fn length(&self) -> u64 {
        lock(&self.0).length
    }

    /// Checksum of the last sending, if this kind was computed.
    pub(crate) fn checksum(&self, kind: ChecksumKind) -> Option<Checksum> {
        lock(&self.0).hashers.iter().find(|hasher| hasher.kind() == kind).map(|h| h.clone().finish())
    }
}

fn lock(passed: &Mutex<Passed>) -> std::sync::MutexGuard<'_, Passed> {
    passed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a body to its end for its checksum.
pub(crate) async fn checksum_of(body: Payload, kind: ChecksumKind) -> io::Result<Checksum> {
    let mut hasher = Hasher::new(kind);
    let mut stream = body.into_stream();
    while let Some(chunk) = stream.next().await {
        hasher.update(&chunk?);
    }
    Ok(hasher.finish())
}

/// A body that must have this checksum.
///
/// Its last chunk goes out only when all of it is known to match; otherwise the body breaks off before its
/// end, so that the server stores nothing.
pub(crate) fn guarded(body: Payload, expected: Checksum) -> Payload {
    let length = body.len();
    let open = move |stream: BoxStream<'static, io::Result<Bytes>>| -> BoxStream<'static, io::Result<Bytes>> {
        Box::pin(Guarded {
            inner: stream,
            hasher: Some(Hasher::new(expected.kind())),
            expected: expected.clone(),
            held: None,
        })
    };
    match body.try_clone() {
        Some(template) => {
            // A clone of what could be cloned once can be cloned again; an empty stream would be noticed.
            Payload::replayable(length, move || open(template.try_clone().unwrap_or_default().into_stream()))
        }
        None => Payload::once(length, open(body.into_stream())),
    }
}

struct Guarded {
    inner: BoxStream<'static, io::Result<Bytes>>,
    /// `None` once the end is decided.
    hasher: Option<Hasher>,
    expected: Checksum,
    held: Option<Bytes>,
}

impl Stream for Guarded {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(hasher) = &mut this.hasher else { return Poll::Ready(None) };
            match ready!(this.inner.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    hasher.update(&chunk);
                    if let Some(previous) = this.held.replace(chunk) {
                        return Poll::Ready(Some(Ok(previous)));
                    }
                }
                Some(Err(error)) => {
                    this.hasher = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let actual = this.hasher.take().map(Hasher::finish);
                    if actual.as_ref() == Some(&this.expected) {
                        return Poll::Ready(this.held.take().map(Ok));
                    }
                    let message = format!("the content does not have the stated checksum {}", this.expected);
                    let error = Error::new(ErrorKind::ChecksumMismatch, message);
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
            }
        }
    }
}

/// The error of an upload whose own body broke the stated checksum, if that is what happened.
pub(crate) fn guard_error(error: Error, call: &CallInfo) -> Error {
    let mut cause = std::error::Error::source(&error);
    while let Some(found) = cause {
        let inner = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let ours = inner.and_then(|inner| inner.downcast_ref::<Error>()).or_else(|| found.downcast_ref());
        if let Some(ours) = ours.filter(|ours: &&Error| ours.kind() == ErrorKind::ChecksumMismatch) {
            let message = ours.message().to_owned();
            return Error::new(ErrorKind::ChecksumMismatch, message).with_call(call).with_source(error);
        }
        cause = found.source();
    }
    error
}

/// Compares what the server computed with what was sent.
pub(crate) fn check_stored(ours: &Checksum, stated: &Checksum, call: &CallInfo) -> Result<()> {
    if ours == stated {
        return Ok(());
    }
    let message = format!("the server stored other bytes than were sent: {stated}, not {ours}");
    Err(Error::new(ErrorKind::ChecksumMismatch, message).with_call(call))
}

/// A body as it arrives, which ends in an error unless it has the stated length and checksum.
pub(crate) struct Verified<S> {
    inner: S,
    left: Option<u64>,
    check: Option<(Hasher, Checksum)>,
    call: CallInfo,
    done: bool,
}

impl<S> Verified<S> {
    pub(crate) fn new(inner: S, length: Option<u64>, checksum: Option<Checksum>, call: CallInfo) -> Self {
        let check = checksum.map(|checksum| (Hasher::new(checksum.kind()), checksum));
        Self { inner, left: length, check, call, done: false }
    }

    fn end(&mut self) -> Option<Error> {
        if let Some(left) = self.left.filter(|left| *left > 0) {
            let message = format!("the body ended {left} bytes early");
            return Some(Error::new(ErrorKind::Transport, message).with_call(&self.call));
        }
        let (hasher, stated) = self.check.take()?;
        let actual = hasher.finish();
        (actual != stated).then(|| {
            let message = format!("the bytes that arrived have checksum {actual}, the object has {stated}");
            Error::new(ErrorKind::ChecksumMismatch, message).with_call(&self.call)
        })
    }
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> Stream for Verified<S> {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        let item = ready!(Pin::new(&mut this.inner).poll_next(cx));
        let result = match item {
            Some(Ok(chunk)) => match this.left.map(|left| left.checked_sub(chunk.len() as u64)) {
                Some(None) => {
                    let error = Error::new(ErrorKind::Protocol, "the body is longer than announced");
                    Err(error.with_call(&this.call))
                }
                left => {
                    this.left = left.flatten();
                    if let Some((hasher, _)) = &mut this.check {
                        hasher.update(&chunk);
                    }
                    Ok(chunk)
                }
            },
            Some(Err(error)) => Err(error),
            None => {
                let Some(error) = this.end() else {
                    this.done = true;
                    return Poll::Ready(None);
                };
                Err(error)
            }
        };
        this.done = result.is_err();
        Poll::Ready(Some(result))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use longshore_core_types::Idempotency;

    use super::*;

    fn checksum(bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(ChecksumKind::Crc32c);
        hasher.update(bytes);
        hasher.finish()
    }

    fn call() -> CallInfo {
        CallInfo::new("aistore.test", Idempotency::Idempotent)
    }

    async fn verified(length: Option<u64>, sum: Option<Checksum>) -> Result<Vec<Bytes>> {
        use futures_util::TryStreamExt;
        let chunks = stream::iter([Ok(Bytes::from("hello ")), Ok(Bytes::from("world"))]);
        Verified::new(chunks, length, sum, call()).try_collect().await
    }

    #[tokio::test]
    async fn bodies_that_arrive_are_checked() {
        assert!(verified(Some(11), Some(checksum(b"hello world"))).await.is_ok());
        let kind = |result: Result<_>| result.unwrap_err().kind();
        assert_eq!(kind(verified(Some(12), None).await), ErrorKind::Transport);
        assert_eq!(kind(verified(Some(10), None).await), ErrorKind::Protocol);
        assert_eq!(kind(verified(None, Some(checksum(b"x"))).await), ErrorKind::ChecksumMismatch);
    }

    #[tokio::test]
    async fn a_guarded_body_withholds_its_end() {
        async fn run(sum: Checksum) -> (Vec<u8>, bool) {
            let source = || stream::iter([Ok(Bytes::from("hello ")), Ok(Bytes::from("world"))]).boxed();
            let body = guarded(Payload::replayable(Some(11), source), sum);
            let mut stream = body.into_stream();
            let (mut sent, mut failed) = (Vec::new(), false);
            while let Some(chunk) = stream.next().await {
                match chunk {
                    Ok(chunk) => sent.extend_from_slice(&chunk),
                    Err(_) => failed = true,
                }
            }
            (sent, failed)
        }
        assert_eq!(run(checksum(b"hello world")).await, (b"hello world".to_vec(), false));
        assert_eq!(run(checksum(b"other")).await, (b"hello ".to_vec(), true));
    }

    #[tokio::test]
    async fn only_the_last_sending_counts() {
        let (body, sent) = Sent::watch(Payload::from("hello"), &[ChecksumKind::Crc32c]);
        for _ in 0..2 {
            let copy = body.try_clone().unwrap();
            let _: Vec<_> = copy.into_stream().collect().await;
        }
        assert_eq!(sent.length(), 5);
        assert_eq!(sent.checksum(ChecksumKind::Crc32c), Some(checksum(b"hello")));
        assert_eq!(sent.checksum(ChecksumKind::Md5), None);
    }
}

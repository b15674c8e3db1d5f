//! The bytes of a range, over as many requests as it takes.

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::future::BoxFuture;
use longshore_core_types::{ByteRange, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Result};

use super::resource;
use crate::{BlobStore, ByteStream, GetOptions, GetResult, PinKind, options::Pin as Version};

/// Exactly the bytes of a range of one version of an object, resumed behind the last byte when a body breaks.
///
/// Where the store cannot hold on to a version, the version that each answer states is compared. After an error
/// the stream ends.
pub(super) struct Fetch<S> {
    store: S,
    key: ObjectKey,
    version: Option<Version>,
    /// What has not arrived yet.
    left: Range<u64>,
    /// Whether the object is read as a whole, by a request without a range.
    whole: bool,
    resumes: u32,
    state: State,
    /// What the first answer said about the object.
    meta: Option<ObjectMeta>,
}

enum State {
    Start,
    Opening(BoxFuture<'static, Result<GetResult>>),
    Body(ByteStream),
    Done,
}

impl<S: BlobStore + Clone> Fetch<S> {
    /// The bytes `range`, which the object may cut at its end.
    pub(super) fn range(
        store: S,
        key: ObjectKey,
        range: Range<u64>,
        version: Option<Version>,
        resumes: u32,
    ) -> Self {
        Self { store, key, version, left: range, whole: false, resumes, state: State::Start, meta: None }
    }

    /// The whole object of `size` bytes, in one request that cannot be resumed.
    pub(super) fn whole(store: S, key: ObjectKey, size: u64, version: Option<Version>) -> Self {
        let mut fetch = Self::range(store, key, 0..size, version, 0);
        fetch.whole = true;
        fetch
    }

    /// What the first answer said about the object, once it is there.
    pub(super) fn into_meta(self) -> Option<ObjectMeta> {
        self.meta
    }

    fn open(&self) -> BoxFuture<'static, Result<GetResult>> {
        let (store, key) = (self.store.clone(), self.key.clone());
        let opts = GetOptions {
            range: (!self.whole).then(|| ByteRange::from(self.left.clone())),
            pin: self.version.clone().filter(|_| store.capability().pin != PinKind::None),
            ..GetOptions::default()
        };
        Box::pin(async move { store.get(&key, opts).await })
    }

    /// Checks that an answer is about the bytes and the version that were asked for.
    fn accept(&mut self, answer: &GetResult) -> Result<()> {
        match &self.version {
            Some(version) if !version.matches(&answer.meta) => {
                return Err(self.error(ErrorKind::PreconditionFailed, "it changed while it was read"));
            }
            Some(_) => {}
            // A body that breaks is resumed in the version that its first answer described.
            None => self.version = Some(Version::from(&answer.meta)),
        }
        let end = self.left.end.min(answer.meta.size);
        if answer.range != (self.left.start..end) {
            let (got, asked) = (&answer.range, &self.left);
            let message = format!("the answer holds bytes {got:?} where {asked:?} were asked for");
            return Err(self.error(ErrorKind::Protocol, message));
        }
        self.left.end = end;
        self.meta.get_or_insert_with(|| answer.meta.clone());
        Ok(())
    }

    /// Asks for the rest, if the error allows it and it was not asked for too often.
    fn resume(&mut self, error: Error) -> Result<()> {
        let worth_it = error.retryability().allows(Idempotency::Idempotent);
        if self.whole || !worth_it || self.resumes == 0 || self.left.is_empty() {
            return Err(error);
        }
        self.resumes -= 1;
        self.state = State::Opening(self.open());
        Ok(())
    }

    fn error(&self, kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, message).with_resource(resource(&self.store, &self.key))
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            match &mut self.state {
                State::Done => return Poll::Ready(Ok(None)),
                State::Start => self.state = State::Opening(self.open()),
                State::Opening(answer) => {
                    let answer = ready!(answer.as_mut().poll(cx))?;
                    self.accept(&answer)?;
                    self.state = State::Body(answer.into_stream());
                }
                State::Body(body) => match ready!(body.as_mut().poll_next(cx)) {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(Ok(chunk)) => {
                        let length = chunk.len() as u64;
                        if length > self.left.end - self.left.start {
                            let message = "the body is longer than the range it announced";
                            return Poll::Ready(Err(self.error(ErrorKind::Protocol, message)));
                        }
                        self.left.start += length;
                        return Poll::Ready(Ok(Some(chunk)));
                    }
                    Some(Err(error)) => self.resume(error)?,
                    None if self.left.is_empty() => self.state = State::Done,
                    None => {
                        let message =
                            format!("the body ended {} bytes early", self.left.end - self.left.start);
                        let error = self.error(ErrorKind::Transport, message);
                        self.resume(error)?;
                    }
                },
            }
        }
    }
}

// The store is only called, never pinned.
impl<S> Unpin for Fetch<S> {}

impl<S: BlobStore + Clone> Stream for Fetch<S> {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let step = ready!(this.poll_step(cx));
        if step.is_err() {
            this.state = State::Done;
        }
        Poll::Ready(step.transpose())
    }
}

//! The error of everything at and below the wire.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use longshore_core_types::{BoxError, CallInfo, Error, ErrorKind, Idempotency, Retryability};

/// What went wrong on the way, to branch on.
///
/// Beside each kind: the [`ErrorKind`] it becomes above the wire, and when the retry layer tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection could be made; nothing was sent. `Transport`. Retried whatever the call, but only
    /// if this endpoint has answered before.
    Connect,
    /// The connection ended before the server sent a status line. `Transport`. Retried if idempotent,
    /// by default once.
    Closed,
    /// The connection broke while the answer's body was read. `Transport`. Left to the caller, who can
    /// continue where the body ended.
    Body,
    /// The request's own body failed: its source broke, or it has another length than stated.
    /// `LocalIo`. Never retried.
    RequestBody,
    /// No connection, no answer or no further byte in time. `Timeout`. Retried if idempotent; if nothing
    /// was sent, whatever the call.
    Timeout,
    /// The call's own deadline passed. `Timeout`. Never retried.
    Deadline,
    /// A redirect leads nowhere: a loop, too many hops, a target or method that must not be followed, or
    /// a body that cannot be sent again. `Protocol`. Never retried.
    Redirect,
    /// The credential provider failed. The kind of its own error. Never retried.
    Credentials,
    /// The request cannot be sent as it is: no host, unknown scheme. `InvalidInput`. Never retried.
    InvalidRequest,
    /// What arrived is not HTTP, or longer than the caller's limit. `Protocol`. Never retried.
    Protocol,
    /// A layer or service of the caller failed with an error of its own. `Other`, or the kind of that
    /// error if it is a longshore error. Never retried.
    Middleware,
}

/// What of a request may have reached the server when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whether any byte at all may have been sent.
    pub anything: bool,
    /// Bytes of the body that were handed to the socket, at least.
    pub body_bytes: u64,
    /// Whether the whole body may have been handed to the socket. `false` is certain.
    pub body_complete: bool,
}

impl Sent {
    /// Not one byte left this process.
    pub const NOTHING: Self = Self { anything: false, body_bytes: 0, body_complete: false };
    /// Not known, so everything may have been sent.
    pub const UNKNOWN: Self = Self { anything: true, body_bytes: 0, body_complete: true };
}

/// A failed exchange: what was tried, with which endpoint, and how much of the request went out.
///
/// One word wide. `Display` is one line about this level; the cause is in
/// [`source`](std::error::Error::source). It never holds a header, a path or a query, so no secret.
pub struct TransportError(Box<Inner>);

struct Inner {
    kind: TransportErrorKind,
    message: Cow<'static, str>,
    endpoint: Option<Box<str>>,
    note: Option<Cow<'static, str>>,
    attempts: u32,
    redirects: u32,
    exhausted: bool,
    stale: bool,
    sent: Sent,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

impl TransportError {
    /// An error of `kind`. Until told otherwise, everything may have been sent.
    pub fn new(kind: TransportErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        use TransportErrorKind::{Connect, InvalidRequest};
        let unsent = matches!(kind, Connect | InvalidRequest);
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            endpoint: None,
            note: None,
            attempts: 0,
            redirects: 0,
            exhausted: false,
            stale: false,
            sent: if unsent { Sent::NOTHING } else { Sent::UNKNOWN },
            retry_after: None,
            source: None,
        }))
    }

    /// What a layer or service answered with, as it is if it was a `TransportError` all along.
    ///
    /// An error that merely *wraps* a `TransportError` becomes the source of one with the facts of the
    /// wrapped one, so that retry still sees what happened.
    pub fn from_boxed(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(ours) => return *ours,
            Err(other) => other,
        };
        let mut new = Self::new(TransportErrorKind::Middleware, "a layer or service of the caller failed");
        if let Some(wrapped) = Self::find(&*error) {
            let inner = &wrapped.0;
            new.0.kind = inner.kind;
            new.0.endpoint.clone_from(&inner.endpoint);
            new.0.sent = inner.sent;
            new.0.stale = inner.stale;
            new.0.attempts = inner.attempts;
            new.0.redirects = inner.redirects;
            new.0.retry_after = inner.retry_after;
        }
        new.0.source = Some(error);
        new
    }

    /// The first `TransportError` in the chain of causes of `error`, itself included.
    ///
    /// Finds the wire-level facts, such as [`sent`](Self::sent), behind an [`Error`].
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// What went wrong, to branch on.
    pub fn kind(&self) -> TransportErrorKind {
        self.0.kind
    }

    /// The text without endpoint and attempts.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Scheme, host and port of the server that was asked last, such as `http://10.0.0.1:8080`.
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// How often the request was sent; 0 where no retry layer counted.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How many redirects were followed before it failed.
    pub fn redirects(&self) -> u32 {
        self.0.redirects
    }

    /// What of the request may have reached the server that was asked last.
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    /// Whether all bytes of the request's body may have gone to the socket. `false` is certain: the
    /// server cannot have the whole body.
    pub fn body_fully_sent(&self) -> bool {
        self.0.sent.body_complete
    }

    /// Whether a connection that had been idle died before the first byte of an answer: most likely the
    /// server closed it just then, and the request itself is not to blame.
    pub fn is_stale_connection(&self) -> bool {
        self.0.stale
    }

    /// Whether another try makes sense.
    pub fn retryability(&self) -> Retryability {
        use TransportErrorKind::{Body, Closed, Connect, Timeout};
        match self.0.kind {
            _ if self.0.exhausted => Retryability::Exhausted,
            Connect | Closed | Timeout if !self.0.sent.anything => Retryability::Always,
            Connect | Closed | Timeout | Body => Retryability::IfIdempotent,
            _ => Retryability::Never,
        }
    }

    /// The same failure as an error of the layer above: kind, retryability and attempts are kept, this
    /// error becomes its source.
    ///
    /// A longshore [`Error`] that a credential provider or a caller's layer raised comes out as it was.
    #[must_use]
    pub fn into_error(mut self, call: &CallInfo) -> Error {
        use TransportErrorKind as T;
        let attempts = self.0.attempts;
        if matches!(self.0.kind, T::Credentials | T::Middleware) {
            match self.0.source.take().map(<dyn StdError + Send + Sync>::downcast::<Error>) {
                Some(Ok(error)) => return (*error).with_call(call).with_attempts(attempts),
                Some(Err(other)) => self.0.source = Some(other),
                None => {}
            }
        }
        let kind = match self.0.kind {
            T::Connect | T::Closed | T::Body => ErrorKind::Transport,
            T::RequestBody => ErrorKind::LocalIo,
            T::Timeout | T::Deadline => ErrorKind::Timeout,
            T::Redirect | T::Protocol => ErrorKind::Protocol,
            T::Credentials => ErrorKind::Unauthenticated,
            T::InvalidRequest => ErrorKind::InvalidInput,
            T::Middleware => ErrorKind::Other,
        };
        let message = match kind {
            ErrorKind::LocalIo => "the request's body could not be read",
            ErrorKind::Timeout => "no answer in time",
            ErrorKind::Protocol => "the server answered nonsense",
            ErrorKind::Unauthenticated => "no credentials",
            ErrorKind::InvalidInput => "the request cannot be sent",
            ErrorKind::Other => "a middleware failed",
            _ => "the connection failed",
        };
        let mut error = Error::new(kind, message)
            .with_call(call)
            .with_attempts(attempts)
            .with_body_fully_sent(self.body_fully_sent())
            .with_retryability(self.retryability());
        if let Some(wait) = self.0.retry_after {
            error = error.with_retry_after(wait);
        }
        error.with_source(self)
    }

    /// Adds the endpoint, unless one is known already.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<Box<str>>) -> Self {
        self.0.endpoint.get_or_insert_with(|| endpoint.into());
        self
    }

    /// Says what of the request was sent.
    #[must_use]
    pub fn with_sent(mut self, sent: Sent) -> Self {
        self.0.sent = sent;
        self
    }

    /// Says how often the request was sent.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Says how many redirects were followed.
    #[must_use]
    pub fn with_redirects(mut self, redirects: u32) -> Self {
        self.0.redirects = redirects;
        self
    }

    /// Marks it as the death of a connection that had been idle.
    #[must_use]
    pub fn stale_connection(mut self) -> Self {
        self.0.stale = true;
        self
    }

    /// Marks it as tried as often as the policy allows.
    #[must_use]
    pub fn exhausted(mut self) -> Self {
        self.0.exhausted = true;
        self
    }

    /// Adds why nothing more was tried, such as "the body cannot be replayed".
    #[must_use]
    pub fn with_note(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.0.note = Some(note.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        if let Some(endpoint) = &e.endpoint {
            write!(f, "{endpoint}: ")?;
        }
        f.write_str(&e.message)?;
        if let Some(note) = &e.note {
            write!(f, "; {note}")?;
        }
        if e.attempts > 1 {
            write!(f, " ({} attempts)", e.attempts)?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        let mut s = f.debug_struct("TransportError");
        s.field("kind", &e.kind).field("text", &self.to_string()).field("sent", &e.sent);
        if let Some(source) = &e.source {
            s.field("source", source);
        }
        s.finish()
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

/// Outside of a call, as when a body is read without one.
impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        error.into_error(&CallInfo::new("", Idempotency::NotIdempotent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapper(TransportError);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("my layer")
        }
    }

    impl StdError for Wrapper {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn refused() -> TransportError {
        TransportError::new(TransportErrorKind::Connect, "connection refused").with_endpoint("http://h:1")
    }

    #[test]
    fn boxing_does_not_nest() {
        let error = TransportError::from_boxed(Box::new(refused()));
        assert_eq!(error.to_string(), "http://h:1: connection refused");
        assert!(error.source().is_none());
    }

    #[test]
    fn a_wrapper_keeps_the_facts() {
        let error = TransportError::from_boxed(Box::new(Wrapper(refused())));
        assert_eq!(error.kind(), TransportErrorKind::Connect);
        assert_eq!(error.sent(), Sent::NOTHING);
        assert_eq!(error.source().unwrap().to_string(), "my layer");
    }

    #[test]
    fn becomes_an_error_with_everything_kept() {
        let call = CallInfo::new("aistore.object.get", Idempotency::Idempotent);
        let error = refused().with_attempts(3).exhausted().into_error(&call);
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(error.attempts(), 3);
        assert_eq!(error.retryability(), Retryability::Exhausted);
        assert!(error.chain().contains("http://h:1: connection refused"), "{}", error.chain());
        assert!(!TransportError::find(&error).unwrap().body_fully_sent());
        assert_eq!(error.body_fully_sent(), Some(false));
    }

    #[test]
    fn a_provider_error_comes_out_as_it_was() {
        let cause = Error::new(ErrorKind::PermissionDenied, "wrong password");
        let error = TransportError::new(TransportErrorKind::Credentials, "login failed").with_source(cause);
        let error = error.into_error(&CallInfo::new("a.b", Idempotency::Idempotent));
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.message(), "wrong password");
    }

    #[test]
    fn what_was_not_sent_may_always_be_tried_again() {
        let closed = || TransportError::new(TransportErrorKind::Closed, "closed");
        assert_eq!(closed().retryability(), Retryability::IfIdempotent);
        assert_eq!(closed().with_sent(Sent::NOTHING).retryability(), Retryability::Always);
        assert_eq!(closed().exhausted().retryability(), Retryability::Exhausted);
    }
}

//! The error of everything above the wire.

use std::{borrow::Cow, fmt, time::Duration};

use http::StatusCode;

use crate::{BoxError, CallInfo, Idempotency, Resource, Retryability};

/// Result of a longshore call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest excerpt of an answer that an error keeps, in bytes.
const EXCERPT: usize = 2048;

/// What went wrong, to branch on.
///
/// Beside each kind: the usual HTTP status, and whether a failure of this kind is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such bucket, object, upload or job. 404. Never retried.
    NotFound,
    /// It exists already and must not. 409 on creation. Never retried.
    AlreadyExists,
    /// Who asks is known and may not. 403. Never retried.
    PermissionDenied,
    /// No credentials, or none that count. 401. Never retried (the auth layer refreshes once).
    Unauthenticated,
    /// A condition of the request does not hold; the object is another one by now. 412. Never retried.
    PreconditionFailed,
    /// The caller has the current one. 304. Never retried.
    NotModified,
    /// The range lies outside the object. 416. Never retried.
    RangeNotSatisfiable,
    /// Another operation is in the way. 409. Retried if idempotent.
    Conflict,
    /// Locked or busy for now. 423, 409. Retried if idempotent.
    Busy,
    /// Too many requests. 429. Always retried.
    RateLimited,
    /// No space, or a limit of the account is reached. 413, 507. Never retried.
    QuotaExceeded,
    /// The service fails or is not there. 500, 502, 503, 504. Retried if idempotent; with `Retry-After` always.
    Unavailable,
    /// No answer, or no further byte, in time. Retried if idempotent.
    Timeout,
    /// The connection could not be made or broke. Retried if idempotent.
    Transport,
    /// The answer makes no sense. Never retried.
    Protocol,
    /// Bytes arrived that do not match the stated checksum. Retried if idempotent.
    ChecksumMismatch,
    /// The store or server cannot do this. 405, 501. Never retried.
    Unsupported,
    /// A name, range or option is wrong; nothing was sent. 400 if the server found it. Never retried.
    InvalidInput,
    /// A setting is wrong or missing; nothing was sent. Never retried.
    InvalidConfig,
    /// Reading or writing a local file failed. Never retried.
    LocalIo,
    /// The caller stopped it. Never retried.
    Cancelled,
    /// None of the above. Never retried.
    Other,
}

impl ErrorKind {
    /// The kind that an HTTP status means where nothing else is known.
    pub fn from_status(status: StatusCode) -> Self {
        match status.as_u16() {
            304 => Self::NotModified,
            400 | 411 | 414 | 422 | 431 => Self::InvalidInput,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 410 => Self::NotFound,
            405 | 501 => Self::Unsupported,
            408 => Self::Timeout,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            413 | 507 => Self::QuotaExceeded,
            416 => Self::RangeNotSatisfiable,
            423 => Self::Busy,
            429 => Self::RateLimited,
            500 | 502..=504 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    fn retryability(self) -> Retryability {
        match self {
            Self::RateLimited => Retryability::Always,
            Self::Conflict
            | Self::Busy
            | Self::Unavailable
            | Self::Timeout
            | Self::Transport
            | Self::ChecksumMismatch => Retryability::IfIdempotent,
            _ => Retryability::Never,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "not authenticated",
            Self::PreconditionFailed => "precondition failed",
            Self::NotModified => "not modified",
            Self::RangeNotSatisfiable => "range not satisfiable",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::RateLimited => "rate limited",
            Self::QuotaExceeded => "quota exceeded",
            Self::Unavailable => "service unavailable",
            Self::Timeout => "timed out",
            Self::Transport => "connection failed",
            Self::Protocol => "unintelligible answer",
            Self::ChecksumMismatch => "checksum mismatch",
            Self::Unsupported => "not supported",
            Self::InvalidInput => "invalid input",
            Self::InvalidConfig => "invalid configuration",
            Self::LocalIo => "local file error",
            Self::Cancelled => "cancelled",
            Self::Other => "failed",
        })
    }
}

/// What was tried, on what, what the answer was, and whether another try makes sense.
///
/// One word wide, so results stay small. `Display` is one line about this level only; the cause is in
/// [`source`](std::error::Error::source) and is not repeated in it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    operation: &'static str,
    resource: Option<Resource>,
    idempotency: Idempotency,
    retryability: Option<Retryability>,
    status: Option<StatusCode>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    attempts: u32,
    body_fully_sent: Option<bool>,
    excerpt: Option<String>,
    related: Vec<Error>,
    source: Option<BoxError>,
}

impl Error {
    /// An error that happened before or outside a call.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: "",
            resource: None,
            idempotency: Idempotency::default(),
            retryability: None,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            attempts: 0,
            body_fully_sent: None,
            excerpt: None,
            related: Vec::new(),
            source: None,
        }))
    }

    /// What went wrong, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The text without the context that `Display` adds.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether another try makes sense.
    pub fn retryability(&self) -> Retryability {
        match (self.0.retryability, self.0.kind) {
            (Some(known), _) => known,
            (None, ErrorKind::Unavailable) if self.0.retry_after.is_some() => Retryability::Always,
            (None, kind) => kind.retryability(),
        }
    }

    /// Whether the call that failed may be tried again as it was.
    pub fn is_retryable(&self) -> bool {
        self.retryability().allows(self.0.idempotency)
    }

    /// HTTP status of the answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The platform's own code, such as `ErrBckNotFound` or `NoSuchKey`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Name of the call, such as `aistore.object.get`; empty if it was none.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// What the call acted on.
    pub fn resource(&self) -> Option<&Resource> {
        self.0.resource.as_ref()
    }

    /// The server's id of the request, for its operators.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How often the request was sent; 0 if it never was.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the server may have all of the body of the request that was sent last; `None` if nobody knows.
    ///
    /// `Some(false)` is certain: bytes of it never left this process, so the server cannot have stored it.
    pub fn body_fully_sent(&self) -> Option<bool> {
        self.0.body_fully_sent
    }

    /// The first 2 KiB of an answer that could not be read.
    pub fn response_excerpt(&self) -> Option<&str> {
        self.0.excerpt.as_deref()
    }

    /// What failed besides, such as the clean-up after this error.
    pub fn related(&self) -> &[Self] {
        &self.0.related
    }

    /// Replaces the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Names the call, what it acted on, and whether it may be repeated.
    #[must_use]
    pub fn with_call(mut self, call: &CallInfo) -> Self {
        self.0.operation = call.operation;
        self.0.resource = Some(call.resource.clone());
        self.0.idempotency = call.idempotency;
        self
    }

    /// Names the call.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// Names what the call acted on.
    #[must_use]
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.0.resource = Some(resource);
        self
    }

    /// Overrides what the kind says about another try.
    #[must_use]
    pub fn with_retryability(mut self, retryability: Retryability) -> Self {
        self.0.retryability = Some(retryability);
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the platform's own code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the server's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// Adds the wait that the server asked for.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Says how often the request was sent.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Says whether all of the request's body may have been sent. `false` must be certain.
    #[must_use]
    pub fn with_body_fully_sent(mut self, all: bool) -> Self {
        self.0.body_fully_sent = Some(all);
        self
    }

    /// Keeps the start of an answer that could not be read; what is not UTF-8 is replaced.
    #[must_use]
    pub fn with_response_excerpt(mut self, body: &[u8]) -> Self {
        let start = &body[..body.len().min(EXCERPT)];
        self.0.excerpt = Some(String::from_utf8_lossy(start).into_owned());
        self
    }

    /// Adds an error that happened besides and must not replace this one.
    #[must_use]
    pub fn with_related(mut self, other: Self) -> Self {
        self.0.related.push(other);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// This error and its causes in one line, for a log or a terminal.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        match (&e.resource, e.operation) {
            (None, "") => {}
            (None, operation) => write!(f, "{operation}: ")?,
            (Some(resource), "") => write!(f, "{resource}: ")?,
            (Some(resource), operation) => write!(f, "{operation} {resource}: ")?,
        }
        if e.message.is_empty() {
            write!(f, "{}", e.kind)?;
        } else {
            f.write_str(&e.message)?;
        }
        let facts = [
            e.status.map(|status| format!("HTTP {}", status.as_u16())),
            e.code.clone(),
            e.request_id.as_ref().map(|id| format!("request {id}")),
            (e.attempts > 1).then(|| format!("{} attempts", e.attempts)),
        ];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        let mut s = f.debug_struct("Error");
        s.field("kind", &e.kind).field("text", &self.to_string()).field("retry", &self.retryability());
        if let Some(excerpt) = &e.excerpt {
            s.field("response_excerpt", excerpt);
        }
        if let Some(source) = &e.source {
            s.field("source", source);
        }
        if !e.related.is_empty() {
            s.field("related", &e.related);
        }
        s.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_context_and_no_cause() {
        let call = CallInfo::new("aistore.health", Idempotency::Idempotent);
        let error = Error::new(ErrorKind::Unavailable, "not ready")
            .with_call(&call)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_code("ErrBusy")
            .with_attempts(5)
            .with_source(std::io::Error::other("cause"));
        assert_eq!(
            error.to_string(),
            "aistore.health the endpoint: not ready (HTTP 503, ErrBusy, 5 attempts)"
        );
        assert!(error.chain().ends_with(": cause"));
        assert!(error.is_retryable());
    }

    #[test]
    fn retry_after_makes_unavailable_safe_for_every_call() {
        let error = Error::new(ErrorKind::Unavailable, "");
        assert_eq!(error.retryability(), Retryability::IfIdempotent);
        let error = error.with_retry_after(Duration::from_secs(1));
        assert_eq!(error.retryability(), Retryability::Always);
        assert_eq!(error.with_retryability(Retryability::Exhausted).retryability(), Retryability::Exhausted);
    }

    #[test]
    fn is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}

//! Whether an outcome is worth another try.

use std::{fmt::Debug, time::Duration};

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Retryability};

use super::retry_after;
use crate::TransportError;

/// Says of each outcome whether another try makes sense.
///
/// The retry layer still applies its limits: attempts, budget, deadline, and whether the body can be
/// sent again. A call with [`Idempotency::Never`](longshore_core_types::Idempotency::Never) is not repeated
/// whatever this says, and a connect error only if the endpoint has answered before.
pub trait RetryClassifier: Debug + Send + Sync + 'static {
    /// Judges one attempt.
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision;
}

/// What to do with the outcome of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It is the result.
    Done,
    /// Try again, not before this wait is over if one is given.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// It is the result, and it is a failure.
    Fail,
}

/// The rules of the default stack.
///
/// | outcome | another try |
/// |---|---|
/// | 429 | always, after its `Retry-After` |
/// | 503 with `Retry-After` | always, after it |
/// | 408, 423, 425, 500, 502, 503, 504 | if the call is idempotent |
/// | any other status | no |
/// | an error | as [`TransportError::retryability`] says |
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StandardClassifier;

impl RetryClassifier for StandardClassifier {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        let (retryability, after) = match outcome {
            Ok(parts) if parts.status.as_u16() < 400 => return Decision::Done,
            Ok(parts) => {
                let after = retry_after(&parts.headers);
                (of_status(parts.status, after.is_some()), after)
            }
            Err(error) => (error.retryability(), None),
        };
        if retryability.allows(call.idempotency) { Decision::Retry { after } } else { Decision::Fail }
    }
}

fn of_status(status: StatusCode, says_when: bool) -> Retryability {
    match status.as_u16() {
        429 => Retryability::Always,
        503 if says_when => Retryability::Always,
        408 | 423 | 425 | 500 | 502..=504 => Retryability::IfIdempotent,
        _ => Retryability::Never,
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;
    use crate::TransportErrorKind as T;

    fn status(status: u16, after: Option<&str>, idempotency: Idempotency) -> Decision {
        let mut answer = http::Response::builder().status(status);
        if let Some(after) = after {
            answer = answer.header("retry-after", after);
        }
        let (parts, ()) = answer.body(()).unwrap().into_parts();
        StandardClassifier.classify(&CallInfo::new("a.b", idempotency), Ok(&parts))
    }

    #[test]
    fn statuses() {
        use Idempotency::{Idempotent, Never, NotIdempotent};
        let retry = |seconds: Option<u64>| Decision::Retry { after: seconds.map(Duration::from_secs) };
        for code in [408, 423, 425, 500, 502, 503, 504] {
            assert_eq!(status(code, None, Idempotent), retry(None), "{code}");
            assert_eq!(status(code, None, NotIdempotent), Decision::Fail, "{code}");
        }
        assert_eq!(status(503, Some("3"), NotIdempotent), retry(Some(3)));
        assert_eq!(status(429, None, NotIdempotent), retry(None));
        assert_eq!(status(429, Some("1"), Never), Decision::Fail);
        for code in [400, 401, 403, 404, 405, 409, 410, 412, 416, 501] {
            assert_eq!(status(code, Some("1"), Idempotent), Decision::Fail, "{code}");
        }
        for code in [200, 204, 206, 301, 304] {
            assert_eq!(status(code, None, Idempotent), Decision::Done, "{code}");
        }
    }

    #[test]
    fn errors() {
        let judge = |kind, idempotency| {
            let error = TransportError::new(kind, "");
            StandardClassifier.classify(&CallInfo::new("a.b", idempotency), Err(&error))
        };
        let again = Decision::Retry { after: None };
        assert_eq!(judge(T::Connect, Idempotency::NotIdempotent), again);
        assert_eq!(judge(T::Connect, Idempotency::Never), Decision::Fail);
        assert_eq!(judge(T::Timeout, Idempotency::Idempotent), again);
        assert_eq!(judge(T::Closed, Idempotency::NotIdempotent), Decision::Fail);
        for kind in [T::Redirect, T::Credentials, T::Deadline, T::RequestBody, T::Protocol, T::Middleware] {
            assert_eq!(judge(kind, Idempotency::Idempotent), Decision::Fail, "{kind:?}");
        }
    }
}

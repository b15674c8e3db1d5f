//! Whether an outcome is worth another try.

use std::{fmt::Debug, time::Duration};

use http::response::Parts;
use longshore_core_types::CallInfo;

use crate::TransportError;

/// Says of each outcome whether another try makes sense.
///
/// The retry layer still applies its limits: attempts, budget, deadline, and whether the body can be
/// sent again. A call with [`Idempotency::Never`](longshore_core_types::Idempotency::Never) is not repeated
/// whatever this says.
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
    /// Try again, after this wait if it is known, else after the policy's own.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// It is the result, and it is a failure.
    Fail,
}

/// The rules of [`ErrorKind`](longshore_core_types::ErrorKind) and
/// [`TransportErrorKind`](crate::TransportErrorKind).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StandardClassifier;

impl RetryClassifier for StandardClassifier {
    fn classify(&self, _call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(_) => Decision::Done,
            Err(_) => Decision::Fail,
        }
    }
}

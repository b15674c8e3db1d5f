//! Sending a request again.
//!
//! The one retry loop of a call. An attempt is everything below this layer: credentials, redirects, the
//! exchange. So a retry starts at the first URL again, with fresh credentials.

mod backoff;
mod budget;
mod classify;
mod retry_after;
mod service;

use std::sync::Arc;

use http::response::Parts;
use longshore_core_types::{Error, Pressure, Retryability};
use tower_layer::Layer;

pub use self::{
    classify::{Decision, RetryClassifier, StandardClassifier},
    retry_after::retry_after,
    service::Retry,
};
use crate::{HttpRequest, RetryConfig};

/// Repeats failed requests as [`RetryConfig`] and a [`RetryClassifier`] say.
///
/// All services that one layer makes share the budget. All in the process know together which endpoints have answered.
#[derive(Clone, Debug)]
pub struct RetryLayer(Arc<service::Shared>);

impl RetryLayer {
    /// Retries by these limits what this classifier lets through.
    pub fn new(config: RetryConfig, classifier: impl RetryClassifier) -> Self {
        Self::erased(config, Arc::new(classifier))
    }

    pub(crate) fn erased(config: RetryConfig, classifier: Arc<dyn RetryClassifier>) -> Self {
        Self(Arc::new(service::Shared::new(config, classifier)))
    }

    /// Notes in this account what servers say about their load.
    #[must_use]
    pub(crate) fn noting(self, pressure: Pressure) -> Self {
        Self(Arc::new(self.0.noting(pressure)))
    }

    /// Where the layer notes what servers say about their load.
    pub fn pressure(&self) -> Pressure {
        self.0.pressure()
    }

    pub(super) fn call(&self, request: &HttpRequest) -> service::Call {
        service::Call::new(Arc::clone(&self.0), request)
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry::new(inner, Arc::clone(&self.0))
    }
}

/// How often a request was sent until this answer came. Stands in the extensions of an answer that took
/// more than one attempt, or that would have deserved another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    count: u32,
    exhausted: bool,
}

impl Attempts {
    /// What an answer says; one attempt if it says nothing.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().copied().unwrap_or(Self { count: 1, exhausted: false })
    }

    /// How often the request was sent.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether the answer was worth another attempt and a limit stood against it.
    pub fn exhausted(self) -> bool {
        self.exhausted
    }

    /// Adds to an error made from this answer: status, attempts, `Retry-After`, and that retrying is
    /// exhausted, if it is.
    #[must_use]
    pub fn annotate(parts: &Parts, error: Error) -> Error {
        let attempts = Self::of(parts);
        let mut error = error.with_status(parts.status).with_attempts(attempts.count);
        if let Some(wait) = retry_after(&parts.headers) {
            error = error.with_retry_after(wait);
        }
        if attempts.exhausted {
            error = error.with_retryability(Retryability::Exhausted);
        }
        error
    }
}

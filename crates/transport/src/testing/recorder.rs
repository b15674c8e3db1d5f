//! Watching a place in a stack.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::Seen;
use crate::HttpRequest;

/// Remembers the heads of all requests that pass it and changes nothing. Clones share their memory.
///
/// As a [`layer`](crate::TransportBuilder::layer) it sees calls, as an
/// [`attempt_layer`](crate::TransportBuilder::attempt_layer) every single exchange.
#[derive(Clone, Debug, Default)]
pub struct RecorderLayer(Arc<Mutex<Vec<Seen>>>);

impl RecorderLayer {
    /// Nothing is recorded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// All requests so far. Bodies are not read, so they are `None`.
    pub fn requests(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S> Layer<S> for RecorderLayer {
    type Service = Recorder<S>;

    fn layer(&self, inner: S) -> Recorder<S> {
        Recorder { inner, seen: self.clone() }
    }
}

/// Made by [`RecorderLayer`].
#[derive(Clone, Debug)]
pub struct Recorder<S> {
    inner: S,
    seen: RecorderLayer,
}

impl<S: Service<HttpRequest>> Service<HttpRequest> for Recorder<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> S::Future {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(Seen::head(&request));
        self.inner.call(request)
    }
}

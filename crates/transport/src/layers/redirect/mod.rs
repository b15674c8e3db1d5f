//! Following redirects.
//!
//! Nothing is cached: a 301 is asked for again the next time. The body of a redirect is dropped before the
//! next request goes out, so its connection and its permit are free by then.

mod location;
mod policy;
mod service;

use std::sync::Arc;

use tower_layer::Layer;

pub use self::{
    policy::{ClusterRedirects, RedirectAction, RedirectHop, RedirectPolicy},
    service::Redirect,
};

/// Follows redirects as a [`RedirectPolicy`] says.
///
/// - `Location` is used byte for byte. Only bytes that a request line cannot hold are percent-encoded.
/// - A loop, and more redirects than allowed, fail the call.
/// - Sensitive headers (`Authorization`, `Cookie`, `Proxy-Authorization`, and every value marked
///   [sensitive](http::HeaderValue::set_sensitive)) go along only if the policy says so. Once removed they
///   stay away.
/// - `Expect: 100-continue` is for the first server only; the next one gets the body at once.
/// - A body that cannot be sent again and was already being read fails the call.
#[derive(Clone, Debug)]
pub struct RedirectLayer {
    policy: Arc<dyn RedirectPolicy>,
    limit: usize,
}

impl RedirectLayer {
    /// Follows at most `limit` redirects of a request.
    pub fn new(policy: impl RedirectPolicy, limit: usize) -> Self {
        Self::erased(Arc::new(policy), limit)
    }

    pub(crate) fn erased(policy: Arc<dyn RedirectPolicy>, limit: usize) -> Self {
        Self { policy, limit }
    }

    pub(super) fn around<A>(&self, next: A) -> service::Hops<A> {
        service::Hops { next, policy: Arc::clone(&self.policy), limit: self.limit }
    }
}

impl<S> Layer<S> for RedirectLayer {
    type Service = Redirect<S>;

    fn layer(&self, inner: S) -> Redirect<S> {
        Redirect::new(inner, Arc::clone(&self.policy), self.limit)
    }
}

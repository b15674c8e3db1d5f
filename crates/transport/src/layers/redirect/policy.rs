//! Which redirects are followed, and how.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, PoisonError, RwLock},
};

use http::{Method, StatusCode, Uri, uri::Authority};
use longshore_core_types::CallInfo;

use crate::endpoint::Endpoint;

/// Decides about each redirect.
pub trait RedirectPolicy: Debug + Send + Sync + 'static {
    /// Called with every answer of status 301, 302, 303, 307 or 308 that has a `Location`.
    fn on_redirect(&self, hop: &RedirectHop<'_>) -> RedirectAction;
}

/// A redirect that the server asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RedirectHop<'a> {
    /// What the request is about, if it says so.
    pub call: Option<&'a CallInfo>,
    /// Method of the request.
    pub method: &'a Method,
    /// Status of the answer.
    pub status: StatusCode,
    /// Where the answer came from.
    pub from: &'a Uri,
    /// Where it points.
    pub to: &'a Uri,
    /// Which redirect of this request it is, from 1.
    pub count: usize,
}

impl RedirectHop<'_> {
    /// Whether scheme, host and port stay the same.
    pub fn same_origin(&self) -> bool {
        Endpoint::of(self.from).zip(Endpoint::of(self.to)).is_some_and(|(from, to)| from.same_as(&to))
    }
}

/// What to do with a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectAction {
    /// Send the same method and body there. `credentials`: with the sensitive headers.
    Follow {
        /// Whether sensitive headers go along.
        credentials: bool,
    },
    /// Send a GET without a body there. `credentials`: with the sensitive headers.
    Get {
        /// Whether sensitive headers go along.
        credentials: bool,
    },
    /// The redirect itself is the answer.
    Stop,
    /// The call fails, with this reason.
    Refuse(Cow<'static, str>),
}

/// Redirects inside a storage cluster: the method and the body stay, credentials go to the same origin
/// only, unless the target is one of [`same_cluster`](Self::same_cluster).
#[derive(Clone, Debug, Default)]
pub struct ClusterRedirects {
    trusted: Arc<RwLock<HashSet<Authority>>>,
}

impl ClusterRedirects {
    /// Sends credentials to these authorities (`host:port`) too, and to no other. Takes effect for all
    /// clones at once, so the list can follow the cluster map.
    pub fn same_cluster(&self, nodes: impl IntoIterator<Item = Authority>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = nodes.into_iter().collect();
    }

    fn trusts(&self, uri: &Uri) -> bool {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        uri.authority().is_some_and(|authority| trusted.contains(authority))
    }
}

impl RedirectPolicy for ClusterRedirects {
    fn on_redirect(&self, hop: &RedirectHop<'_>) -> RedirectAction {
        let keeps = matches!(hop.status.as_u16(), 301 | 307 | 308);
        if !keeps && hop.method != Method::GET && hop.method != Method::HEAD {
            let (status, method) = (hop.status.as_u16(), hop.method);
            return RedirectAction::Refuse(format!("HTTP {status} would turn {method} into GET").into());
        }
        let secure = |uri: &Uri| uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        if secure(hop.from) && !secure(hop.to) {
            return RedirectAction::Refuse("it leads from https to http".into());
        }
        RedirectAction::Follow { credentials: hop.same_origin() || self.trusts(hop.to) }
    }
}

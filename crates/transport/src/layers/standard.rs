//! Retry, credentials and redirect in one service, as the default stack has them: what each of the layers
//! does by itself, with one copy of the request and one future for all of them.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use tower_service::Service;

use super::{attempt::Direct, auth::AuthLayer, redirect::RedirectLayer, retry::RetryLayer};
use crate::{HttpRequest, HttpResponse, TransportError, replay::Template};

/// The three layers around a service.
#[derive(Clone)]
pub(crate) struct Standard<S> {
    layers: Arc<Layers>,
    inner: S,
}

pub(crate) struct Layers {
    pub(crate) retry: RetryLayer,
    pub(crate) auth: Option<AuthLayer>,
    pub(crate) redirect: RedirectLayer,
    /// Nothing below reads the extensions of a request, but for the options of sending it.
    pub(crate) lean: bool,
}

impl<S> Standard<S> {
    pub(crate) fn new(layers: Layers, inner: S) -> Self {
        Self { layers: Arc::new(layers), inner }
    }
}

impl<S> Service<HttpRequest> for Standard<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = TransportError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<HttpResponse, TransportError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let spare = self.inner.clone();
        let service = Direct(mem::replace(&mut self.inner, spare));
        let call = self.layers.retry.call(&request);
        let template = if self.layers.lean { Template::lean(request) } else { Template::new(request) };
        let hops = self.layers.redirect.around(service);
        match &self.layers.auth {
            None => Box::pin(call.run(template, hops)),
            Some(auth) => Box::pin(call.run(template, auth.around(hops))),
        }
    }
}

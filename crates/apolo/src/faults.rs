//! Which answers with status 500 are worth another attempt: the service has this status for failures that pass, for wrong
//! input, and for what is not there, and only the text of the answer tells them apart.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Response, StatusCode, response::Parts};
use http_body::Body;
use longshore_core_types::{BoxError, CallInfo};
use longshore_transport::{
    Decision, HttpRequest, ResponseBody, RetryClassifier, StandardClassifier, TransportError, body,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{client::ERROR_BODY, error};

/// As a layer of each attempt, reads answers with status 500 and marks those that would be the same again; as a classifier,
/// the standard one but for these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults;

/// Stands in the extensions of an answer that would be the same again.
#[derive(Clone, Copy, Debug)]
struct Settled;

impl RetryClassifier for Faults {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(parts) if parts.extensions.get::<Settled>().is_some() => Decision::Fail,
            outcome => StandardClassifier::default().classify(call, outcome),
        }
    }
}

impl<S> Layer<S> for Faults {
    type Service = Reading<S>;

    fn layer(&self, inner: S) -> Reading<S> {
        Reading(inner)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reading<S>(S);

impl<S, B> Service<HttpRequest> for Reading<S>
where
    S: Service<HttpRequest, Response = Response<B>>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?.map(body::boxed);
            if answer.status() != StatusCode::INTERNAL_SERVER_ERROR {
                return Ok(answer);
            }
            let (mut parts, body) = answer.into_parts();
            let text = body::excerpt(body, ERROR_BODY).await;
            if error::is_settled(parts.status, &text) {
                parts.extensions.insert(Settled);
            }
            Ok(Response::from_parts(parts, body::full(text)))
        })
    }
}

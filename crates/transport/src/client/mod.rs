//! The HTTP client at the bottom of the stack.

use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use longshore_core_types::Payload;
use tower::ServiceExt;

use crate::{HttpRequest, HttpService, TransportConfig, TransportError, TransportErrorKind, layers::erase};

/// A client with a connection pool.
pub(crate) fn client(config: &TransportConfig) -> HttpService {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.timeouts.connect);
    let client: Client<_, Payload> = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(config.pool.idle)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector);
    let agent = config.user_agent.clone();
    let client = client
        .map_request(move |mut request: HttpRequest| {
            if let Some(agent) = &agent {
                request.headers_mut().entry(http::header::USER_AGENT).or_insert_with(|| agent.clone());
            }
            request
        })
        .map_response(|answer| {
            answer.map(|body| {
                body.map_err(|error| {
                    TransportError::new(TransportErrorKind::Body, "the answer broke off").with_source(error)
                })
            })
        })
        .map_err(|error| {
            let kind =
                if error.is_connect() { TransportErrorKind::Connect } else { TransportErrorKind::Closed };
            TransportError::new(kind, "no answer").with_source(error)
        });
    erase(client)
}

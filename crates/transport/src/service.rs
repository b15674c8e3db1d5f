//! The handle that clients hold.

use std::{
    fmt,
    future::Future,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use longshore_core_types::{Payload, Pressure};
use tower::util::{BoxCloneSyncService, Oneshot};
use tower_service::Service;

use crate::{TransportBuilder, TransportError};

/// A request as every layer sees it. What it is about stands in its extensions, as
/// [`CallInfo`](longshore_core_types::CallInfo); how to send it, as [`RequestOptions`](crate::RequestOptions).
pub type HttpRequest = http::Request<Payload>;

/// An answer as every layer sees it.
pub type HttpResponse = http::Response<ResponseBody>;

/// Body of an answer.
pub type ResponseBody = BoxBody<Bytes, TransportError>;

/// A service with its type erased: what layers wrap and what they become.
pub type HttpService = BoxCloneSyncService<HttpRequest, HttpResponse, TransportError>;

/// An HTTP client: a stack of tower layers over a connection pool, behind one handle.
///
/// Cloning is cheap, and clones share connections, retry budget and credentials.
#[derive(Clone)]
pub struct Transport {
    service: HttpService,
    pressure: Pressure,
}

impl Transport {
    /// A client with the default stack; see [`TransportBuilder`].
    pub fn builder() -> TransportBuilder {
        TransportBuilder::new()
    }

    /// A client that is exactly this service: no layer is added.
    pub fn from_service(service: HttpService) -> Self {
        Self::with_pressure(service, Pressure::new())
    }

    pub(crate) fn with_pressure(service: HttpService, pressure: Pressure) -> Self {
        Self { service, pressure }
    }

    /// How often the server refused requests for their number: answered 429 or 503, or took no connection. Every attempt
    /// of the default stack counts; a stack of the caller's own notes nothing.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// Sends one request. The answer is here when its head is; any HTTP status is an `Ok`.
    ///
    /// Whether it is retried is up to the stack; the default one retries as
    /// [`RetryConfig`](crate::RetryConfig) says.
    pub fn send(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, TransportError>> + Send + use<> {
        Oneshot::new(self.service.clone(), request)
    }

    /// The whole stack, to wrap further.
    pub fn into_service(self) -> HttpService {
        self.service
    }
}

impl Service<HttpRequest> for Transport {
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = <HttpService as Service<HttpRequest>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        self.service.call(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::body;

    #[tokio::test]
    async fn sends_a_request_and_reads_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/health?x=%2F", listener.local_addr().unwrap());
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let n = socket.read(&mut head).await.unwrap();
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            String::from_utf8_lossy(&head[..n]).into_owned()
        };
        let client = async {
            let transport = Transport::builder().build().unwrap();
            let request = http::Request::get(url).body(Payload::empty()).unwrap();
            let answer = transport.send(request).await.unwrap();
            body::collect(answer.into_body(), 10).await.unwrap()
        };
        let (head, body) = tokio::join!(server, client);
        assert!(head.starts_with("GET /v1/health?x=%2F HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("user-agent: longshore/"), "{head}");
        assert_eq!(body, "hello");
    }
}

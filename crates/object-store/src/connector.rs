//! Our transport below the clients of the `object_store` crate.

use std::{future::Future, io, pin::Pin};

use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt;
use longshore_core_types::{CallInfo, Idempotency, Payload};
use longshore_transport::{Transport, TransportError, TransportErrorKind};
use object_store_0_14::{
    ClientOptions, RetryConfig,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
};

/// Sends every request of the `object_store` crate's own clients through a [`Transport`].
///
/// Give it to `with_http_connector` of a builder of version 0.14, and [`retry_config`](Self::retry_config) to its
/// `with_retry`: then there is one loop of retries, the transport's, which waits as `Retry-After` says and keeps to a
/// budget. Bodies are streams in both directions. Limits of time, proxies, trust and layers are those of the
/// transport; the crate's `ClientOptions` are not looked at.
///
/// The transport must put no credentials on requests: these clients sign by themselves.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use object_store_0_14 as object_store;
/// use longshore_object_store::TransportConnector;
/// use longshore_transport::Transport;
/// use object_store::aws::AmazonS3Builder;
///
/// let store = AmazonS3Builder::from_env()
///     .with_bucket_name("photos")
///     .with_http_connector(TransportConnector::new(Transport::builder().build()?))
///     .with_retry(TransportConnector::retry_config())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TransportConnector(Transport);

impl TransportConnector {
    /// Sends through this transport.
    pub fn new(transport: Transport) -> Self {
        Self(transport)
    }

    /// Settings that leave every retry to the transport.
    ///
    /// With these, a download that breaks in the middle is not continued by the crate either: the reader gets the
    /// error, and may ask for the rest.
    pub fn retry_config() -> RetryConfig {
        RetryConfig { max_retries: 0, ..RetryConfig::default() }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let call = call_info(&parts.method, &parts.headers);
        // Such a URL may carry a signature.
        let call = if parts.uri.query().is_some() { call.sensitive() } else { call };
        let mut request = http::Request::from_parts(parts, payload(body));
        request.extensions_mut().insert(call);
        let answer = self.0.send(request).await.map_err(wrong)?;
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(wrong))))
    }
}

impl HttpConnector for TransportConnector {
    fn connect(&self, _: &ClientOptions) -> object_store_0_14::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

// The trait is one of boxed futures; this is what its macro would write.
impl HttpService for TransportConnector {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.exchange(request))
    }
}

/// What repeating the request would do. One with a condition, or that makes something, would meet its own work.
fn call_info(method: &Method, headers: &HeaderMap) -> CallInfo {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let conditional =
        [header::IF_MATCH.as_str(), header::IF_NONE_MATCH.as_str(), "x-goog-if-generation-match"]
            .into_iter()
            .any(|name| headers.contains_key(name));
    let repeatable = reads || (matches!(*method, Method::PUT | Method::DELETE) && !conditional);
    let name = match *method {
        Method::GET => "object_store.get",
        Method::HEAD => "object_store.head",
        Method::PUT => "object_store.put",
        Method::POST => "object_store.post",
        Method::DELETE => "object_store.delete",
        _ => "object_store.request",
    };
    CallInfo::new(name, if repeatable { Idempotency::Idempotent } else { Idempotency::NotIdempotent })
}

fn payload(body: HttpRequestBody) -> Payload {
    if let Some(bytes) = body.as_bytes() {
        return Payload::from(bytes.clone());
    }
    let length = u64::try_from(body.content_length()).ok();
    Payload::replayable(length, move || body.clone().into_data_stream().map_err(io::Error::other).boxed())
}

fn wrong(error: TransportError) -> HttpError {
    let kind = match error.kind() {
        TransportErrorKind::Connect => HttpErrorKind::Connect,
        TransportErrorKind::Closed => HttpErrorKind::Request,
        TransportErrorKind::Body => HttpErrorKind::Interrupted,
        TransportErrorKind::Timeout | TransportErrorKind::Deadline => HttpErrorKind::Timeout,
        TransportErrorKind::Protocol => HttpErrorKind::Decode,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use longshore_transport::testing::{Reply, ScriptedService};
    use object_store_0_14::PutPayload;

    use super::*;

    fn client(server: &ScriptedService) -> HttpClient {
        let mut config = longshore_transport::TransportConfig::default();
        config.retry.initial = Duration::from_millis(1);
        let transport = Transport::builder().config(config).service(server.clone()).build().unwrap();
        TransportConnector::new(transport).connect(&ClientOptions::default()).unwrap()
    }

    fn request(method: Method, body: HttpRequestBody) -> HttpRequest {
        http::Request::builder().method(method).uri("http://h/b/k").body(body).unwrap()
    }

    #[tokio::test]
    async fn the_transport_decides_about_retries_and_bodies_are_sent_anew() {
        let server = ScriptedService::replies([Reply::status(503), Reply::ok("done")]);
        let chunks: PutPayload = [Bytes::from("ab"), Bytes::from("cd")].into_iter().collect();
        let sent = request(Method::PUT, chunks.into());
        let answer = client(&server).execute(sent).await.unwrap();
        assert_eq!(answer.into_body().bytes().await.unwrap(), "done");
        let bodies: Vec<_> = server.requests().iter().map(|seen| seen.body.clone().unwrap()).collect();
        assert_eq!(bodies, ["abcd", "abcd"]);
    }

    #[tokio::test]
    async fn what_would_meet_its_own_work_is_not_repeated() {
        for (method, header) in [(Method::POST, None), (Method::PUT, Some("if-none-match"))] {
            let server = ScriptedService::replies([Reply::status(500), Reply::ok("")]);
            let mut sent = request(method, HttpRequestBody::empty());
            if let Some(name) = header {
                sent.headers_mut().insert(name, http::HeaderValue::from_static("*"));
            }
            assert_eq!(client(&server).execute(sent).await.unwrap().status(), 500);
            assert_eq!(server.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn errors_keep_their_kind_and_their_cause() {
        let server = ScriptedService::replies([Reply::refused()]);
        let mut sent = request(Method::GET, HttpRequestBody::empty());
        // A host that has answered any test before is tried again.
        *sent.uri_mut() = http::Uri::from_static("http://down/b/k");
        let error = client(&server).execute(sent).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Connect);
        assert!(TransportError::find(&error).is_some());
        let server = ScriptedService::replies([Reply::ok("").broken_body(["ab"])]);
        let answer = client(&server).execute(request(Method::GET, HttpRequestBody::empty())).await.unwrap();
        let error = answer.into_body().bytes().await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Interrupted);
    }
}

//! A network that answers what was recorded and remembers what it was asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use longshore_aistore::{Client, ClientBuilder};
use longshore_transport::{HttpRequest, HttpResponse, RetryConfig, TransportError, TransportErrorKind, body};

use crate::recorded::Response;

/// A request as it went out.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) authority: String,
    /// Path and query, as on the wire.
    pub(crate) target: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct State {
    answers: Vec<Option<Response>>,
    asked: Vec<Asked>,
}

/// Answers in order; what is asked beyond them fails.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<State>>);

impl Network {
    pub(crate) fn new(answers: Vec<Option<Response>>) -> Self {
        Self(Arc::new(Mutex::new(State { answers, asked: Vec::new() })))
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let (parts, request_body) = request.into_parts();
        let body = request_body.collect().await.map_err(TransportError::from_boxed)?.to_bytes();
        let authority = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
        let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let asked =
            Asked { method: parts.method.to_string(), authority, target, headers: parts.headers, body };
        let answer = {
            let mut state = self.0.lock().unwrap();
            state.asked.push(asked);
            state.answers.get(state.asked.len() - 1).cloned()
        };
        match answer {
            Some(Some(response)) => Ok(http_response(&response, parts.method == http::Method::HEAD)),
            Some(None) => Err(TransportError::new(TransportErrorKind::Closed, "closed without an answer")),
            None => Err(TransportError::new(TransportErrorKind::Closed, "nothing more was recorded")),
        }
    }

    /// The network as what a client sends through.
    pub(crate) fn service(
        &self,
    ) -> impl tower::Service<
        HttpRequest,
        Response = HttpResponse,
        Error = TransportError,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static {
        let network = self.clone();
        tower::service_fn(move |request| network.clone().answer(request))
    }

    /// A client whose every request ends here.
    pub(crate) fn client(&self, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let service = self.service();
        let builder = Client::builder("http://gateway:8080")
            .service(service)
            .retry(RetryConfig::off())
            .direct_uploads(false);
        change(builder).build().unwrap()
    }
}

fn http_response(recorded: &Response, is_head: bool) -> HttpResponse {
    let mut response = http::Response::builder().status(recorded.status);
    for (name, value) in &recorded.headers {
        // The recording joins repeated lines; the server sends each pair of custom metadata on its own.
        let lines: Vec<&str> = if name == "ais-custom-md" { custom_lines(value) } else { vec![value] };
        for line in lines {
            response = response.header(name, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
    }
    let bytes = if is_head { Vec::new() } else { recorded.body().bytes() };
    response.body(body::full(bytes)).unwrap()
}

/// Undoes the joining of lines with `, `: a new line begins where a key and `=` follow.
pub(crate) fn custom_lines(joined: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, _) in joined.match_indices(", ") {
        let rest = &joined[at + 2..];
        let key = rest.split('=').next().unwrap_or_default();
        if rest.contains('=') && !key.is_empty() && !key.contains([',', ' ']) {
            lines.push(&joined[start..at]);
            start = at + 2;
        }
    }
    lines.push(&joined[start..]);
    lines
}

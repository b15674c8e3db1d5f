//! The HTTP client at the bottom of the stack: HTTP/1.1 over a pool of connections for each server.

mod conn;
mod connect;
mod incoming;
mod outgoing;
mod pool;
mod proxy;
mod stream;
#[cfg(feature = "rustls")]
mod tls;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::{
    Extensions, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, USER_AGENT},
    request::Parts,
    uri::PathAndQuery,
};
use http_body::Body;
use hyper::body::Incoming;
use longshore_core_types::{CallInfo, Idempotency, Payload, Result};
use tower_service::Service;
use tracing::debug;

pub(crate) use self::incoming::ClientBody;
use self::{
    conn::{Conn, Failed},
    connect::Connector,
    outgoing::{Gate, Outgoing},
    pool::{Origin, Pool},
};
use crate::{
    HttpRequest, Phase, Progress, RequestOptions, Sent, TransportConfig, TransportError, TransportErrorKind,
    endpoint::Endpoint, progress::Probe,
};

/// Sends one request to one server. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    connector: Connector,
    pool: Pool,
    connect_limit: Option<Duration>,
    user_agent: Option<HeaderValue>,
}

impl Client {
    pub(crate) fn new(config: &TransportConfig) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            connector: Connector::new(config)?,
            pool: Pool::new(config.pool),
            connect_limit: config.timeouts.connect,
            user_agent: config.user_agent.clone(),
        })))
    }
}

impl Service<HttpRequest> for Client {
    type Response = Response<ClientBody>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<ClientBody>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.send(request).await })
    }
}

/// What the client has to know of a request besides what goes on the wire.
struct Plan {
    progress: Progress,
    /// Announce the body and wait this long for the server's consent.
    expect: Option<Duration>,
    connect_limit: Option<Duration>,
    /// Whether it may go again although the server may have seen it.
    repeatable: bool,
}

impl Shared {
    async fn send(&self, request: HttpRequest) -> Result<Response<ClientBody>, TransportError> {
        let endpoint = destination(request.uri())?;
        let origin = self.pool.origin(&endpoint, || self.connector.proxy(&endpoint))?;
        let (plan, request) = self.plan(&origin, request);
        let mut lease = origin.lease(&plan.progress).await?;
        let mut request = plan.outgoing(request, lease.conn().is_some());
        if let Some(conn) = lease.conn() {
            let again = request.1;
            match exchange(conn, &plan.progress, request.0).await {
                Ok(answer) => return Ok(answer.map(|body| ClientBody::new(body, lease, endpoint))),
                // The server closed it while it was idle, most likely. Nobody waits and nobody counts: the
                // request goes again, once, on a new connection.
                Err(failed) => match failed.unsent.or(again.filter(|_| failed.silent)) {
                    None => return Err(failed.error.with_endpoint(endpoint.to_string())),
                    Some(next) => request = (next, None),
                },
            }
            debug!(%endpoint, "an idle connection was dead; using a new one");
            lease.discard();
            origin.close_idle();
        }
        let conn = lease.set(self.connect(&origin, &plan).await?);
        match exchange(conn, &plan.progress, request.0).await {
            Ok(answer) => Ok(answer.map(|body| ClientBody::new(body, lease, endpoint))),
            Err(failed) => Err(failed.error.with_endpoint(endpoint.to_string())),
        }
    }

    /// Turns a request into what goes on the wire to this server.
    fn plan(&self, origin: &Origin, request: HttpRequest) -> (Plan, HttpRequest) {
        let (mut parts, body) = request.into_parts();
        let options = parts.extensions.get::<RequestOptions>().copied().unwrap_or_default();
        let plan = Plan {
            progress: parts.extensions.get().cloned().unwrap_or_default(),
            expect: options.expect_continue.filter(|_| !body.is_empty()),
            connect_limit: options.timeouts.map_or(self.connect_limit, |limits| limits.connect),
            repeatable: match parts.extensions.get::<CallInfo>() {
                Some(call) => call.idempotency == Idempotency::Idempotent,
                None => parts.method.is_idempotent(),
            },
        };
        parts.extensions = Extensions::new();
        parts.version = Version::HTTP_11;
        let headers = &mut parts.headers;
        headers.entry(HOST).or_insert_with(|| origin.host.clone());
        if let Some(agent) = &self.user_agent {
            headers.entry(USER_AGENT).or_insert_with(|| agent.clone());
        }
        // hyper leaves the length out where there is no body; some servers insist on it.
        if body.is_empty() && matches!(parts.method, Method::PUT | Method::POST | Method::PATCH) {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        headers.remove(EXPECT);
        if plan.expect.is_some() {
            headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        match &origin.via {
            // A proxy wants to know the server; behind a tunnel there is no proxy any more.
            Some(via) if !origin.endpoint.https => {
                if let Some(auth) = &via.auth {
                    headers.insert(PROXY_AUTHORIZATION, auth.clone());
                }
            }
            _ => parts.uri = origin_form(parts.uri),
        }
        (plan, HttpRequest::from_parts(parts, body))
    }

    async fn connect(&self, origin: &Origin, plan: &Plan) -> Result<Conn, TransportError> {
        plan.progress.enter(Phase::Local);
        self.pool.sweep();
        let via = origin.via.as_ref();
        let kind = self.connector.connect(&origin.endpoint, via, plan.connect_limit).await?;
        Conn::new(kind).await.map_err(|error| {
            TransportError::new(TransportErrorKind::Connect, "the connection could not be set up")
                .with_endpoint(origin.endpoint.to_string())
                .with_source(error)
        })
    }
}

impl Plan {
    /// The request to send, and, for a connection that may turn out to be dead, the same once more.
    fn outgoing(&self, request: HttpRequest, spare: bool) -> (Request<Outgoing>, Option<Request<Outgoing>>) {
        let (parts, body) = request.into_parts();
        let spare = (spare && self.repeatable).then(|| body.try_clone()).flatten();
        let spare = spare.map(|body| self.request(parts.clone(), body));
        (self.request(parts, body), spare)
    }

    fn request(&self, parts: Parts, body: Payload) -> Request<Outgoing> {
        let gate = self.expect.map(|silence| (Gate::new(), silence));
        let body = Outgoing::new(body, self.progress.clone(), gate);
        let consent = body.gate();
        let mut request = Request::from_parts(parts, body);
        if let Some(gate) = consent {
            hyper::ext::on_informational(&mut request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        request
    }
}

/// An exchange without an answer.
struct Failure {
    error: TransportError,
    /// Not one byte of an answer had come.
    silent: bool,
    /// The request, if not one byte of it had gone.
    unsent: Option<Request<Outgoing>>,
}

async fn exchange(
    conn: &mut Conn,
    progress: &Progress,
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, Failure> {
    let body_len = request.body().size_hint().exact();
    let gate = request.body().gate();
    let read_before = conn.counters.read.load(Relaxed);
    let start = conn.counters.written.load(Relaxed);
    progress.attach(Probe { written: Arc::clone(&conn.counters.written), start, body_len, seen: start });
    progress.enter(if body_len == Some(0) { Phase::Head } else { Phase::Body });
    match conn.exchange(request).await {
        Ok(answer) => {
            if let Some(gate) = gate {
                gate.refuse();
            }
            Ok(answer)
        }
        Err(Failed { error, unsent }) => {
            let silent = conn.counters.read.load(Relaxed) == read_before;
            let sent = if unsent.is_some() { Sent::NOTHING } else { progress.sent() };
            let error = describe(error, conn.fault(), silent).with_sent(sent);
            Err(Failure { error, silent, unsent })
        }
    }
}

/// What hyper's error, and that of the connection itself, mean.
fn describe(error: hyper::Error, fault: Option<hyper::Error>, silent: bool) -> TransportError {
    // A request that is given up because its connection failed says only that; the connection knows more.
    let cause = match fault {
        Some(fault) if error.is_canceled() || fault.is_user() => fault,
        _ => error,
    };
    let (kind, message) = if cause.is_user() {
        (TransportErrorKind::RequestBody, "the request's body could not be read")
    } else if cause.is_parse() {
        (TransportErrorKind::Protocol, "the answer is not HTTP/1.1")
    } else if silent {
        (TransportErrorKind::Closed, "the connection was closed without an answer")
    } else {
        (TransportErrorKind::Closed, "the connection was closed in the middle of the answer's head")
    };
    TransportError::new(kind, message).with_source(cause)
}

fn destination(uri: &Uri) -> Result<Endpoint, TransportError> {
    let invalid = |why: &'static str| TransportError::new(TransportErrorKind::InvalidRequest, why);
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(invalid("the URL's scheme is neither http nor https")),
        None => return Err(invalid("the URL has no scheme and host")),
    }
    Endpoint::of(uri).filter(|endpoint| !endpoint.host().is_empty()).ok_or(invalid("the URL has no host"))
}

/// Path and query alone, byte for byte.
fn origin_form(uri: Uri) -> Uri {
    let path = uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    // `http://host?query` has no path at all; on the wire it needs one.
    if path.as_str().starts_with('/') {
        return Uri::from(path);
    }
    // As text it has one.
    path.to_string().parse().unwrap_or_else(|_| Uri::from(PathAndQuery::from_static("/")))
}

#[cfg(test)]
mod tests;

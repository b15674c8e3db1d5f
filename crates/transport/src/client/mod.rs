//! The HTTP client at the bottom of the stack: HTTP/1.1 over a pool of connections for each server, and
//! HTTP/2 over one if that is wanted.

mod conn;
mod connect;
#[cfg(feature = "http2")]
mod http2;
mod incoming;
mod outgoing;
mod pool;
mod proxy;
mod stream;
#[cfg(feature = "rustls")]
mod tls;

#[cfg(feature = "http2")]
use std::ops::ControlFlow;
use std::{
    fmt,
    future::Future,
    mem,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use http::{
    Extensions, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, USER_AGENT},
    uri::{PathAndQuery, Scheme},
};
use http_body::Body;
use hyper::body::Incoming;
use longshore_core_types::Result;
use tower_service::Service;

pub use self::incoming::ClientBody;
use self::{
    conn::{Conn, Failed},
    connect::Connector,
    outgoing::{Gate, Outgoing},
    pool::{Lease, Origin, Pool},
    stream::Kind,
};
use crate::{
    HttpRequest, Phase, Progress, RequestOptions, Sent, TransportConfig, TransportError, TransportErrorKind,
    endpoint::Endpoint, progress::Probe,
};

/// The HTTP client at the bottom of the default stack: sends one request to one server, over HTTP/1.1, or
/// over HTTP/2 if [`PoolConfig`](crate::PoolConfig) asks for it and the server offers it.
///
/// It keeps connections for each server ([`PoolConfig`](crate::PoolConfig)), speaks TLS and to proxies,
/// and does nothing else: no retry, no redirect, no time-out but that of connecting. Clones share the
/// connections. An answer's body holds its connection until it ends; dropped before that, it closes the
/// connection, which is also the way to get rid of a slow one.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    connector: Connector,
    pool: Pool,
    connect_limit: Option<Duration>,
    user_agent: Option<HeaderValue>,
}

impl HttpClient {
    /// Takes `tls`, `proxy`, `pool`, `user_agent` and the connect time-out from the settings. Fails
    /// ([`ErrorKind::InvalidConfig`](longshore_core_types::ErrorKind::InvalidConfig)) if TLS settings are
    /// wrong. Does no I/O.
    pub fn new(config: &TransportConfig) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            connector: Connector::new(config)?,
            pool: Pool::new(config.pool),
            connect_limit: config.timeouts.connect,
            user_agent: config.user_agent.clone(),
        })))
    }
}

impl HttpClient {
    /// Sends a request and reports its progress.
    pub(crate) fn send(
        &self,
        request: HttpRequest,
        progress: Progress,
    ) -> BoxFuture<'static, Result<Response<ClientBody>, TransportError>> {
        // What needs no waiting is done first, so that the future does not have to hold it.
        match Trip::plan(&self.0, request, progress) {
            Ok(trip) => Box::pin(trip.make()),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl Service<HttpRequest> for HttpClient {
    type Response = Response<ClientBody>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<ClientBody>, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let progress = request.extensions().get().cloned().unwrap_or_default();
        self.send(request, progress)
    }
}

/// What the client has to know of a request besides what goes on the wire.
struct Plan {
    progress: Progress,
    /// Announce the body and wait this long for the server's consent.
    expect: Option<(Gate, Duration)>,
    connect_limit: Option<Duration>,
}

/// One request on its way to one server.
struct Trip {
    shared: Arc<Shared>,
    origin: Arc<Origin>,
    plan: Plan,
    /// Until it is sent. A request is large, and the trip is moved more often than it.
    request: Option<Box<Request<Outgoing>>>,
}

impl Trip {
    fn plan(shared: &Arc<Shared>, request: HttpRequest, progress: Progress) -> Result<Self, TransportError> {
        let endpoint = destination(request.uri())?;
        let origin = shared.pool.origin(&endpoint, || shared.connector.proxy(&endpoint))?;
        let (plan, request) = shared.plan(&origin, request, progress);
        Ok(Self { shared: Arc::clone(shared), origin, plan, request: Some(Box::new(request)) })
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn holds its argument twice, and this one is large")]
    fn make(mut self) -> impl Future<Output = Result<Response<ClientBody>, TransportError>> {
        async move {
            let mut lease = self.origin.lease(&self.plan.progress).await?;
            let mut fresh = false;
            #[cfg(feature = "http2")]
            if self.shared.connector.negotiates(&self.origin) {
                match Box::pin(self.multiplexed(lease)).await? {
                    ControlFlow::Break(answer) => return Ok(answer),
                    ControlFlow::Continue((alone, new)) => (lease, fresh) = (alone, new),
                }
            }
            loop {
                let (conn, was_idle) = match lease.take() {
                    Some(conn) => (conn, !mem::take(&mut fresh)),
                    // Connecting is rare and its future large.
                    None => (Box::pin(self.shared.connect(&self.origin, &self.plan)).await?, false),
                };
                let wait = self.exchange(lease.set(conn))?;
                match wait.await {
                    Ok(answer) => return Ok(self.plan.finish(answer, lease)),
                    Err(failed) if was_idle => {
                        // The server closed it while it was idle, most likely, and the others with it.
                        lease.discard();
                        self.origin.close_idle();
                        self.request = Some(Box::new(self.plan.unsent(*failed, &self.origin)?));
                    }
                    Err(failed) => return Err(self.plan.describe(*failed, &self.origin)),
                }
            }
        }
    }

    /// The answer over HTTP/2, or the lease back if the server does not speak it, with a connection that
    /// is new if it says so.
    #[cfg(feature = "http2")]
    async fn multiplexed(
        &mut self,
        mut lease: Lease,
    ) -> Result<ControlFlow<Response<ClientBody>, (Lease, bool)>, TransportError> {
        if lease.conn().is_some() {
            return Ok(ControlFlow::Continue((lease, false)));
        }
        loop {
            let (shared, fresh) = match self.origin.multiplexed() {
                Some(shared) => (shared, false),
                None => match self.open_multiplexed(&mut lease).await? {
                    Some(opened) => opened,
                    None => return Ok(ControlFlow::Continue((lease, true))),
                },
            };
            let gone =
                || TransportError::new(TransportErrorKind::RequestBody, "the request was already sent");
            let mut request = self.request.take().ok_or_else(gone)?;
            let progress = &self.plan.progress;
            progress.share(request.body().size_hint().exact());
            progress.enter(if request.body().is_end_stream() { Phase::Head } else { Phase::Body });
            let fault = http2::upgrade(&mut request);
            match shared.exchange(*request).await {
                Ok(answer) => {
                    lease.share(shared);
                    return Ok(ControlFlow::Break(self.plan.finish(answer, lease)));
                }
                // It was closed while it was idle, or just when the request came.
                Err(http2::Failed { unsent: Some(mut request), .. }) if !fresh => {
                    http2::downgrade(&mut request);
                    self.request = Some(request);
                }
                Err(failed) => {
                    let stale = !fresh && failed.silent && shared.is_closed();
                    let error = http2::describe(failed, &fault, progress.sent());
                    let error = error.with_endpoint(self.origin.endpoint.to_string());
                    let lost = error.kind() == TransportErrorKind::Closed;
                    return Err(if stale && lost { error.stale_connection() } else { error });
                }
            }
        }
    }

    /// A connection that all requests share, and whether it is new; `None` if the server wants HTTP/1.1,
    /// whose connection then is in the lease.
    #[cfg(feature = "http2")]
    async fn open_multiplexed(
        &self,
        lease: &mut Lease,
    ) -> Result<Option<(Arc<http2::Multiplexed>, bool)>, TransportError> {
        let (origin, shared) = (&self.origin, &self.shared);
        self.plan.progress.enter(Phase::Local);
        let turn = origin.http2.turn().await;
        if let Some(made_meanwhile) = origin.multiplexed() {
            return Ok(Some((made_meanwhile, false)));
        }
        let kind = shared.open(origin, &self.plan).await.inspect_err(|_| origin.http2.count_failure())?;
        if kind.is_http2() {
            let new = http2::Multiplexed::new(kind).await.map_err(|error| broken_start(origin, error))?;
            let new = Arc::new(new);
            origin.http2.set(&new);
            return Ok(Some((new, true)));
        }
        origin.http2.decline();
        drop(turn);
        lease.set(Conn::new(kind).await.map_err(|error| broken_start(origin, error))?);
        Ok(None)
    }

    /// Sends the request; the future is the wait for its answer.
    fn exchange<'a>(
        &mut self,
        conn: &'a mut Conn,
    ) -> Result<impl Future<Output = Result<Response<Incoming>, Box<Failed>>> + use<'a>, TransportError> {
        let gone = || TransportError::new(TransportErrorKind::RequestBody, "the request was already sent");
        let request = self.request.take().ok_or_else(gone)?;
        let body_len = request.body().size_hint().exact();
        let start = conn.counters.written.load(Relaxed);
        let written = Arc::clone(&conn.counters.written);
        let progress = &self.plan.progress;
        progress.attach(Probe { written, start, body_len, seen: start });
        progress.enter(if body_len == Some(0) { Phase::Head } else { Phase::Body });
        Ok(conn.exchange(*request))
    }
}

impl Plan {
    fn finish(&self, answer: Response<Incoming>, lease: Lease) -> Response<ClientBody> {
        if let Some((gate, _)) = &self.expect {
            gate.refuse();
        }
        answer.map(|body| ClientBody::new(body, lease, self.progress.clone()))
    }

    /// The request of an exchange on a connection that had been idle, if nothing of it was sent: it goes on
    /// a new connection as if that were the first.
    fn unsent(&self, mut failed: Failed, origin: &Origin) -> Result<Request<Outgoing>, TransportError> {
        if let Some(request) = failed.unsent.take() {
            return Ok(request);
        }
        let silent = failed.silent;
        let error = self.describe(failed, origin);
        Err(if silent { error.stale_connection() } else { error })
    }

    /// What hyper's error, and that of the connection itself, mean.
    fn describe(&self, failed: Failed, origin: &Origin) -> TransportError {
        let Failed { error, fault, silent, unsent } = failed;
        // A request that is given up because its connection failed says only that; the connection knows
        // more.
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
        TransportError::new(kind, message)
            .with_sent(if unsent.is_some() { Sent::NOTHING } else { self.progress.sent() })
            .with_endpoint(origin.endpoint.to_string())
            .with_source(cause)
    }
}

impl Shared {
    /// Turns a request into what goes on the wire to this server.
    fn plan(&self, origin: &Origin, request: HttpRequest, progress: Progress) -> (Plan, Request<Outgoing>) {
        let (mut parts, body) = request.into_parts();
        let options = parts.extensions.get::<RequestOptions>().copied().unwrap_or_default();
        let plan = Plan {
            progress,
            expect: options
                .expect_continue
                .filter(|_| !body.is_empty())
                .map(|silence| (Gate::new(), silence)),
            connect_limit: options.timeouts.map_or(self.connect_limit, |limits| limits.connect),
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
        let body = Outgoing::new(body, plan.progress.clone(), plan.expect.clone());
        let mut request = Request::from_parts(parts, body);
        if let Some((gate, _)) = &plan.expect {
            let gate = gate.clone();
            hyper::ext::on_informational(&mut request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        (plan, request)
    }

    async fn connect(&self, origin: &Origin, plan: &Plan) -> Result<Conn, TransportError> {
        let kind = self.open(origin, plan).await?;
        Conn::new(kind).await.map_err(|error| broken_start(origin, error))
    }

    async fn open(&self, origin: &Origin, plan: &Plan) -> Result<Kind, TransportError> {
        plan.progress.enter(Phase::Local);
        self.pool.sweep();
        self.connector.connect(&origin.endpoint, origin.via.as_ref(), plan.connect_limit).await
    }
}

fn broken_start(origin: &Origin, error: hyper::Error) -> TransportError {
    TransportError::new(TransportErrorKind::Connect, "the connection could not be set up")
        .with_endpoint(origin.endpoint.to_string())
        .with_source(error)
}

fn destination(uri: &Uri) -> Result<Endpoint, TransportError> {
    let invalid = |why: &'static str| TransportError::new(TransportErrorKind::InvalidRequest, why);
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        Some(_) => return Err(invalid("the URL's scheme is neither http nor https")),
        None => return Err(invalid("the URL has no scheme and host")),
    }
    Endpoint::of(uri).ok_or_else(|| invalid("the URL has no host"))
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

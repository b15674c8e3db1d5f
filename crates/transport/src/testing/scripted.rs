//! A server that exists only in a test.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use http::{HeaderMap, Method, Uri};
use longshore_core_types::{CallInfo, Payload};
use tower_service::Service;

use super::{Reply, reply::Outcome};
use crate::{HttpRequest, HttpResponse, Phase, Progress, TransportError, TransportErrorKind};

/// A request that was seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its URL.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `None` if it was not read.
    pub body: Option<Bytes>,
    /// What it was about.
    pub call: Option<CallInfo>,
}

impl Seen {
    pub(super) fn head(request: &HttpRequest) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: None,
            call: request.extensions().get().cloned(),
        }
    }

    /// The value of a header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Answers requests from a script or a function, and remembers them. Clones are the same server.
///
/// It reads the body of each request, unless the reply is [`unread`](Reply::unread), and reports its
/// progress as the HTTP client does.
#[derive(Clone)]
pub struct ScriptedService(Arc<Inner>);

struct Inner {
    answer: Box<Answer>,
    seen: Mutex<Vec<Seen>>,
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

impl ScriptedService {
    /// Answers with these replies, one after the other. A request beyond the last one is an error.
    pub fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        let left: Mutex<VecDeque<Reply>> = Mutex::new(replies.into_iter().collect());
        Self::new(move |_| {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            next.unwrap_or_else(|| {
                Reply::error(TransportError::new(TransportErrorKind::Middleware, "the script has ended"))
            })
        })
    }

    /// Answers with what a function makes of the head of a request (its body is read afterwards).
    pub fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { answer: Box::new(answer), seen: Mutex::default() }))
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let seen = Seen::head(&request);
        let progress = request.extensions().get::<Progress>().cloned().unwrap_or_default();
        let at = {
            let mut all = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(seen.clone());
            all.len() - 1
        };
        let reply = (self.0.answer)(&seen);
        if reply.reads_body {
            let body = read(request.into_body(), &progress).await?;
            self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)[at].body = Some(body);
        }
        progress.enter(Phase::Head);
        tokio::time::sleep(reply.delay).await;
        match reply.outcome {
            Outcome::Answer(answer) => Ok(*answer),
            Outcome::Error(error) => Err(error),
            Outcome::Silence => std::future::pending().await,
        }
    }
}

async fn read(body: Payload, progress: &Progress) -> Result<Bytes, TransportError> {
    let mut all = BytesMut::new();
    let mut chunks = body.into_stream();
    progress.enter(Phase::Local);
    while let Some(chunk) = chunks.next().await {
        let failed = |error| {
            TransportError::new(TransportErrorKind::RequestBody, "the request's body failed")
                .with_source(error)
        };
        all.extend_from_slice(&chunk.map_err(failed)?);
        progress.enter(Phase::Local);
    }
    Ok(all.freeze())
}

impl Service<HttpRequest> for ScriptedService {
    type Response = HttpResponse;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<HttpResponse, TransportError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        Box::pin(self.clone().serve(request))
    }
}

impl fmt::Debug for ScriptedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedService").finish_non_exhaustive()
    }
}

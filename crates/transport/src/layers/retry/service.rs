//! The retry loop.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Method, Response};
use http_body::Body;
use longshore_core_types::{CallInfo, Idempotency};
use tokio::time::Instant;
use tower::ServiceExt;
use tower_service::Service;
use tracing::debug;

use super::{
    Attempts, Decision, RetryClassifier, backoff,
    budget::{Endpoints, Record},
};
use crate::{
    HttpRequest, RetryConfig, TransportError, TransportErrorKind, body, endpoint::Endpoint,
    layers::deadline::EndsAt, replay::Template,
};

#[derive(Debug)]
pub(super) struct Shared {
    config: RetryConfig,
    classifier: Arc<dyn RetryClassifier>,
    endpoints: Endpoints,
}

impl Shared {
    pub(super) fn new(config: RetryConfig, classifier: Arc<dyn RetryClassifier>) -> Self {
        Self { config, classifier, endpoints: Endpoints::default() }
    }
}

/// Made by [`RetryLayer`](super::RetryLayer).
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Retry<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B> Service<HttpRequest> for Retry<S>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    type Response = Response<B>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Response<B>, TransportError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        // The one that is ready is used, the fresh clone stays.
        let spare = self.inner.clone();
        let ready = mem::replace(&mut self.inner, spare);
        Box::pin(run(Arc::clone(&self.shared), ready, request))
    }
}

/// What a call brings along and what happened to it so far.
struct Call<'a> {
    shared: &'a Shared,
    info: CallInfo,
    record: Arc<Record>,
    /// No attempt starts after this moment.
    until: Option<Instant>,
    attempts: u32,
    closes: u32,
}

/// What to do after an attempt.
enum Next {
    Wait(Duration),
    Finish,
    /// Another attempt would make sense, but.
    GiveUp(&'static str),
}

async fn run<S, B>(
    shared: Arc<Shared>,
    mut service: S,
    request: HttpRequest,
) -> Result<Response<B>, TransportError>
where
    S: Service<HttpRequest, Response = Response<B>, Error = TransportError>,
    B: Body<Data = Bytes>,
{
    let mut call = Call::new(&shared, &request);
    let mut template = Template::new(request);
    let mut next = template.request();
    while let Some(request) = next {
        call.attempts += 1;
        let outcome = match service.ready().await {
            Ok(ready) => ready.call(request).await,
            Err(error) => Err(error),
        };
        let (outcome, step) = call.judge(outcome, &template);
        match step {
            Next::Finish => return call.finish(outcome, None),
            Next::GiveUp(reason) => return call.finish(outcome, Some(reason)),
            Next::Wait(wait) => {
                call.log(&outcome, wait);
                if let Ok(answer) = outcome {
                    body::discard(answer.into_body()).await;
                }
                tokio::time::sleep(wait).await;
            }
        }
        next = template.request();
    }
    // Not reached: `judge` asks for another attempt only if the body is there.
    Err(TransportError::new(TransportErrorKind::RequestBody, "the body was read while the call waited"))
}

impl<'a> Call<'a> {
    fn new(shared: &'a Shared, request: &HttpRequest) -> Self {
        let record = shared.endpoints.get(Endpoint::of(request.uri()).as_ref());
        if let Some(budget) = &shared.config.budget {
            record.deposit(budget);
        }
        let own = shared.config.deadline.and_then(|limit| Instant::now().checked_add(limit));
        let given = request.extensions().get::<EndsAt>().map(|ends| ends.0);
        let until = match (own, given) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let info = request.extensions().get::<CallInfo>().cloned();
        let info = info.unwrap_or_else(|| by_method(request.method()));
        Self { shared, info, record, until, attempts: 0, closes: 0 }
    }

    fn judge<B>(
        &mut self,
        outcome: Result<Response<B>, TransportError>,
        template: &Template,
    ) -> (Result<Response<B>, TransportError>, Next) {
        match outcome {
            Ok(answer) => {
                self.record.set_answered();
                let (parts, body) = answer.into_parts();
                let decision = self.shared.classifier.classify(&self.info, Ok(&parts));
                (Ok(Response::from_parts(parts, body)), self.next(decision, None, template))
            }
            Err(error) => {
                // A redirect is an answer too.
                if error.redirects() > 0 {
                    self.record.set_answered();
                }
                let decision = self.shared.classifier.classify(&self.info, Err(&error));
                let next = self.next(decision, Some(error.kind()), template);
                (Err(error), next)
            }
        }
    }

    fn next(&mut self, decision: Decision, error: Option<TransportErrorKind>, template: &Template) -> Next {
        let config = &self.shared.config;
        let Decision::Retry { after } = decision else { return Next::Finish };
        if self.info.idempotency == Idempotency::Never {
            return Next::Finish;
        }
        match error {
            // Wrong address or a server that is down: say so at once instead of after all attempts.
            Some(TransportErrorKind::Connect) if !self.record.answered() => return Next::Finish,
            Some(TransportErrorKind::Closed) => {
                self.closes += 1;
                if self.closes > config.after_close {
                    return Next::GiveUp("the server closed the connection each time");
                }
            }
            _ => {}
        }
        if self.attempts >= config.max_attempts {
            return Next::GiveUp("no attempts are left");
        }
        if !template.can_repeat() {
            return Next::GiveUp("its body was a one-shot stream and cannot be sent again");
        }
        let mut wait = backoff::wait(config, self.attempts);
        if let Some(after) = after.filter(|_| config.honor_retry_after) {
            if after > config.retry_after_cap {
                return Next::GiveUp("the server asks for a longer wait than is allowed");
            }
            wait = wait.max(after);
        }
        let start = Instant::now().checked_add(wait);
        if self.until.is_some_and(|until| start.is_none_or(|start| start >= until)) {
            return Next::GiveUp("its deadline leaves no time for another attempt");
        }
        if config.budget.is_some_and(|budget| !self.record.withdraw(&budget)) {
            return Next::GiveUp("the retry budget of this server is used up");
        }
        Next::Wait(wait)
    }

    fn finish<B>(
        &self,
        outcome: Result<Response<B>, TransportError>,
        gave_up: Option<&'static str>,
    ) -> Result<Response<B>, TransportError> {
        match outcome {
            Ok(mut answer) => {
                let exhausted = gave_up.is_some();
                if self.attempts > 1 || exhausted {
                    answer.extensions_mut().insert(Attempts { count: self.attempts, exhausted });
                }
                Ok(answer)
            }
            Err(error) => {
                let error = error.with_attempts(self.attempts);
                Err(match gave_up {
                    Some(reason) => error.exhausted().with_note(format!("not tried again: {reason}")),
                    None => error,
                })
            }
        }
    }

    fn log<B>(&self, outcome: &Result<Response<B>, TransportError>, wait: Duration) {
        let (operation, attempt) = (self.info.operation, self.attempts);
        match outcome {
            Ok(answer) => {
                debug!(operation, attempt, status = answer.status().as_u16(), ?wait, "trying again");
            }
            Err(error) => debug!(operation, attempt, %error, ?wait, "trying again"),
        }
    }
}

/// What HTTP says about a request that says nothing itself.
fn by_method(method: &Method) -> CallInfo {
    let idempotency =
        if method.is_idempotent() { Idempotency::Idempotent } else { Idempotency::NotIdempotent };
    CallInfo::new("http", idempotency)
}

#[cfg(test)]
mod tests;

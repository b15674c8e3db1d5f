//! The retry loop.

use std::{
    future::Future,
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Method, Response, StatusCode, response::Parts};
use http_body::Body;
use longshore_core_types::{CallInfo, Idempotency, Pressure};
use tokio::time::Instant;
use tower_service::Service;
use tracing::debug;

use super::{
    Attempts, Decision, RetryClassifier, backoff,
    budget::{Endpoints, Record},
    retry_after,
};
use crate::{
    HttpRequest, RetryConfig, TransportError, TransportErrorKind, body,
    endpoint::Endpoint,
    layers::{
        attempt::{Attempt, Direct},
        deadline::EndsAt,
    },
    replay::Template,
};

#[derive(Debug)]
pub(super) struct Shared {
    config: RetryConfig,
    classifier: Arc<dyn RetryClassifier>,
    endpoints: Endpoints,
    pressure: Pressure,
}

impl Shared {
    pub(super) fn new(config: RetryConfig, classifier: Arc<dyn RetryClassifier>) -> Self {
        Self { config, classifier, endpoints: Endpoints::default(), pressure: Pressure::new() }
    }

    pub(super) fn noting(&self, pressure: Pressure) -> Self {
        Self {
            config: self.config,
            classifier: Arc::clone(&self.classifier),
            endpoints: Endpoints::default(),
            pressure,
        }
    }

    pub(super) fn pressure(&self) -> Pressure {
        self.pressure.clone()
    }

    /// An answer that says that there are too many requests is noted.
    fn weigh(&self, answer: &Parts) {
        if matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let asked = retry_after(&answer.headers).filter(|_| self.config.honor_retry_after);
            self.pressure.refused(asked.map(|asked| asked.min(self.config.retry_after_cap)));
        }
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
        let service = Direct(mem::replace(&mut self.inner, spare));
        let call = Call::new(Arc::clone(&self.shared), &request);
        Box::pin(call.run(Template::new(request), service))
    }
}

/// What a call brings along and what happened to it so far.
pub(in crate::layers) struct Call {
    shared: Arc<Shared>,
    info: CallInfo,
    record: Arc<Record>,
    /// No attempt starts after this moment.
    until: Option<Instant>,
    attempts: u32,
    closes: u32,
    /// Whether the one free replay is used up.
    replayed: bool,
}

/// What an attempt leads to.
enum Step<B> {
    Finish(Result<Response<B>, TransportError>),
    /// Again at once, not counted: the connection was dead before the request went out on it.
    Replay,
    Again {
        wait: Duration,
        /// What is not used any more.
        answer: Option<Response<B>>,
    },
}

/// Whether another attempt follows.
enum Verdict {
    Final,
    /// Another one would make sense, but.
    GiveUp(&'static str),
    After(Duration),
}

impl Call {
    pub(super) fn new(shared: Arc<Shared>, request: &HttpRequest) -> Self {
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
        Self { shared, info, record, until, attempts: 0, closes: 0, replayed: false }
    }

    /// Attempts until one of them is the result.
    #[expect(clippy::manual_async_fn, reason = "an async fn holds its arguments twice, and these are large")]
    pub(in crate::layers) fn run<A>(
        mut self,
        mut template: Template,
        mut attempt: A,
    ) -> impl Future<Output = Result<Response<A::Body>, TransportError>> + Send
    where
        A: Attempt,
        A::Body: Body<Data = Bytes>,
        <A::Body as Body>::Error: Send,
    {
        async move {
            loop {
                self.attempts += 1;
                let outcome = attempt.send(&mut template).await;
                let wait = match self.judge(outcome, &template) {
                    Step::Finish(outcome) => return outcome,
                    Step::Replay => Duration::ZERO,
                    Step::Again { wait, answer: None } => wait,
                    Step::Again { wait, answer: Some(answer) } => {
                        Box::pin(body::discard(answer.into_body())).await;
                        wait
                    }
                };
                if !wait.is_zero() {
                    Box::pin(tokio::time::sleep(wait)).await;
                }
                attempt.ready().await?;
            }
        }
    }

    fn judge<B>(&mut self, outcome: Result<Response<B>, TransportError>, template: &Template) -> Step<B> {
        let (outcome, verdict) = match outcome {
            Ok(answer) => {
                self.record.set_answered();
                let (parts, body) = answer.into_parts();
                self.shared.weigh(&parts);
                let decision = self.shared.classifier.classify(&self.info, Ok(&parts));
                (Ok(Response::from_parts(parts, body)), self.verdict(decision, None, template))
            }
            Err(error) => {
                // A redirect is an answer too.
                if error.redirects() > 0 {
                    self.record.set_answered();
                }
                if self.may_replay(&error, template) {
                    debug!(operation = self.info.operation, "an idle connection was dead; using a new one");
                    self.replayed = true;
                    self.attempts -= 1;
                    return Step::Replay;
                }
                if error.kind() == TransportErrorKind::Connect {
                    self.shared.pressure.refused(None);
                }
                let decision = self.shared.classifier.classify(&self.info, Err(&error));
                let verdict = self.verdict(decision, Some(error.kind()), template);
                (Err(error), verdict)
            }
        };
        match verdict {
            Verdict::Final => Step::Finish(self.finish(outcome, None)),
            Verdict::GiveUp(why) => Step::Finish(self.finish(outcome, Some(why))),
            Verdict::After(wait) => {
                self.log(&outcome, wait);
                Step::Again { wait, answer: outcome.ok() }
            }
        }
    }

    fn may_replay(&self, error: &TransportError, template: &Template) -> bool {
        error.is_stale_connection()
            && !self.replayed
            && self.info.idempotency == Idempotency::Idempotent
            && template.can_repeat()
    }

    fn verdict(
        &mut self,
        decision: Decision,
        error: Option<TransportErrorKind>,
        template: &Template,
    ) -> Verdict {
        let config = &self.shared.config;
        let Decision::Retry { after } = decision else { return Verdict::Final };
        if self.info.idempotency == Idempotency::Never {
            return Verdict::Final;
        }
        match error {
            // Wrong address or a server that is down: say so at once instead of after all attempts.
            Some(TransportErrorKind::Connect) if !self.record.answered() => return Verdict::Final,
            Some(TransportErrorKind::Closed) => {
                self.closes += 1;
                if self.closes > config.after_close {
                    return Verdict::GiveUp("the server closed the connection each time");
                }
            }
            _ => {}
        }
        if self.attempts >= config.max_attempts {
            return Verdict::GiveUp("no attempts are left");
        }
        if !template.can_repeat() {
            return Verdict::GiveUp("its body was a one-shot stream and cannot be sent again");
        }
        let mut wait = backoff::wait(config, self.attempts);
        if let Some(after) = after.filter(|_| config.honor_retry_after) {
            if after > config.retry_after_cap {
                return Verdict::GiveUp("the server asks for a longer wait than is allowed");
            }
            wait = wait.max(after);
        }
        let start = Instant::now().checked_add(wait);
        if self.until.is_some_and(|until| start.is_none_or(|start| start >= until)) {
            return Verdict::GiveUp("its deadline leaves no time for another attempt");
        }
        if config.budget.is_some_and(|budget| !self.record.withdraw(&budget)) {
            return Verdict::GiveUp("the retry budget of this server is used up");
        }
        Verdict::After(wait)
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

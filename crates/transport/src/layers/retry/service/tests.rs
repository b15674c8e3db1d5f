use futures_util::stream;
use longshore_core_types::Payload;
use tower::ServiceExt;
use tower_layer::Layer;

use super::*;
use crate::{
    BudgetConfig, Jitter, RequestOptions, TimeoutConfig,
    layers::{
        deadline::DeadlineLayer,
        redirect::{ClusterRedirects, RedirectLayer},
        retry::{RetryLayer, StandardClassifier},
    },
    testing::{Reply, ScriptedService},
};

const S: Duration = Duration::from_secs(1);

fn config() -> RetryConfig {
    RetryConfig::default().jitter(Jitter::None)
}

fn call(idempotency: Idempotency, body: impl Into<Payload>) -> HttpRequest {
    let mut request = http::Request::put("http://gw:8080/x").body(body.into()).unwrap();
    request.extensions_mut().insert(CallInfo::new("a.b", idempotency));
    request
}

fn get() -> HttpRequest {
    http::Request::get("http://gw:8080/x").body(Payload::empty()).unwrap()
}

fn retry(config: RetryConfig, server: &ScriptedService) -> Retry<ScriptedService> {
    RetryLayer::new(config, StandardClassifier).layer(server.clone())
}

fn always(status: u16) -> ScriptedService {
    ScriptedService::new(move |_| Reply::status(status))
}

#[tokio::test(start_paused = true)]
async fn five_attempts_with_growing_waits() {
    let server = always(503);
    let start = Instant::now();
    let answer = retry(config(), &server).oneshot(get()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(50 + 100 + 200 + 400));
    assert_eq!(server.requests().len(), 5);
    let (parts, _) = answer.into_parts();
    assert_eq!((Attempts::of(&parts).count(), Attempts::of(&parts).exhausted()), (5, true));
    let error = longshore_core_types::Error::new(longshore_core_types::ErrorKind::Unavailable, "");
    let error = Attempts::annotate(&parts, error);
    assert_eq!((error.attempts(), error.is_retryable()), (5, false));
}

#[tokio::test(start_paused = true)]
async fn the_second_attempt_has_the_same_request() {
    let server = ScriptedService::replies([Reply::status(503), Reply::ok("")]);
    let answer = retry(config(), &server).oneshot(call(Idempotency::Idempotent, "body")).await.unwrap();
    assert_eq!(answer.extensions().get::<Attempts>().unwrap().count(), 2);
    let seen = server.requests();
    assert_eq!(seen[0].body.as_ref().unwrap(), "body");
    assert_eq!(seen[1].body, seen[0].body);
    assert_eq!(
        (&seen[1].method, &seen[1].uri, &seen[1].call),
        (&seen[0].method, &seen[0].uri, &seen[0].call)
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_are_noted_whether_a_retry_cures_them_or_not() {
    let answers = [
        Reply::status(503).header("retry-after", "2"),
        Reply::status(429),
        Reply::refused(),
        Reply::status(500),
        Reply::ok(""),
    ];
    let server = ScriptedService::replies(answers);
    let layer = RetryLayer::new(config(), StandardClassifier);
    let begin = std::time::Instant::now();
    layer.layer(server).oneshot(get()).await.unwrap();
    assert_eq!(layer.pressure().refusals(), 3);
    assert!(layer.pressure().until().unwrap() >= begin + 2 * S);
    // A wait that nobody would keep to does not stop everybody else.
    let server = ScriptedService::replies([Reply::status(503).header("retry-after", "1000000")]);
    layer.layer(server).oneshot(get()).await.unwrap();
    let longest = std::time::Instant::now() + config().retry_after_cap;
    assert!(layer.pressure().until().unwrap() <= longest);
}

#[tokio::test(start_paused = true)]
async fn idempotency_decides() {
    for (idempotency, status, attempts) in [
        (Idempotency::Idempotent, 500, 5),
        (Idempotency::NotIdempotent, 500, 1),
        (Idempotency::NotIdempotent, 429, 5),
        (Idempotency::Never, 429, 1),
        (Idempotency::Never, 503, 1),
        (Idempotency::Idempotent, 404, 1),
        (Idempotency::Idempotent, 409, 1),
    ] {
        let server = always(status);
        retry(config(), &server).oneshot(call(idempotency, "")).await.unwrap();
        assert_eq!(server.requests().len(), attempts, "{idempotency:?} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_call_info_the_method_decides() {
    let server = always(500);
    let post = http::Request::post("http://gw:8080/x").body(Payload::empty()).unwrap();
    retry(config(), &server).oneshot(post).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    retry(config(), &server).oneshot(get()).await.unwrap();
    assert_eq!(server.requests().len(), 6);
}

/// Never sent twice, whatever happens, even if a classifier asks for it.
#[tokio::test(start_paused = true)]
async fn never_means_never() {
    #[derive(Debug)]
    struct Eager;
    impl RetryClassifier for Eager {
        fn classify(&self, _: &CallInfo, _: Result<&http::response::Parts, &TransportError>) -> Decision {
            Decision::Retry { after: None }
        }
    }
    for reply in [Reply::status(503), Reply::close(), Reply::refused()] {
        let server = ScriptedService::replies([reply, Reply::ok("")]);
        let stack = RetryLayer::new(config(), Eager).layer(server.clone());
        let _ = stack.oneshot(call(Idempotency::Never, "part")).await;
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_body_is_never_replayed() {
    let once = || Payload::once(None, stream::iter([Ok(Bytes::from("body"))]));
    let server = always(503);
    let answer = retry(config(), &server).oneshot(call(Idempotency::Idempotent, once())).await.unwrap();
    assert_eq!(server.requests().len(), 1);
    assert!(answer.extensions().get::<Attempts>().unwrap().exhausted());

    let server = ScriptedService::replies([Reply::close()]);
    let error = retry(config(), &server).oneshot(call(Idempotency::Idempotent, once())).await.unwrap_err();
    assert!(error.to_string().contains("one-shot stream"), "{error}");

    // Untouched it can go again.
    let server = ScriptedService::replies([Reply::status(503).unread(), Reply::ok("")]);
    let answer = retry(config(), &server).oneshot(call(Idempotency::Idempotent, once())).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(server.requests()[1].body.as_ref().unwrap(), "body");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_the_cap() {
    let after = |seconds: &str| {
        ScriptedService::replies([Reply::status(503).header("retry-after", seconds), Reply::ok("")])
    };
    let start = Instant::now();
    let answer = retry(config(), &after("7")).oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), start.elapsed()), (200, 7 * S));
    // Longer than allowed: the answer is final, at once.
    let start = Instant::now();
    let answer = retry(config().retry_after(5 * S), &after("7")).oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), start.elapsed()), (503, Duration::ZERO));
    // Not obeyed: the usual wait.
    let start = Instant::now();
    let answer = retry(config().retry_after(None), &after("7")).oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), start.elapsed()), (200, Duration::from_millis(50)));
    // The server's wait never shortens ours.
    let start = Instant::now();
    retry(config(), &after("0")).oneshot(get()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_connect_error_is_final_until_the_endpoint_has_answered() {
    let server = ScriptedService::replies([
        Reply::refused(),
        Reply::ok(""),
        Reply::refused(),
        Reply::refused(),
        Reply::ok(""),
    ]);
    // A server that no other test has met.
    let at_it = |mut request: HttpRequest| {
        *request.uri_mut() = http::Uri::from_static("http://unmet:8080/x");
        request
    };
    let get = || at_it(get());
    let stack = retry(config(), &server);
    let error = stack.clone().oneshot(get()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (TransportErrorKind::Connect, 1));
    stack.clone().oneshot(get()).await.unwrap();
    // From now on it is worth waiting for, even for a call that is not idempotent.
    let answer = stack.clone().oneshot(at_it(call(Idempotency::NotIdempotent, "x"))).await.unwrap();
    assert_eq!(answer.extensions().get::<Attempts>().unwrap().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_target_sends_it_back_to_the_first_url() {
    let server = ScriptedService::replies([
        Reply::redirect(307, "http://t1/x"),
        Reply::refused(),
        Reply::redirect(307, "http://t2/x"),
        Reply::ok(""),
    ]);
    let redirect = RedirectLayer::new(ClusterRedirects::default(), 5);
    let stack = (RetryLayer::new(config(), StandardClassifier), redirect).layer(server.clone());
    stack.oneshot(call(Idempotency::NotIdempotent, "body")).await.unwrap();
    let hosts: Vec<_> = server.requests().iter().map(|seen| seen.uri.host().unwrap().to_owned()).collect();
    assert_eq!(hosts, ["gw", "t1", "gw", "t2"]);
    assert_eq!(server.requests()[3].body.as_ref().unwrap(), "body");
}

#[tokio::test(start_paused = true)]
async fn an_unexpected_close_gets_one_more_try() {
    let closes = || ScriptedService::new(|_| Reply::close());
    let server = closes();
    let error = retry(config(), &server).oneshot(get()).await.unwrap_err();
    assert_eq!((server.requests().len(), error.attempts()), (2, 2));
    assert!(error.to_string().contains("closed the connection each time"), "{error}");
    let server = closes();
    let error = retry(config(), &server).oneshot(call(Idempotency::NotIdempotent, "")).await.unwrap_err();
    assert_eq!((server.requests().len(), error.attempts()), (1, 1));
    let server = closes();
    assert!(retry(config().after_close(0), &server).oneshot(get()).await.is_err());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_shared_by_all_requests_to_an_endpoint() {
    let server = always(503);
    let layer = RetryLayer::new(config().budget(BudgetConfig::new(0.0, 6.0, 0.0)), StandardClassifier);
    for _ in 0..3 {
        layer.layer(server.clone()).oneshot(get()).await.unwrap();
    }
    // 3 requests and 6 retries, not 12.
    assert_eq!(server.requests().len(), 9);
    let other = http::Request::get("http://other/x").body(Payload::empty()).unwrap();
    layer.layer(server.clone()).oneshot(other).await.unwrap();
    assert_eq!(server.requests().len(), 14);
}

#[tokio::test(start_paused = true)]
async fn no_wait_beyond_a_deadline() {
    // Waits of 50, 100, 200, 400 ms; the third would end at 350.
    let limit = Duration::from_millis(300);
    let server = always(503);
    let start = Instant::now();
    let answer = retry(config().deadline(limit), &server).oneshot(get()).await.unwrap();
    assert_eq!((server.requests().len(), start.elapsed()), (3, Duration::from_millis(150)));
    assert!(answer.extensions().get::<Attempts>().unwrap().exhausted());

    // The same with the call's own deadline, which the layer above enforces.
    let server = always(503);
    let deadline = DeadlineLayer::new(&TimeoutConfig::NONE);
    let stack = (deadline, RetryLayer::new(config(), StandardClassifier)).layer(server.clone());
    let mut request = get();
    let end = (Instant::now() + limit).into_std();
    request.extensions_mut().insert(RequestOptions::default().deadline(end));
    let start = Instant::now();
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 503);
    assert_eq!((server.requests().len(), start.elapsed()), (3, Duration::from_millis(150)));
}

#[tokio::test(start_paused = true)]
async fn once_means_once() {
    let server = always(503);
    let answer = retry(RetryConfig::off(), &server).oneshot(get()).await.unwrap();
    assert_eq!((server.requests().len(), answer.status().as_u16()), (1, 503));
}

#[tokio::test(start_paused = true)]
async fn a_dead_idle_connection_costs_neither_an_attempt_nor_a_wait() {
    let stale = || Reply::error(TransportError::new(TransportErrorKind::Closed, "closed").stale_connection());
    let once = RetryConfig::off().budget(BudgetConfig::new(0.0, 0.0, 0.0));
    let server = ScriptedService::replies([stale(), Reply::ok("")]);
    let start = Instant::now();
    let answer = retry(once, &server).oneshot(get()).await.unwrap();
    assert_eq!((start.elapsed(), answer.extensions().get::<Attempts>()), (Duration::ZERO, None));
    // Only once, and only if it is safe.
    let server = ScriptedService::replies([stale(), stale(), Reply::ok("")]);
    assert_eq!(retry(once, &server).oneshot(get()).await.unwrap_err().attempts(), 1);
    for idempotency in [Idempotency::NotIdempotent, Idempotency::Never] {
        let server = ScriptedService::replies([stale(), Reply::ok("")]);
        assert!(retry(config(), &server).oneshot(call(idempotency, "x")).await.is_err());
        assert_eq!(server.requests().len(), 1);
    }
}

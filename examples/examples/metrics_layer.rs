//! Counting calls and attempts by operation, with one layer at two places.
//!
//! `cargo run -p longshore-examples --example metrics_layer`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{Request, Response};
use longshore_core_types::{CallInfo, Idempotency, Payload};
use longshore_transport::{
    HttpRequest, Transport,
    testing::{Reply, ScriptedService},
};
use tower::{Layer, Service};

/// What was counted, by operation and outcome.
type Table = BTreeMap<(&'static str, String), (u64, Duration)>;

/// Counts what passes. Clones count into the same table.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<Table>>);

impl Metrics {
    fn add(&self, operation: &'static str, outcome: String, time: Duration) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entry((operation, outcome)).or_default();
        entry.0 += 1;
        entry.1 += time;
    }

    fn print(&self, title: &str) {
        println!("{title}");
        for ((operation, outcome), (count, time)) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            println!("  {operation:20} {outcome:6} {count:3} {time:?}");
        }
    }

    fn count(&self, operation: &'static str, outcome: &str) -> u64 {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&(operation, outcome.to_owned())).map_or(0, |(count, _)| *count)
    }
}

impl<S> Layer<S> for Metrics {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner, metrics: self.clone() }
    }
}

/// A service that is measured.
#[derive(Clone)]
struct Measured<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B> Service<HttpRequest> for Measured<S>
where
    S: Service<HttpRequest, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        // Every request of a longshore client says what it is about.
        let operation = request.extensions().get::<CallInfo>().map_or("unknown", |call| call.operation);
        let metrics = self.metrics.clone();
        let start = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let outcome = match &answer {
                Ok(answer) => answer.status().as_str().to_owned(),
                Err(_) => "error".to_owned(),
            };
            metrics.add(operation, outcome, start.elapsed());
            answer
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (calls, attempts) = (Metrics::default(), Metrics::default());
    let transport = Transport::builder()
        .service(ScriptedService::replies([
            Reply::status(503),
            Reply::redirect(307, "http://node-1.example/o"),
            Reply::ok("hello"),
        ]))
        .layer(calls.clone())
        .attempt_layer(attempts.clone())
        .build()?;

    let mut request = Request::get("http://store.example/o").body(Payload::empty())?;
    request.extensions_mut().insert(CallInfo::new("demo.object.get", Idempotency::Idempotent));
    transport.send(request).await?;

    calls.print("calls");
    attempts.print("exchanges with servers");
    assert_eq!(calls.count("demo.object.get", "200"), 1);
    assert_eq!(attempts.count("demo.object.get", "503"), 1);
    assert_eq!(attempts.count("demo.object.get", "307"), 1);
    assert_eq!(attempts.count("demo.object.get", "200"), 1);
    Ok(())
}

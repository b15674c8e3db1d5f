//! At most so many requests per second leave this client, retries and redirects included.
//!
//! `cargo run -p longshore-examples --example rate_limit`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use longshore_core_types::Payload;
use longshore_transport::{
    HttpRequest, Transport,
    testing::{Reply, ScriptedService},
};
use tokio::time::{Instant, sleep_until};
use tower::{Layer, Service};

/// Hands out one start every `interval`, to all clones together.
#[derive(Clone)]
struct Pace {
    interval: Duration,
    next: Arc<Mutex<Instant>>,
}

impl Pace {
    fn per_second(rate: u32) -> Self {
        Self { interval: Duration::from_secs(1) / rate, next: Arc::new(Mutex::new(Instant::now())) }
    }

    /// When the caller may start.
    fn slot(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*next).max(Instant::now());
        *next = slot + self.interval;
        slot
    }
}

impl<S> Layer<S> for Pace {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Paced<S> {
        Paced { inner, pace: self.clone() }
    }
}

/// A service that waits for its turn.
#[derive(Clone)]
struct Paced<S> {
    inner: S,
    pace: Pace,
}

impl<S> Service<HttpRequest> for Paced<S>
where
    S: Service<HttpRequest> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        // The service that said it is ready is the one to call; a fresh clone takes its place.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let slot = self.pace.slot();
        Box::pin(async move {
            sleep_until(slot).await;
            ready.call(request).await
        })
    }
}

// Paused time makes the waits of this example pass at once.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = ScriptedService::new(|_| Reply::ok("hello"));
    let transport = Transport::builder().service(server).attempt_layer(Pace::per_second(10)).build()?;

    let start = Instant::now();
    let calls = (0..21).map(|n| {
        let request = Request::get(format!("http://store.example/{n}")).body(Payload::empty());
        let transport = transport.clone();
        async move { transport.send(request?).await.map_err(Box::<dyn std::error::Error>::from) }
    });
    futures_util::future::try_join_all(calls).await?;
    println!("21 requests at 10 per second took {:?}", start.elapsed());
    assert_eq!(start.elapsed().as_secs(), 2);
    Ok(())
}

//! Retry rules of your own: a store that shows a new object late answers 404 for a moment.
//!
//! `cargo run -p longshore-examples --example retry_policy`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use http::{Request, StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Idempotency, Payload};
use longshore_transport::{
    Attempts, Decision, RetryClassifier, RetryConfig, StandardClassifier, Transport, TransportConfig,
    TransportError,
    testing::{Reply, ScriptedService},
};

/// Tries a HEAD again that found nothing; everything else as usual.
#[derive(Debug, Default)]
struct Patient(StandardClassifier);

impl RetryClassifier for Patient {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(parts) if parts.status == StatusCode::NOT_FOUND && call.operation == "demo.object.head" => {
                Decision::Retry { after: Some(Duration::from_millis(100)) }
            }
            outcome => self.0.classify(call, outcome),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server =
        ScriptedService::replies([Reply::status(404), Reply::status(404), Reply::ok(""), Reply::status(404)]);
    let transport = Transport::builder()
        .config(TransportConfig::default().retry(RetryConfig::default().max_attempts(4)))
        .classifier(Patient::default())
        .service(server.clone())
        .build()?;

    let mut head = Request::head("http://store.example/new").body(Payload::empty())?;
    head.extensions_mut().insert(CallInfo::new("demo.object.head", Idempotency::Idempotent));
    let (parts, _) = transport.send(head).await?.into_parts();
    println!("{} after {} attempts", parts.status, Attempts::of(&parts).count());
    assert_eq!((parts.status, Attempts::of(&parts).count()), (StatusCode::OK, 3));

    // Another operation is not waited for.
    let mut get = Request::get("http://store.example/none").body(Payload::empty())?;
    get.extensions_mut().insert(CallInfo::new("demo.object.get", Idempotency::Idempotent));
    let answer = transport.send(get).await?;
    println!("{} at once", answer.status());
    assert_eq!((answer.status(), server.requests().len()), (StatusCode::NOT_FOUND, 4));
    Ok(())
}

//! A header on every request, in one line: any tower layer fits in.
//!
//! `cargo run -p longshore-examples --example header_layer`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use http::{HeaderValue, Request};
use longshore_core_types::Payload;
use longshore_transport::{
    HttpRequest, Transport,
    testing::{Reply, ScriptedService},
};
use tower::util::MapRequestLayer;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = ScriptedService::replies([Reply::status(503), Reply::ok("hello")]);
    let transport = Transport::builder()
        .service(server.clone())
        // Around the whole call: it runs once, whatever the number of attempts.
        .layer(MapRequestLayer::new(|mut request: HttpRequest| {
            request.headers_mut().insert("x-team", HeaderValue::from_static("storage"));
            request
        }))
        .build()?;

    let request = Request::get("http://store.example/v1/health").body(Payload::empty())?;
    let answer = transport.send(request).await?;
    assert_eq!(answer.status(), 200);

    for seen in server.requests() {
        println!("{} {} x-team: {:?}", seen.method, seen.uri, seen.header("x-team"));
        assert_eq!(seen.header("x-team"), Some("storage"));
    }
    Ok(())
}

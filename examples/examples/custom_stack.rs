//! A stack put together by hand: every default layer is public, in any order, with others between.
//!
//! Talks to a server of its own on a loopback address.
//!
//! `cargo run -p longshore-examples --example custom_stack`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use http::Request;
use longshore_core_types::Payload;
use longshore_transport::{
    ClusterRedirects, HttpClient, HttpRequest, RetryConfig, StandardClassifier, TimeoutConfig, Transport,
    TransportConfig, body,
    layers::{
        erase, inflight::InFlightLayer, redirect::RedirectLayer, retry::RetryLayer, timeout::TimeoutLayer,
        trace::TraceLayer,
    },
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tower::{ServiceBuilder, util::MapRequestLayer};

/// Busy once, then redirects, then answers.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let mut busy = true;
    loop {
        let (socket, _) = listener.accept().await?;
        let mut socket = BufReader::new(socket);
        let mut line = String::new();
        while socket.read_line(&mut line).await? > 0 {
            if !line.ends_with("\r\n\r\n") {
                continue;
            }
            println!("server: {}", line.lines().next().unwrap_or_default());
            let answer = match line.split(' ').nth(1) {
                Some("/there") => "200 OK\r\ncontent-length: 5\r\n\r\nhello",
                _ if std::mem::take(&mut busy) => "503 Busy\r\ncontent-length: 0\r\n\r\n",
                _ => "307 There\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n",
            };
            socket.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await?;
            line.clear();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/here", listener.local_addr()?);

    let config = TransportConfig::default().timeouts(TimeoutConfig::default().head(Duration::from_secs(3)));
    let retry = RetryConfig::default().max_attempts(2);
    // From the outside in.
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new())
        .layer(RetryLayer::new(retry, StandardClassifier::default()))
        .layer(RedirectLayer::new(ClusterRedirects::default(), 3))
        .layer(MapRequestLayer::new(|request: HttpRequest| {
            println!("client: {} {}", request.method(), request.uri().path());
            request
        }))
        .layer(TimeoutLayer::new(&config.timeouts))
        .layer(InFlightLayer::new(Some(8)))
        .service(HttpClient::new(&config)?);
    let transport = Transport::from_service(erase(stack));

    let call = async {
        let answer = transport.send(Request::get(url).body(Payload::empty())?).await?;
        assert_eq!(answer.status(), 200);
        let body = body::collect(answer.into_body(), 1024).await?;
        println!("{}", String::from_utf8_lossy(&body));
        assert_eq!(body, "hello");
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    tokio::select! {
        outcome = call => outcome,
        fault = serve(listener) => Ok(fault?),
    }
}

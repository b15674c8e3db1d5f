//! `Expect: 100-continue`.

use futures_util::stream;

use super::*;
use crate::{RequestOptions, Transport};

fn expecting(url: &str, silence: Duration, body: impl Into<Payload>) -> HttpRequest {
    let mut request = request("PUT", url, body);
    request.extensions_mut().insert(RequestOptions::default().expect_continue(silence));
    request
}

const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn the_body_starts_on_100() {
    let server = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        assert!(head.contains("content-length: 4\r\n"), "{head}");
        let mut byte = [0];
        let early = tokio::time::timeout(SOON, peer.0.read(&mut byte)).await;
        assert!(early.is_err(), "the body came before the 100");
        peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = peer.body(&head).await;
        peer.ok(&String::from_utf8(body).unwrap()).await;
    });
    let mut server = server.await;
    let client = client(&TransportConfig::default());
    let answer = send(&client, expecting(&server.url, NEVER, "body")).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "body");
    assert!(server.tasks.try_join_next().is_none());
}

#[tokio::test]
async fn the_body_starts_after_the_silence() {
    let server = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        let body = peer.body(&head).await;
        peer.ok(&String::from_utf8(body).unwrap()).await;
    });
    let server = server.await;
    let client = client(&TransportConfig::default());
    let answer = send(&client, expecting(&server.url, SOON, "body")).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "body");
}

#[tokio::test]
async fn after_a_final_status_the_body_is_never_sent() {
    let (tx, rx) = tokio::sync::oneshot::channel();
    let tx = std::sync::Mutex::new(Some(tx));
    let server = Server::start(move |_, mut peer| {
        let tx = tx.lock().unwrap().take().unwrap();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nno").await;
            // Longer than the silence: reading the answer must not set the body free.
            tokio::time::sleep(4 * SOON).await;
            peer.say("pe..").await;
            tx.send(peer.rest().await).unwrap();
        }
    });
    let server = server.await;
    let client = client(&TransportConfig::default());
    let answer = send(&client, expecting(&server.url, SOON, "body")).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(text(answer).await.unwrap(), "nope..");
    assert_eq!(rx.await.unwrap(), b"");
}

#[tokio::test]
async fn a_gateway_redirects_before_the_body_and_the_target_gets_it() {
    let target = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        assert!(!head.contains("expect"), "{head}");
        let body = peer.body(&head).await;
        peer.ok(&body.len().to_string()).await;
    });
    let target = target.await;
    let location = format!("{}/target", target.url);
    let gateway = Server::start(move |_, mut peer| {
        let location = location.clone();
        async move {
            peer.head().await;
            // Answers without reading and closes, as gateways do.
            peer.say(&format!("HTTP/1.1 307 Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")).await;
        }
    });
    let gateway = gateway.await;
    let transport = Transport::builder().build().unwrap();
    let chunks: Vec<_> = (0..32).map(|_| Ok(Bytes::from(vec![0; 1 << 16]))).collect();
    // Even a stream that can be read only once arrives: the gateway never touched it.
    let body = Payload::once(Some(2 << 20), stream::iter(chunks));
    let answer = transport.send(expecting(&gateway.url, NEVER, body)).await.unwrap();
    assert_eq!(body::collect(answer.into_body(), 100).await.unwrap(), "2097152");
}

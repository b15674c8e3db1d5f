//! What errors say.

use futures_util::{StreamExt, stream};
use longshore_core_types::{CallInfo, ErrorKind, Idempotency};

use super::*;
use crate::{TimeoutConfig, Transport, TransportErrorKind};

async fn answers(text: &'static str) -> Server {
    Server::start(move |_, mut peer| async move {
        peer.head().await;
        peer.say(text).await;
    })
    .await
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Transport::builder().build().unwrap().send(request("GET", &url, "")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (TransportErrorKind::Connect, 1));
    assert_eq!(error.to_string(), format!("{url}: cannot connect"));
    let error = error.into_error(&CallInfo::new("a.b", Idempotency::Idempotent));
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.chain().to_lowercase().contains("refused"), "{}", error.chain());
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    // A name that the resolver refuses without asking anybody.
    let url = "http://no..such..host:1/";
    let error = get(&client(&TransportConfig::default()), url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert_eq!(error.endpoint(), Some("http://no..such..host:1"));
}

#[tokio::test]
async fn a_short_body() {
    let server = answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").await;
    let error = get(&client(&TransportConfig::default()), &server.url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Body);
    assert!(
        error.to_string().ends_with("the connection broke after 5 of 10 bytes of the answer's body"),
        "{error}"
    );
}

#[tokio::test]
async fn a_chunked_body_without_end() {
    let server = answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n").await;
    let error = get(&client(&TransportConfig::default()), &server.url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Body);
}

#[tokio::test]
async fn nonsense() {
    let server = answers("SSH-2.0-OpenSSH\r\n\r\n").await;
    let error = get(&client(&TransportConfig::default()), &server.url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Protocol);
}

#[tokio::test]
async fn half_a_head() {
    let server = answers("HTTP/1.1 200 OK\r\ncontent-le").await;
    let error = get(&client(&TransportConfig::default()), &server.url).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    assert!(error.to_string().contains("in the middle"), "{error}");
}

#[tokio::test]
async fn the_source_of_the_body_fails() {
    let server = Server::start(|number, peer| peer.answer_all(number)).await;
    let chunks = [Ok(Bytes::from("ab")), Err(std::io::Error::other("disk gone"))];
    let body = Payload::once(Some(4), stream::iter(chunks));
    let error =
        send(&client(&TransportConfig::default()), request("PUT", &server.url, body)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::RequestBody);
    assert!(!error.body_fully_sent());
    let error = error.into_error(&CallInfo::new("a.b", Idempotency::Idempotent));
    assert!(error.chain().contains("disk gone"), "{}", error.chain());
    assert!(!error.is_retryable());
}

/// Much more than the sockets in between can hold.
const LARGE: u64 = 64 << 20;

fn large() -> Payload {
    let chunk = Bytes::from(vec![0; 1 << 20]);
    Payload::replayable(Some(LARGE), move || stream::repeat(chunk.clone()).take(64).map(Ok).boxed())
}

#[tokio::test]
async fn an_upload_that_broke_off_was_not_fully_sent() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        let mut some = vec![0; 1 << 20];
        peer.0.read_exact(&mut some).await.unwrap();
    });
    let server = server.await;
    let client = client(&TransportConfig::default());
    let error = send(&client, request("POST", &server.url, large())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    let sent = error.sent();
    assert!(sent.anything && !sent.body_complete, "{sent:?}");
    assert!((1 << 20..LARGE).contains(&sent.body_bytes), "{sent:?}");
}

#[tokio::test]
async fn an_upload_that_was_read_to_its_end_may_have_worked() {
    let server = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        peer.body(&head).await;
    });
    let server = server.await;
    let client = client(&TransportConfig::default());
    let error = send(&client, request("POST", &server.url, vec![0; 1 << 20])).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Closed);
    assert!(error.body_fully_sent());
    assert_eq!(error.sent().body_bytes, 1 << 20);
}

#[tokio::test]
async fn a_server_that_stops_reading() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        std::future::pending::<()>().await;
    });
    let server = server.await;
    let limits = TimeoutConfig::NONE.idle(10 * SOON);
    let transport = Transport::builder().config(TransportConfig::default().timeouts(limits)).build().unwrap();
    let error = transport.send(request("POST", &server.url, large())).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert!(error.to_string().contains("the request's body stalled"), "{error}");
    assert!(!error.body_fully_sent() && error.sent().body_bytes > 0);
}

#[tokio::test]
async fn a_stalled_answer() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").await;
        std::future::pending::<()>().await;
    });
    let server = server.await;
    let limits = TimeoutConfig::NONE.idle(SOON);
    let transport = Transport::builder().config(TransportConfig::default().timeouts(limits)).build().unwrap();
    let answer = transport.send(request("GET", &server.url, "")).await.unwrap();
    let error = body::collect(answer.into_body(), 100).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert!(error.to_string().contains("the answer's body stalled"), "{error}");
}

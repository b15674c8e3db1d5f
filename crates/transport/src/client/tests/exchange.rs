//! What goes on the wire.

use futures_util::stream;

use super::*;
use crate::Transport;

async fn seen(request: impl FnOnce(&str) -> HttpRequest) -> String {
    let (tx, rx) = tokio::sync::oneshot::channel();
    let tx = std::sync::Mutex::new(Some(tx));
    let server = Server::start(move |_, mut peer| {
        let tx = tx.lock().unwrap().take().unwrap();
        async move {
            let head = peer.head().await.unwrap();
            let body = if head.contains("chunked") { Vec::new() } else { peer.body(&head).await };
            peer.ok("").await;
            tx.send(head + &String::from_utf8(body).unwrap()).unwrap();
        }
    });
    let server = server.await;
    send(&client(&TransportConfig::default()), request(&server.url)).await.unwrap();
    rx.await.unwrap()
}

#[tokio::test]
async fn path_and_query_go_byte_for_byte() {
    let head = seen(|url| request("GET", &format!("{url}/a%2Fb//./c{{}}?x=%zz&y='"), "")).await;
    assert!(head.starts_with("get /a%2fb//./c{}?x=%zz&y=' http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nuser-agent: longshore/"), "{head}");
    assert!(head.contains("\r\nhost: 127.0.0.1:"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let head = seen(|url| request("GET", &format!("{url}?x=1"), "")).await;
    assert!(head.starts_with("get /?x=1 http/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn lengths_are_stated() {
    let head = seen(|url| request("PUT", url, "body")).await;
    assert!(head.contains("content-length: 4\r\n") && head.ends_with("\r\n\r\nbody"), "{head}");
    for method in ["PUT", "POST", "PATCH"] {
        let head = seen(|url| request(method, url, "")).await;
        assert!(head.contains("content-length: 0\r\n"), "{head}");
    }
    let unknown = Payload::once(None, stream::iter([Ok(Bytes::from("x"))]));
    let head = seen(|url| request("PUT", url, unknown)).await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
}

#[tokio::test]
async fn own_headers_win() {
    let head = seen(|url| {
        let mut request = request("GET", url, "");
        request.headers_mut().insert("host", "other".parse().unwrap());
        request.headers_mut().insert("user-agent", "mine".parse().unwrap());
        request
    });
    let head = head.await;
    assert!(head.contains("host: other\r\n") && head.contains("user-agent: mine\r\n"), "{head}");
}

#[tokio::test]
async fn a_megabyte_goes_up_and_comes_down_through_the_whole_stack() {
    let server = Server::start(|_, mut peer| async move {
        while let Some(head) = peer.head().await {
            let body = peer.body(&head).await;
            peer.ok(&String::from_utf8(body).unwrap()).await;
        }
    });
    let server = server.await;
    let transport = Transport::builder().build().unwrap();
    for _ in 0..3 {
        let chunks: Vec<_> = (0..64).map(|_| Ok(Bytes::from(vec![b'a'; 16384]))).collect();
        let body = Payload::once(Some(1 << 20), stream::iter(chunks));
        let answer = transport.send(request("PUT", &server.url, body)).await.unwrap();
        assert_eq!(body::collect(answer.into_body(), 1 << 20).await.unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn urls_that_lead_nowhere() {
    let client = client(&TransportConfig::default());
    for (url, why) in [("/x", "no scheme and host"), ("ftp://h/x", "neither http nor https")] {
        let error = send(&client, request("GET", url, "")).await.unwrap_err();
        assert_eq!(error.kind(), crate::TransportErrorKind::InvalidRequest);
        assert!(error.to_string().contains(why), "{error}");
    }
}

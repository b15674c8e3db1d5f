//! Through a proxy.

use super::*;
use crate::ProxyConfig;

fn through(url: &str) -> Client {
    client(&TransportConfig::default().proxy(ProxyConfig::all(url)))
}

#[tokio::test]
async fn http_goes_to_the_proxy_with_its_full_url() {
    let proxy = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        peer.ok(&head).await;
    });
    let proxy = proxy.await;
    let url = proxy.url.replace("http://", "http://me:pw@");
    let head = get(&through(&url), "http://far.example:8080/a?b").await.unwrap();
    let head = std::str::from_utf8(&head).unwrap();
    assert!(head.starts_with("get http://far.example:8080/a?b http/1.1\r\n"), "{head}");
    assert!(head.contains("host: far.example:8080\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6chc=\r\n"), "{head}");
}

#[tokio::test]
async fn https_asks_for_a_tunnel_and_its_refusal_is_told() {
    let proxy = Server::start(|_, mut peer| async move {
        let head = peer.head().await.unwrap();
        assert!(head.starts_with("connect far.example:443 http/1.1\r\n"), "{head}");
        peer.say("HTTP/1.1 403 Forbidden\r\n\r\n").await;
    });
    let proxy = proxy.await;
    let error = get(&through(&proxy.url), "https://far.example/").await.unwrap_err();
    assert!(error.to_string().contains("refused the tunnel (403)"), "{error}");
    assert_eq!(error.endpoint(), Some("https://far.example"));
}

#[tokio::test]
async fn an_unreachable_proxy_is_named() {
    let error = get(&through("http://127.0.0.1:1"), "http://far.example/").await.unwrap_err();
    assert!(error.to_string().contains("cannot connect to the proxy http://127.0.0.1:1"), "{error}");
}

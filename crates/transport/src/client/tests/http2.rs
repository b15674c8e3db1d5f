//! HTTP/2, with hyper's server behind TLS on loopback.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::{future::join_all, stream};
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2::Builder, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use longshore_core_types::{CallInfo, Idempotency, Retryability};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::sync::Barrier;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;
use crate::{
    Http2, PoolConfig, RequestOptions, RetryConfig, TimeoutConfig, TlsConfig, Transport, TransportErrorKind,
};

const AT_ONCE: usize = 20;

fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certs/server.key")).unwrap();
    let chain = CertificateDer::from_pem_slice(include_bytes!("certs/server.pem")).unwrap();
    let mut config = builder.unwrap().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

async fn start<F, P>(protocols: &[&str], play: F) -> Server
where
    F: Fn(usize, TlsStream<TcpStream>) -> P + Clone + Send + 'static,
    P: Future<Output = ()> + Send + 'static,
{
    let acceptor = acceptor(protocols);
    let mut server = Server::start(move |number, peer| {
        let (acceptor, play) = (acceptor.clone(), play.clone());
        async move {
            if let Ok(tls) = acceptor.accept(peer.0).await {
                play(number, tls).await;
            }
        }
    })
    .await;
    server.url = server.url.replace("http://", "https://");
    server
}

/// Hyper's server. The answer to most paths is the number of the connection.
async fn server() -> Server {
    let together = Arc::new(Barrier::new(AT_ONCE));
    start(&["h2", "http/1.1"], move |number, tls| {
        let together = Arc::clone(&together);
        async move {
            let service = service_fn(move |request| answer(number, request, Arc::clone(&together)));
            // Connections that clients close are errors here.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service).await;
        }
    })
    .await
}

async fn answer(
    number: usize,
    request: Request<Incoming>,
    together: Arc<Barrier>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let full = |bytes| Response::new(Full::new(bytes));
    Ok(match request.uri().path() {
        "/together" => {
            together.wait().await;
            full(Bytes::from(number.to_string()))
        }
        "/echo" => full(request.into_body().collect().await.unwrap().to_bytes()),
        "/silence" => std::future::pending().await,
        _ => full(Bytes::from(number.to_string())),
    })
}

fn config() -> TransportConfig {
    let tls = TlsConfig::default().only_root(include_str!("certs/ca.pem"));
    TransportConfig::default().tls(tls).pool(PoolConfig::default().http2(Http2::Negotiated))
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = server().await;
    let client = client(&config());
    let url = format!("{}/together", server.url);
    let answers = join_all((0..AT_ONCE).map(|_| get(&client, &url))).await;
    assert!(answers.into_iter().all(|number| number.unwrap() == "0"));
    let answer = send(&client, request("GET", &server.url, "")).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(text(answer).await.unwrap(), "0");
}

#[tokio::test]
async fn only_if_both_sides_want_it() {
    let one = start(&["http/1.1"], |number, tls| async move { Peer(tls).answer_all(number).await }).await;
    for config in [config(), config().pool(PoolConfig::default())] {
        let client = client(&config);
        let answer = send(&client, request("GET", &one.url, "")).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_11);
        let first = text(answer).await.unwrap();
        assert_eq!(get(&client, &one.url).await.unwrap(), first);
    }
    let plain = Server::start(|number, peer| async move { peer.answer_all(number).await }).await;
    assert_eq!(get(&client(&config()), &plain.url).await.unwrap(), "0");
}

#[tokio::test]
async fn large_bodies_both_ways() {
    let server = server().await;
    let body: Vec<u8> = (0..3 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
    let url = format!("{}/echo", server.url);
    let answer = send(&client(&config()), request("PUT", &url, body.clone())).await.unwrap();
    assert!(body::collect(answer.into_body(), body.len()).await.unwrap() == body);
}

#[tokio::test]
async fn an_expectation_does_not_hold_the_body_back() {
    let server = server().await;
    let mut request = request("PUT", &format!("{}/echo", server.url), "abc");
    let options = RequestOptions::default().expect_continue(Duration::from_secs(3600));
    request.extensions_mut().insert(options);
    assert_eq!(text(send(&client(&config()), request).await.unwrap()).await.unwrap(), "abc");
}

#[tokio::test]
async fn a_silent_stream_times_out_and_leaves_the_others_alone() {
    let server = server().await;
    let transport = Transport::builder().config(config()).build_bare().unwrap();
    assert_eq!(text_of(&transport, request("GET", &server.url, "")).await.unwrap(), "0");
    let mut silent = request("GET", &format!("{}/silence", server.url), "");
    let limits = TimeoutConfig::NONE.head(SOON);
    silent.extensions_mut().insert(RequestOptions::default().timeouts(limits));
    let error = text_of(&transport, silent).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert!(error.to_string().contains("no answer within 20ms"), "{error}");
    assert_eq!(text_of(&transport, request("GET", &server.url, "")).await.unwrap(), "0");
}

#[tokio::test]
async fn a_body_that_nobody_takes_times_out() {
    let server = server().await;
    let config = config().timeouts(TimeoutConfig::NONE.idle(SOON));
    let transport = Transport::builder().config(config).build_bare().unwrap();
    let request = request("PUT", &format!("{}/silence", server.url), vec![7; 8 << 20]);
    let error = text_of(&transport, request).await.unwrap_err();
    assert!(error.to_string().contains("the request's body stalled"), "{error}");
    assert!(error.sent().anything && !error.body_fully_sent());
}

#[tokio::test]
async fn a_request_body_that_breaks() {
    let server = server().await;
    let chunks = [Ok(Bytes::from("ab")), Err(std::io::Error::other("unreadable"))];
    let body = Payload::once(None, stream::iter(chunks));
    let request = request("PUT", &format!("{}/echo", server.url), body);
    let error = send(&client(&config()), request).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::RequestBody);
    let mut causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    assert!(causes.any(|cause| cause.to_string() == "unreadable"), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_died_while_it_was_idle_costs_no_attempt() {
    // Every other connection dies of its second request.
    let server = start(&["h2"], |number, tls| async move {
        let mut connection = h2::server::handshake(tls).await.unwrap();
        let mut answered = false;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            if answered && number.is_multiple_of(2) {
                return;
            }
            answered = true;
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from(number.to_string()), true).unwrap();
        }
    })
    .await;
    let call = |idempotency| {
        let mut request = request("PUT", &server.url, "x");
        request.extensions_mut().insert(CallInfo::new("a.b", idempotency));
        request
    };
    let transport = Transport::builder().config(config().retry(RetryConfig::off())).build().unwrap();
    assert_eq!(text_of(&transport, call(Idempotency::Idempotent)).await.unwrap(), "0");
    assert_eq!(text_of(&transport, call(Idempotency::Idempotent)).await.unwrap(), "1");
    // What may not be repeated is not.
    let transport = Transport::builder().config(config()).build().unwrap();
    assert_eq!(text_of(&transport, call(Idempotency::Idempotent)).await.unwrap(), "2");
    let error = text_of(&transport, call(Idempotency::NotIdempotent)).await.unwrap_err();
    assert!(error.is_stale_connection(), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks() {
    // The first answer is given up when the second request comes.
    let server = start(&["h2"], |_, tls| async move {
        let mut connection = h2::server::handshake(tls).await.unwrap();
        let mut unfinished = None;
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from("ab"), unfinished.is_some()).unwrap();
            if let Some(mut first) = unfinished.replace(body) {
                h2::SendStream::<Bytes>::send_reset(&mut first, h2::Reason::INTERNAL_ERROR);
            }
        }
    })
    .await;
    let client = client(&config());
    let mut body = send(&client, request("GET", &server.url, "")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
    assert_eq!(get(&client, &server.url).await.unwrap(), "ab");
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Body);
    assert!(error.to_string().contains("broke after 2 bytes"), "{error}");
}

#[tokio::test]
async fn a_refused_stream_was_not_sent_and_goes_again_whatever_the_call() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let server = start(&["h2"], move |_, tls| {
        let seen = Arc::clone(&count);
        async move {
            let mut connection = h2::server::handshake(tls).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if seen.fetch_add(1, SeqCst).is_multiple_of(2) {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                } else {
                    let _ = respond.send_response(Response::new(()), true);
                }
            }
        }
    })
    .await;
    let post = || {
        let mut request = request("POST", &server.url, "x");
        request.extensions_mut().insert(CallInfo::new("a.b", Idempotency::NotIdempotent));
        request
    };
    let error = send(&client(&config()), post()).await.unwrap_err();
    assert_eq!(error.retryability(), Retryability::Always, "{error}");
    assert!(!error.sent().anything);
    seen.store(0, SeqCst);
    let retry = RetryConfig::default().waits(Duration::from_millis(1), Duration::from_millis(1));
    let transport = Transport::builder().config(config().retry(retry)).build().unwrap();
    assert_eq!(transport.send(post()).await.unwrap().status(), 200);
    assert_eq!(seen.load(SeqCst), 2);
}

#[tokio::test]
async fn so_does_what_a_goaway_leaves_out() {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // No stream was looked at, and nothing is wrong.
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let server = start(&["h2"], |_, mut tls| async move {
        tls.write_all(&SETTINGS).await.unwrap();
        // The preface and the client's own settings; then the request.
        let mut seen = Vec::new();
        while !seen.windows(4).any(|bytes| bytes == [1, 5, 0, 0] || bytes == [1, 4, 0, 0]) {
            if tls.read_buf(&mut seen).await.unwrap() == 0 {
                return;
            }
        }
        tls.write_all(&GOAWAY).await.unwrap();
        tls.flush().await.unwrap();
        let mut rest = Vec::new();
        let _ = tls.read_to_end(&mut rest).await;
    })
    .await;
    let error = send(&client(&config()), request("POST", &server.url, "")).await.unwrap_err();
    assert_eq!(error.retryability(), Retryability::Always, "{error:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_or_idle_is_replaced() {
    let server = start(&["h2"], |number, tls| async move {
        let mut connection = h2::server::handshake(tls).await.unwrap();
        if let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from(number.to_string()), true).unwrap();
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    })
    .await;
    let client = client(&config());
    assert_eq!(get(&client, &server.url).await.unwrap(), "0");
    // The first one may have gone by now or not; the server takes one request of each.
    let second = get(&client, &server.url).await;
    assert!(second.is_ok() || second.unwrap_err().retryability() == Retryability::Always);

    let server = super::http2::server().await;
    let none = config().pool(PoolConfig::default().http2(Http2::Negotiated).idle(Duration::ZERO));
    let client = super::client(&none);
    for number in ["0", "1"] {
        assert_eq!(get(&client, &server.url).await.unwrap(), number);
    }
}

async fn text_of(transport: &Transport, request: HttpRequest) -> Result<Bytes, TransportError> {
    body::collect(transport.send(request).await?.into_body(), 1 << 20).await
}

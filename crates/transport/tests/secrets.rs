//! No secret in what the transport prints: events at every level, errors, `Debug` of everything public.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    error::Error as _,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Request};
use longshore_core_types::{CallInfo, Idempotency, Payload, Secret};
use longshore_transport::{
    BearerToken, Identity, Jitter, ProxyConfig, RetryConfig, TlsConfig, Token, TokenCache, TokenSource,
    Transport, TransportConfig, TransportError,
    testing::{RecorderLayer, Reply, ScriptedService},
};
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// Stands in everything that must not be seen.
const SENTINEL: &str = "s3ntinel";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn signed() -> Request<Payload> {
    let url = format!("http://me:{SENTINEL}@store:9000/{SENTINEL}/o?signature={SENTINEL}");
    let mut request = Request::get(url).body(Payload::from(SENTINEL)).unwrap();
    let call = CallInfo::new("demo.object.get", Idempotency::Idempotent).sensitive();
    request.extensions_mut().insert(call);
    let mut key = HeaderValue::try_from(SENTINEL).unwrap();
    key.set_sensitive(true);
    request.headers_mut().insert("apikey", key);
    request
}

fn everything(error: &TransportError) -> String {
    let mut texts = vec![format!("{error} {error:?} {error:#?}")];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(format!("{error} {error:?}"));
        cause = error.source();
    }
    texts.concat()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(captured.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let redirect = format!("http://other:9000/{SENTINEL}?signature={SENTINEL}");
    let nowhere = format!("ftp://{SENTINEL}@h/{SENTINEL}");
    let server = ScriptedService::replies([
        Reply::redirect(307, &redirect),
        Reply::status(503).header("x-secret", SENTINEL).body(SENTINEL),
        Reply::status(401),
        Reply::ok(SENTINEL),
        Reply::redirect(307, &nowhere),
        Reply::redirect(307, &redirect),
        Reply::close(),
        Reply::close(),
    ]);
    let recorder = RecorderLayer::new();
    let builder = Transport::builder()
        .config(TransportConfig::default().retry(RetryConfig::default().jitter(Jitter::None)))
        .credentials(BearerToken::new(&Secret::from(SENTINEL)).unwrap())
        .attempt_layer(recorder.clone())
        .service(server.clone());
    let mut shown = vec![format!("{builder:?} {builder:#?}")];
    let transport = builder.build().unwrap();
    shown.push(format!("{transport:?}"));
    assert_eq!(transport.send(signed()).await.unwrap().status(), 200);
    for _ in 0..2 {
        let error = transport.send(signed()).await.unwrap_err();
        shown.push(everything(&error));
        let error = error.into_error(&CallInfo::new("demo.object.get", Idempotency::Idempotent).sensitive());
        shown.push(format!("{error} {error:?} {}", error.chain()));
    }
    assert_eq!(recorder.requests().len(), 8);

    // A real socket that refuses, for the client's own events and errors.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut request = signed();
    *request.uri_mut() = format!("http://me:{SENTINEL}@127.0.0.1:{port}/o?x={SENTINEL}").parse().unwrap();
    let proxy = ProxyConfig::all(format!("http://me:{SENTINEL}@127.0.0.1:{port}"));
    for config in [TransportConfig::default(), TransportConfig::default().proxy(proxy)] {
        shown.push(format!("{config:?}"));
        let transport = Transport::builder().config(config).build().unwrap();
        let mut again = Request::new(Payload::empty());
        *again.uri_mut() = request.uri().clone();
        shown.push(everything(&transport.send(again).await.unwrap_err()));
    }

    let log = captured.text();
    for expected in ["demo.object.get", "trying again", "redirected", "renewing the credentials", "failed"] {
        assert!(log.contains(expected), "{expected:?} is missing, so the test looks at nothing:\n{log}");
    }
    assert!(!log.contains(SENTINEL), "{log}");
    let shown = shown.concat();
    assert!(!shown.contains(SENTINEL), "{shown}");
}

#[derive(Debug)]
struct Source;

impl TokenSource for Source {
    async fn fetch(&self) -> longshore_core_types::Result<Token> {
        Ok(Token::new(SENTINEL))
    }
}

#[tokio::test]
async fn settings_and_providers_hide_what_they_hold() {
    use longshore_transport::CredentialProvider;
    let cache = TokenCache::new(Source);
    let (mut parts, ()) = Request::new(()).into_parts();
    cache.authorize(&mut parts).await.unwrap();
    let identity = Identity::from_pem(SENTINEL, SENTINEL);
    let config = TransportConfig::default().tls(TlsConfig::default().identity(identity));
    let shown = format!(
        "{cache:?} {parts:?} {config:?} {:?} {:?}",
        Token::new(SENTINEL),
        BearerToken::new(&Secret::from(SENTINEL)).unwrap(),
    );
    assert!(!shown.contains(SENTINEL), "{shown}");
}

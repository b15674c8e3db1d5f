//! A guarded cluster seen from a program that works on it: tokens end, are revoked, and stay where they belong.

#![expect(clippy::unwrap_used, reason = "a test program")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{header::AUTHORIZATION, request::Parts};
use longshore::{
    aistore::Client,
    authn::{AuthnClient, LoginCredentials},
};
use longshore_core_types::{ErrorKind, ObjectKey, Result, Secret};
use longshore_devserver::{DevServer, Handle};
use longshore_transfer::{PartSize, Transfer};
use longshore_transport::{CredentialProvider, RetryConfig};

mod guarded {
    #[test]
    fn a_transfer_outlives_its_tokens() {
        super::run(super::a_transfer_outlives_its_tokens());
    }

    #[test]
    fn a_revoked_token_is_told_with_endpoint_and_reason() {
        super::run(super::a_revoked_token_is_told_with_endpoint_and_reason());
    }

    #[test]
    fn a_token_follows_no_redirect_to_strangers() {
        super::run(super::a_token_follows_no_redirect_to_strangers());
    }

    #[test]
    fn a_token_is_not_sent_to_targets() {
        super::run(super::a_token_is_not_sent_to_targets());
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

async fn guarded() -> (Handle, AuthnClient) {
    let server = DevServer::builder().guarded(true).start().await.unwrap();
    let authn = AuthnClient::builder(server.authn_url().unwrap()).build().unwrap();
    (server, authn)
}

fn password() -> Secret {
    Secret::from("admin")
}

/// Credentials whose token ends every few requests, just before it is used. Not so often that a request which is tried
/// once more, and waits for its turn meanwhile, loses the second token as well.
#[derive(Debug)]
struct ShortLived {
    login: LoginCredentials,
    authn: AuthnClient,
    requests: AtomicUsize,
    /// How many tokens were ended.
    ended: Arc<AtomicUsize>,
}

impl CredentialProvider for ShortLived {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        self.login.authorize(parts).await?;
        if self.requests.fetch_add(1, Ordering::Relaxed) % 9 == 8 {
            let token = parts.headers[AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ");
            self.authn.tokens().revoke(&Secret::from(token)).await?;
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn invalidate(&self) {
        self.login.invalidate();
    }
}

/// The tokens end while parts of a large file go up, and while they come back.
async fn a_transfer_outlives_its_tokens() {
    let (server, authn) = guarded().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let credentials = ShortLived {
        login: LoginCredentials::new(authn.fresh(), "admin", password()),
        authn,
        requests: AtomicUsize::new(0),
        ended: Arc::clone(&ended),
    };
    let client = Client::builder(server.aistore_url()).credentials(credentials).build().unwrap();
    let bucket = client.bucket("b").unwrap();
    bucket.create().await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let (source, copy) = (directory.path().join("source"), directory.path().join("copy"));
    let content: Vec<u8> = (0..24_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    std::fs::write(&source, &content).unwrap();
    let transfer = Transfer::builder()
        .concurrency(2)
        .part_size(PartSize::Fixed(1 << 20))
        .multipart_threshold(2 << 20)
        .serial_download(1 << 20)
        .build()
        .unwrap();
    let (key, store) = (ObjectKey::new("large").unwrap(), bucket.store());
    transfer.upload(&store, key.clone(), &source).start().join().await.unwrap();
    let ended_in_upload = ended.load(Ordering::Relaxed);
    transfer.download(&store, key, &copy).start().join().await.unwrap();

    assert!(ended_in_upload > 0, "no token ended during the upload");
    assert!(ended.load(Ordering::Relaxed) > ended_in_upload, "no token ended during the download");
    assert!(std::fs::read(&copy).unwrap() == content, "the copy differs");
    server.shutdown().await;
}

async fn a_revoked_token_is_told_with_endpoint_and_reason() {
    let (server, authn) = guarded().await;
    let token = authn.login("admin", &password()).await.unwrap();
    let client = Client::builder(server.aistore_url()).token(token.secret().clone()).build().unwrap();
    client.bucket("b").unwrap().create().await.unwrap();
    authn.tokens().revoke(token.secret()).await.unwrap();

    let error = client.bucket("b").unwrap().head().await.unwrap_err();
    let text = error.chain();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}");
    let host = server.aistore_url().trim_start_matches("http://");
    for word in ["revoked", "401", host, "log in again"] {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
    assert!(!text.contains(token.secret().expose()), "the token is shown");
    server.shutdown().await;
}

/// A server that answers every request with `answer` and keeps the heads of what it was asked.
fn stand_in(answer: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    // Ends with the process: nobody waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(head) = head(&stream) {
                kept.lock().unwrap().push(head.to_lowercase());
                let _ = (&stream).write_all(answer.as_bytes());
            }
        }
    });
    (address, heads)
}

fn head(mut stream: &TcpStream) -> Option<String> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    String::from_utf8(text).ok()
}

async fn a_token_follows_no_redirect_to_strangers() {
    let (stranger, asked_stranger) =
        stand_in("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi".to_owned());
    let (gateway, asked_gateway) = stand_in(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{stranger}/v1/objects/b/k?provider=ais\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    ));
    let client = Client::builder(format!("http://{gateway}"))
        .token("sesame-token")
        .retry(RetryConfig::off())
        .build()
        .unwrap();
    // Whether the redirect is followed at all is the client's choice; that the token stays is not.
    let _ = client.bucket("b").unwrap().object("k").unwrap().get().await;

    let gateway_heads = asked_gateway.lock().unwrap().concat();
    assert!(gateway_heads.contains("sesame-token"), "the gateway got the token: {gateway_heads}");
    let stranger_heads = asked_stranger.lock().unwrap().concat();
    assert!(!stranger_heads.contains("authorization"), "{stranger_heads}");
    assert!(!stranger_heads.contains("sesame"), "{stranger_heads}");
}

async fn a_token_is_not_sent_to_targets() {
    let (server, authn) = guarded().await;
    let login = LoginCredentials::new(authn.fresh(), "admin", password());
    let client = Client::builder(server.aistore_url()).credentials(login).build().unwrap();
    let bucket = client.bucket("b").unwrap();
    bucket.create().await.unwrap();
    let object = bucket.object("k").unwrap();
    object.put(vec![7_u8; 1 << 20]).await.unwrap();
    assert_eq!(object.get().await.unwrap().bytes().await.unwrap().len(), 1 << 20);

    let journal = server.journal();
    let to_targets = journal.filter(|entry| entry.node == longshore_devserver::NodeKind::Target);
    assert!(!to_targets.is_empty(), "targets were asked");
    assert!(to_targets.iter().all(|entry| !entry.authorized), "a token went to a target");
    assert!(
        journal.count(|entry| entry.node == longshore_devserver::NodeKind::Gateway && entry.authorized) > 0
    );
    server.shutdown().await;
}

//! `https` with the test certificates beside this file.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Identity, TlsConfig, Transport, TransportErrorKind};

const CA: &str = include_str!("certs/ca.pem");

fn pem(text: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(text.as_bytes()).unwrap()
}

/// A TLS server on loopback that answers with the number of the connection.
async fn server(asks_for_certificate: bool) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(pem(CA)).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certs/server.key")).unwrap();
    let config = builder.with_single_cert(vec![pem(include_str!("certs/server.pem"))], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut server = Server::start(move |number, peer| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(tls) = acceptor.accept(peer.0).await {
                Peer(tls).answer_all(number).await;
            }
        }
    })
    .await;
    server.url = server.url.replace("http://", "https://");
    server
}

fn with(tls: TlsConfig) -> Client {
    client(&TransportConfig::default().tls(tls))
}

#[tokio::test]
async fn a_root_of_our_own_added_or_alone() {
    let server = server(false).await;
    let localhost = server.url.replace("127.0.0.1", "localhost");
    for tls in [TlsConfig::default().only_root(CA), TlsConfig::default().add_root(CA)] {
        let client = with(tls);
        get(&client, &server.url).await.unwrap();
        // Kept alive, by address and by name.
        let first = get(&client, &localhost).await.unwrap();
        assert_eq!(get(&client, &localhost).await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_stranger_is_not_trusted_unless_told() {
    let server = server(false).await;
    let error =
        get(&with(TlsConfig::default().only_root(include_str!("certs/client.pem"))), &server.url).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect);
    assert!(error.to_string().contains("the TLS handshake failed"), "{error}");
    get(&with(TlsConfig::default().danger_skip_verify()), &server.url).await.unwrap();
}

#[tokio::test]
async fn the_name_must_match() {
    let server = server(false).await;
    let url = server.url.replace("127.0.0.1", "127.0.0.2");
    // 127.0.0.2 reaches no listener everywhere; either way there is no answer.
    assert!(get(&with(TlsConfig::default().only_root(CA)), &url).await.is_err());
}

#[tokio::test]
async fn a_client_certificate() {
    let server = server(true).await;
    let trusting = || TlsConfig::default().only_root(CA);
    assert!(get(&with(trusting()), &server.url).await.is_err());
    let identity = Identity::from_pem(include_str!("certs/client.pem"), include_str!("certs/client.key"));
    let config = trusting().identity(identity);
    assert!(!format!("{config:?}").contains("PRIVATE"));
    get(&with(config), &server.url).await.unwrap();
}

#[tokio::test]
async fn large_bodies_both_ways() {
    let server = server(false).await;
    let client = with(TlsConfig::default().only_root(CA));
    let body = vec![7; 8 << 20];
    let answer = send(&client, request("PUT", &server.url, body)).await.unwrap();
    assert_eq!(text(answer).await.unwrap(), "0");
}

#[test]
fn wrong_settings_are_found_when_building() {
    let build = |tls| Transport::builder().config(TransportConfig::default().tls(tls)).build().unwrap_err();
    let error = build(TlsConfig::default().add_root("no pem"));
    assert!(error.to_string().contains("a root certificate is not PEM"), "{error}");
    let error = build(TlsConfig::default().identity(Identity::from_pem(CA, "no key")));
    assert!(error.to_string().contains("the private key"), "{error}");
    let other = Identity::from_pem(include_str!("certs/server.pem"), include_str!("certs/client.key"));
    let error = build(TlsConfig::default().identity(other));
    assert!(error.to_string().contains("the client certificate does not work"), "{error}");
    let only = TlsConfig { only_extra_roots: true, ..TlsConfig::default() };
    assert!(build(only).to_string().contains("there are none"));
}

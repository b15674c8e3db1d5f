//! `https`.

use std::sync::{Arc, OnceLock};

use longshore_core_types::{Error, ErrorKind, Result};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::{io::BufReader, net::TcpStream};
use tokio_rustls::TlsConnector;
use tracing::warn;

use crate::{TlsConfig, TransportConfig, TransportError, TransportErrorKind};

/// Records are read through a buffer: rustls alone asks the socket for little at a time.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<BufReader<TcpStream>>;

const READ_BUFFER: usize = 256 * 1024;

/// Settings that are checked; what the system trusts is read when the first connection needs it.
pub(super) struct Tls {
    provider: Option<Arc<CryptoProvider>>,
    roots: Vec<CertificateDer<'static>>,
    system: bool,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    skip_verify: bool,
    /// What is offered to the server, the best first.
    protocols: Vec<Vec<u8>>,
    connector: OnceLock<std::result::Result<TlsConnector, String>>,
}

impl Tls {
    pub(super) fn new(config: &TransportConfig) -> Result<Self> {
        let protocols = protocols(config);
        let config: &TlsConfig = &config.tls;
        let mut roots = Vec::new();
        for pem in &config.extra_roots {
            let parsed = certificates(pem).map_err(|why| fault(format!("a root certificate {why}")))?;
            roots.extend(parsed);
        }
        let identity = config.identity.as_ref().map(|identity| {
            let chain = certificates(&identity.chain)
                .map_err(|why| fault(format!("the client certificate {why}")))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes())
                .map_err(|_| fault("the private key of the client certificate is not PEM"))?;
            Ok::<_, Error>((chain, key))
        });
        if config.skip_verify {
            warn!(
                "TLS certificates are NOT verified: anybody between here and the server can read and \
                 change everything that is sent"
            );
        }
        // What the process has chosen comes first.
        let provider = CryptoProvider::get_default().cloned();
        #[cfg(feature = "ring")]
        let provider = provider.or_else(|| Some(Arc::new(rustls::crypto::ring::default_provider())));
        let tls = Self {
            provider,
            roots,
            system: !config.only_extra_roots,
            identity: identity.transpose()?,
            skip_verify: config.skip_verify,
            protocols,
            connector: OnceLock::new(),
        };
        // What can be wrong without asking the system is found now.
        if tls.provider.is_some() && (!tls.system || tls.identity.is_some()) {
            tls.client_config(RootCertStore::empty()).map_err(fault)?;
        }
        Ok(tls)
    }

    pub(super) async fn handshake(&self, host: &str, tcp: TcpStream) -> Result<TlsStream, TransportError> {
        let connector = self.connector.get_or_init(|| {
            let roots = self.root_store()?;
            Ok(TlsConnector::from(Arc::new(self.client_config(roots)?)))
        });
        let connector = connector.as_ref().map_err(|why| failed(why.clone()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| failed("the host is no name for TLS"))?;
        let tcp = BufReader::with_capacity(READ_BUFFER, tcp);
        connector
            .connect(name, tcp)
            .await
            .map_err(|error| failed("the TLS handshake failed").with_source(error))
    }

    fn root_store(&self) -> std::result::Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone()).map_err(|error| format!("a root certificate is not valid: {error}"))?;
        }
        if self.system && !self.skip_verify {
            // Systems carry certificates that no one can parse; one of them must not spoil the rest.
            store.add_parsable_certificates(system_roots().iter().cloned());
            if store.is_empty() {
                return Err(
                    "this system trusts no certificates; install them (ca-certificates) or add a root"
                        .to_owned(),
                );
            }
        }
        Ok(store)
    }

    fn client_config(&self, roots: RootCertStore) -> std::result::Result<ClientConfig, String> {
        let provider = self.provider.clone().ok_or("no rustls crypto provider is installed")?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything(provider)))
        } else {
            builder.with_root_certificates(roots)
        };
        let mut config = match &self.identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("the client certificate does not work: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(config)
    }
}

#[cfg_attr(not(feature = "http2"), expect(unused_variables, reason = "there is one protocol"))]
fn protocols(config: &TransportConfig) -> Vec<Vec<u8>> {
    #[cfg(feature = "http2")]
    if config.pool.http2 == crate::Http2::Negotiated {
        return vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    vec![b"http/1.1".to_vec()]
}

fn fault(text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, text)
}

fn failed(text: impl Into<std::borrow::Cow<'static, str>>) -> TransportError {
    TransportError::new(TransportErrorKind::Connect, text)
}

fn certificates(pem: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, &'static str> {
    let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err("is not PEM"),
    }
}

/// Read once per process.
fn system_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            warn!(%error, "reading the system's trusted certificates");
        }
        found.certs
    })
}

/// Believes every certificate.
#[derive(Debug)]
struct Anything(Arc<CryptoProvider>);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

//! Certificates for loopback, made anew for each run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::app::{Failure, at};

/// Files of one identity.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The authority to trust.
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Makes an authority and a certificate for `127.0.0.1` and `localhost`, and writes them to `dir`.
pub(crate) fn create_identity(dir: &Path) -> Result<Identity, Failure> {
    let mut params = CertificateParams::new(Vec::new())?;
    // Without a name of its own, an authority looks like the certificates it signs, and OpenSSL gets lost.
    params.distinguished_name.push(DnType::CommonName, "longshore-bench authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate()?;
    let ca = params.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&params, &ca_key);
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let cert = CertificateParams::new(names)?.signed_by(&key, &issuer)?;

    let files = Identity { ca: dir.join("ca.pem"), cert: dir.join("cert.pem"), key: dir.join("key.pem") };
    for (path, pem) in [(&files.ca, ca.pem()), (&files.cert, cert.pem()), (&files.key, key.serialize_pem())] {
        std::fs::write(path, pem).map_err(at(path))?;
    }
    Ok(files)
}

pub(super) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

//! Whom to trust, and who we are, for `https`.

use std::fmt;

use longshore_core_types::Secret;

/// Settings for `https`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Certificates (PEM, one or more) to trust besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// Trust `extra_roots` only, not the system's.
    pub only_extra_roots: bool,
    /// Certificate to show to a server that asks for one.
    pub identity: Option<Identity>,
    /// Accept whatever the server shows. Anybody on the way can then read and change everything; each
    /// build of such a transport logs a warning.
    pub skip_verify: bool,
}

/// A client certificate and its private key, both PEM.
#[derive(Clone)]
#[cfg_attr(not(feature = "rustls"), expect(dead_code, reason = "nobody to show it to"))]
pub struct Identity {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Secret,
}

impl Identity {
    /// Takes the certificate (chain) and its private key. They are parsed when the transport is built.
    pub fn from_pem(chain: impl Into<Vec<u8>>, key: impl Into<Secret>) -> Self {
        Self { chain: chain.into(), key: key.into() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.key).finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// Trusts these certificates (PEM) besides the system's.
    #[must_use]
    pub fn add_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots.push(pem.into());
        self
    }

    /// Trusts these certificates (PEM) and no others.
    #[must_use]
    pub fn only_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.only_extra_roots = true;
        self.add_root(pem)
    }

    /// Shows this certificate to servers that ask.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Accepts whatever the server shows. For tests only.
    #[must_use]
    pub fn danger_skip_verify(mut self) -> Self {
        self.skip_verify = true;
        self
    }

    pub(super) fn faults(&self) -> Option<String> {
        (self.only_extra_roots && self.extra_roots.is_empty())
            .then(|| "tls trusts extra_roots only, but there are none".to_owned())
    }
}

//! Settings of a client.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Error, ErrorKind, Result, Secret};
use longshore_transport::{
    BaseUrl, BearerToken, ClusterRedirects, CredentialProvider, Decision, Identity, RetryClassifier,
    StandardClassifier, Transport, TransportBuilder, TransportConfig, TransportError, read_token_file,
    retry_after,
};

use crate::{
    client::{Client, Inner},
    direct::Direct,
    facts::BucketFacts,
    uploads::Uploads,
    wire::object::READ,
};

/// Assembles a [`Client`]. [`build`](Self::build) does no network I/O and reports every setting that is wrong.
#[must_use]
pub struct ClientBuilder {
    endpoint: Option<String>,
    https: bool,
    token: Option<Secret>,
    has_credentials: bool,
    config: TransportConfig,
    builder: TransportBuilder,
    transport: Option<Transport>,
    direct_uploads: Option<bool>,
    same_cluster: bool,
    faults: Vec<String>,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: impl AsRef<str>) -> Self {
        Self { endpoint: Some(endpoint.as_ref().to_owned()), ..Self::blank() }
    }

    fn blank() -> Self {
        Self {
            endpoint: None,
            https: false,
            token: None,
            has_credentials: false,
            config: TransportConfig::default(),
            builder: Transport::builder(),
            transport: None,
            direct_uploads: None,
            same_cluster: false,
            faults: Vec::new(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `AIS_ENDPOINT` | gateway; `http://localhost:8080` if unset |
    /// | `AIS_USE_HTTPS` | an endpoint without scheme means `https` |
    /// | `AIS_AUTHN_TOKEN` | token |
    /// | `AIS_AUTHN_TOKEN_FILE` | file with the token, bare or as `{"token":"..."}`; the variable above wins |
    /// | `AIS_CLIENT_CA` | file of certificates (PEM) to trust besides the system's |
    /// | `AIS_CRT`, `AIS_CRT_KEY` | files of the client certificate and its key (PEM), both or neither |
    /// | `AIS_SKIP_VERIFY_CRT`, `AIS_SKIP_VERIFY` | accept any server certificate |
    /// | `AIS_CONNECT_TIMEOUT`, `AIS_READ_TIMEOUT` | seconds; 0 for no limit |
    /// | `AIS_MAX_CONN_POOL` | most connections to one node |
    #[doc(alias = "AIS_ENDPOINT")]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let truthy = |name: &str| get(name).map(|value| is_truthy(&value));
        let mut this = Self::blank();
        this.endpoint = Some(get("AIS_ENDPOINT").unwrap_or_else(|| "http://localhost:8080".to_owned()));
        this.https = truthy("AIS_USE_HTTPS").unwrap_or_default();
        this.token = get("AIS_AUTHN_TOKEN").map(|token| Secret::from(token.trim()));
        if let (None, Some(path)) = (&this.token, get("AIS_AUTHN_TOKEN_FILE")) {
            match read_token_file(Path::new(&path)) {
                Ok(token) => this.token = Some(token),
                Err(error) => this.faults.push(format!("AIS_AUTHN_TOKEN_FILE: {}", error.message())),
            }
        }
        if let Some(path) = get("AIS_CLIENT_CA")
            && let Some(pem) = this.file("AIS_CLIENT_CA", &path)
        {
            this.config.tls = this.config.tls.add_root(pem);
        }
        match (get("AIS_CRT"), get("AIS_CRT_KEY")) {
            (Some(chain), Some(key)) => this.identity(&chain, &key),
            (None, None) => {}
            _ => this.faults.push("AIS_CRT and AIS_CRT_KEY must both be set or both be unset".to_owned()),
        }
        if truthy("AIS_SKIP_VERIFY_CRT").or_else(|| truthy("AIS_SKIP_VERIFY")).unwrap_or_default() {
            this.config.tls = this.config.tls.danger_skip_verify();
        }
        if let Some(limit) = get("AIS_CONNECT_TIMEOUT").and_then(|v| this.seconds("AIS_CONNECT_TIMEOUT", &v))
        {
            this.config.timeouts.connect = limit;
        }
        if let Some(limit) = get("AIS_READ_TIMEOUT").and_then(|v| this.seconds("AIS_READ_TIMEOUT", &v)) {
            (this.config.timeouts.head, this.config.timeouts.idle) = (limit, limit);
        }
        if let Some(value) = get("AIS_MAX_CONN_POOL") {
            match value.trim().parse() {
                Ok(limit) => this.config.pool.max_per_host = limit,
                Err(_) => this.faults.push(format!("AIS_MAX_CONN_POOL is {value:?}, not a number")),
            }
        }
        this
    }

    fn file(&mut self, variable: &str, path: &str) -> Option<Vec<u8>> {
        match std::fs::read(PathBuf::from(path)) {
            Ok(content) => Some(content),
            Err(error) => {
                self.faults.push(format!("{variable}: {path} cannot be read: {error}"));
                None
            }
        }
    }

    fn identity(&mut self, chain: &str, key: &str) {
        let (chain, key) = (self.file("AIS_CRT", chain), self.file("AIS_CRT_KEY", key));
        let (Some(chain), Some(key)) = (chain, key) else { return };
        match String::from_utf8(key) {
            Ok(key) => {
                let tls = std::mem::take(&mut self.config.tls);
                self.config.tls = tls.identity(Identity::from_pem(chain, key));
            }
            Err(_) => self.faults.push("AIS_CRT_KEY: the file is not PEM".to_owned()),
        }
    }

    /// `None` for no number, `Some(None)` for no limit.
    #[expect(clippy::option_option, reason = "a limit, no limit, or nothing said")]
    fn seconds(&mut self, variable: &str, value: &str) -> Option<Option<Duration>> {
        match value.trim().parse::<f64>().ok().map(Duration::try_from_secs_f64) {
            Some(Ok(Duration::ZERO)) => Some(None),
            Some(Ok(limit)) => Some(Some(limit)),
            _ => {
                self.faults.push(format!("{variable} is {value:?}, not a number of seconds"));
                None
            }
        }
    }

    /// Sets the gateway.
    pub fn endpoint(mut self, endpoint: impl AsRef<str>) -> Self {
        self.endpoint = Some(endpoint.as_ref().to_owned());
        self
    }

    /// Sends this token to the gateway, and to nobody else.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Puts these credentials on every request to the gateway; they win over a token.
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.builder = self.builder.credentials(provider);
        self.has_credentials = true;
        self
    }

    /// Sends the credentials to the nodes of the cluster map too, which some guarded clusters need.
    /// Off by default: an intruder in the map would get them.
    pub fn credentials_for_all_nodes(mut self, enabled: bool) -> Self {
        self.same_cluster = enabled;
        self
    }

    /// Whether large uploads go straight to the target that will hold the object.
    ///
    /// By default they do where there are no credentials: a cluster that authenticates its clients takes
    /// uploads through its gateways only. A cluster that turns out to forbid it gets no second such upload.
    pub fn direct_uploads(mut self, enabled: bool) -> Self {
        self.direct_uploads = Some(enabled);
        self
    }

    longshore_transport::client_settings!();

    /// Sends everything through this transport. It must follow redirects as
    /// [`ClusterRedirects`] does; no other setting of this builder but the endpoint and
    /// [`direct_uploads`](Self::direct_uploads), then off by default, has an effect.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The client. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(mut self) -> Result<Client> {
        let mut faults = std::mem::take(&mut self.faults);
        let mut note = |error: &Error| faults.push(error.chain());
        let endpoint = BaseUrl::parse_with_default_scheme(
            self.endpoint.as_deref().unwrap_or_default(),
            self.https,
            "a gateway",
        );
        let endpoint = endpoint.map_err(|error| note(&error)).ok();
        let redirects = ClusterRedirects::default();
        let timeouts = self.config.timeouts;
        let mut guarded = self.has_credentials || self.transport.is_some();
        let mut builder = self.builder.config(self.config).redirects(redirects.clone()).classifier(ColdReads);
        if let (Some(token), false) = (&self.token, self.has_credentials) {
            guarded = true;
            match BearerToken::new(token) {
                Ok(token) => builder = builder.credentials(token),
                Err(error) => note(&error),
            }
        }
        let transport = match self.transport {
            Some(transport) => Some(transport),
            None => builder.build().map_err(|error| note(&error)).ok(),
        };
        let (Some(endpoint), Some(transport), true) = (endpoint, transport, faults.is_empty()) else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        Ok(Client::from_inner(Inner {
            transport,
            timeouts,
            endpoint,
            redirects,
            facts: BucketFacts::default(),
            uploads: Uploads::default(),
            direct: Direct::new(self.direct_uploads.unwrap_or(!guarded)),
            same_cluster: tokio::sync::OnceCell::new_with((!self.same_cluster).then_some(())),
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("token", &self.token)
            .field("config", &self.config)
            .field("direct_uploads", &self.direct_uploads)
            .finish_non_exhaustive()
    }
}

/// The standard rules, and 409 on a read: the cluster is fetching the object from its backend for somebody else, and has
/// let this request wait for some seconds already.
#[derive(Clone, Copy, Debug)]
struct ColdReads;

impl RetryClassifier for ColdReads {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(parts) if parts.status == StatusCode::CONFLICT && call.operation == READ => {
                Decision::Retry { after: retry_after(&parts.headers) }
            }
            outcome => StandardClassifier::default().classify(call, outcome),
        }
    }
}

fn is_truthy(value: &str) -> bool {
    ["1", "t", "true", "y", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use longshore_transport::RetryConfig;

    use super::*;

    fn from(pairs: &[(&str, &str)]) -> ClientBuilder {
        ClientBuilder::from_lookup(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_and_what_wins_over_it() {
        let builder = from(&[
            ("AIS_ENDPOINT", "gw:51080"),
            ("AIS_USE_HTTPS", "Yes"),
            ("AIS_CONNECT_TIMEOUT", "2.5"),
            ("AIS_READ_TIMEOUT", "0"),
            ("AIS_AUTHN_TOKEN", "abc\n"),
            ("AIS_SKIP_VERIFY_CRT", "1"),
        ]);
        assert_eq!(builder.config.timeouts.connect, Some(Duration::from_millis(2500)));
        assert_eq!(builder.config.timeouts.idle, None);
        assert!(builder.config.tls.skip_verify);
        assert_eq!(builder.token.as_ref().map(Secret::expose), Some("abc"));
        assert!(!format!("{builder:?}").contains("abc"));
        assert_eq!(builder.build().unwrap().endpoint(), "https://gw:51080");
        let client = from(&[]).endpoint("http://other:1").build().unwrap();
        assert_eq!(client.endpoint(), "http://other:1");
    }

    #[test]
    fn every_fault_is_named() {
        let error = from(&[
            ("AIS_ENDPOINT", "ftp://x"),
            ("AIS_CRT", "/no/such"),
            ("AIS_READ_TIMEOUT", "soon"),
            ("AIS_MAX_CONN_POOL", "many"),
            ("AIS_AUTHN_TOKEN_FILE", "/no/such/token"),
        ])
        .retry(RetryConfig::default().max_attempts(0))
        .build()
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        for word in
            ["ftp", "AIS_CRT_KEY", "AIS_READ_TIMEOUT", "AIS_MAX_CONN_POOL", "/no/such/token", "max_attempts"]
        {
            assert!(error.to_string().contains(word), "{word} in {error}");
        }
    }
}

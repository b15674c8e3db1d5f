//! Settings of a client.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Result, Secret};
use longshore_transport::{
    BaseUrl, BearerToken, CredentialProvider, Credentials, Transport, TransportBuilder, TransportConfig,
};
use serde::Deserialize;

use crate::{
    client::{Client, Inner, send},
    faults::Faults,
    place::Place,
    platform::Platform,
    wire::Request,
};

/// The platform, where nothing else is set.
const API_URL: &str = "https://api.apolo.us/api/v1";

#[cfg(feature = "platform-config")]
const NO_TOKEN: &str =
    "no Apolo token is set (APOLO_TOKEN or APOLO_PASSED_CONFIG), and there is no login (`apolo login`)";
#[cfg(not(feature = "platform-config"))]
const NO_TOKEN: &str = "no Apolo token is set (APOLO_TOKEN or APOLO_PASSED_CONFIG)";

/// Assembles a [`Client`].
#[must_use]
pub struct ClientBuilder {
    place: Place,
    buckets_url: Option<String>,
    credentials: Option<Credentials>,
    passed: Option<Passed>,
    #[cfg(feature = "platform-config")]
    logins: crate::login::Folders,
    config: TransportConfig,
    builder: TransportBuilder,
    faults: Vec<String>,
}

/// What the platform passes to its jobs.
#[derive(Deserialize)]
struct Passed {
    token: String,
    cluster: String,
    url: String,
    #[serde(default)]
    org_name: Option<String>,
    #[serde(default)]
    project_name: Option<String>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::default(),
            buckets_url: None,
            credentials: None,
            passed: None,
            #[cfg(feature = "platform-config")]
            logins: crate::login::Folders::default(),
            config: TransportConfig::default(),
            builder: Transport::builder(),
            faults: Vec::new(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `APOLO_API_URL` | address of the platform |
    /// | `APOLO_TOKEN` | token |
    /// | `APOLO_CLUSTER`, `APOLO_ORG`, `APOLO_PROJECT` | where buckets are |
    /// | `APOLO_CONFIG`, `NEUROMATION_CONFIG` | folders of the login, if not `~/.apolo` and `~/.neuro` |
    /// | `APOLO_PASSED_CONFIG`, else `NEURO_PASSED_CONFIG` | what the platform passes to its jobs: base64 of JSON |
    ///
    /// What these do not set, and no token is set, comes from the login that `apolo login` leaves on the machine; see
    /// [`login`](Self::login). It needs the feature `platform-config`. Without a login, it comes from what the platform
    /// passes to its jobs.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let mut this = Self::new();
        let names = ["APOLO_PASSED_CONFIG", "NEURO_PASSED_CONFIG"];
        if let Some((name, text)) = names.into_iter().find_map(|name| Some((name, get(name)?))) {
            match passed(&text) {
                Ok(passed) => this.passed = Some(passed),
                Err(why) => this.faults.push(format!("{name} {why}")),
            }
        }
        #[cfg(feature = "platform-config")]
        {
            this.logins = crate::login::Folders::usual(get);
        }
        this.place = Place {
            url: get("APOLO_API_URL"),
            cluster: get("APOLO_CLUSTER"),
            org: get("APOLO_ORG"),
            project: get("APOLO_PROJECT"),
        };
        match get("APOLO_TOKEN") {
            Some(token) => this.token(token),
            None => this,
        }
    }

    /// Address of the platform, `https://.../api/v1`. Default: `https://api.apolo.us/api/v1`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.place.url = Some(url.into());
        self
    }

    /// Address of a cluster's buckets service, `https://.../api/v1/buckets`: then the platform is not asked for it.
    pub fn buckets_url(mut self, url: impl Into<String>) -> Self {
        self.buckets_url = Some(url.into());
        self
    }

    /// Name of the cluster. Default: the first that the platform names, and `default` if it is not asked because
    /// [`buckets_url`](Self::buckets_url) is set.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.place.cluster = Some(name.into());
        self
    }

    /// Organisation. Default: the first of the cluster.
    pub fn org(mut self, name: impl Into<String>) -> Self {
        self.place.org = Some(name.into());
        self
    }

    /// Project. Default: the first of the organisation, by name.
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.place.project = Some(name.into());
        self
    }

    /// Token that does not change.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        match BearerToken::new(&token.into()) {
            Ok(token) => self.credentials = Some(Credentials::new(token)),
            Err(error) => self.faults.push(error.chain()),
        }
        self
    }

    /// Where tokens come from. It is asked for each attempt, and told when a token was refused.
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.credentials = Some(Credentials::new(provider));
        self
    }

    /// Uses the login that `apolo login` left in this folder, such as `~/.apolo`: its token, platform, cluster,
    /// organisation and project, as far as they are not set. Files `.apolo.toml` and `user.toml` change the choice as they
    /// do for the platform's client.
    ///
    /// A token of which three quarters of the life are over is renewed, by one process at a time, and written back. The
    /// file is read by [`connect`](Self::connect), and only if no token is set. It belongs to one platform: it is not used
    /// for another [`api_url`](Self::api_url) than its own.
    #[cfg(feature = "platform-config")]
    pub fn login(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.logins = crate::login::Folders::only(folder.into());
        self
    }

    longshore_transport::client_settings!();

    /// The client. Asks the platform where the buckets service is, unless [`buckets_url`](Self::buckets_url) says so.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong, and clusters and organisations that there are
    /// if it is one of these. [`ErrorKind::Unauthenticated`] if the login of the machine has ended.
    pub async fn connect(mut self) -> Result<Client> {
        #[cfg(feature = "platform-config")]
        self.use_login().await;
        self.use_passed();
        let mut faults = self.faults;
        let mut note = |error: Error| faults.push(error.chain());
        let address = |text: &str| BaseUrl::parse(text, "the Apolo platform").map(|base| base.to_string());
        let api = address(self.place.url.as_deref().unwrap_or(API_URL)).map_err(&mut note).ok();
        let direct = self.buckets_url.as_deref().map(address).transpose().map_err(&mut note).ok().flatten();
        let service = self.builder.replaced().cloned();
        let credentials = self.credentials.ok_or_else(|| Error::new(ErrorKind::InvalidConfig, NO_TOKEN));
        let transport = credentials.and_then(|credentials| {
            let builder = self.builder.config(self.config.clone()).credentials(Shared(credentials));
            // The innermost of its layers: it reads answers as they come.
            builder.attempt_layer(Faults).classifier(Faults).build()
        });
        let transport = transport.map_err(&mut note).ok();
        let (Some(api), Some(transport), true) = (api, transport, faults.is_empty()) else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let Place { cluster, org, project, .. } = self.place;
        let config = self.config;
        if let Some(base) = direct {
            let cluster = cluster.unwrap_or_else(|| "default".to_owned());
            return Ok(Client::from_inner(Inner { transport, base, cluster, org, project, config, service }));
        }
        let request = Request::new(Method::GET, "/config", "apolo.platform.config", Idempotency::Idempotent);
        let platform: Platform =
            send(&transport, &api, request).await?.json("the description of the platform").await?;
        let (cluster, org, project) = platform.select(cluster.as_deref(), org, project)?;
        let base = address(&cluster.buckets_url).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the platform names a wrong address").with_source(error)
        })?;
        let cluster = cluster.name.clone();
        Ok(Client::from_inner(Inner { transport, base, cluster, org, project, config, service }))
    }

    /// Takes what is not set from the login of this machine, which counts before what the platform passed.
    #[cfg(feature = "platform-config")]
    async fn use_login(&mut self) {
        if self.credentials.is_some() {
            return;
        }
        let url = self.place.url.as_deref();
        match std::mem::take(&mut self.logins).open(&self.builder, &self.config, url).await {
            Ok(Some((place, credentials))) => {
                self.place.complete(place);
                self.credentials = Some(credentials);
                self.passed = None;
            }
            Ok(None) => {}
            Err(error) => self.faults.push(error.chain()),
        }
    }

    /// Takes what is not set from what the platform passed.
    fn use_passed(&mut self) {
        let Some(passed) = self.passed.take() else { return };
        if self.credentials.is_none() {
            match BearerToken::new(&Secret::from(passed.token)) {
                Ok(token) => self.credentials = Some(Credentials::new(token)),
                Err(error) => self.faults.push(error.chain()),
            }
        }
        self.place.complete(Place {
            url: Some(passed.url),
            cluster: Some(passed.cluster),
            org: passed.org_name,
            project: passed.project_name,
        });
    }
}

/// One set of credentials under the transport's trait.
#[derive(Debug)]
struct Shared(Credentials);

impl CredentialProvider for Shared {
    async fn authorize(&self, parts: &mut http::request::Parts) -> Result<()> {
        self.0.authorize(parts).await
    }

    fn invalidate(&self) {
        self.0.invalidate();
    }
}

fn passed(text: &str) -> std::result::Result<Passed, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "is not base64")?;
    // What is wrong with it is not said: it holds a token.
    serde_json::from_slice(&bytes).map_err(|_| "is malformed: token, cluster and url are expected in it")
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("place", &self.place)
            .field("buckets_url", &self.buckets_url)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    const CONFIG: &str = r#"{"authorized": true, "clusters": [
        {"name": "c1", "orgs": ["acme", "zenith"], "buckets_url": "http://h/api/v1/buckets", "storage_url": "x"},
        {"name": "c2", "orgs": null, "buckets_url": "http://h2/api/v1/buckets"}],
        "projects": [{"name": "p2", "cluster_name": "c1", "org_name": "acme", "role": "manager"},
        {"name": "p1", "cluster_name": "c1", "org_name": "acme", "role": "manager"}]}"#;

    fn builder(answer: &'static str) -> ClientBuilder {
        let service = ScriptedService::replies([Reply::ok(answer)]);
        ClientBuilder::new().api_url("http://h/api/v1/").token("t").service(service)
    }

    #[tokio::test]
    async fn the_platform_says_where_buckets_are() {
        let client = builder(CONFIG).connect().await.unwrap();
        let inner = client.inner();
        assert_eq!((inner.base.as_str(), client.cluster()), ("http://h/api/v1/buckets", "c1"));
        assert_eq!((inner.org.as_deref(), inner.project.as_deref()), (Some("acme"), Some("p1")));
        let client = builder(CONFIG).cluster("c2").project("own").connect().await.unwrap();
        assert_eq!(
            (client.inner().base.as_str(), client.inner().org.as_deref()),
            ("http://h2/api/v1/buckets", None)
        );
        let error = builder(CONFIG).cluster("c3").connect().await.unwrap_err();
        assert!(error.to_string().contains("c1, c2") && error.kind() == ErrorKind::InvalidConfig, "{error}");
        let error = builder(r#"{"authorized": false}"#).connect().await.unwrap_err();
        assert!(error.to_string().contains("apolo login"), "{error}");
    }

    #[tokio::test]
    async fn passed_configurations() {
        let json =
            r#"{"token":"sentinel","cluster":"c","url":"http://h/api/v1","org_name":"o","project_name":"p"}"#;
        let text = STANDARD.encode(json);
        let lookup = |name: &str| match name {
            "NEURO_PASSED_CONFIG" => Some(text.clone()),
            "APOLO_PROJECT" => Some("mine".into()),
            _ => None,
        };
        let builder = ClientBuilder::from_lookup(lookup);
        assert!(!format!("{builder:?}").contains("sentinel"));
        let client = builder.buckets_url("http://h/b").connect().await.unwrap();
        assert_eq!(client.cluster(), "c");
        let inner = client.inner();
        assert_eq!((inner.org.as_deref(), inner.project.as_deref()), (Some("o"), Some("mine")));
        for bad in ["*", &STANDARD.encode(r#"{"token":"sentinel"}"#)] {
            let lookup = |name: &str| (name == "APOLO_PASSED_CONFIG").then(|| bad.to_owned());
            let error = ClientBuilder::from_lookup(lookup).token("t").connect().await.unwrap_err();
            assert!(error.to_string().contains("APOLO_PASSED_CONFIG"), "{error}");
            assert!(!error.to_string().contains("sentinel"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_said() {
        let error = ClientBuilder::new().api_url("ftp://u:pw@x").connect().await.unwrap_err();
        assert!(
            error.to_string().contains("APOLO_TOKEN") && error.to_string().contains("neither http nor https"),
            "{error}"
        );
        assert!(!error.to_string().contains("pw"), "{error}");
    }
}

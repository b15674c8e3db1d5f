//! Settings of a client.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Result, Secret};
use longshore_transport::{
    BearerToken, CredentialProvider, Credentials, Transport, TransportBuilder, TransportConfig,
};
use serde::Deserialize;

use crate::{
    client::{Client, Inner, send},
    wire::Request,
};

/// The platform, where nothing else is set.
const API_URL: &str = "https://api.apolo.us/api/v1";

/// Assembles a [`Client`].
#[must_use]
pub struct ClientBuilder {
    api_url: Option<String>,
    buckets_url: Option<String>,
    cluster: Option<String>,
    org: Option<String>,
    project: Option<String>,
    credentials: Option<Credentials>,
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

/// What the platform says about itself, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    authorized: bool,
    #[serde(default)]
    clusters: Vec<Cluster>,
    #[serde(default)]
    projects: Vec<Project>,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    name: String,
    buckets_url: String,
    #[serde(default)]
    orgs: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Project {
    name: String,
    #[serde(default)]
    cluster_name: Option<String>,
    #[serde(default)]
    org_name: Option<String>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            api_url: None,
            buckets_url: None,
            cluster: None,
            org: None,
            project: None,
            credentials: None,
            config: TransportConfig::default(),
            builder: Transport::builder(),
            faults: Vec::new(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `APOLO_PASSED_CONFIG`, else `NEURO_PASSED_CONFIG` | what the platform passes to its jobs: base64 of JSON |
    /// | `APOLO_API_URL` | address of the platform; wins, as do the following |
    /// | `APOLO_TOKEN` | token |
    /// | `APOLO_CLUSTER`, `APOLO_ORG`, `APOLO_PROJECT` | where buckets are |
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let mut this = Self::new();
        let names = ["APOLO_PASSED_CONFIG", "NEURO_PASSED_CONFIG"];
        if let Some((name, text)) = names.into_iter().find_map(|name| Some((name, get(name)?))) {
            match passed(&text) {
                Ok(passed) => {
                    this.api_url = Some(passed.url);
                    this.cluster = Some(passed.cluster);
                    this.org = passed.org_name;
                    this.project = passed.project_name;
                    this = this.token(passed.token);
                }
                Err(why) => this.faults.push(format!("{name} {why}")),
            }
        }
        this.api_url = get("APOLO_API_URL").or(this.api_url);
        this.cluster = get("APOLO_CLUSTER").or(this.cluster);
        this.org = get("APOLO_ORG").or(this.org);
        this.project = get("APOLO_PROJECT").or(this.project);
        match get("APOLO_TOKEN") {
            Some(token) => this.token(token),
            None => this,
        }
    }

    /// Address of the platform, `https://.../api/v1`. Default: `https://api.apolo.us/api/v1`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = Some(url.into());
        self
    }

    /// Address of a cluster's buckets service, `https://.../api/v1/buckets`: then the platform is not asked for it.
    pub fn buckets_url(mut self, url: impl Into<String>) -> Self {
        self.buckets_url = Some(url.into());
        self
    }

    /// Name of the cluster. Default: the first that the platform names.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = Some(name.into());
        self
    }

    /// Organisation. Default: the first of the cluster.
    pub fn org(mut self, name: impl Into<String>) -> Self {
        self.org = Some(name.into());
        self
    }

    /// Project. Default: the first of the organisation, by name.
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
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

    longshore_transport::client_settings!();

    /// The client. Asks the platform where the buckets service is, unless [`buckets_url`](Self::buckets_url) says so.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong, and clusters and organisations that there are
    /// if it is one of these.
    pub async fn connect(mut self) -> Result<Client> {
        let mut faults = std::mem::take(&mut self.faults);
        let api = address(self.api_url.as_deref().unwrap_or(API_URL));
        let api = api.map_err(|why| faults.push(why)).ok();
        let direct = self.buckets_url.as_deref().map(address).transpose();
        let direct = direct.map_err(|why| faults.push(why)).ok().flatten();
        let Some(credentials) = self.credentials else {
            faults.push("no Apolo token is set (APOLO_TOKEN or APOLO_PASSED_CONFIG)".to_owned());
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let service = self.builder.replaced().cloned();
        let transport = self.builder.config(self.config.clone()).credentials(Shared(credentials)).build();
        let transport = transport.map_err(|error| faults.push(error.chain())).ok();
        let (Some(api), Some(transport), true) = (api, transport, faults.is_empty()) else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        if let Some(base) = direct {
            let cluster = self.cluster.unwrap_or_else(|| "default".to_owned());
            return Ok(Client::from_inner(Inner {
                transport,
                base,
                cluster,
                org: self.org,
                project: self.project,
                config: self.config,
                service,
            }));
        }
        let request = Request::new(Method::GET, "/config", "apolo.platform.config", Idempotency::Idempotent);
        let platform: Platform =
            send(&transport, &api, request).await?.json("the description of the platform").await?;
        let (cluster, org, project) = platform.select(self.cluster.as_deref(), self.org, self.project)?;
        let base = address(&cluster.buckets_url).map_err(|why| {
            Error::new(ErrorKind::Protocol, format!("the platform names a wrong address: {why}"))
        })?;
        let cluster = cluster.name.clone();
        Ok(Client::from_inner(Inner { transport, base, cluster, org, project, config: self.config, service }))
    }
}

impl Platform {
    fn select(
        &self,
        cluster: Option<&str>,
        org: Option<String>,
        project: Option<String>,
    ) -> Result<(&Cluster, Option<String>, Option<String>)> {
        if !self.authorized {
            let message = "the platform does not accept the token: log in anew (`apolo login`)";
            return Err(Error::new(ErrorKind::Unauthenticated, message));
        }
        let names = |names: Vec<&str>| names.join(", ");
        let found = match cluster {
            None => self.clusters.first(),
            Some(name) => self.clusters.iter().find(|c| c.name == name),
        };
        let found = found.ok_or_else(|| {
            let known = names(self.clusters.iter().map(|c| c.name.as_str()).collect());
            let message = match cluster {
                Some(name) => format!("there is no cluster {name:?} (there are: {known})"),
                None => "the platform names no cluster".to_owned(),
            };
            Error::new(ErrorKind::InvalidConfig, message)
        })?;
        let orgs = found.orgs.as_deref().unwrap_or_default();
        let org = org.or_else(|| orgs.first().cloned());
        let here =
            |p: &&Project| p.cluster_name.as_ref().is_none_or(|c| *c == found.name) && p.org_name == org;
        let project = project
            .or_else(|| self.projects.iter().filter(here).map(|p| p.name.as_str()).min().map(str::to_owned));
        Ok((found, org, project))
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

/// A base URL without a slash at its end.
fn address(text: &str) -> std::result::Result<String, String> {
    let shown = text.rsplit('@').next().unwrap_or_default();
    let fault = |why: &str| Err(format!("{shown:?} is not an address: {why}"));
    let text = text.trim().trim_end_matches('/');
    let Ok(uri) = text.parse::<http::Uri>() else { return fault("it is malformed") };
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return fault("it does not begin with http:// or https://"),
    }
    if uri.query().is_some() || uri.authority().is_none_or(|a| a.as_str().contains('@')) {
        return fault("it has a query, a password or no host");
    }
    Ok(text.to_owned())
}

fn passed(text: &str) -> std::result::Result<Passed, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "is not base64")?;
    // What is wrong with it is not said: it holds a token.
    serde_json::from_slice(&bytes).map_err(|_| "is malformed: token, cluster and url are expected in it")
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("api_url", &self.api_url)
            .field("buckets_url", &self.buckets_url)
            .field("cluster", &self.cluster)
            .field("org", &self.org)
            .field("project", &self.project)
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
        assert_eq!((builder.org.as_deref(), builder.project.as_deref()), (Some("o"), Some("mine")));
        assert!(!format!("{builder:?}").contains("sentinel"));
        let client = builder.buckets_url("http://h/b").connect().await.unwrap();
        assert_eq!(client.cluster(), "c");
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
            error.to_string().contains("APOLO_TOKEN") && error.to_string().contains("http://"),
            "{error}"
        );
        assert!(!error.to_string().contains("pw"), "{error}");
    }
}

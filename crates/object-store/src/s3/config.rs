//! Settings of a store.

use std::{fmt, sync::Arc};

use longshore_core_types::{BucketName, Error, ErrorKind, Pressure, Result, Secret};
use longshore_transport::{Transport, TransportBuilder, TransportConfig};
use object_store_0_14::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::{credentials::AwsCredentials, error, refusals::Refusals, sign::Signer, store::S3Store};
use crate::{
    TransportConnector,
    credentials::{CredentialSource, Library, Source},
    setup,
    wire::{
        client::{Client, Errors},
        endpoint::{Endpoint, Style},
    },
};

/// The region of requests to endpoints that have none.
const REGION: &str = "us-east-1";

const NO_KEY: &str = "no S3 access key is set (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); public buckets are read \
                      anonymously (AWS_SKIP_SIGNATURE=true)";

const NO_KEY_ANYWHERE: &str = "no S3 access key is set (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), and no service of \
                               this machine gave one; public buckets are read anonymously (AWS_SKIP_SIGNATURE=true)";

/// Assembles an [`S3Store`]. [`build`](Self::build) does no I/O and reports every setting that is wrong.
#[must_use]
pub struct S3Builder {
    bucket: String,
    endpoint: Option<String>,
    region: Option<String>,
    style: Option<Style>,
    access_key: Option<String>,
    secret_key: Option<Secret>,
    session_token: Option<Secret>,
    source: Option<Source<AwsCredentials>>,
    /// Services that issue keys, as the environment names them; `None` to ask none.
    services: Option<Vec<(AmazonS3ConfigKey, String)>>,
    anonymous: bool,
    conditional_writes: bool,
    config: TransportConfig,
    builder: TransportBuilder,
}

impl S3Builder {
    /// A bucket at Amazon; nothing is read from the environment.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            endpoint: None,
            region: None,
            style: None,
            access_key: None,
            secret_key: None,
            session_token: None,
            source: None,
            services: None,
            anonymous: false,
            conditional_writes: true,
            config: TransportConfig::default(),
            builder: Transport::builder(),
        }
    }

    /// Starts from the environment; what is set on the builder afterwards wins.
    ///
    /// | Variable | Meaning |
    /// |---|---|
    /// | `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`, `AWS_ENDPOINT` | endpoint, if not Amazon's |
    /// | `AWS_REGION`, else `AWS_DEFAULT_REGION` | region |
    /// | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | key |
    /// | `AWS_SESSION_TOKEN`, else `AWS_TOKEN` | token of a temporary key |
    /// | `AWS_SKIP_SIGNATURE` | `true`: ask anonymously |
    /// | `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` | `true`: the bucket is part of the endpoint's host name |
    /// | `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS` | a role by the token of a cluster |
    /// | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, or `AWS_CONTAINER_CREDENTIALS_FULL_URI` with `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` | the key of a container's role |
    /// | `AWS_EC2_METADATA_DISABLED` | `true`: never ask the machine's metadata service, which is asked if nothing else gives a key |
    /// | `AWS_METADATA_ENDPOINT`, `AWS_IMDSV1_FALLBACK` | where that is, and whether its first version will do |
    ///
    /// Keys that a service issues are kept, and renewed before they expire. Nothing is asked before the first request.
    pub fn from_env(bucket: impl Into<String>) -> Self {
        Self::from_lookup(bucket, |name| std::env::var(name).ok())
    }

    fn from_lookup(bucket: impl Into<String>, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|value| !value.is_empty());
        let yes = |name: &str| get(name).map(|v| v.eq_ignore_ascii_case("true") || v == "1");
        let mut this = Self::new(bucket);
        let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
        this.endpoint = names.into_iter().find_map(get);
        this.region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(get);
        this.access_key = get("AWS_ACCESS_KEY_ID");
        this.secret_key = get("AWS_SECRET_ACCESS_KEY").map(Secret::from);
        this.session_token = ["AWS_SESSION_TOKEN", "AWS_TOKEN"].into_iter().find_map(get).map(Secret::from);
        this.anonymous = yes("AWS_SKIP_SIGNATURE").unwrap_or_default();
        this.style =
            yes("AWS_VIRTUAL_HOSTED_STYLE_REQUEST").map(|host| if host { Style::Host } else { Style::Path });
        this.services = services(get, !yes("AWS_EC2_METADATA_DISABLED").unwrap_or_default());
        this
    }

    /// Address of the service, if it is not Amazon's: `http://host[:port][/path]` or `https://...`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Region of the bucket. Default: `us-east-1`, which most services that are not Amazon's take.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Whether the bucket is the first label of the host name, or of the path. Default: of the host name at Amazon, if
    /// the name allows it; of the path elsewhere.
    pub fn virtual_hosted(mut self, host: bool) -> Self {
        self.style = Some(if host { Style::Host } else { Style::Path });
        self
    }

    /// A key that does not change.
    pub fn credentials(mut self, credentials: AwsCredentials) -> Self {
        self.access_key = Some(credentials.access_key);
        self.secret_key = Some(credentials.secret_key);
        self.session_token = credentials.session_token;
        self.anonymous = false;
        self
    }

    /// Where keys come from. It is asked for each attempt, so keys can change in the middle of a transfer.
    pub fn credential_source(mut self, source: impl CredentialSource<AwsCredentials>) -> Self {
        self.source = Some(Source::new(source));
        self.anonymous = false;
        self
    }

    /// Asks without a key: for public buckets.
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Whether the service knows `If-Match` and `If-None-Match` on writes. Some old ones ignore them, which would lose
    /// data: then writes with conditions are refused before anything is sent. Default: it does.
    pub fn conditional_writes(mut self, known: bool) -> Self {
        self.conditional_writes = known;
        self
    }

    longshore_transport::client_settings!();

    /// Notes in this account what the service says about its load; see [`TransportBuilder::pressure`].
    pub fn pressure(mut self, pressure: Pressure) -> Self {
        self.builder = self.builder.pressure(pressure);
        self
    }

    /// The store. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(self) -> Result<S3Store> {
        let mut faults = Vec::new();
        let mut note = |error: Error| faults.push(error.chain());
        let bucket = BucketName::new(&self.bucket).map_err(&mut note).ok();
        let region = self.region.unwrap_or_else(|| REGION.to_owned());
        let endpoint = bucket.as_ref().and_then(|bucket| {
            let endpoint = match &self.endpoint {
                Some(url) => Endpoint::parse(url, bucket, self.style.unwrap_or(Style::Path)),
                None => Endpoint::amazon(bucket, &region, self.style),
            };
            endpoint.map_err(&mut note).ok()
        });
        let source = match (self.anonymous, self.source, self.access_key, self.secret_key) {
            (true, ..) => None,
            (_, Some(source), ..) => Some(source),
            (_, _, Some(id), Some(secret)) => {
                let mut key = AwsCredentials::new(id, secret);
                key.session_token = self.session_token;
                Some(Source::new(key))
            }
            (_, _, None, None) => {
                let source = match self.services {
                    Some(services) => {
                        let transport = setup::token_transport(&self.builder, &self.config);
                        transport.and_then(|transport| from_services(transport, services, &region))
                    }
                    None => Err(Error::new(ErrorKind::InvalidConfig, NO_KEY)),
                };
                source.map_err(&mut note).ok()
            }
            (_, _, None, _) => {
                note(Error::new(ErrorKind::InvalidConfig, "an S3 secret key is set, but no access key id"));
                None
            }
            (_, _, _, None) => {
                note(Error::new(ErrorKind::InvalidConfig, "an S3 access key id is set, but no secret key"));
                None
            }
        };
        let signer = source.clone().map(|source| Signer { source, region: region.clone() });
        let builder = self.builder.classifier(Refusals);
        let transport = setup::transport(builder, self.config, signer).map_err(&mut note).ok();
        let (Some(bucket), Some(endpoint), Some(transport), true) =
            (bucket, endpoint, transport, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let errors =
            Errors { read: error::from_response, in_success: error::in_success, stale: error::is_stale };
        let client = Client::new(transport, endpoint, source.as_ref(), errors);
        Ok(S3Store::new(client, source, region, bucket, self.conditional_writes))
    }
}

/// The services that give keys, if there may be one.
fn services(
    get: impl Fn(&str) -> Option<String>,
    metadata: bool,
) -> Option<Vec<(AmazonS3ConfigKey, String)>> {
    const NAMES: [&str; 9] = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_ENDPOINT_URL_STS",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_METADATA_ENDPOINT",
        "AWS_IMDSV1_FALLBACK",
    ];
    let named = (get(NAMES[0]).is_some() && get(NAMES[1]).is_some())
        || get(NAMES[4]).is_some()
        || (get(NAMES[5]).is_some() && get(NAMES[6]).is_some());
    let found =
        NAMES.into_iter().filter_map(|name| Some((name.to_ascii_lowercase().parse().ok()?, get(name)?)));
    (named || metadata).then(|| found.collect())
}

fn from_services(
    transport: Transport,
    services: Vec<(AmazonS3ConfigKey, String)>,
    region: &str,
) -> Result<Source<AwsCredentials>> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name("unused")
        .with_region(region)
        .with_http_connector(TransportConnector::new(transport))
        .with_retry(TransportConnector::retry_config());
    for (key, value) in services {
        builder = builder.with_config(key, value);
    }
    let store = builder.build().map_err(|error| {
        Error::new(ErrorKind::InvalidConfig, "the settings of the services that issue AWS keys are wrong")
            .with_source(error)
    })?;
    let provider = Arc::clone(store.credentials());
    Ok(Source::new(Library::new(provider, AwsCredentials::from_library, NO_KEY_ANYWHERE)))
}

impl fmt::Debug for S3Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Builder")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key", &self.access_key)
            .field("source", &self.source)
            .field("anonymous", &self.anonymous)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> S3Builder {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        S3Builder::from_lookup("b", move |name| {
            pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn environments() {
        let key = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "sentinel")];
        let store = env(&key).build().unwrap();
        assert!(format!("{store:?}").contains("https://b.s3.us-east-1.amazonaws.com"), "{store:?}");
        let own =
            env(&[key[0], key[1], ("AWS_ENDPOINT_URL", "http://h:1"), ("AWS_ENDPOINT", "http://other")]);
        assert!(!format!("{own:?}").contains("sentinel"));
        assert!(format!("{:?}", own.build().unwrap()).contains("http://h:1/b"));
        let region = env(&[("AWS_SKIP_SIGNATURE", "true"), ("AWS_DEFAULT_REGION", "eu-west-1")]);
        assert!(format!("{:?}", region.build().unwrap()).contains("eu-west-1"));
    }

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let error = S3Builder::new("a/b").endpoint("ftp://x").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(
            error.to_string().contains("bucket name") && error.to_string().contains("AWS_ACCESS_KEY_ID"),
            "{error}"
        );
        let half = env(&[("AWS_ACCESS_KEY_ID", "id")]).build().unwrap_err();
        assert!(half.to_string().contains("no secret key"), "{half}");
        let none = env(&[("AWS_EC2_METADATA_DISABLED", "true")]).build().unwrap_err();
        assert!(none.to_string().contains("AWS_ACCESS_KEY_ID"), "{none}");
    }

    #[tokio::test]
    async fn services_give_keys_which_are_kept() {
        use longshore_blob_api::{BlobStore, HeadOptions};
        use longshore_transport::testing::{Reply, ScriptedService};

        let key = r#"{"AccessKeyId": "issued", "SecretAccessKey": "s", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}"#;
        let server = ScriptedService::new(move |seen| match seen.uri.path() {
            "/role" => Reply::ok(key),
            _ => Reply::ok("").header("content-length", "7"),
        });
        let store = env(&[
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/role"),
            ("AWS_ENDPOINT_URL", "http://h:1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let store = store.service(server.clone()).build().unwrap();
        for _ in 0..2 {
            let key = longshore_core_types::ObjectKey::new("k").unwrap();
            store.head(&key, HeadOptions::default()).await.unwrap();
        }
        let seen = server.requests();
        assert_eq!(seen.iter().map(|seen| seen.uri.path()).collect::<Vec<_>>(), ["/role", "/b/k", "/b/k"]);
        assert!(seen[1].header("authorization").is_some_and(|value| value.contains("Credential=issued/")));
        assert_eq!(seen[2].header("x-amz-security-token"), Some("t"));
    }

    #[tokio::test]
    async fn without_any_service_the_error_says_what_to_set() {
        use longshore_blob_api::{BlobStore, HeadOptions};
        use longshore_transport::testing::{Reply, ScriptedService};

        let server = ScriptedService::new(|_| Reply::refused());
        let store = env(&[("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")]).service(server.clone()).build();
        let key = longshore_core_types::ObjectKey::new("k").unwrap();
        let error = store.unwrap().head(&key, HeadOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", error.chain());
        assert!(error.chain().contains("AWS_ACCESS_KEY_ID"), "{}", error.chain());
        assert!(server.requests().iter().all(|seen| seen.uri.host() == Some("127.0.0.1")));
    }
}

//! Settings of a store.

use std::fmt;

use longshore_core_types::{BucketName, Error, ErrorKind, Result, Scheme, Secret, StoreUrl};
use longshore_transport::{Transport, TransportBuilder, TransportConfig};

use super::{
    client::Client,
    credentials::{AwsCredentials, CredentialSource, Source},
    endpoint::{Endpoint, Style},
    sign::Signer,
    store::S3Store,
};

/// The region of requests to endpoints that have none.
const REGION: &str = "us-east-1";

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
    source: Option<Source>,
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
    pub fn credential_source(mut self, source: impl CredentialSource) -> Self {
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
                note(Error::new(
                    ErrorKind::InvalidConfig,
                    "no S3 access key is set (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); public buckets are read \
                     anonymously (AWS_SKIP_SIGNATURE=true)",
                ));
                None
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
        let mut builder = self.builder.config(self.config);
        if let Some(source) = source.clone() {
            builder = builder.credentials(Signer { source, region: region.clone() });
        }
        let transport = builder.build().map_err(&mut note).ok();
        let (Some(bucket), Some(endpoint), Some(transport), true) =
            (bucket, endpoint, transport, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        };
        let url = StoreUrl::new(Scheme::S3, bucket.clone(), "");
        let client = Client { transport, endpoint, source, region };
        Ok(S3Store::new(client, bucket, url, self.conditional_writes))
    }
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
    }
}

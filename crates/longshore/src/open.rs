//! From a URL to a store.

use std::time::Duration;

use longshore_blob_api::AnyStore;
use longshore_core_types::{Error, ErrorKind, Result, Scheme, Secret, StoreUrl};

/// Opens the bucket of a store URL with what the environment says, and returns the key of the URL beside it.
///
/// The key is empty if the URL names the bucket, and may be the name of an object or the start of many. Nothing is
/// sent yet, so a bucket that does not exist is noticed by the first call on the store. Only a web server is asked
/// whether it has the object of an `http(s)` URL, and whether it can send ranges.
///
/// [`ErrorKind::InvalidInput`] for a URL that is wrong by itself, [`ErrorKind::Unsupported`] for a scheme that this
/// build does not serve, [`ErrorKind::InvalidConfig`] for a wrong setting.
///
/// ```no_run
/// # async fn example() -> longshore::Result<()> {
/// use longshore::prelude::*;
///
/// let (store, prefix) = longshore::open("ais://photos/2024/").await?;
/// assert_eq!(prefix, "2024/");
/// # Ok(()) }
/// ```
pub async fn open(url: &str) -> Result<(AnyStore, String)> {
    let url = url.parse()?;
    OpenOptions::from_env().open(&url).await
}

/// How stores are opened: where they are and who asks.
///
/// Options are cheap to clone. Each [`open`](Self::open) of an AIStore or Supabase bucket makes a client of its own,
/// with its own connections, unless one is given.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is opened until `open` is called"]
pub struct OpenOptions {
    /// Whether what is not set here comes from the environment.
    #[cfg_attr(
        not(feature = "_platform"),
        expect(dead_code, reason = "the environment says where platforms are, and none is built")
    )]
    env: bool,
    endpoint: Option<String>,
    token: Option<Secret>,
    connect_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_attempts: Option<u32>,
    #[cfg(feature = "aistore")]
    aistore: Option<longshore_aistore::Client>,
    #[cfg(feature = "supabase")]
    supabase: Option<longshore_supabase::Client>,
}

impl OpenOptions {
    /// Options that say nothing yet and do not look at the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Options that take from the environment what is not set: `AIS_ENDPOINT` and the other variables of AIStore's
    /// own tools, the token that the last login stored (`~/.config/ais/cli/auth.token`), and `SUPABASE_URL` with
    /// `SUPABASE_SERVICE_ROLE_KEY` or another key; for `s3://` `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`
    /// and `AWS_SECRET_ACCESS_KEY` with the other variables of `S3Builder::from_env`; for `gs://` those of
    /// `GcsBuilder::from_env`, for `az://` those of `AzureBuilder::from_env`; for `blob:` `APOLO_PASSED_CONFIG`,
    /// or `APOLO_API_URL` and `APOLO_TOKEN` with the other variables of the `ClientBuilder` of Apolo, or, with the feature
    /// `apolo-login`, the login that `apolo login` left.
    pub fn from_env() -> Self {
        Self { env: true, ..Self::default() }
    }

    /// Address of the service: for AIStore of a gateway, `http://host:port`; for Supabase of a project,
    /// `https://REF.supabase.co`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Token that proves who asks; for Supabase the project's key.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// How long making a connection may take. Default 5 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// How long a server may be silent, before its answer and in the middle of it. Default 30 s.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// How often a request is sent at most, the first time included. Default 5.
    pub fn max_attempts(mut self, times: u32) -> Self {
        self.max_attempts = Some(times);
        self
    }

    /// Opens AIStore buckets through this client, whatever else is set. Stores then share its connections.
    #[cfg(feature = "aistore")]
    pub fn aistore(mut self, client: longshore_aistore::Client) -> Self {
        self.aistore = Some(client);
        self
    }

    /// The client that AIStore buckets are opened through.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong, or that there is no endpoint. No I/O, except
    /// that files are read which the environment names.
    #[cfg(feature = "aistore")]
    pub fn aistore_client(&self) -> Result<longshore_aistore::Client> {
        if let Some(client) = &self.aistore {
            return Ok(client.clone());
        }
        let mut builder = match (&self.endpoint, self.env) {
            (Some(endpoint), true) => longshore_aistore::ClientBuilder::from_env().endpoint(endpoint),
            (Some(endpoint), false) => longshore_aistore::Client::builder(endpoint),
            (None, true) => longshore_aistore::ClientBuilder::from_env(),
            (None, false) => {
                return Err(Error::new(ErrorKind::InvalidConfig, "no AIStore endpoint is set"));
            }
        };
        if let Some(token) = &self.token {
            builder = builder.token(token.clone());
        }
        #[cfg(feature = "authn")]
        if let Some(file) = self.token_of_last_login() {
            builder = builder.credentials(file);
        }
        builder.configure(|config| self.limits(config)).build()
    }

    /// The token file of `longshore authn login` and of AIStore's own command line, if nothing else names a token.
    #[cfg(all(feature = "aistore", feature = "authn"))]
    fn token_of_last_login(&self) -> Option<longshore_authn_api::TokenFile> {
        if !self.env || self.token.is_some() {
            return None;
        }
        match longshore_authn_api::EnvToken::find()? {
            longshore_authn_api::EnvToken::File(file)
                if std::env::var_os("AIS_AUTHN_TOKEN_FILE").is_none() =>
            {
                Some(file)
            }
            // The client's builder reads the variables by itself.
            _ => None,
        }
    }

    /// Opens Supabase buckets through this client, whatever else is set. Stores then share its connections.
    #[cfg(feature = "supabase")]
    pub fn supabase(mut self, client: longshore_supabase::Client) -> Self {
        self.supabase = Some(client);
        self
    }

    /// The client that Supabase buckets are opened through.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong, or that there is no project. No I/O.
    #[cfg(feature = "supabase")]
    pub fn supabase_client(&self) -> Result<longshore_supabase::Client> {
        if let Some(client) = &self.supabase {
            return Ok(client.clone());
        }
        let mut builder = match (&self.endpoint, self.env) {
            (Some(endpoint), true) => longshore_supabase::ClientBuilder::from_env().project(endpoint),
            (Some(endpoint), false) => longshore_supabase::Client::builder(endpoint),
            (None, true) => longshore_supabase::ClientBuilder::from_env(),
            (None, false) => {
                return Err(Error::new(ErrorKind::InvalidConfig, "no Supabase project is set"));
            }
        };
        if let Some(key) = &self.token {
            builder = builder.key(key.clone());
        }
        builder.configure(|config| self.limits(config)).build()
    }

    /// The client that Apolo buckets are opened through. The platform is asked where its buckets service is.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong, or that there is no token.
    #[cfg(feature = "apolo")]
    pub async fn apolo_client(&self) -> Result<longshore_apolo::Client> {
        use longshore_apolo::{Client, ClientBuilder};
        let mut builder = if self.env { ClientBuilder::from_env() } else { Client::builder() };
        if let Some(url) = &self.endpoint {
            builder = builder.api_url(url);
        }
        if let Some(token) = &self.token {
            builder = builder.token(token.clone());
        }
        builder.configure(|config| self.limits(config)).connect().await
    }

    /// The S3 bucket of this name. [`ErrorKind::InvalidConfig`] names every setting that is wrong. No I/O.
    #[cfg(feature = "s3")]
    pub fn s3_store(&self, bucket: &str) -> Result<longshore_object_store::s3::S3Store> {
        use longshore_object_store::s3::S3Builder;
        let mut builder = if self.env { S3Builder::from_env(bucket) } else { S3Builder::new(bucket) };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        builder.configure(|config| self.limits(config)).build()
    }

    /// The Azure container of this name. [`ErrorKind::InvalidConfig`] names every setting that is wrong. No I/O.
    #[cfg(feature = "azure")]
    pub fn azure_store(&self, container: &str) -> Result<longshore_object_store::azure::AzureStore> {
        use longshore_object_store::azure::AzureBuilder;
        let mut builder =
            if self.env { AzureBuilder::from_env(container) } else { AzureBuilder::new(container) };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        builder.configure(|config| self.limits(config)).build()
    }

    /// The bucket of this name at Google Cloud Storage. [`ErrorKind::InvalidConfig`] names every setting that is wrong.
    /// No I/O, except that a file is read which the environment names.
    #[cfg(feature = "gcs")]
    pub fn gcs_store(&self, bucket: &str) -> Result<longshore_object_store::gcs::GcsStore> {
        use longshore_object_store::gcs::GcsBuilder;
        let mut builder = if self.env { GcsBuilder::from_env(bucket) } else { GcsBuilder::new(bucket) };
        if let Some(endpoint) = &self.endpoint {
            builder = builder.endpoint(endpoint);
        }
        builder.configure(|config| self.limits(config)).build()
    }

    /// The limits that are set, over those that are usual.
    #[cfg(feature = "_platform")]
    fn limits(
        &self,
        mut config: longshore_transport::TransportConfig,
    ) -> longshore_transport::TransportConfig {
        config.timeouts.connect = self.connect_timeout.or(config.timeouts.connect);
        config.timeouts.head = self.idle_timeout.or(config.timeouts.head);
        config.timeouts.idle = self.idle_timeout.or(config.timeouts.idle);
        config.retry.max_attempts = self.max_attempts.unwrap_or(config.retry.max_attempts);
        config
    }

    /// Opens the bucket of a URL and returns the key of the URL beside it; see [`open`](crate::open()).
    #[cfg_attr(
        not(any(feature = "apolo", feature = "http")),
        expect(clippy::unused_async, reason = "web servers are asked first")
    )]
    pub async fn open(&self, url: &StoreUrl) -> Result<(AnyStore, String)> {
        supports(url.scheme())?;
        #[cfg(feature = "aistore")]
        if url.scheme().is_aistore() {
            if url.bucket().is_none() {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{url} names no bucket")));
            }
            let bucket = longshore_aistore::BucketRef::from_url(url)?;
            let store = self.aistore_client()?.bucket_ref(bucket).store();
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "supabase")]
        if url.scheme() == Scheme::Supabase {
            let Some(bucket) = url.bucket() else {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{url} names no bucket")));
            };
            let store = self.supabase_client()?.bucket(bucket)?.store();
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "apolo")]
        if url.scheme() == Scheme::Blob {
            if url.bucket().is_none() {
                return Err(Error::new(ErrorKind::InvalidInput, format!("{url} names no bucket")));
            }
            let bucket = url.with_key("").to_string();
            let (store, _) = self.apolo_client().await?.open(&bucket).await?;
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "s3")]
        if url.scheme() == Scheme::S3 {
            let store = self.s3_store(&bucket_of(url)?)?;
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "azure")]
        if url.scheme() == Scheme::Az {
            let store = self.azure_store(&bucket_of(url)?)?;
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "gcs")]
        if url.scheme() == Scheme::Gs {
            let store = self.gcs_store(&bucket_of(url)?)?;
            return Ok((AnyStore::new(store), url.key().to_owned()));
        }
        #[cfg(feature = "http")]
        if is_web(url.scheme()) {
            let (store, key) = longshore_http_store::HttpStore::builder(url.to_string()).build_object()?;
            return Ok((AnyStore::new(store.probe(&key).await?), key.to_string()));
        }
        Err(not_supported(url.scheme()))
    }
}

#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
fn bucket_of(url: &StoreUrl) -> Result<String> {
    url.bucket()
        .map(ToString::to_string)
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("{url} names no bucket")))
}

fn is_web(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Http | Scheme::Https)
}

/// Whether [`open`](crate::open()) serves this scheme; if not, [`ErrorKind::Unsupported`] says why and what to do.
pub fn supports(scheme: Scheme) -> Result<()> {
    let served = (scheme.is_aistore() && cfg!(feature = "aistore"))
        || (scheme == Scheme::Supabase && cfg!(feature = "supabase"))
        || (scheme == Scheme::S3 && cfg!(feature = "s3"))
        || (scheme == Scheme::Gs && cfg!(feature = "gcs"))
        || (scheme == Scheme::Az && cfg!(feature = "azure"))
        || (scheme == Scheme::Blob && cfg!(feature = "apolo"))
        || (is_web(scheme) && cfg!(feature = "http"));
    if served { Ok(()) } else { Err(not_supported(scheme)) }
}

fn not_supported(scheme: Scheme) -> Error {
    let why = if scheme.is_aistore() {
        "needs the feature `aistore` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::Supabase {
        "needs the feature `supabase` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::Blob {
        "needs the feature `apolo` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::S3 {
        "needs the feature `s3` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::Gs {
        "needs the feature `gcs` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::Az {
        "needs the feature `azure` of the crate `longshore`, which this build lacks"
    } else if is_web(scheme) {
        "needs the feature `http` of the crate `longshore`, which this build lacks"
    } else if scheme == Scheme::Memory {
        "cannot be opened by URL: a store in memory belongs to whoever makes it (`MemoryStore::new`)"
    } else {
        "is not supported yet"
    };
    Error::new(ErrorKind::Unsupported, format!("{scheme}:// {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_opened_says_why() {
        for (url, kind, word) in [
            ("memory://b", ErrorKind::Unsupported, "MemoryStore::new"),
            ("foo://b", ErrorKind::InvalidInput, "unknown scheme"),
        ] {
            let error = open(url).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{url}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[cfg(feature = "aistore")]
    #[tokio::test]
    async fn aistore() {
        let options = OpenOptions::new().endpoint("http://localhost:1").token("sentinel");
        assert!(!format!("{options:?}").contains("sentinel"));
        let (store, key) = options.open(&"ais://b/a/?".parse().unwrap()).await.unwrap();
        assert_eq!(
            (longshore_blob_api::BlobStore::url(&store).to_string(), key.as_str()),
            ("ais://b".into(), "a/?")
        );
        for (options, url, kind) in [
            (options.clone(), "ais://", ErrorKind::InvalidInput),
            (options.clone(), "ais://a b/k", ErrorKind::InvalidInput),
            (OpenOptions::new(), "ais://b", ErrorKind::InvalidConfig),
            (OpenOptions::new().endpoint("ftp://x"), "ais://b", ErrorKind::InvalidConfig),
        ] {
            assert_eq!(options.open(&url.parse().unwrap()).await.unwrap_err().kind(), kind, "{url}");
        }
    }

    #[cfg(feature = "supabase")]
    #[tokio::test]
    async fn supabase() {
        let options = OpenOptions::new().endpoint("http://localhost:1").token("sentinel");
        let (store, key) = options.open(&"supabase://b/a/b c".parse().unwrap()).await.unwrap();
        assert_eq!(
            (longshore_blob_api::BlobStore::url(&store).to_string(), key.as_str()),
            ("supabase://b".into(), "a/b c")
        );
        for (options, url, kind) in [
            (options.clone(), "supabase://", ErrorKind::InvalidInput),
            (options.clone(), "supabase://a#b/k", ErrorKind::InvalidInput),
            (OpenOptions::new(), "supabase://b", ErrorKind::InvalidConfig),
        ] {
            assert_eq!(options.open(&url.parse().unwrap()).await.unwrap_err().kind(), kind, "{url}");
        }
    }
}

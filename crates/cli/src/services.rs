//! The services behind store URLs, connected when they are first needed.

use std::{collections::HashMap, sync::OnceLock};

use futures_util::{
    StreamExt, TryStreamExt,
    future::ready,
    stream::{self, BoxStream},
};
use longshore::{
    AnyStore, Error, ErrorKind, OpenOptions, Scheme, StoreUrl, aistore, apolo,
    object_store::{azure::AzureStore, gcs::GcsStore, s3::S3Store},
    supabase,
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    embedded::Embedded,
    failure::{Failure, missing_bucket},
    interrupt::Interrupt,
    listing::{is_web, require_bucket, require_support},
    output::Output,
    settings::Settings,
};

/// Opens stores, and keeps the embedded server if it came to that.
#[derive(Debug)]
pub(crate) struct Services {
    settings: Settings,
    out: Output,
    connected: OnceCell<Connected>,
    supabase: OnceLock<supabase::Client>,
    apolo: OnceCell<apolo::Client>,
    /// Buckets that were looked up, by their URLs: each has credentials of its own.
    apolo_stores: Mutex<HashMap<String, apolo::Store>>,
}

/// URLs of buckets, as they come.
pub(crate) type Buckets = BoxStream<'static, Result<StoreUrl, Failure>>;

#[derive(Debug)]
struct Connected {
    aistore: aistore::Client,
    embedded: Option<Embedded>,
}

impl Services {
    pub(crate) fn new(settings: &Settings, out: &Output) -> Self {
        Self {
            settings: settings.clone(),
            out: out.clone(),
            connected: OnceCell::new(),
            supabase: OnceLock::new(),
            apolo: OnceCell::new(),
            apolo_stores: Mutex::default(),
        }
    }

    /// The bucket of a URL, as a store.
    pub(crate) async fn store(&self, url: &StoreUrl) -> Result<AnyStore, Failure> {
        let options = match self.cluster_bucket(url)? {
            Some(_) => OpenOptions::new().aistore(self.aistore().await?.clone()),
            None if url.scheme() == Scheme::Supabase => {
                let store = self.supabase_bucket(url)?.store();
                let encode = self.settings.encode_keys;
                return Ok(AnyStore::new(if encode { store.with_encoded_keys() } else { store }));
            }
            None if url.scheme() == Scheme::Blob => {
                return Ok(AnyStore::new(self.apolo_store(url).await?));
            }
            None if url.scheme() == Scheme::S3 => return self.s3_bucket(url).map(AnyStore::new),
            None => self.cloud_options(),
        };
        let (store, _) = options.open(url).await.map_err(|error| Failure::of("", error))?;
        Ok(store)
    }

    /// The environment, and the limits of the command line.
    fn cloud_options(&self) -> OpenOptions {
        self.limited(OpenOptions::from_env())
    }

    /// The S3 bucket of a URL.
    pub(crate) fn s3_bucket(&self, url: &StoreUrl) -> Result<S3Store, Failure> {
        require_bucket(url)?;
        self.s3_bucket_named(&url.bucket().map(ToString::to_string).unwrap_or_default())
    }

    fn s3_bucket_named(&self, name: &str) -> Result<S3Store, Failure> {
        if let Some(account) = &self.settings.accounts.s3 {
            return account.bucket(name, &self.settings);
        }
        self.settings.lacks("s3-endpoint")?;
        self.cloud_options().s3_store(name).map_err(|error| Failure::of("", error))
    }

    /// The Google bucket of a URL, to make and remove it.
    pub(crate) fn gcs_bucket(&self, url: &StoreUrl) -> Result<GcsStore, Failure> {
        let name = url.bucket().map(ToString::to_string).unwrap_or_default();
        self.cloud_options().gcs_store(&name).map_err(|error| Failure::of("", error))
    }

    /// The Azure container of a URL, to make and remove it.
    pub(crate) fn azure_container(&self, url: &StoreUrl) -> Result<AzureStore, Failure> {
        let name = url.bucket().map(ToString::to_string).unwrap_or_default();
        self.cloud_options().azure_store(&name).map_err(|error| Failure::of("", error))
    }

    /// The bucket of a cluster that a URL names, to make and remove it.
    pub(crate) async fn bucket(&self, url: &StoreUrl) -> Result<aistore::Bucket, Failure> {
        match self.cluster_bucket(url)? {
            Some(bucket) => Ok(self.aistore().await?.bucket_ref(bucket)),
            None => Err(Failure::usage(format!("buckets of {}:// cannot be managed", url.scheme()))),
        }
    }

    /// The client of the Supabase project that the environment names.
    pub(crate) fn supabase(&self) -> Result<&supabase::Client, Failure> {
        if let Some(client) = self.supabase.get() {
            return Ok(client);
        }
        let settings = &self.settings;
        let builder = if let Some(account) = &settings.accounts.supabase {
            account.builder()
        } else {
            settings.lacks("supabase-url")?;
            supabase::ClientBuilder::from_env()
        };
        let mut builder = builder.configure(|config| settings.limits(config));
        if let Some(size) = settings.part_size {
            builder = builder.part_size(size);
        }
        let client = builder.build().map_err(|error| {
            Failure::of("", error)
                .or_hint("set SUPABASE_URL to the project, and SUPABASE_SERVICE_ROLE_KEY or SUPABASE_KEY")
        })?;
        Ok(self.supabase.get_or_init(|| client))
    }

    /// A bucket of the Supabase project.
    pub(crate) fn supabase_bucket(&self, url: &StoreUrl) -> Result<supabase::Bucket, Failure> {
        let id = url.bucket().map(ToString::to_string).unwrap_or_default();
        self.supabase()?.bucket(id).map_err(|error| Failure::of("", error))
    }

    /// The client of the Apolo cluster that the environment or the platform's own configuration names.
    pub(crate) async fn apolo(&self) -> Result<&apolo::Client, Failure> {
        let connect = || async {
            let settings = &self.settings;
            let builder = if let Some(account) = &settings.accounts.apolo {
                account.builder()
            } else {
                settings.lacks("apolo-token")?;
                apolo::ClientBuilder::from_env()
            };
            let client = builder.configure(|config| settings.limits(config)).connect().await;
            client.map_err(|error| {
                Failure::of("", error)
                    .or_hint("log in with `apolo login`, or set APOLO_API_URL and APOLO_TOKEN")
            })
        };
        self.apolo.get_or_try_init(connect).await
    }

    /// The bucket of a `blob:` URL.
    pub(crate) async fn apolo_bucket(&self, url: &StoreUrl) -> Result<apolo::Bucket, Failure> {
        require_bucket(url)?;
        let bucket = url.with_key("");
        let found = self.apolo().await?.bucket_of(&bucket.to_string()).await;
        let found = found.map_err(|error| {
            let missing = error.kind() == ErrorKind::NotFound;
            let failure = Failure::of(format!("cannot find {bucket}"), error);
            if missing { failure.or_hint(missing_bucket(&bucket.to_string())) } else { failure }
        });
        Ok(found?.0)
    }

    async fn apolo_store(&self, url: &StoreUrl) -> Result<apolo::Store, Failure> {
        let name = url.with_key("").to_string();
        let mut known = self.apolo_stores.lock().await;
        if let Some(store) = known.get(&name) {
            return Ok(store.clone());
        }
        let bucket = self.apolo_bucket(url).await?;
        let store = self.apolo().await?.store(&bucket).await.map_err(|error| Failure::of("", error))?;
        let store = if self.settings.encode_keys { store.with_encoded_keys() } else { store };
        known.insert(name, store.clone());
        Ok(store)
    }

    /// Where the bucket of a URL is, or is to be made, and its name there.
    pub(crate) async fn apolo_place(&self, url: &StoreUrl) -> Result<(apolo::Buckets, String), Failure> {
        require_bucket(url)?;
        let client = self.apolo().await?;
        let uri = client.uri(&url.with_key("").to_string()).map_err(|error| Failure::of("", error))?;
        let path = uri.bucket_path().unwrap_or_default();
        match path.splitn(3, '/').collect::<Vec<_>>().as_slice() {
            [org, project, name] => Ok((client.buckets().in_project(*org, *project), (*name).to_owned())),
            _ => Err(Failure::usage(format!("{url} names no bucket"))),
        }
    }

    /// The buckets of a project, by name.
    pub(crate) async fn apolo_buckets(
        &self,
        service: &StoreUrl,
    ) -> Result<Vec<(String, apolo::Bucket)>, Failure> {
        let client = self.apolo().await?;
        let text = service.to_string();
        let place = text.trim_start_matches("blob:").trim_matches('/');
        let parts: Vec<_> = place.split('/').filter(|name| !name.is_empty()).collect();
        let here = || client.uri_defaults().map_err(|error| Failure::of("", error));
        let buckets = match parts.as_slice() {
            [] => client.buckets(),
            [project] if !text.starts_with("blob://") => client.buckets().in_project(here()?.org, *project),
            [cluster, org, project] if *cluster == client.cluster() => {
                client.buckets().in_project(*org, *project)
            }
            _ => {
                let message = format!("{service} names no project of the cluster {}", client.cluster());
                return Err(Failure::usage(message).hint("write blob: or blob:/PROJECT"));
            }
        };
        let failed = |error| Failure::of(format!("cannot list the buckets of {service}"), error);
        let found: Vec<_> = buckets.list().await.map_err(failed)?.try_collect().await.map_err(failed)?;
        let base =
            if place.is_empty() { "blob:".to_owned() } else { format!("{}/", text.trim_end_matches('/')) };
        let named =
            |bucket: apolo::Bucket| (format!("{base}{}", bucket.name.as_ref().unwrap_or(&bucket.id)), bucket);
        let mut named: Vec<_> = found.into_iter().map(named).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(named)
    }

    /// All buckets of a service, in order. Those of accounts that may have any number of them come a page at a time.
    pub(crate) async fn buckets(&self, service: &StoreUrl) -> Result<Buckets, Failure> {
        // Any name will do: the service is asked, not this bucket.
        let any = "any-bucket";
        let open = |error| Failure::of(format!("cannot list the buckets of {service}"), error);
        let names = match service.scheme() {
            Scheme::Gs => self.cloud_options().gcs_store(any).map_err(open)?.list_buckets(),
            Scheme::Az => self.cloud_options().azure_store(any).map_err(open)?.list_containers(),
            _ => return Ok(stream::iter(self.few_buckets(service).await?).map(Ok).boxed()),
        };
        let service = service.clone();
        let url = move |name: Result<String, Error>| match name {
            // A name that no URL can hold can be reached by no call either.
            Ok(name) => format!("{service}{name}").parse().ok().map(Ok),
            Err(error) => Some(Err(Failure::of(format!("cannot list the buckets of {service}"), error))),
        };
        Ok(names.filter_map(move |name| ready(url(name))).boxed())
    }

    async fn few_buckets(&self, service: &StoreUrl) -> Result<Vec<StoreUrl>, Failure> {
        let scheme = service.scheme();
        require_support(service)?;
        if scheme == Scheme::Supabase {
            let found = self.supabase()?.buckets().list().await;
            let found =
                found.map_err(|error| Failure::of(format!("cannot list the buckets of {service}"), error))?;
            let mut urls: Vec<StoreUrl> =
                // An id that no URL can hold can be reached by no call either.
                found.iter().filter_map(|bucket| format!("supabase://{}", bucket.id).parse().ok()).collect();
            urls.sort_by_key(ToString::to_string);
            return Ok(urls);
        }
        if scheme == Scheme::Blob {
            let found = self.apolo_buckets(service).await?;
            // Buckets without a name are reached by other calls than those of URLs.
            return Ok(found.iter().filter_map(|(url, _)| url.parse().ok()).collect());
        }
        if scheme == Scheme::S3 {
            return self.s3_buckets(service).await;
        }
        let provider = aistore::Provider::parse(scheme.as_str()).map_err(|error| Failure::of("", error))?;
        let cluster = self.aistore().await?.cluster();
        let buckets = match service.namespace() {
            Some(namespace) => cluster.list_buckets_in(provider, namespace.clone()).await,
            None => cluster.list_buckets(provider).await,
        };
        let buckets =
            buckets.map_err(|error| Failure::of(format!("cannot list the buckets of {service}"), error))?;
        Ok(buckets.iter().map(aistore::BucketRef::url).collect())
    }

    async fn s3_buckets(&self, service: &StoreUrl) -> Result<Vec<StoreUrl>, Failure> {
        // Any name will do: the service is asked, not this bucket.
        let store = self.s3_bucket_named("any-bucket")?;
        let failed = |error| Failure::of(format!("cannot list the buckets of {service}"), error);
        let mut names: Vec<_> = store.list_buckets().try_collect().await.map_err(failed)?;
        names.sort_unstable();
        Ok(names.iter().filter_map(|name| format!("s3://{name}").parse().ok()).collect())
    }

    /// The cluster behind a URL, if it is one of a cluster.
    pub(crate) async fn cluster(&self, url: &StoreUrl) -> Result<Option<aistore::Cluster>, Failure> {
        match self.cluster_bucket(url)? {
            Some(_) => Ok(Some(self.aistore().await?.cluster())),
            None => Ok(None),
        }
    }

    /// Refuses to take the embedded server for granted where something may be removed.
    pub(crate) fn require_chosen(&self, url: &StoreUrl) -> Result<(), Failure> {
        if self.settings.endpoint.is_some() || !url.scheme().is_aistore() {
            return Ok(());
        }
        Err(Failure::usage(format!("{url} may lose objects, and nobody said on which cluster")).hint(
            "set AIS_ENDPOINT or give --endpoint; `longshore dev` shows the address of the embedded server",
        ))
    }

    /// The bucket if a cluster has it. Names are looked at before a server is started for them.
    #[expect(clippy::unused_self, reason = "the other platforms have settings")]
    fn cluster_bucket(&self, url: &StoreUrl) -> Result<Option<aistore::BucketRef>, Failure> {
        if is_web(url) {
            return Ok(None);
        }
        require_support(url)?;
        if !url.scheme().is_aistore() {
            return Ok(None);
        }
        aistore::BucketRef::from_url(url).map(Some).map_err(|error| Failure::of("", error))
    }

    /// The cluster that `ais://` URLs are about.
    pub(crate) async fn aistore(&self) -> Result<&aistore::Client, Failure> {
        self.connect().await.map(|connected| &connected.aistore)
    }

    async fn connect(&self) -> Result<&Connected, Failure> {
        self.connected.get_or_try_init(|| self.connect_anew()).await
    }

    async fn connect_anew(&self) -> Result<Connected, Failure> {
        if self.settings.endpoint.is_none() {
            self.settings.lacks("endpoint")?;
        }
        let embedded = match &self.settings.endpoint {
            Some(_) => None,
            None => Some(self.embed().await?),
        };
        let endpoint = self.settings.endpoint.as_deref().or(embedded.as_ref().map(Embedded::aistore));
        let options = self.options(endpoint.unwrap_or_default());
        let aistore = options.aistore_client().map_err(|error| Failure::of("", error))?;
        Ok(Connected { aistore, embedded })
    }

    fn options(&self, endpoint: &str) -> OpenOptions {
        let settings = &self.settings;
        // Tokens and certificates of the environment belong to the cluster, not to the embedded server.
        let mut options = match &settings.endpoint {
            Some(_) if settings.own_account.is_none() => OpenOptions::from_env(),
            _ => OpenOptions::new(),
        };
        options = options.endpoint(endpoint);
        if let Some(token) = settings.token.as_ref().filter(|_| settings.endpoint.is_some()) {
            options = options.token(token.clone());
        }
        self.limited(options)
    }

    fn limited(&self, mut options: OpenOptions) -> OpenOptions {
        if let Some(limit) = self.settings.connect_timeout {
            options = options.connect_timeout(limit);
        }
        if let Some(limit) = self.settings.idle_timeout {
            options = options.idle_timeout(limit);
        }
        if let Some(times) = self.settings.attempts {
            options = options.max_attempts(times);
        }
        options
    }

    async fn embed(&self) -> Result<Embedded, Failure> {
        let dir = self.settings.dirs.dev();
        let embedded = Embedded::open(&dir)
            .await
            .map_err(|failure| failure.or_hint("set AIS_ENDPOINT or give --endpoint to work on a cluster"))?;
        self.out.notice_text(format!(
            "using the embedded server at {} with its data in {} (set AIS_ENDPOINT or --endpoint for a cluster)",
            embedded.aistore(),
            dir.display()
        ));
        Ok(embedded)
    }

    /// Lets go of the embedded server.
    pub(crate) async fn close(self, interrupt: &Interrupt) {
        if let Some(embedded) = self.connected.into_inner().and_then(|connected| connected.embedded) {
            embedded.close(&self.out, interrupt).await;
        }
    }
}

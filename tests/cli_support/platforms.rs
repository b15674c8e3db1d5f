//! The platforms of the dev server, for what must hold on each of them.

use longshore_blob_api::BlobStoreExt;
use longshore_core_types::{Error, ObjectKey};
use longshore_devserver::{DevServer, DevServerBuilder, Handle, NodeKind};
use longshore_object_store::s3::{AwsCredentials, S3Builder, S3Store};

use super::Home;

/// A platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Aistore,
    Supabase,
    S3,
    Apolo,
}

/// A server of one platform, with a bucket.
pub(crate) struct Site {
    platform: Platform,
    pub(crate) server: Handle,
}

impl Platform {
    pub(crate) const ALL: [Self; 4] = [Self::Aistore, Self::Supabase, Self::S3, Self::Apolo];

    /// A server of its own, which ends with the site.
    pub(crate) fn start(self) -> Site {
        let builder = DevServer::builder().journal_capacity(100_000);
        let start = |builder: DevServerBuilder| builder.start_blocking().expect("the server starts");
        let server = match self {
            Self::Aistore => start(builder),
            Self::Supabase => start(builder.supabase("127.0.0.1:0")),
            Self::S3 => start(builder.s3("127.0.0.1:0")),
            Self::Apolo => start(builder.apolo("127.0.0.1:0")),
        };
        let site = Site { platform: self, server };
        site.make_bucket();
        site
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Aistore => "ais",
            Self::Supabase => "supabase",
            Self::S3 => "s3",
            Self::Apolo => "blob",
        }
    }
}

impl Site {
    fn make_bucket(&self) {
        if self.platform == Platform::S3 {
            self.on_s3(async |store| store.create_bucket().await);
        } else {
            self.user().run(["mb", &self.url("")]).ok();
        }
    }

    /// Stores an object under a name that the command has no use for, such as one that ends in `/`.
    pub(crate) fn put_to_s3(&self, key: &str, bytes: &'static [u8]) {
        self.on_s3(async |store| store.write(&ObjectKey::new(key)?, bytes).await.map(drop));
    }

    fn on_s3(&self, work: impl AsyncFnOnce(S3Store) -> Result<(), Error>) {
        let (access_key, secret) = self.server.s3_key().expect("a key");
        let store = S3Builder::new("bucket").endpoint(self.server.s3_url().expect("an endpoint"));
        let store = store.credentials(AwsCredentials::new(access_key, secret)).build().expect("a bucket");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(work(store)).expect("the service does it");
    }

    /// URL of an object or a prefix in the bucket.
    pub(crate) fn url(&self, key: &str) -> String {
        let slash = if key.is_empty() { "" } else { "/" };
        // The names of Apolo begin with a cluster unless they are short.
        let slashes = if self.platform == Platform::Apolo { "" } else { "//" };
        format!("{}:{slashes}bucket{slash}{key}", self.platform.scheme())
    }

    /// Somebody whose environment names the service.
    pub(crate) fn user(&self) -> Home {
        let home = Home::new();
        match self.platform {
            Platform::Aistore => home.with("AIS_ENDPOINT", self.server.aistore_url()),
            Platform::Supabase => home
                .with("SUPABASE_URL", self.server.supabase_url().expect("a service"))
                .with("SUPABASE_SERVICE_ROLE_KEY", self.server.supabase_settings().service_key()),
            Platform::S3 => {
                let (access_key, secret) = self.server.s3_key().expect("a key");
                home.with("AWS_ENDPOINT_URL", self.server.s3_url().expect("an endpoint"))
                    .with("AWS_ACCESS_KEY_ID", access_key)
                    .with("AWS_SECRET_ACCESS_KEY", secret)
            }
            Platform::Apolo => home
                .with("APOLO_API_URL", self.server.apolo_url().expect("a service"))
                .with("APOLO_TOKEN", self.server.apolo_settings().token("alice"))
                .with("APOLO_ORG", "acme")
                .with("APOLO_PROJECT", "proj1"),
        }
    }

    /// The service as a section of the configuration file.
    pub(crate) fn profile(&self, name: &str) -> String {
        let settings = match self.platform {
            Platform::Aistore => format!("endpoint = {:?}\n", self.server.aistore_url()),
            Platform::Supabase => format!(
                "supabase-url = {:?}\nsupabase-key = {:?}\n",
                self.server.supabase_url().expect("a service"),
                self.server.supabase_settings().service_key()
            ),
            Platform::S3 => {
                let (access_key, secret) = self.server.s3_key().expect("a key");
                let url = self.server.s3_url().expect("an endpoint");
                format!("s3-endpoint = {url:?}\ns3-access-key = {access_key:?}\ns3-secret-key = {secret:?}\n")
            }
            Platform::Apolo => format!(
                "apolo-url = {:?}\napolo-token = {:?}\napolo-org = \"acme\"\napolo-project = \"proj1\"\n",
                self.server.apolo_url().expect("a service"),
                self.server.apolo_settings().token("alice")
            ),
        };
        format!("[profile.{name}]\n{settings}")
    }

    /// Bytes of bodies that moved in operations of this name since the journal was cleared.
    pub(crate) fn moved(&self, operation: &str) -> usize {
        let node = match self.platform {
            Platform::Aistore => NodeKind::Target,
            Platform::Supabase => NodeKind::Supabase,
            // The objects of Apolo's buckets lie on S3.
            Platform::S3 | Platform::Apolo => NodeKind::S3,
        };
        let entries =
            self.server.journal().filter(|entry| entry.node == node && entry.operation == operation);
        let bytes =
            entries.iter().map(|entry| if operation == "get" { entry.bytes_out } else { entry.bytes_in });
        usize::try_from(bytes.sum::<u64>()).expect("a size")
    }
}

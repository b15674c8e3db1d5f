//! A real AIStore cluster and a bucket in it.

use std::{
    future::Future,
    process,
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use libtest_mimic::{Completion, Failed, Trial};
use longshore_aistore::{Bucket, Client, ClientBuilder, Store};
use longshore_core_types::Secret;
use tokio::runtime::Runtime;

use super::settings::{Missing, Superuser};

/// A real cluster, and a bucket that the tests share. It is made by the first test that needs it.
pub(crate) struct Cluster {
    pub(crate) endpoint: String,
    runtime: Runtime,
    bucket: Bucket,
    made: OnceLock<Result<(), String>>,
    superuser: Option<Superuser>,
}

impl Cluster {
    /// Does no I/O. With a superuser it logs in when it needs a token, and again as needed.
    pub(crate) fn new(endpoint: String, superuser: Option<Superuser>) -> Result<Self, Missing> {
        let runtime = Runtime::new().map_err(|error| format!("no runtime: {error}"))?;
        // The environment may also name a token, which the program that is tested takes from there too.
        let mut client = ClientBuilder::from_env();
        if let Some(superuser) = &superuser {
            client = client.credentials(superuser.credentials()?);
        }
        let client = client.build().map_err(|error| format!("no client: {}", error.chain()))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("longshore-live-{}-{}", since.as_secs(), process::id());
        let bucket = client.bucket(name).map_err(|error| format!("no bucket: {}", error.chain()))?;
        Ok(Self { endpoint, runtime, bucket, made: OnceLock::new(), superuser })
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub(crate) fn client(&self) -> &Client {
        self.bucket.client()
    }

    /// The bucket, which exists.
    pub(crate) fn bucket(&self) -> Result<&Bucket, Failed> {
        let make = || self.wait(async { self.bucket.create().await }).map_err(|error| error.chain());
        match self.made.get_or_init(make) {
            Ok(()) => Ok(&self.bucket),
            Err(error) => Err(format!("cannot make the bucket {}: {error}", self.bucket.url()).into()),
        }
    }

    /// A token for the program that is tested, if there is a superuser to log in as.
    pub(crate) fn token(&self) -> Result<Option<Secret>, Failed> {
        let Some(superuser) = &self.superuser else { return Ok(None) };
        let client = superuser.client()?;
        let login = client.login(superuser.name.as_str(), &superuser.password);
        let token = self.wait(async { login.await }).map_err(|error| error.chain())?;
        Ok(Some(token.secret().clone()))
    }

    /// The bucket as a store, without asking anybody.
    pub(crate) fn store(&self) -> Store {
        self.bucket.store()
    }

    /// Removes the bucket, if there is one.
    pub(crate) fn clean(&self) -> Result<(), String> {
        if !matches!(self.made.get(), Some(Ok(()))) {
            return Ok(());
        }
        self.wait(async { self.bucket.delete().missing_ok(true).await }).map_err(|error| error.chain())
    }
}

/// A test that needs a server; without one it is ignored for that reason.
pub(crate) fn trial<S: Send + Sync + 'static>(
    name: impl Into<String>,
    server: &Result<Arc<S>, Missing>,
    body: impl FnOnce(&S) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    match server {
        Ok(server) => {
            let server = Arc::clone(server);
            Trial::test(name, move || body(&server))
        }
        Err(reason) => ignored(name, reason),
    }
}

/// A test that cannot run.
pub(crate) fn ignored(name: impl Into<String>, reason: &str) -> Trial {
    let reason = reason.to_owned();
    Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
}

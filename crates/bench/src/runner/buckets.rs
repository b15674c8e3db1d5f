//! The buckets service of the dev server, whose buckets lie on the bench's own server.

use longshore_apolo::{Client, NewImport, Provider};
use longshore_devserver::{DevServer, Handle};

use super::process::Server;
use crate::app::Failure;

/// A buckets service in this process. It is asked a few times before the bytes move, and sees none of them.
pub(super) struct Buckets {
    server: Handle,
    url: String,
    token: String,
}

impl Buckets {
    pub(super) fn start() -> Result<Self, Failure> {
        let server = DevServer::builder().apolo("127.0.0.1:0").start_blocking()?;
        let url = server.apolo_url().ok_or("the server has no buckets service")?.to_owned();
        let token = server.apolo_settings().token("alice");
        Ok(Self { server, url, token })
    }

    /// The platform.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Registers a bucket of the bench's server. Its URI.
    pub(super) fn import(&self, bucket: &str, server: &Server) -> Result<String, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bucket = runtime.block_on(async {
            let client = Client::builder().api_url(&self.url).token(self.token.as_str()).connect().await?;
            // The server looks at no signature, but clients want something to sign with.
            let import = NewImport::new(Provider::Aws, bucket)
                .with_name(bucket)
                .with_credential("access_key_id", "bench")
                .with_credential("secret_access_key", "bench")
                .with_credential("region_name", "us-east-1")
                .with_credential("endpoint_url", server.endpoint());
            client.buckets().import_external(import).await
        })?;
        Ok(bucket.uri())
    }

    /// Ends it.
    pub(super) fn stop(self) {
        drop(self.server);
    }
}

//! A server and a client of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use longshore_aistore::{Bucket, Client, ClientBuilder};
use longshore_devserver::{DevServer, Handle, JournalEntry};

pub(crate) struct World {
    pub(crate) server: Handle,
    pub(crate) client: Client,
    pub(crate) bucket: Bucket,
}

/// A fresh server with one bucket, and a client with the given settings.
pub(crate) async fn world(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> World {
    let server = DevServer::builder().start().await.unwrap();
    let client = change(Client::builder(server.aistore_url())).build().unwrap();
    let bucket = client.bucket("data").unwrap();
    bucket.create().await.unwrap();
    server.journal().clear();
    World { server, client, bucket }
}

impl World {
    pub(crate) fn journal(&self, operation: &str) -> Vec<JournalEntry> {
        self.server.journal().filter(|entry| entry.operation == operation)
    }
}

/// Bytes that differ everywhere.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i ^ (i >> 8) ^ (i >> 16)) & 0xff).unwrap()).collect()
}

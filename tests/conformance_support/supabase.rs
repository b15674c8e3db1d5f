//! Supabase Storage, over the dev server.

use std::sync::Arc;

use longshore_blob_api::AnyStore;
use longshore_devserver::{DevServer, Handle};
use longshore_supabase::{Bucket, Client, ClientBuilder};

use super::{Backend, Context, Fault, Opened, aistore::journal};

pub(crate) const BUCKET: &str = "conformance";

/// Size of parts. The server takes any; those of the hosted platform would only make the cases slower.
pub(crate) const PART: u64 = 16 << 10;

/// One bucket of one server for all cases.
pub(crate) fn backend() -> Backend {
    Backend { name: "supabase", open, except: &[] }
}

/// The same with names of any characters.
pub(crate) fn encoded() -> Backend {
    Backend { name: "supabase-encoded", open: open_encoded, except: &[] }
}

fn open(context: &Context) -> Result<Opened, Fault> {
    opened(context, |bucket| AnyStore::new(bucket.store()))
}

fn open_encoded(context: &Context) -> Result<Opened, Fault> {
    opened(context, |bucket| AnyStore::new(bucket.store().with_encoded_keys()))
}

fn opened(context: &Context, store: impl Fn(&Bucket) -> AnyStore) -> Result<Opened, Fault> {
    let server = DevServer::builder().supabase("127.0.0.1:0").journal_capacity(200_000).start_blocking()?;
    let server = Arc::new(server);
    let client = client(&server).build()?;
    context.run(async { client.buckets().create(BUCKET).await })??;
    let store = store(&client.bucket(BUCKET)?);
    Ok(Opened { store, trace: Box::new(move |prefix| journal(&server, prefix)) })
}

/// A client of the server's project with every right.
pub(crate) fn client(server: &Handle) -> ClientBuilder {
    let url = server.supabase_url().unwrap_or_default();
    Client::builder(url).key(server.supabase_settings().service_key()).part_size(PART)
}

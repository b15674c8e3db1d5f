//! Apolo buckets on the dev server: its buckets service, and the S3 that it gives credentials for.

use std::sync::Arc;

use longshore_apolo::{Client, Store};
use longshore_blob_api::AnyStore;
use longshore_devserver::DevServer;

use super::{Backend, Context, Fault, Opened, aistore::journal};

/// One bucket of one server for all cases.
pub(crate) fn backend() -> Backend {
    Backend { name: "apolo", open: |context| open(context, |store| store), except: &[] }
}

/// The same under the keys of the platform's own client.
pub(crate) fn encoded() -> Backend {
    Backend { name: "apolo-encoded", open: |context| open(context, Store::with_encoded_keys), except: &[] }
}

fn open(context: &Context, keys: impl FnOnce(Store) -> Store) -> Result<Opened, Fault> {
    let server = DevServer::builder().apolo("127.0.0.1:0").journal_capacity(200_000).start_blocking()?;
    let server = Arc::new(server);
    let url = server.apolo_url().ok_or("the server has no buckets service")?;
    let token = server.apolo_settings().token("alice");
    let builder = Client::builder().api_url(url).token(token).org("acme").project("proj1");
    let store = context.run(async {
        let client = builder.connect().await?;
        let bucket = client.buckets().create(Some("conformance")).await?;
        client.store(&bucket).await
    })??;
    Ok(Opened { store: AnyStore::new(keys(store)), trace: Box::new(move |prefix| journal(&server, prefix)) })
}

//! S3, over the dev server's endpoint.

use std::sync::Arc;

use longshore_blob_api::AnyStore;
use longshore_devserver::DevServer;
use longshore_object_store::s3::{AwsCredentials, S3Builder};

use super::{Backend, Context, Fault, Opened, aistore::journal};

/// One bucket of one server for all cases.
pub(crate) fn backend() -> Backend {
    Backend { name: "s3", open, except: &[] }
}

fn open(context: &Context) -> Result<Opened, Fault> {
    let server = DevServer::builder().s3("127.0.0.1:0").journal_capacity(200_000).start_blocking()?;
    let server = Arc::new(server);
    let (Some(url), Some((access_key, secret))) = (server.s3_url(), server.s3_key()) else {
        return Err("the server has no S3 endpoint".into());
    };
    let key = AwsCredentials::new(access_key, secret);
    let store = S3Builder::new("conformance").endpoint(url).credentials(key).build()?;
    context.run(store.create_bucket())??;
    let store = AnyStore::new(store);
    Ok(Opened { store, trace: Box::new(move |prefix| journal(&server, prefix)) })
}

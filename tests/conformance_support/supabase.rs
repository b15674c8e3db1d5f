//! Supabase Storage, over the dev server.

use std::{sync::Arc, time::Duration};

use longshore_blob_api::AnyStore;
use longshore_devserver::{DevServer, Handle, RowSecurity, SupabaseSettings};
use longshore_supabase::{AwsCredentials, Bucket, Client, ClientBuilder};

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

/// Uploads in parts go through the S3 endpoint, by a key of the project.
pub(crate) fn over_s3() -> Backend {
    Backend { name: "supabase-s3", open: open_s3, except: &[] }
}

/// The same in the name of a user, by a session token.
pub(crate) fn over_s3_session() -> Backend {
    Backend { name: "supabase-s3-session", open: open_session, except: &[] }
}

fn open(context: &Context) -> Result<Opened, Fault> {
    opened(context, |_, bucket| Ok(AnyStore::new(bucket.store())))
}

fn open_encoded(context: &Context) -> Result<Opened, Fault> {
    opened(context, |_, bucket| Ok(AnyStore::new(bucket.store().with_encoded_keys())))
}

fn open_s3(context: &Context) -> Result<Opened, Fault> {
    opened(context, |server, bucket| {
        let settings = server.supabase_settings();
        let keys = AwsCredentials::new(settings.s3_access_key(), settings.s3_secret_key());
        Ok(AnyStore::new(client(server).s3(keys).build()?.bucket(bucket.id())?.store()))
    })
}

fn open_session(context: &Context) -> Result<Opened, Fault> {
    opened(context, |server, bucket| {
        let settings = server.supabase_settings();
        let token = settings.user_token("4d56e902-f0a0-4662-8448-a4d9e643c142", Duration::from_hours(1));
        let user = client(server).key(settings.anon_key()).user_token(token).s3_session("stub").build()?;
        Ok(AnyStore::new(user.bucket(bucket.id())?.store()))
    })
}

fn opened(
    context: &Context,
    store: impl Fn(&Handle, &Bucket) -> Result<AnyStore, Fault>,
) -> Result<Opened, Fault> {
    let settings = SupabaseSettings::default().row_security(RowSecurity::Users);
    let server = DevServer::builder().supabase("127.0.0.1:0").supabase_settings(settings);
    let server = Arc::new(server.journal_capacity(200_000).start_blocking()?);
    let client = client(&server).build()?;
    context.run(async { client.buckets().create(BUCKET).await })??;
    let store = store(&server, &client.bucket(BUCKET)?)?;
    Ok(Opened { store, trace: Box::new(move |prefix| journal(&server, prefix)) })
}

/// A client of the server's project with every right.
pub(crate) fn client(server: &Handle) -> ClientBuilder {
    let url = server.supabase_url().unwrap_or_default();
    Client::builder(url).key(server.supabase_settings().service_key()).part_size(PART)
}

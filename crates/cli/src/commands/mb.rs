//! `longshore mb`: make a bucket.

use clap::Args;
use longshore::{Error, ErrorKind, Scheme, StoreUrl};

use super::{apolo, bucket_url};
use crate::{app::App, failure::Failure, output::Message};

/// Make buckets
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Make a bucket
     longshore mb ais://photos
  2. Make it unless it is there already
     longshore mb --exist-ok ais://photos
  3. Make it on a certain cluster
     longshore --endpoint http://gateway:51080 mb ais://photos
  4. Make one at Amazon, in the region of AWS_REGION
     longshore mb s3://photos
  5. Make one at Google, in the project of GOOGLE_CLOUD_PROJECT
     longshore mb gs://photos")]
pub(crate) struct MbArgs {
    /// Store URLs of buckets
    #[arg(required = true, value_name = "BUCKET")]
    buckets: Vec<String>,

    /// Do not mind buckets that are there already
    #[arg(long)]
    exist_ok: bool,
}

pub(crate) async fn run(app: &App, args: MbArgs) -> Result<(), Failure> {
    let buckets = args.buckets.iter().map(|text| bucket_url(text)).collect::<Result<Vec<_>, _>>()?;
    for url in buckets {
        make(app, &url, args.exist_ok).await?.map_err(|error| {
            let exists = error.kind() == ErrorKind::AlreadyExists;
            let failure = Failure::of(format!("cannot make {url}"), error);
            if exists { failure.hint("--exist-ok takes that for a success") } else { failure }
        })?;
        app.out.print_now(&Message::BucketCreated { url: url.to_string() })?;
    }
    Ok(())
}

async fn make(app: &App, url: &StoreUrl, exist_ok: bool) -> Result<Result<(), Error>, Failure> {
    let made = match url.scheme() {
        Scheme::Blob => return apolo::create(app, url, exist_ok).await,
        Scheme::Supabase => {
            let bucket = app.services.supabase_bucket(url)?;
            bucket.client().buckets().create(bucket.id()).await
        }
        Scheme::S3 => app.services.s3_bucket(url)?.create_bucket().await,
        Scheme::Gs => app.services.gcs_bucket(url)?.create_bucket().await,
        Scheme::Az => app.services.azure_container(url)?.create_container().await,
        _ => return Ok(app.services.bucket(url).await?.create().exist_ok(exist_ok).await),
    };
    Ok(match made {
        Err(error) if exist_ok && error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    })
}

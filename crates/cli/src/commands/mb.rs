//! `longshore mb`: make a bucket.

use clap::Args;
use longshore::{Error, ErrorKind, Scheme, StoreUrl};

use super::bucket_url;
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
        make(app, &url, args.exist_ok).await?;
    }
    Ok(())
}

/// Makes a bucket and says so.
pub(crate) async fn make(app: &App, url: &StoreUrl, exist_ok: bool) -> Result<(), Failure> {
    tell(app, &url.to_string(), create(app, url).await?, exist_ok)
}

/// Says what became of a bucket that was to be made.
pub(crate) fn tell(app: &App, url: &str, made: Result<(), Error>, exist_ok: bool) -> Result<(), Failure> {
    match made {
        Ok(()) => app.out.print_now(&Message::BucketCreated { url: url.to_owned() }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && exist_ok => {
            app.out.notice_text(format!("{url} is there already"));
            Ok(())
        }
        Err(error) => {
            let exists = error.kind() == ErrorKind::AlreadyExists;
            let failure = Failure::of(format!("cannot make {url}"), error);
            Err(if exists { failure.hint("--exist-ok takes that for a success") } else { failure })
        }
    }
}

async fn create(app: &App, url: &StoreUrl) -> Result<Result<(), Error>, Failure> {
    Ok(match url.scheme() {
        Scheme::Blob => {
            let (buckets, name) = app.services.apolo_place(url).await?;
            buckets.create(Some(&name)).await.map(drop)
        }
        Scheme::Supabase => {
            let bucket = app.services.supabase_bucket(url)?;
            bucket.client().buckets().create(bucket.id()).await
        }
        Scheme::S3 => app.services.s3_bucket(url)?.create_bucket().await,
        Scheme::Gs => app.services.gcs_bucket(url)?.create_bucket().await,
        Scheme::Az => app.services.azure_container(url)?.create_container().await,
        _ => app.services.bucket(url).await?.create().await,
    })
}

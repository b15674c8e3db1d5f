//! `longshore apolo`: what only Apolo buckets have.
#![expect(clippy::doc_markdown, reason = "the comments on flags are their help texts")]

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use futures_util::{StreamExt, TryStreamExt};
use longshore::{
    StoreUrl,
    apolo::{Bucket, BucketCredentials, CredentialMap, NewImport, PersistentCredentials, Provider},
};
use serde_json::{Map, Value, json};

use super::{bucket_url, mb, store_url};
use crate::{
    app::App,
    failure::Failure,
    listing::object_of,
    output::{Entity, Message, Stat},
    units::{parse_duration, show_time},
};

/// Manage the buckets of an Apolo cluster, and credentials for them
///
/// The cluster, organisation and project are those that `apolo login` and `apolo config` chose. APOLO_API_URL,
/// APOLO_TOKEN, APOLO_CLUSTER, APOLO_ORG and APOLO_PROJECT win over them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. The buckets of the project
     longshore apolo bucket ls
  2. Make a bucket, and let everybody read it
     longshore apolo bucket create blob:photos
     longshore apolo bucket public blob:photos
  3. Register a bucket that is at a provider already; the secret is read from standard input
     longshore apolo bucket import --provider aws --at my-bucket --credential access_key_id=AK \\
       --secret secret_access_key blob:photos < key.txt
  4. Credentials for other programs, for an hour or for good
     longshore apolo creds get blob:photos
     longshore apolo creds create --name backup --read-only blob:photos
  5. Everything else works as on every store
     longshore cp -r ~/Pictures/ blob:photos/2024/")]
pub(crate) struct ApoloArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Credentials
    #[command(subcommand, visible_alias = "credentials")]
    Creds(CredsCommand),
    /// Let the service sign a URL by which anybody can read an object, for up to a week
    Sign {
        /// Store URL of the object
        #[arg(value_name = "URL")]
        url: String,
        /// For how long, such as 10m or 24h [default: 1h]
        #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
        expires: Option<Duration>,
    },
}

#[derive(Debug, Subcommand)]
enum BucketCommand {
    /// List the buckets of a project
    #[command(visible_alias = "list")]
    Ls {
        /// `blob:` or `blob:/PROJECT`
        #[arg(value_name = "PLACE", default_value = "blob:")]
        place: String,
    },
    /// Show what is known about buckets
    Get {
        /// Store URLs of buckets
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
    },
    /// Make a bucket
    Create {
        /// Store URL of the bucket; without one the bucket has no name but an id
        #[arg(value_name = "BUCKET")]
        bucket: Option<String>,
        /// Do not mind a bucket that is there already
        #[arg(long)]
        exist_ok: bool,
    },
    /// Register a bucket that a provider has already
    Import(ImportArgs),
    /// Remove buckets that are empty; imported ones are only forgotten
    Rm {
        /// Store URLs of buckets
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
    },
    /// Let everybody read a bucket
    Public {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
    },
    /// Let nobody read a bucket without credentials; on Azure the service cannot do that
    Private {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
    },
    /// Count the objects of a bucket and their bytes
    Usage {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
    },
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// Store URL of the bucket here
    #[arg(value_name = "BUCKET")]
    bucket: String,
    /// What it is on
    #[arg(long, value_name = "PROVIDER", value_enum)]
    provider: ImportProvider,
    /// Its name there
    #[arg(long, value_name = "NAME")]
    at: String,
    /// A value that opens it, such as access_key_id=AK or endpoint_url=https://...; may be repeated
    #[arg(long = "credential", value_name = "NAME=VALUE")]
    credentials: Vec<String>,
    /// Read the value of this name from standard input, so that it is not seen on the command line
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportProvider {
    Aws,
    Minio,
    Azure,
    Gcp,
}

#[derive(Debug, Subcommand)]
enum CredsCommand {
    /// Show credentials of a bucket that are good for about an hour
    Get {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
    },
    /// Make credentials that do not expire, and show them
    Create {
        /// Store URLs of the buckets that they open
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
        /// A name for them
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// They can read, and nothing else
        #[arg(long)]
        read_only: bool,
    },
    /// List your credentials that do not expire, without what is secret
    #[command(visible_alias = "list")]
    Ls,
    /// Show credentials that do not expire
    Show {
        /// Names or ids
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove credentials that do not expire: they open nothing any more
    Rm {
        /// Names or ids
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(crate) async fn run(app: &App, args: ApoloArgs) -> Result<(), Failure> {
    match args.command {
        Command::Bucket(command) => bucket(app, command).await,
        Command::Creds(command) => creds(app, command).await,
        Command::Sign { url, expires } => sign(app, &url, expires.unwrap_or(Duration::from_hours(1))).await,
    }
}

async fn bucket(app: &App, command: BucketCommand) -> Result<(), Failure> {
    match command {
        BucketCommand::Ls { place } => {
            let found = app.services.apolo_buckets(&blob(store_url(&place)?)?).await?;
            for (url, bucket) in &found {
                tell(app, url, facts(bucket))?;
            }
            app.out.conclude(&Message::Buckets { buckets: found.len() as u64 })
        }
        BucketCommand::Get { buckets } => {
            for url in urls(&buckets)? {
                tell(app, &url.to_string(), facts(&app.services.apolo_bucket(&url).await?))?;
            }
            Ok(())
        }
        BucketCommand::Create { bucket: Some(bucket), exist_ok } => {
            let url = url(&bucket)?;
            mb::make(app, &url, exist_ok).await
        }
        BucketCommand::Create { bucket: None, .. } => {
            let made = app.services.apolo().await?.buckets().create(None).await;
            let made = made.map_err(|error| Failure::of("cannot make a bucket", error))?;
            app.out.print_now(&Message::BucketCreated { url: format!("blob:{}", made.id) })
        }
        BucketCommand::Import(args) => import(app, args).await,
        BucketCommand::Rm { buckets } => {
            for url in urls(&buckets)? {
                let bucket = app.services.apolo_bucket(&url).await?;
                let done = app.services.apolo().await?.buckets().remove(&bucket.id).await;
                done.map_err(|error| Failure::of(format!("cannot remove {url}"), error))?;
                app.out.print_now(&Message::BucketRemoved { url: url.to_string() })?;
            }
            Ok(())
        }
        BucketCommand::Public { bucket } => publish(app, &url(&bucket)?, true).await,
        BucketCommand::Private { bucket } => publish(app, &url(&bucket)?, false).await,
        BucketCommand::Usage { bucket } => usage(app, &url(&bucket)?).await,
    }
}

async fn import(app: &App, args: ImportArgs) -> Result<(), Failure> {
    let url = url(&args.bucket)?;
    let provider = match args.provider {
        ImportProvider::Aws => Provider::Aws,
        ImportProvider::Minio => Provider::Minio,
        ImportProvider::Azure => Provider::Azure,
        ImportProvider::Gcp => Provider::Gcp,
    };
    let (buckets, name) = app.services.apolo_place(&url).await?;
    let mut import = NewImport::new(provider, args.at).with_name(name);
    for pair in &args.credentials {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::usage("a credential is written NAME=VALUE"));
        };
        import = import.with_credential(name, value);
    }
    if let Some(name) = args.secret {
        let text = std::io::read_to_string(std::io::stdin());
        let text = text.map_err(|error| Failure::io("cannot read standard input", error))?;
        import = import.with_credential(name, text.trim_end());
    }
    let made = buckets.import_external(import).await;
    let made = made.map_err(|error| Failure::of(format!("cannot import {url}"), error))?;
    tell(app, &url.to_string(), facts(&made))
}

async fn publish(app: &App, url: &StoreUrl, public: bool) -> Result<(), Failure> {
    let bucket = app.services.apolo_bucket(url).await?;
    let changed = app.services.apolo().await?.buckets().set_public_access(&bucket.id, public).await;
    let changed = changed.map_err(|error| Failure::of(format!("cannot change {url}"), error))?;
    tell(app, &url.to_string(), facts(&changed))
}

async fn usage(app: &App, url: &StoreUrl) -> Result<(), Failure> {
    let bucket = app.services.apolo_bucket(url).await?;
    let failed = |error| Failure::of(format!("cannot list {url}"), error);
    let store = app.services.apolo().await?.store(&bucket).await.map_err(failed)?;
    let mut usage = std::pin::pin!(store.usage());
    let mut whole = longshore::apolo::Usage::default();
    while let Some(so_far) = usage.next().await {
        whole = so_far.map_err(failed)?;
    }
    app.out.print_now(&Message::Total { objects: whole.objects, prefixes: 0, bytes: whole.bytes })
}

async fn sign(app: &App, text: &str, expires: Duration) -> Result<(), Failure> {
    let url = blob(store_url(text)?)?;
    let (bucket, key) = (app.services.apolo_bucket(&url).await?, object_of(&url)?);
    let signed = app.services.apolo().await?.buckets().sign_url(&bucket.id, key.as_str(), expires).await;
    let signed = signed.map_err(|error| Failure::of(format!("cannot sign {url}"), error))?;
    app.out.print_now(&Message::Signed {
        url: url.to_string(),
        // To print it is what the command is for.
        signed_url: signed.expose().to_owned(),
        method: "GET",
        headers: Vec::new(),
        expires_in_seconds: Some(expires.as_secs()),
    })
}

async fn creds(app: &App, command: CredsCommand) -> Result<(), Failure> {
    match command {
        CredsCommand::Get { bucket } => {
            let url = url(&bucket)?;
            let bucket = app.services.apolo_bucket(&url).await?;
            let found = app.services.apolo().await?.buckets().temporary_credentials(&bucket.id).await;
            let found = found.map_err(|error| Failure::of(format!("cannot open {url}"), error))?;
            tell(app, &url.to_string(), entry(&found, true))
        }
        CredsCommand::Create { buckets, name, read_only } => {
            let mut ids = Vec::with_capacity(buckets.len());
            for url in urls(&buckets)? {
                ids.push(app.services.apolo_bucket(&url).await?.id);
            }
            let keys = app.services.apolo().await?.persistent_credentials();
            let made = keys.create(&ids, name.as_deref(), read_only).await;
            show(app, &made.map_err(|error| Failure::of("cannot make credentials", error))?, true)
        }
        CredsCommand::Ls => {
            let keys = app.services.apolo().await?.persistent_credentials();
            let failed = |error| Failure::of("cannot list the credentials", error);
            let found: Vec<_> = keys.list().await.map_err(failed)?.try_collect().await.map_err(failed)?;
            found.iter().try_for_each(|credentials| show(app, credentials, false))
        }
        CredsCommand::Show { names } => {
            let keys = app.services.apolo().await?.persistent_credentials();
            for name in names {
                let found = keys.get(&name).await;
                show(
                    app,
                    &found.map_err(|error| Failure::of(format!("cannot show {name:?}"), error))?,
                    true,
                )?;
            }
            Ok(())
        }
        CredsCommand::Rm { names } => {
            let keys = app.services.apolo().await?.persistent_credentials();
            for name in names {
                let done = keys.remove(&name).await;
                done.map_err(|error| Failure::of(format!("cannot remove {name:?}"), error))?;
                app.out.notice_text(format!("{name} is removed"));
            }
            Ok(())
        }
    }
}

/// The URL of a bucket, which may be named alone.
fn url(text: &str) -> Result<StoreUrl, Failure> {
    let text =
        if text.starts_with("blob:") || text.contains("://") { text.into() } else { format!("blob:{text}") };
    blob(bucket_url(&text)?)
}

fn urls(texts: &[String]) -> Result<Vec<StoreUrl>, Failure> {
    texts.iter().map(|text| url(text)).collect()
}

fn blob(url: StoreUrl) -> Result<StoreUrl, Failure> {
    if url.scheme() == longshore::Scheme::Blob {
        return Ok(url);
    }
    Err(Failure::usage(format!("{url} is not a bucket of Apolo")).hint("write blob:BUCKET"))
}

fn tell(app: &App, url: &str, facts: Map<String, Value>) -> Result<(), Failure> {
    app.out.print_now(&Message::Stat(&Stat { url: url.to_owned(), facts }))
}

fn known<const N: usize>(facts: [(&str, Option<Value>); N]) -> Map<String, Value> {
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What is known about a bucket.
pub(crate) fn facts(bucket: &Bucket) -> Map<String, Value> {
    let some = |text: &String| (!text.is_empty()).then(|| json!(text));
    known([
        ("id", Some(json!(bucket.id))),
        ("provider", Some(json!(bucket.provider.as_str()))),
        ("org", some(&bucket.org_name)),
        ("project", some(&bucket.project_name)),
        ("owner", some(&bucket.owner)),
        ("public", Some(json!(bucket.public))),
        ("imported", Some(json!(bucket.imported))),
        ("created", bucket.created_at.map(SystemTime::from).and_then(show_time).map(Value::from)),
    ])
}

/// What opens a bucket.
fn entry(found: &BucketCredentials, secrets: bool) -> Map<String, Value> {
    let mut facts = known([
        ("bucket_id", Some(json!(found.bucket_id))),
        ("provider", Some(json!(found.provider.as_str()))),
        ("read_only", Some(json!(found.read_only))),
    ]);
    facts.extend(values(&found.credentials, secrets));
    facts
}

fn values(map: &CredentialMap, secrets: bool) -> Map<String, Value> {
    if !secrets {
        return known([("bucket_name", map.bucket_name().map(Value::from))]);
    }
    // To show them is what the command is for.
    map.secrets().map(|(name, value)| (name.to_owned(), json!(value.expose()))).collect()
}

fn show(app: &App, credentials: &PersistentCredentials, secrets: bool) -> Result<(), Failure> {
    let buckets: Vec<_> =
        credentials.credentials.iter().map(|found| Value::Object(entry(found, secrets))).collect();
    let facts = known([
        ("id", Some(json!(credentials.id))),
        ("owner", (!credentials.owner.is_empty()).then(|| json!(credentials.owner))),
        ("read_only", Some(json!(credentials.read_only))),
        ("buckets", Some(Value::Array(buckets))),
    ]);
    let name = credentials.name.clone().unwrap_or_else(|| credentials.id.clone());
    app.out.print_now(&Message::Apolo(&Entity { kind: "credentials", name, facts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_by_url_or_name() {
        assert_eq!(url("photos").unwrap().to_string(), "blob:photos");
        assert_eq!(url("blob:/p/photos/").unwrap().to_string(), "blob:/p/photos");
        for bad in ["ais://photos", "blob:", "blob:b/k"] {
            assert_eq!(url(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}

//! Buckets.

use clap::{Args, Subcommand};
use longshore::aistore::BucketPatch;
use serde_json::Value;

use super::{Ais, bucket_ref, etl_call, facts, failed, waiting};
use crate::failure::Failure;

/// Calls on buckets.
#[derive(Debug, Subcommand)]
pub(super) enum BucketCommand {
    /// Count objects and bytes
    Summary {
        /// Bucket URL
        bucket: String,
        /// Only names that start with this
        #[arg(long, default_value = "")]
        prefix: String,
    },
    /// Show all properties, or change some
    Props {
        /// Bucket URL
        bucket: String,
        /// Property to change, such as versioning.enabled=false; may be repeated
        #[arg(long, value_name = "PATH=VALUE")]
        set: Vec<String>,
        /// Set all properties back to the cluster's defaults
        #[arg(long, conflicts_with = "set")]
        reset: bool,
    },
    /// Copy a bucket inside the cluster
    Copy(CopyArgs),
    /// Copy a bucket through a transformation
    Transform {
        /// Name of the ETL; several, separated by commas, run one after the other
        #[arg(long, value_name = "NAME")]
        etl: String,
        #[command(flatten)]
        copy: CopyArgs,
    },
    /// Give a bucket another name
    Rename {
        /// Bucket URL
        from: String,
        /// URL of the new name
        to: String,
        #[command(flatten)]
        wait: waiting::WaitArgs,
    },
    /// Drop what the cluster holds of a remote bucket; its backend keeps everything
    Evict {
        /// Bucket URL
        bucket: String,
        /// The cluster goes on knowing the bucket
        #[arg(long)]
        keep_metadata: bool,
    },
    /// List, make or remove inventories of a remote bucket
    Inventory {
        /// Bucket URL
        bucket: String,
        /// Make one of this name
        #[arg(long, value_name = "NAME")]
        create: Option<String>,
        /// Remove the one of this name
        #[arg(long, value_name = "NAME", conflicts_with = "create")]
        remove: Option<String>,
        #[command(flatten)]
        wait: waiting::WaitArgs,
    },
}

/// What is copied, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "these are flags")]
pub(super) struct CopyArgs {
    /// Bucket URL
    from: String,
    /// Bucket URL; the bucket is made if it does not exist
    to: String,
    /// Only names that start with this
    #[arg(long, default_value = "")]
    prefix: String,
    /// Put this in front of every name
    #[arg(long, default_value = "")]
    prepend: String,
    /// Also delete at the destination what the source has no more
    #[arg(long)]
    sync: bool,
    /// Copy the versions that the backend of a remote source has now
    #[arg(long)]
    latest: bool,
    /// Visit the objects and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on after an object that cannot be copied
    #[arg(long)]
    continue_on_error: bool,
    #[command(flatten)]
    wait: waiting::WaitArgs,
}

pub(super) async fn run(ais: &Ais<'_>, command: BucketCommand) -> Result<(), Failure> {
    match command {
        BucketCommand::Summary { bucket, prefix } => {
            let found = ais.bucket(&bucket).await?.summary().prefix(prefix).await;
            let found = found.map_err(failed(format!("cannot sum {bucket} up")))?;
            let facts = facts([
                ("objects", Some(found.objects_present.into())),
                ("remote objects", (found.objects_remote > 0).then(|| found.objects_remote.into())),
                ("bytes", Some(found.bytes_present.into())),
                ("bytes on disk", Some(found.bytes_on_disk.into())),
                ("smallest", Some(found.smallest.into())),
                ("average", Some(found.average.into())),
                ("largest", Some(found.largest.into())),
            ]);
            ais.print("bucket", &bucket, facts)
        }
        BucketCommand::Props { bucket, set, reset } => props(ais, &bucket, &set, reset).await,
        BucketCommand::Copy(args) => copy(ais, args, None).await,
        BucketCommand::Transform { etl, copy: args } => copy(ais, args, Some(etl)).await,
        BucketCommand::Rename { from, to, wait } => {
            let target = bucket_ref(&to)?;
            let renamed = ais.bucket(&from).await?.rename(&target).await;
            let (_, job) = renamed.map_err(failed(format!("cannot rename {from}")))?;
            waiting::jobs(ais, &[job], &wait).await
        }
        BucketCommand::Evict { bucket, keep_metadata } => {
            let evicted = ais.bucket(&bucket).await?.evict(keep_metadata).await;
            evicted.map_err(failed(format!("cannot evict {bucket}")))?;
            ais.notice(format!("evicted {bucket}"));
            Ok(())
        }
        BucketCommand::Inventory { bucket, create, remove, wait } => {
            let of = ais.bucket(&bucket).await?;
            let context = || failed(format!("inventories of {bucket}"));
            match (create, remove) {
                (Some(name), _) => {
                    let job = of.create_inventory().name(name).await.map_err(context())?;
                    waiting::jobs(ais, &[job], &wait).await
                }
                (_, Some(name)) => of.delete_inventory(&name).await.map_err(context()),
                (None, None) => {
                    for one in of.inventories().await.map_err(context())? {
                        let known = [
                            ("prefix", super::text(&one.prefix)),
                            ("names", Some(one.names.into())),
                            ("bytes", Some(one.bytes.into())),
                            ("finished", super::time(one.finished)),
                        ];
                        ais.print("inventory", &one.name, facts(known))?;
                    }
                    Ok(())
                }
            }
        }
    }
}

async fn copy(ais: &Ais<'_>, args: CopyArgs, etl: Option<String>) -> Result<(), Failure> {
    let to = bucket_ref(&args.to)?;
    let from = ais.bucket(&args.from).await?;
    let call = match etl {
        Some(etl) => from.transform_to(&to, etl_call(&etl, None)),
        None => from.copy_to(&to),
    };
    let call = call.prefix(args.prefix).prepend(args.prepend).sync(args.sync).latest(args.latest);
    let jobs = call.dry_run(args.dry_run).continue_on_error(args.continue_on_error).await;
    let jobs = jobs.map_err(failed(format!("cannot copy {} to {}", args.from, args.to)))?;
    waiting::jobs(ais, &jobs, &args.wait).await
}

async fn props(ais: &Ais<'_>, url: &str, set: &[String], reset: bool) -> Result<(), Failure> {
    let mut changes = BucketPatch::new();
    for pair in set {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("{pair:?} is not PATH=VALUE")));
        };
        let name: Vec<&str> = name.split('.').collect();
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        changes = changes.set(&name, value);
    }
    let bucket = ais.bucket(url).await?;
    let context = || failed(format!("cannot change {url}"));
    let job = if reset {
        bucket.reset_props().await.map_err(context())?
    } else if set.is_empty() {
        None
    } else {
        bucket.set_props(&changes).await.map_err(context())?
    };
    if let Some(job) = job {
        ais.notice(format!("job {} makes the change", job.id()));
    }
    let props = bucket.head().await.map_err(failed(format!("cannot look at {url}")))?;
    ais.print("bucket", url, props.raw().as_object().cloned().unwrap_or_default())
}

//! Single objects.

use std::collections::BTreeMap;

use clap::Subcommand;
use futures_util::TryStreamExt;
use longshore::aistore::{ArchiveMode, ObjectProps};
use serde_json::{Map, Value, json};

use super::{Ais, etl_call, facts, failed, waiting};
use crate::failure::Failure;

/// Calls on objects.
#[derive(Debug, Subcommand)]
pub(super) enum ObjectCommand {
    /// Show everything that the cluster knows about an object
    Props {
        /// Object URL
        object: String,
    },
    /// Change custom metadata
    Set {
        /// Object URL
        object: String,
        /// Pairs to set
        #[arg(value_name = "KEY=VALUE", required = true)]
        pairs: Vec<String>,
        /// Drop all other pairs
        #[arg(long)]
        replace: bool,
    },
    /// Give an object another name in its bucket
    Rename {
        /// Object URL
        object: String,
        /// New name
        name: String,
    },
    /// List the members of an archive
    Members {
        /// Object URL
        object: String,
    },
    /// Write an object, members of it, or what a transformation makes of it to standard output
    Get {
        /// Object URL
        object: String,
        /// Only this member of the archive
        #[arg(long, value_name = "PATH")]
        member: Option<String>,
        /// Only members whose names match this regular expression, as a TAR
        #[arg(long, value_name = "REGEX", conflicts_with = "member")]
        matching: Option<String>,
        /// As this ETL transforms it; several, separated by commas, run one after the other
        #[arg(long, value_name = "NAME")]
        etl: Option<String>,
        /// Argument of the ETL
        #[arg(long, value_name = "TEXT", requires = "etl")]
        etl_args: Option<String>,
        /// The version that the backend of a remote bucket has now
        #[arg(long)]
        latest: bool,
    },
    /// Take a file or directory of the targets in
    Promote {
        /// Bucket or object URL
        to: String,
        /// Absolute path on the targets
        path: String,
        /// Also files in directories of the directory
        #[arg(long, short)]
        recursive: bool,
        /// Replace objects that exist
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        wait: waiting::WaitArgs,
    },
}

pub(super) async fn run(ais: &Ais<'_>, command: ObjectCommand) -> Result<(), Failure> {
    match command {
        ObjectCommand::Props { object } => {
            let props = ais.object(&object).await?.head_v1().await;
            let props = props.map_err(failed(format!("cannot look at {object}")))?;
            ais.print("object", &object, props_facts(&props))
        }
        ObjectCommand::Set { object, pairs, replace } => {
            let pair = |pair: &String| match pair.split_once('=') {
                Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
                None => Err(Failure::usage(format!("{pair:?} is not KEY=VALUE"))),
            };
            let custom: BTreeMap<String, String> = pairs.iter().map(pair).collect::<Result<_, _>>()?;
            let of = ais.object(&object).await?;
            let done = if replace { of.replace_custom(&custom).await } else { of.set_custom(&custom).await };
            done.map_err(failed(format!("cannot change {object}")))
        }
        ObjectCommand::Rename { object, name } => {
            let renamed = ais.object(&object).await?.rename(&name).await;
            let renamed = renamed.map_err(failed(format!("cannot rename {object}")))?;
            ais.notice(format!("renamed to {}", renamed.url()));
            Ok(())
        }
        ObjectCommand::Members { object } => members(ais, &object).await,
        ObjectCommand::Get { object, member, matching, etl, etl_args, latest } => {
            let mut get = ais.object(&object).await?.get().latest(latest);
            if let Some(member) = member {
                get = get.archpath(member);
            }
            if let Some(pattern) = matching {
                get = get.matching(ArchiveMode::Regexp, pattern);
            }
            if let Some(etl) = etl {
                get = get.etl(etl_call(&etl, etl_args.as_ref()));
            }
            let context = || failed(format!("cannot read {object}"));
            let mut body = get.await.map_err(context())?.into_stream();
            while let Some(chunk) = body.try_next().await.map_err(context())? {
                ais.app.out.write(&chunk)?;
            }
            Ok(())
        }
        ObjectCommand::Promote { to, path, recursive, overwrite, wait } => {
            let url = super::store_url(&to)?;
            let promote = if url.key().is_empty() {
                ais.bucket(&to).await?.promote(path)
            } else {
                ais.object(&to).await?.promote(path)
            };
            let job = promote.recursive(recursive).overwrite(overwrite).await;
            let job = job.map_err(failed(format!("cannot promote to {to}")))?;
            waiting::jobs(ais, job.as_slice(), &wait).await
        }
    }
}

async fn members(ais: &Ais<'_>, url: &str) -> Result<(), Failure> {
    let object = ais.object(url).await?;
    let bucket = ais.client().await?.bucket_ref(object.bucket().clone());
    let context = || failed(format!("cannot list {url}"));
    let archive = object.key().to_string();
    let mut entries = bucket.list_archive(&archive).stream();
    while let Some(entry) = entries.try_next().await.map_err(context())? {
        let name = entry.name[archive.len()..].trim_start_matches('/');
        ais.print("member", name, facts([("size", Some(entry.size.into()))]))?;
    }
    Ok(())
}

fn props_facts(props: &ObjectProps) -> Map<String, Value> {
    facts([
        ("size", Some(props.size.into())),
        ("version", props.version.clone().map(Value::from)),
        ("checksum", props.checksum.as_ref().map(|sum| sum.to_string().into())),
        ("accessed", super::time(props.access_time)),
        ("present", props.present.map(Value::from)),
        ("location", props.location.clone().map(Value::from)),
        ("copies", props.mirror_copies.map(Value::from)),
        ("chunks", props.chunks.as_ref().map(|chunks| chunks.count.into())),
        ("custom", (!props.custom.is_empty()).then(|| json!(props.custom))),
    ])
}

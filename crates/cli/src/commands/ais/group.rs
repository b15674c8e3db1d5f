//! Many objects of a bucket at once.

use clap::{Args, Subcommand};
use longshore::aistore::{Collection, ObjectGroup};

use super::{Ais, bucket_ref, failed, waiting};
use crate::failure::Failure;

/// Calls on selected objects.
#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Delete them
    Delete(Which),
    /// Drop the cluster's copies of remote objects; the backend keeps them
    Evict(Which),
    /// Fetch remote objects into the cluster
    Prefetch(Which),
    /// Copy them to another bucket
    Copy {
        #[command(flatten)]
        which: Which,
        /// Bucket URL
        #[arg(long)]
        to: String,
        /// Put this in front of every name
        #[arg(long, default_value = "")]
        prepend: String,
    },
    /// Put them into one archive
    Archive {
        #[command(flatten)]
        which: Which,
        /// Name of the archive, whose extension says its format
        #[arg(long, value_name = "NAME")]
        into: String,
        /// Add to an archive that exists
        #[arg(long)]
        append: bool,
    },
}

/// Which objects.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("selection").required(true))]
pub(super) struct Which {
    /// Bucket URL
    bucket: String,
    /// These names, separated by commas; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', group = "selection")]
    names: Vec<String>,
    /// Names by a template such as img-{0000..0999}.jpg
    #[arg(long, value_name = "TEMPLATE", group = "selection")]
    template: Option<String>,
    /// All names that start with this
    #[arg(long, value_name = "TEXT", group = "selection")]
    prefix: Option<String>,
    #[command(flatten)]
    wait: waiting::WaitArgs,
}

impl Which {
    async fn group(&self, ais: &Ais<'_>) -> Result<ObjectGroup, Failure> {
        let what = match (&self.template, &self.prefix) {
            (Some(template), _) => template.parse(),
            (_, Some(prefix)) => Collection::prefix(prefix),
            _ => Collection::names_of(&self.names),
        };
        let what = what.map_err(|error| Failure::of("", error))?;
        Ok(ais.bucket(&self.bucket).await?.objects(what))
    }
}

pub(super) async fn run(ais: &Ais<'_>, command: GroupCommand) -> Result<(), Failure> {
    let context = |what: &str, which: &Which| failed(format!("cannot {what} objects of {}", which.bucket));
    match command {
        GroupCommand::Delete(which) => {
            let job = which.group(ais).await?.delete().await.map_err(context("delete", &which))?;
            waiting::jobs(ais, &[job], &which.wait).await
        }
        GroupCommand::Evict(which) => {
            let job = which.group(ais).await?.evict().await.map_err(context("evict", &which))?;
            waiting::jobs(ais, &[job], &which.wait).await
        }
        GroupCommand::Prefetch(which) => {
            let job = which.group(ais).await?.prefetch().await.map_err(context("prefetch", &which))?;
            waiting::jobs(ais, &[job], &which.wait).await
        }
        GroupCommand::Copy { which, to, prepend } => {
            let target = bucket_ref(&to)?;
            let jobs = which.group(ais).await?.copy_to(&target).prepend(prepend).await;
            waiting::jobs(ais, &jobs.map_err(context("copy", &which))?, &which.wait).await
        }
        GroupCommand::Archive { which, into, append } => {
            let jobs = which.group(ais).await?.archive(into).append(append).await;
            waiting::jobs(ais, &jobs.map_err(context("archive", &which))?, &which.wait).await
        }
    }
}

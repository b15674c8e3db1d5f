//! Downloads from the web by the cluster.

use clap::{Args, Subcommand};
use longshore::aistore::{Download, DownloadStatus};

use super::{Ais, facts, failed, waiting};
use crate::{
    failure::{Exit, Failure},
    units::count,
};

/// Calls on downloads.
#[derive(Debug, Subcommand)]
pub(super) enum DownloadCommand {
    /// List the downloads that the cluster remembers
    Ls {
        /// Only those that run
        #[arg(long)]
        active: bool,
    },
    /// Start a download
    Start(StartArgs),
    /// Show how far a download is, and what went wrong
    Show {
        /// Id of the download
        id: String,
    },
    /// Stop a download
    Stop {
        /// Id of the download
        id: String,
    },
    /// Forget a download that is over
    Rm {
        /// Id of the download
        id: String,
    },
    /// Wait until a download is over
    Wait {
        /// Id of the download
        id: String,
        /// Wait this long at most
        #[arg(long, value_name = "TIME", value_parser = crate::units::parse_duration, default_value = "300s")]
        timeout: std::time::Duration,
    },
}

/// What is downloaded.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Targets refuse addresses of their own machine and, unless the cluster is told otherwise, of private networks.

Examples:
  1. A numbered set of files, watched
     longshore ais download start ais://raw 'https://host/set/file-{000..099}.bin' --wait
  2. What the cloud bucket has and the cluster has not
     longshore ais download start aws://photos --backend --prefix 2024/")]
pub(super) struct StartArgs {
    /// Bucket URL
    bucket: String,
    /// Links; one with a range such as {000..099} stands for many
    #[arg(required_unless_present = "backend")]
    links: Vec<String>,
    /// Name of the object, for a single link
    #[arg(long)]
    name: Option<String>,
    /// Fetch from the backend of a remote bucket instead of links
    #[arg(long, conflicts_with_all = ["links", "name"])]
    backend: bool,
    /// Only names of the backend that start with this; before the names of links
    #[arg(long, default_value = "")]
    prefix: String,
    /// A text to find the download by
    #[arg(long, default_value = "")]
    description: String,
    #[command(flatten)]
    wait: waiting::WaitArgs,
}

pub(super) async fn run(ais: &Ais<'_>, command: DownloadCommand) -> Result<(), Failure> {
    match command {
        DownloadCommand::Ls { active } => {
            let all = ais.client().await?.downloads().active(active).await;
            for status in all.map_err(failed("cannot list the downloads"))? {
                print(ais, &status)?;
            }
            Ok(())
        }
        DownloadCommand::Start(args) => start(ais, args).await,
        DownloadCommand::Show { id } => {
            let status = ais.client().await?.download(&id).status().await;
            print(ais, &status.map_err(failed(format!("cannot look at download {id}")))?)
        }
        DownloadCommand::Stop { id } => {
            let stopped = ais.client().await?.download(&id).abort().await;
            stopped.map_err(failed(format!("cannot stop download {id}")))
        }
        DownloadCommand::Rm { id } => {
            let removed = ais.client().await?.download(&id).remove().await;
            removed.map_err(failed(format!("cannot remove download {id}")))
        }
        DownloadCommand::Wait { id, timeout } => wait(ais, &ais.client().await?.download(id), timeout).await,
    }
}

async fn start(ais: &Ais<'_>, args: StartArgs) -> Result<(), Failure> {
    let bucket = ais.bucket(&args.bucket).await?;
    let call = match (args.links.as_slice(), args.name) {
        (_, _) if args.backend => bucket.download_backend(args.prefix, "", false),
        ([link], Some(name)) => bucket.download_as(name, link),
        (_, Some(_)) => return Err(Failure::usage("a name is for a single link")),
        ([link], None) if link.contains('{') => bucket.download_range(link, args.prefix),
        ([link], None) => bucket.download(link),
        (links, None) => bucket.download_links(links),
    };
    let download = call.description(args.description).await;
    let download = download.map_err(failed(format!("cannot download to {}", args.bucket)))?;
    if args.wait.wait {
        return wait(ais, &download, args.wait.timeout).await;
    }
    ais.print("download", download.id(), facts([]))
}

async fn wait(ais: &Ais<'_>, download: &Download, timeout: std::time::Duration) -> Result<(), Failure> {
    let mut shown = waiting::Shown::new(ais);
    let wait = download.wait().deadline(timeout).progress(move |status| {
        let total = status.total.map(|total| format!(" of {total}")).unwrap_or_default();
        shown.show(format!("{}: {}{total}, {} failed", status.id, count(status.done, "file"), status.failed));
    });
    let status = wait.await.map_err(failed(format!("cannot wait for download {}", download.id())))?;
    print(ais, &status)?;
    if status.aborted || status.failed > 0 {
        let exit = if status.done > 0 { Exit::SomeFailed } else { Exit::Failed };
        return Err(Failure::new(exit, format!("download {} did not bring everything", download.id())));
    }
    Ok(())
}

fn print(ais: &Ais<'_>, status: &DownloadStatus) -> Result<(), Failure> {
    let errors: Vec<serde_json::Value> =
        status.errors.iter().map(|error| format!("{}: {}", error.name, error.message).into()).collect();
    let known = [
        ("description", super::text(&status.description)),
        ("started", super::time(status.started)),
        ("finished", super::time(status.finished)),
        ("done", Some(status.done.into())),
        ("skipped", (status.skipped > 0).then(|| status.skipped.into())),
        ("failed", (status.failed > 0).then(|| status.failed.into())),
        ("total", status.total.map(Into::into)),
        ("aborted", status.aborted.then(|| true.into())),
        ("errors", (!errors.is_empty()).then(|| errors.into())),
    ];
    ais.print("download", &status.id, facts(known))
}

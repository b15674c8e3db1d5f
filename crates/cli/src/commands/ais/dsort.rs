//! Distributed sorts of archives.

use clap::{Args, Subcommand, ValueEnum};
use longshore::aistore::{Dsort, DsortAlgorithm, DsortInfo, DsortSpec};

use super::{Ais, bucket_ref, facts, failed, waiting};
use crate::{
    failure::{Exit, Failure},
    units::parse_size,
};

/// Calls on sorts.
#[derive(Debug, Subcommand)]
pub(super) enum DsortCommand {
    /// List the sorts that the cluster remembers
    Ls,
    /// Sort the records of archives into new ones
    Start(StartArgs),
    /// Show what each target says about a sort
    Show {
        /// Id of the sort
        id: String,
    },
    /// Stop a sort
    Stop {
        /// Id of the sort
        id: String,
    },
    /// Forget a sort that is over
    Rm {
        /// Id of the sort
        id: String,
    },
    /// Wait until a sort is over
    Wait {
        /// Id of the sort
        id: String,
        /// Wait this long at most
        #[arg(long, value_name = "TIME", value_parser = crate::units::parse_duration, default_value = "300s")]
        timeout: std::time::Duration,
    },
}

/// What is sorted, and how.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Shuffle a hundred archives into archives of about 64 MiB
     longshore ais dsort start ais://raw 'in-{000..099}' 'out-{000..999}' --to ais://mixed \\
         --size 64MiB --by shuffle --seed 7 --wait")]
pub(super) struct StartArgs {
    /// Bucket URL of the archives
    from: String,
    /// Template of their names, without extension
    input: String,
    /// Template of the names of the archives to write, without extension
    output: String,
    /// Bucket URL of the archives to write; the same bucket by default
    #[arg(long, value_name = "BUCKET")]
    to: Option<String>,
    /// About how large the archives to write get
    #[arg(long, value_parser = parse_size)]
    size: u64,
    /// By what records are sorted
    #[arg(long, value_enum, default_value = "name")]
    by: By,
    /// Makes a shuffle repeatable
    #[arg(long)]
    seed: Option<u64>,
    /// Backwards
    #[arg(long)]
    decreasing: bool,
    /// A text to find the sort by
    #[arg(long, default_value = "")]
    description: String,
    #[command(flatten)]
    wait: waiting::WaitArgs,
}

/// By what records are sorted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum By {
    Name,
    Shuffle,
    Md5,
    None,
}

pub(super) async fn run(ais: &Ais<'_>, command: DsortCommand) -> Result<(), Failure> {
    match command {
        DsortCommand::Ls => {
            for info in ais.client().await?.dsorts().await.map_err(failed("cannot list the sorts"))? {
                print(ais, None, &info)?;
            }
            Ok(())
        }
        DsortCommand::Start(args) => start(ais, args).await,
        DsortCommand::Show { id } => {
            let all = ais.client().await?.dsort(&id).info().await;
            for (node, info) in all.map_err(failed(format!("cannot look at sort {id}")))? {
                print(ais, Some(&node), &info)?;
            }
            Ok(())
        }
        DsortCommand::Stop { id } => {
            let stopped = ais.client().await?.dsort(&id).abort().await;
            stopped.map_err(failed(format!("cannot stop sort {id}")))
        }
        DsortCommand::Rm { id } => {
            let removed = ais.client().await?.dsort(&id).remove().await;
            removed.map_err(failed(format!("cannot remove sort {id}")))
        }
        DsortCommand::Wait { id, timeout } => wait(ais, &ais.client().await?.dsort(id), timeout).await,
    }
}

async fn start(ais: &Ais<'_>, args: StartArgs) -> Result<(), Failure> {
    let wrong = |error| Failure::of("", error);
    let input = args.input.parse().map_err(wrong)?;
    let output = args.output.parse().map_err(wrong)?;
    let algorithm = match args.by {
        By::Name => DsortAlgorithm::Alphanumeric { decreasing: args.decreasing },
        By::Shuffle => DsortAlgorithm::Shuffle { seed: args.seed },
        By::Md5 => DsortAlgorithm::Md5,
        By::None => DsortAlgorithm::None,
    };
    let mut spec = DsortSpec::new(bucket_ref(&args.from)?, input, output)
        .shard_size(args.size)
        .algorithm(algorithm)
        .description(args.description);
    if let Some(to) = &args.to {
        spec = spec.output_bucket(bucket_ref(to)?);
    }
    let dsort = ais.client().await?.start_dsort(&spec).await;
    let dsort = dsort.map_err(failed(format!("cannot sort {}", args.from)))?;
    if args.wait.wait {
        return wait(ais, &dsort, args.wait.timeout).await;
    }
    ais.print("dsort", dsort.id(), facts([]))
}

async fn wait(ais: &Ais<'_>, dsort: &Dsort, timeout: std::time::Duration) -> Result<(), Failure> {
    let mut shown = waiting::Shown::new(ais);
    let id = dsort.id().to_owned();
    let wait = dsort.wait().deadline(timeout).progress(move |all| {
        let read: u64 = all.values().map(|info| info.extraction.done).sum();
        let written: u64 = all.values().map(|info| info.creation.done).sum();
        shown.show(format!("{id}: {read} archives read, {written} written"));
    });
    let outcome = wait.await.map_err(failed(format!("cannot wait for sort {}", dsort.id())))?;
    let known = [
        ("finished", super::time(outcome.finished)),
        ("archives", Some(outcome.created.into())),
        ("aborted", outcome.aborted.then(|| true.into())),
        ("errors", (!outcome.errors.is_empty()).then(|| outcome.errors.clone().into())),
    ];
    ais.print("dsort", dsort.id(), facts(known))?;
    if outcome.aborted {
        return Err(Failure::new(Exit::Failed, format!("sort {} failed", dsort.id())));
    }
    Ok(())
}

fn print(ais: &Ais<'_>, node: Option<&String>, info: &DsortInfo) -> Result<(), Failure> {
    let known = [
        ("target", node.map(|node| node.clone().into())),
        ("description", super::text(&info.description)),
        ("started", super::time(info.started)),
        ("finished", super::time(info.finished)),
        ("read", Some(info.extraction.done.into())),
        ("written", Some(info.creation.done.into())),
        ("aborted", info.aborted.then(|| true.into())),
        ("errors", (!info.errors.is_empty()).then(|| info.errors.clone().into())),
    ];
    ais.print("dsort", &info.id, facts(known))
}

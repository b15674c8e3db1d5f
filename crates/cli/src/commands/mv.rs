//! `longshore mv`: copy, make sure, and remove where it was.

use clap::Args;
use longshore::Location;

use super::{
    cp::{
        attributes::Wanted,
        plan::{Mode, plan},
    },
    trees::{FilterArgs, ProfileArgs, Report, Task, Trees},
};
use crate::{
    app::App,
    failure::{Failure, parse_location},
};

/// Move files and objects
///
/// Each item is copied, by the server where it can, compared with what arrived, and only then removed where it was. An
/// item that changes meanwhile stays. With -r the contents of SOURCE go under DESTINATION.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[command(after_long_help = "\
Examples:
  1. Give an object another name
     longshore mv ais://photos/tom.jpg ais://photos/2024/tom.jpg
  2. A folder into a bucket
     longshore mv -r ~/Pictures/2023 ais://photos/2023/
  3. What matches, to another bucket
     longshore mv 'ais://logs/2023-*' ais://archive/logs/
  4. What would be done
     longshore mv --dry-run -r ais://photos/old/ ais://archive/photos/")]
pub(crate) struct MvArgs {
    /// Paths or store URLs, wildcards allowed
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,

    /// Path or store URL
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// Move what is in folders
    #[arg(short, long)]
    recursive: bool,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,

    /// Change nothing, and say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Replace nothing that exists: the server checks where it can, otherwise by looking first, which another writer may
    /// overtake
    #[arg(long)]
    no_clobber: bool,

    /// Write what became of every item to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<String>,

    #[command(flatten)]
    profiles: ProfileArgs,

    #[command(flatten)]
    filter: FilterArgs,
}

pub(crate) async fn run(app: &App, args: MvArgs) -> Result<(), Failure> {
    let sources: Vec<Location> =
        args.sources.iter().map(|text| parse_location(text)).collect::<Result<_, _>>()?;
    let destination = parse_location(&args.destination)?;
    if sources.contains(&Location::Stdio) || destination == Location::Stdio {
        return Err(Failure::usage("standard input and output cannot be moved"));
    }
    for place in &sources {
        if let (Location::Store(url), None) = (place, &args.profiles.source) {
            app.services.require_chosen(url)?;
        }
    }
    if let (Location::Store(url), None) = (&destination, &args.profiles.destination) {
        app.services.require_chosen(url)?;
    }
    let steps = plan(
        &sources,
        &destination,
        Mode { recursive: args.recursive, glob: !args.no_glob, apart: args.profiles.differ() },
    )?;
    let task = Task {
        done: "moved",
        remove_source: true,
        dry_run: args.dry_run,
        no_clobber: args.no_clobber,
        filter: args.filter.filter()?,
        wanted: Wanted::default(),
        report: args.report.as_deref().map(Report::create).transpose()?,
        ..Task::default()
    };
    Trees::new(app, &args.profiles, task)?.run(steps).await
}

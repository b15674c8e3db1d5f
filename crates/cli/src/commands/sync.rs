//! `longshore sync`: make a place like another one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use longshore::{
    Location, StoreUrl,
    transfer::{Compare, Place},
};

use super::{
    cp::attributes::Wanted,
    trees::{FilterArgs, IgnoreArgs, ProfileArgs, Report, Task, Trees},
};
use crate::{
    app::App,
    failure::{Failure, parse_location},
    listing::{as_folder, require_bucket},
    services::Services,
};

/// Make a folder or prefix like another one
///
/// Copies what SOURCE has and DESTINATION lacks or has differently. Both are listed side by side in the order of their
/// names, so memory does not grow with their size. Files are the same if their sizes are and DESTINATION is not older;
/// where a place tells no times (AIStore), checksums decide; --compare asks for something else.
///
/// With --delete, what only DESTINATION has is removed at the very end. Nothing is removed if that is not certain: if a
/// listing breaks off, repeats itself or may be incomplete, if SOURCE is empty or a part of it cannot be read, if any
/// item failed, or if an AIStore cluster rebalances or has a node in maintenance, before or after. The command then
/// says so and ends with status 3.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. A folder to a bucket
     longshore sync ~/data ais://data/
  2. What would be done
     longshore sync --dry-run --delete ~/data ais://data/
  3. Exactly the same, but never remove more than 100 objects
     longshore sync --delete --max-delete 100 ~/data ais://data/
  4. By content rather than time
     longshore sync --compare checksum ais://data/ ~/data
  5. From one cluster to another
     longshore sync --src-profile lab --dst-profile work ais://data ais://data
  6. Without some folders and files
     longshore sync --exclude target/ --exclude '*.tmp' . ais://backup/project/
  7. Without what the .gitignore files in it leave out
     longshore sync --exclude-from-files .gitignore --exclude .git/ . ais://backup/project/")]
pub(crate) struct SyncArgs {
    /// Path of a folder, or store URL of a bucket or prefix
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Path of a folder, or store URL of a bucket or prefix
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// Remove what only DESTINATION has
    #[arg(long)]
    delete: bool,

    /// Remove nothing if there is more to remove than this
    #[arg(long, value_name = "N", requires = "delete")]
    max_delete: Option<u64>,

    /// What makes two files the same
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    compare: How,

    /// Leave alone what is newer in DESTINATION
    #[arg(short, long)]
    update: bool,

    /// Change nothing, and say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Write what became of every item to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    report: Option<String>,

    #[command(flatten)]
    profiles: ProfileArgs,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    ignore: IgnoreArgs,
}

/// What makes two files the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// Sizes and times; checksums where there are no times
    #[default]
    Time,
    /// Sizes and checksums
    Checksum,
    /// All of these
    Both,
    /// Sizes alone
    Size,
}

impl From<How> for Compare {
    fn from(how: How) -> Self {
        match how {
            How::Time => Self::SizeAndTime,
            How::Checksum => Self::Checksum,
            How::Both => Self::TimeAndChecksum,
            How::Size => Self::Size,
        }
    }
}

/// One end of a sync.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Local(PathBuf),
    Store(StoreUrl),
}

impl Root {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match parse_location(text)? {
            Location::Local(path) => Ok(Self::Local(path)),
            Location::Store(url) => {
                require_bucket(&url)?;
                Ok(Self::Store(url))
            }
            Location::Stdio => Err(Failure::usage("standard input and output are no folders")),
        }
    }

    pub(crate) fn url(&self) -> Option<&StoreUrl> {
        match self {
            Self::Local(_) => None,
            Self::Store(url) => Some(url),
        }
    }

    pub(crate) async fn place(&self, services: &Services) -> Result<Place, Failure> {
        match self {
            Self::Local(path) => Ok(Place::local(path)),
            Self::Store(url) => Ok(Place::store(services.store(url).await?, as_folder(url.key()))),
        }
    }
}

/// Both ends, of which one is in a store.
pub(crate) fn roots(source: &str, destination: &str) -> Result<(Root, Root), Failure> {
    let (from, to) = (Root::parse(source)?, Root::parse(destination)?);
    match (&from, &to) {
        (Root::Local(_), Root::Local(_)) => {
            Err(Failure::usage(format!("neither {source} nor {destination} is in a store"))
                .hint("a place in a store is written ais://bucket/prefix"))
        }
        _ => Ok((from, to)),
    }
}

pub(crate) async fn run(app: &App, args: SyncArgs) -> Result<(), Failure> {
    let (from, to) = roots(&args.source, &args.destination)?;
    if !args.ignore.names.is_empty() && from.url().is_some() {
        return Err(IgnoreArgs::needs_folder(&args.source));
    }
    if args.delete {
        for (root, profile) in [(&from, &args.profiles.source), (&to, &args.profiles.destination)] {
            if let (Some(url), None) = (root.url(), profile) {
                app.services.require_chosen(url)?;
            }
        }
    }
    let task = Task {
        done: "synchronized",
        dry_run: args.dry_run,
        update: args.update,
        compare: Some(args.compare.into()),
        remove_extra: args.delete,
        max_remove: args.max_delete,
        filter: args.filter.filter()?,
        ignore_files: args.ignore.names,
        wanted: Wanted::default(),
        report: args.report.as_deref().map(Report::create).transpose()?,
        ..Task::default()
    };
    Trees::new(app, &args.profiles, task)?.sync(&from, &to).await
}

//! `longshore cp`: between files and stores, and between stores.

pub(crate) mod attributes;
mod between;
pub(crate) mod mover;
pub(crate) mod plan;

use clap::Args;
use longshore::{Attributes, Location, transfer::Compare};

use self::{
    attributes::{Wanted, parse_pair},
    mover::Mover,
    plan::{Mode, Step, plan},
};
use super::trees::{FilterArgs, IgnoreArgs, ProfileArgs, Report, Task, Trees};
use crate::{
    app::App,
    failure::{Failure, parse_location},
};

/// Copy files and objects
///
/// At least one place is in a store. Content is compared with the checksum that the store states, and appears
/// under its final name only when it is whole. Large objects move in parallel parts; memory stays within --memory
/// whatever the sizes and numbers are.
///
/// With -r the contents of SOURCE go under DESTINATION. A single file or object keeps its name if DESTINATION ends
/// in `/`. Names that match a wildcard are kept from the folder of the first wildcard on.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[command(after_long_help = "\
Examples:
  1. A file to an object, keeping its name or giving it another
     longshore cp cat.jpg ais://photos/2024/
     longshore cp cat.jpg ais://photos/2024/tom.jpg
  2. An object to a file
     longshore cp ais://photos/2024/cat.jpg .
  3. A folder, both ways
     longshore cp -r ~/Pictures/ ais://photos/2024/
     longshore cp -r ais://photos/2024/ ~/Restored/
  4. Several files
     longshore cp *.jpg ais://photos/2024/
  5. What matches; `**` reaches into folders
     longshore cp 'ais://photos/2024/*.jpg' ~/Pictures/
     longshore cp 'ais://photos/**/cover.jpg' covers/
  6. Between buckets
     longshore cp -r ais://photos/2024/ ais://archive/photos/2024/
  7. From and to a pipe
     tar cz ~/src | longshore cp - ais://backup/src.tar.gz
     longshore cp ais://backup/src.tar.gz - | tar tz
  8. With metadata
     longshore cp --content-type text/html --metadata owner=anna index.html ais://site/
  9. Only what is new, and never over what is there
     longshore cp -r --newer-than 7d --no-clobber ~/Pictures/ ais://photos/
  10. Once more what failed
     longshore cp -r --report run1.ndjson ~/data/ ais://data/
     longshore cp -r --files-from run1.ndjson ~/data/ ais://data/
  11. From one cluster to another
     longshore cp -r --src-profile lab --dst-profile work ais://data ais://data
  12. A folder without what the .gitignore files in it leave out
     longshore cp -r --exclude-from-files .gitignore --exclude .git/ ~/project/ ais://backup/project/
  13. Within 20 MiB per second and 32 MiB of memory
     longshore cp -r --limit-rate 20MiB --memory 32MiB ~/data/ ais://data/")]
pub(crate) struct CpArgs {
    /// Paths, store URLs (wildcards allowed), or `-` for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,

    /// Path, store URL, or `-` for standard output
    #[arg(value_name = "DESTINATION")]
    destination: String,

    /// Copy what is in folders
    #[arg(short, long)]
    recursive: bool,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,

    /// Content type of what is uploaded [default: by the name, else by the first bytes]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// Cache-Control of what is uploaded
    #[arg(long, value_name = "VALUE")]
    cache_control: Option<String>,

    /// Metadata of what is uploaded; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,

    /// Change nothing, and say what would be copied
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Copy everything into one folder, without the folders it was in
    #[arg(long, conflicts_with = "update")]
    flatten: bool,

    /// Replace nothing that exists: the server checks where it can, otherwise by looking first, which another writer may
    /// overtake
    #[arg(long)]
    no_clobber: bool,

    /// Only what is missing in the destination or older there
    #[arg(short, long)]
    update: bool,

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

impl CpArgs {
    /// Whether something is asked for beyond copying everything.
    fn is_choosy(&self) -> bool {
        self.dry_run
            || self.flatten
            || self.no_clobber
            || self.update
            || self.report.is_some()
            || self.profiles.are_set()
            || self.filter.is_set()
            || !self.ignore.names.is_empty()
    }

    /// What the user says about what is stored beside the bytes.
    fn wanted(&self) -> Wanted {
        let mut said = Attributes::default();
        said.content_type.clone_from(&self.content_type);
        said.cache_control.clone_from(&self.cache_control);
        said.metadata = self.metadata.iter().cloned().collect();
        Wanted { said }
    }
}

pub(crate) async fn run(app: &App, args: CpArgs) -> Result<(), Failure> {
    let sources: Vec<Location> =
        args.sources.iter().map(|text| parse_location(text)).collect::<Result<_, _>>()?;
    let destination = parse_location(&args.destination)?;
    let mode = Mode { recursive: args.recursive, glob: !args.no_glob, apart: args.profiles.differ() };
    let steps = plan(&sources, &destination, mode)?;
    let is_folder = |step: &Step| matches!(step, Step::UploadTree { .. });
    if !args.ignore.names.is_empty() && !steps.iter().any(is_folder) {
        return Err(IgnoreArgs::needs_folder(&args.sources.join(", ")));
    }
    if args.is_choosy() {
        let task = Task {
            done: "copied",
            dry_run: args.dry_run,
            no_clobber: args.no_clobber,
            update: args.update,
            flatten: args.flatten,
            compare: args.update.then(Compare::default),
            filter: args.filter.filter()?,
            ignore_files: args.ignore.names.clone(),
            wanted: args.wanted(),
            report: args.report.as_deref().map(Report::create).transpose()?,
            ..Task::default()
        };
        return Trees::new(app, &args.profiles, task)?.run(steps).await;
    }
    Mover::new(app, &args, &steps)?.run(steps).await
}

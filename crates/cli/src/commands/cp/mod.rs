//! `longshore cp`: between files and stores, and between stores.

mod attributes;
mod between;
mod mover;
mod plan;

use clap::Args;
use longshore::Location;

use self::{
    attributes::parse_pair,
    mover::Mover,
    plan::{Mode, plan},
};
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
  9. Within 20 MiB per second and 32 MiB of memory
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
}

pub(crate) async fn run(app: &App, args: CpArgs) -> Result<(), Failure> {
    let sources: Vec<Location> =
        args.sources.iter().map(|text| parse_location(text)).collect::<Result<_, _>>()?;
    let destination = parse_location(&args.destination)?;
    let mode = Mode { recursive: args.recursive, glob: !args.no_glob };
    let steps = plan(&sources, &destination, mode)?;
    Mover::new(app, &args, &steps)?.run(steps).await
}

//! `longshore diff`: in what two places differ, or a place and a list of checksums.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Args;
use futures_util::{StreamExt, stream};
use longshore::{
    BlobStore, Checksum, ChecksumKind, ErrorKind, HeadOptions, ObjectKey,
    checksum::Hasher,
    transfer::{Compare, Place, SyncAction, Transfer},
};

use super::{
    sync::{How, Root, roots},
    trees::{FilterArgs, ProfileArgs, Side},
};
use crate::{
    app::App,
    failure::{Exit, Failure},
    output::Message,
    units::count,
};

/// Objects at once.
const AT_ONCE: usize = 8;

/// Say in what two places differ
///
/// Prints `+ name` for what only SOURCE has, `- name` for what only DESTINATION has, and `! name` for what both have
/// differently. The status is 0 if there is no difference and 1 if there is one.
///
/// With --checksum files are read, and objects of which no checksum of a kind that both sides know is stated.
///
/// With --sumfile a single place is compared with a list of checksums, as sha256sum, md5sum and their like write it. A
/// checksum that the store states is believed; otherwise the content is read.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. A folder and a bucket, by size and time
     longshore diff ~/data ais://data/
  2. By content
     longshore diff --checksum ~/data ais://data/
  3. Two clusters
     longshore diff --src-profile lab --dst-profile work ais://data ais://data
  4. Against a list of checksums
     longshore diff --sumfile SHA256SUMS ais://release/v1/")]
pub(crate) struct DiffArgs {
    /// Path of a folder, or store URL of a bucket or prefix
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Path of a folder, or store URL of a bucket or prefix
    #[arg(value_name = "DESTINATION", required_unless_present = "sumfile", conflicts_with = "sumfile")]
    destination: Option<String>,

    /// Compare sizes and checksums
    #[arg(long, conflicts_with = "compare")]
    checksum: bool,

    /// What makes two files the same
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    compare: How,

    /// Compare with the checksums in this file
    #[arg(long, value_name = "FILE")]
    sumfile: Option<String>,

    #[command(flatten)]
    profiles: ProfileArgs,

    #[command(flatten)]
    filter: FilterArgs,
}

pub(crate) async fn run(app: &App, args: DiffArgs) -> Result<(), Failure> {
    let differences = match (&args.sumfile, &args.destination) {
        (Some(sums), _) => against_sums(app, &args, sums).await?,
        (None, Some(destination)) => between(app, &args, destination).await?,
        (None, None) => return Err(Failure::usage("there is nothing to compare with")),
    };
    app.out.flush()?;
    if differences == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, count(differences, "difference")))
}

async fn between(app: &App, args: &DiffArgs, destination: &str) -> Result<u64, Failure> {
    let (from, to) = roots(&args.source, destination)?;
    let from_services = Side::of(app, args.profiles.source.as_deref())?;
    let to_services = Side::of(app, args.profiles.destination.as_deref())?;
    let source = from.place(&from_services).await?;
    let target = to.place(&to_services).await?;
    let compare = if args.checksum { Compare::Checksum } else { args.compare.into() };
    let differences = Arc::new(AtomicU64::new(0));
    let (out, counted) = (app.out.clone(), Arc::clone(&differences));
    let sync = app
        .transfer(1)?
        .sync(source, target)
        .compare(compare)
        .read_contents(true)
        .server_side(from_services.is_common() && to_services.is_common())
        .filter(args.filter.filter()?)
        .dry_run(true)
        .observe(move |action| {
            let (sign, name) = match *action {
                SyncAction::Copied { name, replaced: false, .. } => ('+', name),
                SyncAction::Copied { name, .. } => ('!', name),
                SyncAction::Extra { name, .. } => ('-', name),
                _ => return,
            };
            counted.fetch_add(1, Ordering::Relaxed);
            // A closed pipe ends the command when the next result is due.
            let _ = out.print(&Message::Difference { sign, name: name.to_owned() });
        });
    let report = sync.await.map_err(Failure::transfer)?;
    if let Some(error) = report.stopped {
        return Err(Failure::transfer(error));
    }
    for error in report.failures {
        if let Failure::Told(told) = Failure::transfer(error) {
            app.out.tell(&Message::Error((&*told).into()));
        }
    }
    if report.failed > 0 {
        let text = format!("{} could not be compared", count(report.failed, "item"));
        return Err(Failure::new(Exit::Failed, text));
    }
    Ok(differences.load(Ordering::Relaxed))
}

/// One line of a list of checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sum {
    checksum: Checksum,
    name: String,
}

/// What became of the comparison.
enum Found {
    Same,
    Missing,
    Different,
}

async fn against_sums(app: &App, args: &DiffArgs, sums: &str) -> Result<u64, Failure> {
    let services = Side::of(app, args.profiles.source.as_deref())?;
    let root = Root::parse(&args.source)?;
    let place = root.place(&services).await?;
    let filter = args.filter.filter()?;
    let file = File::open(sums).map_err(|error| Failure::io(format!("cannot read {sums}"), error))?;
    let lines = BufReader::new(file).lines().enumerate().filter_map(|(number, line)| {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Some(Err(Failure::io(format!("cannot read {sums}"), error))),
        };
        if line.trim().is_empty() || line.starts_with('#') {
            return None;
        }
        let wrong = || Failure::usage(format!("{sums}, line {}: not a checksum and a name", number + 1));
        Some(parse_sum(&line).ok_or_else(wrong))
    });
    let transfer = app.transfer(1)?;
    let mut compared = stream::iter(lines)
        .map(|line| async {
            let sum = line?;
            if !filter.keeps(&sum.name, u64::MAX, None) {
                return Ok((sum, Found::Same));
            }
            let found = look(&transfer, &place, &sum).await?;
            Ok::<_, Failure>((sum, found))
        })
        .buffered(AT_ONCE);
    let mut differences = 0;
    while let Some(result) = compared.next().await {
        let (sum, found) = result?;
        let sign = match found {
            Found::Same => continue,
            Found::Missing => '-',
            Found::Different => '!',
        };
        differences += 1;
        app.out.print(&Message::Difference { sign, name: sum.name })?;
    }
    Ok(differences)
}

/// `HEX  name`, `HEX *name`, and `KIND:HEX  name`; the length tells the kind.
fn parse_sum(line: &str) -> Option<Sum> {
    let (hex, name) = line.split_once(char::is_whitespace)?;
    let name = name.strip_prefix(' ').unwrap_or(name);
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix("./").unwrap_or(name);
    let (kind, hex) = match hex.split_once(':') {
        Some((kind, hex)) => (ChecksumKind::ALL.into_iter().find(|known| known.as_str() == kind)?, hex),
        None => (ChecksumKind::ALL.into_iter().find(|kind| kind.byte_len() * 2 == hex.len())?, hex),
    };
    let checksum = Checksum::from_hex(kind, hex).ok()?;
    (!name.is_empty()).then(|| Sum { checksum, name: name.to_owned() })
}

async fn look(transfer: &Transfer, place: &Place, sum: &Sum) -> Result<Found, Failure> {
    let found = match place {
        Place::Local(root) => of_file(root.join(&sum.name), sum.checksum.kind()).await?,
        Place::Store { store, prefix } => {
            let failed = |error| Failure::of(format!("cannot look at {}", sum.name), error);
            let key = ObjectKey::new(format!("{prefix}{}", sum.name)).map_err(failed)?;
            match store.head(&key, HeadOptions::default()).await {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(failed(error)),
                Ok(meta) => match meta.checksum(sum.checksum.kind()) {
                    Some(stated) => Some(stated.clone()),
                    None => Some(of_object(transfer, store, key, sum.checksum.kind()).await?),
                },
            }
        }
        other => return Err(Failure::usage(format!("{other} cannot be compared with a list"))),
    };
    Ok(match found {
        None => Found::Missing,
        Some(found) if found == sum.checksum => Found::Same,
        Some(_) => Found::Different,
    })
}

async fn of_object(
    transfer: &Transfer,
    store: &longshore::AnyStore,
    key: ObjectKey,
    kind: ChecksumKind,
) -> Result<Checksum, Failure> {
    let mut body = transfer.read(store, key).await.map_err(Failure::transfer)?;
    let mut hasher = Hasher::new(kind);
    while let Some(bytes) = body.chunk().await.map_err(Failure::transfer)? {
        hasher.update(&bytes);
    }
    Ok(hasher.finish())
}

async fn of_file(path: impl AsRef<Path>, kind: ChecksumKind) -> Result<Option<Checksum>, Failure> {
    use tokio::io::AsyncReadExt;
    let path = path.as_ref();
    let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
    let mut file = match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let (mut hasher, mut buffer) = (Hasher::new(kind), vec![0; 256 << 10]);
    loop {
        let read = file.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_checksums() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for line in [format!("{md5}  a b"), format!("{md5} *a b"), format!("md5:{md5} ./a b")] {
            let sum = parse_sum(&line).unwrap();
            assert_eq!((sum.name.as_str(), sum.checksum.kind()), ("a b", ChecksumKind::Md5));
        }
        assert_eq!(
            parse_sum(&format!("{}  x", "0".repeat(64))).unwrap().checksum.kind(),
            ChecksumKind::Sha256
        );
        for line in ["", "xyz", "0123  a", md5, &format!("foo:{md5} x")] {
            assert!(parse_sum(line).is_none(), "{line}");
        }
    }
}

//! From the words on the command line to single steps, before anything is opened.

use std::path::{Component, Path, PathBuf};

use longshore::{Location, StoreUrl};

use crate::{
    failure::Failure,
    listing::{Selection, as_folder, is_web, require_bucket},
};

/// One thing to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file to an object.
    Upload { from: PathBuf, to: StoreUrl },
    /// Standard input to an object.
    UploadStdin { to: StoreUrl },
    /// What is in a folder to names with a prefix.
    UploadTree { from: PathBuf, to: StoreUrl },
    /// An object to a file.
    Download { from: StoreUrl, to: PathBuf },
    /// Objects to standard output.
    DownloadStdout { from: StoreUrl, selection: Selection },
    /// Objects to files below a folder.
    DownloadTree { from: StoreUrl, selection: Selection, to: PathBuf },
    /// An object to an object.
    Copy { from: StoreUrl, to: StoreUrl },
    /// Objects to names with a prefix.
    CopyTree { from: StoreUrl, selection: Selection, to: StoreUrl },
}

/// How sources are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) recursive: bool,
    pub(crate) glob: bool,
    /// Source and destination are different services, so that equal URLs mean different things.
    pub(crate) apart: bool,
}

/// Makes the steps. Everything that is wrong with the words themselves is found here.
pub(crate) fn plan(sources: &[Location], to: &Location, mode: Mode) -> Result<Vec<Step>, Failure> {
    if let Location::Store(url) = to {
        require_bucket(url)?;
    }
    let several = sources.len() > 1;
    if several && !is_folder(to) && *to != Location::Stdio {
        return Err(Failure::usage(format!("several sources cannot all become {to}"))
            .hint(format!("end the destination in `/` to copy into it: {to}/")));
    }
    let steps = sources.iter().map(|from| step(from, to, mode)).collect::<Result<Vec<_>, _>>()?;
    let trees = steps.iter().filter(|step| step.is_whole_tree()).count();
    if several && trees > 1 {
        return Err(Failure::usage(format!("the contents of {trees} folders would be mixed in {to}"))
            .hint("copy the folder that holds them, or each one to a destination of its own"));
    }
    Ok(steps)
}

impl Step {
    /// Whether it copies whatever is in a folder.
    fn is_whole_tree(&self) -> bool {
        match self {
            Self::UploadTree { .. } => true,
            Self::DownloadTree { selection, .. } | Self::CopyTree { selection, .. } => {
                matches!(selection, Selection::Tree(_))
            }
            _ => false,
        }
    }
}

fn step(from: &Location, to: &Location, mode: Mode) -> Result<Step, Failure> {
    match (from, to) {
        (Location::Local(from), Location::Store(to)) => upload(from, to, mode),
        (Location::Stdio, Location::Store(to)) if is_folder(&Location::Store(to.clone())) => {
            let named = to.with_key(format!("{}NAME", to.key()));
            Err(Failure::usage("standard input has no name").hint(format!("give the object one: {named}")))
        }
        (Location::Stdio, Location::Store(to)) => Ok(Step::UploadStdin { to: to.clone() }),
        (Location::Store(from), Location::Stdio) => {
            if mode.recursive {
                return Err(Failure::usage("a folder cannot be written to standard output"));
            }
            let selection = Selection::of(from, mode.glob, false)?;
            Ok(Step::DownloadStdout { from: from.clone(), selection })
        }
        (Location::Store(from), Location::Local(to)) => download(from, to, mode),
        (Location::Store(from), Location::Store(to)) => copy(from, to, mode),
        (Location::Local(_) | Location::Stdio, Location::Local(_) | Location::Stdio) => {
            Err(Failure::usage(format!("neither {from} nor {to} is in a store"))
                .hint("`cp` of the system copies files; a place in a store is written ais://bucket/key"))
        }
    }
}

fn upload(from: &Path, to: &StoreUrl, mode: Mode) -> Result<Step, Failure> {
    // What is wrong with a path that cannot be looked at is said by whoever opens it.
    if from.is_dir() {
        if !mode.recursive {
            return Err(
                Failure::usage(format!("{} is a folder", from.display())).hint("-r copies what is in it")
            );
        }
        return Ok(Step::UploadTree { from: from.to_owned(), to: to.with_key(as_folder(to.key())) });
    }
    if !to.key().is_empty() && !to.key().ends_with('/') {
        return Ok(Step::Upload { from: from.to_owned(), to: to.clone() });
    }
    let name = from.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::usage(format!("the name of {} is no text that an object could have", from.display()))
            .hint("give the object a name: end the destination in one")
    })?;
    Ok(Step::Upload { from: from.to_owned(), to: to.with_key(format!("{}{name}", to.key())) })
}

fn download(from: &StoreUrl, to: &Path, mode: Mode) -> Result<Step, Failure> {
    let selection = single_or_tree(from, mode)?;
    let Selection::Object(key) = &selection else {
        return Ok(Step::DownloadTree { from: from.clone(), selection, to: to.to_owned() });
    };
    if !is_folder(&Location::Local(to.to_owned())) {
        return Ok(Step::Download { from: from.clone(), to: to.to_owned() });
    }
    let name = key.file_name().filter(|name| is_plain(name)).ok_or_else(|| {
        Failure::usage(format!("{from} has no name that a file could keep"))
            .hint(format!("name the file: {}", to.join("NAME").display()))
    })?;
    Ok(Step::Download { from: from.clone(), to: to.join(name) })
}

fn copy(from: &StoreUrl, to: &StoreUrl, mode: Mode) -> Result<Step, Failure> {
    let selection = single_or_tree(from, mode)?;
    let same_bucket = !mode.apart && from.with_key("") == to.with_key("");
    let Selection::Object(key) = &selection else {
        let prefix = as_folder(to.key());
        if same_bucket && finds_its_copies(&selection, &prefix) {
            let message = format!(
                "{to} lies in {}, so the copies would be copied again",
                from.with_key(selection.base())
            );
            return Err(Failure::usage(message).hint("choose a destination outside of the source"));
        }
        return Ok(Step::CopyTree { from: from.clone(), selection, to: to.with_key(prefix) });
    };
    let target = if !to.key().is_empty() && !to.key().ends_with('/') {
        to.clone()
    } else {
        let name = key.file_name().ok_or_else(|| {
            Failure::usage(format!("{from} ends in `/`, so it has no name to keep"))
                .hint("-r copies what is below it")
        })?;
        to.with_key(format!("{}{name}", to.key()))
    };
    if *from == target && !mode.apart {
        return Err(Failure::usage(format!("{from} is source and destination at once")));
    }
    Ok(Step::Copy { from: from.clone(), to: target })
}

/// Whether the copies would be listed and copied again, without an end.
fn finds_its_copies(selection: &Selection, prefix: &str) -> bool {
    let elsewhere = match selection {
        Selection::Matching { pattern, below: false } => pattern.is_one_level() && prefix != selection.base(),
        _ => false,
    };
    prefix.starts_with(selection.base()) && !elsewhere
}

/// What a source in a store means.
fn single_or_tree(from: &StoreUrl, mode: Mode) -> Result<Selection, Failure> {
    if is_web(from) {
        return Selection::of(from, mode.glob, mode.recursive);
    }
    require_bucket(from)?;
    if !mode.recursive && (from.key().is_empty() || from.key().ends_with('/')) {
        let what = if from.key().is_empty() { "a bucket" } else { "a folder" };
        return Err(Failure::usage(format!("{from} is {what}")).hint("-r copies what is in it"));
    }
    Selection::of(from, mode.glob, mode.recursive)
}

/// Whether things are copied into it rather than become it.
fn is_folder(place: &Location) -> bool {
    match place {
        Location::Store(url) => url.key().is_empty() || url.key().ends_with('/'),
        Location::Local(path) => {
            let text = path.as_os_str().as_encoded_bytes();
            text.last().is_some_and(|last| std::path::is_separator((*last).into())) || path.is_dir()
        }
        Location::Stdio => false,
    }
}

/// Whether a name is that of a file in a folder, and leads nowhere else.
pub(crate) fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::parse_location;

    fn steps(sources: &[&str], to: &str, flags: &str) -> Result<Vec<Step>, Failure> {
        let sources: Vec<Location> = sources.iter().map(|text| parse_location(text).unwrap()).collect();
        let mode =
            Mode { recursive: flags.contains('r'), glob: !flags.contains('n'), apart: flags.contains('a') };
        plan(&sources, &parse_location(to).unwrap(), mode)
    }

    fn one(from: &str, to: &str, flags: &str) -> Step {
        steps(&[from], to, flags).unwrap_or_else(|failure| panic!("{from} {to}: {failure:?}")).remove(0)
    }

    fn url(text: &str) -> StoreUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_folder_keeps_the_name_of_a_file() {
        let upload = |from: &str, to: &str| Step::Upload { from: from.into(), to: url(to) };
        assert_eq!(one("/no/x.txt", "ais://b/y", ""), upload("/no/x.txt", "ais://b/y"));
        assert_eq!(one("/no/x.txt", "ais://b/y/", ""), upload("/no/x.txt", "ais://b/y/x.txt"));
        assert_eq!(one("/no/x.txt", "ais://b", ""), upload("/no/x.txt", "ais://b/x.txt"));
        let download = |to: &str| Step::Download { from: url("ais://b/d/x.txt"), to: to.into() };
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        assert_eq!(one("ais://b/d/x.txt", "/no/y", ""), download("/no/y"));
        assert_eq!(one("ais://b/d/x.txt", "/no/y/", ""), download("/no/y/x.txt"));
        assert_eq!(one("ais://b/d/x.txt", dir, ""), download(&format!("{dir}/x.txt")));
        assert_eq!(
            one("ais://b/x", "ais://c/d/", ""),
            Step::Copy { from: url("ais://b/x"), to: url("ais://c/d/x") }
        );
    }

    #[test]
    fn trees_go_under_the_destination() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        for to in ["ais://b/p", "ais://b/p/"] {
            assert_eq!(one(dir, to, "r"), Step::UploadTree { from: dir.into(), to: url("ais://b/p/") });
        }
        let Step::DownloadTree { selection, .. } = one("ais://b/p", dir, "r") else { panic!() };
        assert_eq!(selection, Selection::Tree("p/".into()));
        assert!(matches!(one("ais://b/p*", dir, ""), Step::DownloadTree { .. }));
        assert!(matches!(one("ais://b/p*", "/no/x", "n"), Step::Download { .. }));
        assert!(matches!(one("ais://b/p/", "ais://c", "r"), Step::CopyTree { .. }));
        assert!(matches!(one("ais://b/*.txt", "ais://b/d/", ""), Step::CopyTree { .. }));
        assert!(matches!(one("ais://b/k", "ais://b/k", "a"), Step::Copy { .. }));
        assert!(matches!(one("ais://b", "ais://b", "ra"), Step::CopyTree { .. }));
        assert_eq!(one("-", "ais://b/k", ""), Step::UploadStdin { to: url("ais://b/k") });
    }

    #[test]
    fn wrong_words() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        for (sources, to, flags, word) in [
            (&["/no/a", "/no/b"][..], "ais://b/k", "", "several sources"),
            (&["/no/a"], "/no/b", "", "neither"),
            (&["-"], "-", "", "neither"),
            (&["-"], "ais://b/d/", "", "no name"),
            (&[dir], "ais://b", "", "is a folder"),
            (&["ais://b/d/"], "/no", "", "is a folder"),
            (&["ais://b"], "/no", "", "is a bucket"),
            (&["ais://b/d/"], "-", "r", "standard output"),
            (&["ais://b/d/.."], dir, "", "no name"),
            (&["ais://b/k"], "ais://b/k", "", "at once"),
            (&["ais://b/d"], "ais://b/d/e", "r", "copied again"),
            (&["ais://b/*"], "ais://b/", "", "copied again"),
            (&["ais://b/*"], "ais://b/d/", "r", "copied again"),
            (&["/no/a"], "ais://", "", "no bucket"),
            (&["/no/a"], "memory://b/k", "", "cannot be opened by URL"),
            (&[dir, dir], "ais://b/", "r", "mixed"),
        ] {
            match steps(sources, to, flags) {
                Err(Failure::Told(told)) => {
                    assert!(told.to_string().contains(word), "{sources:?} {to}: {told}");
                    assert_eq!(told.exit.code(), 2);
                }
                other => panic!("{sources:?} {to}: {other:?}"),
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere() {
        for name in ["..", ".", "", "a/b", "/", "a\0b"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain("a") && is_plain("..a") && is_plain("ä b"));
    }
}

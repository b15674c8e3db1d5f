//! Names of objects as paths below a directory, and back.

use std::{
    collections::{HashSet, VecDeque},
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use longshore_core_types::{Error, ErrorKind, Result};

use crate::{
    context::SMALL,
    dir::Dir,
    error::{local, local_fault},
};

/// So many directories are remembered as created.
const REMEMBERED: usize = 10_000;

/// `prefix` with a final `/`, unless it is empty.
pub(crate) fn as_prefix(mut prefix: String) -> String {
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

/// What an object's name is below the destination.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    /// The name ends in `/`: a placeholder for a directory. Empty for the destination itself.
    Directory(PathBuf),
}

/// Where below the destination a name belongs, which is refused if that is no place there, or not only its own.
pub(crate) fn place(name: &str) -> Result<Place> {
    let refuse = |fault: &str| {
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{name:?} cannot be a path below a directory: {fault}"),
        ))
    };
    if name.contains('\0') {
        return refuse("it contains a NUL byte");
    }
    let (name_of_file, directory) = match name.strip_suffix('/') {
        Some(rest) => (rest, true),
        None => (name, name.is_empty()),
    };
    if directory && name.is_empty() {
        return Ok(Place::Directory(PathBuf::new()));
    }
    if name.starts_with('/') {
        return refuse("it starts with `/`");
    }
    let mut path = PathBuf::new();
    for part in name_of_file.split('/') {
        match part {
            "" => return refuse("it has an empty part between two `/`"),
            "." | ".." => return refuse("it has a part `.` or `..`"),
            _ if !is_one_component(part) => return refuse("this system gives a part of it another meaning"),
            _ => path.push(part),
        }
    }
    Ok(if directory { Place::Directory(path) } else { Place::File(path) })
}

/// Where below a directory an object of this name belongs, as [`DownloadDir`](crate::DownloadDir) places it.
///
/// [`ErrorKind::InvalidInput`] for a name that would lead out of the directory, or that is no path: with a part `..`, an
/// empty part, a leading `/`, or a NUL byte. A slash at its end, which stands for a directory, makes no difference.
pub fn path_below(name: &str) -> Result<PathBuf> {
    match place(name)? {
        Place::File(path) | Place::Directory(path) => Ok(path),
    }
}

/// Whether `part` is a single component of a path; on some systems `C:` or `a\b` are more than that.
fn is_one_component(part: &str) -> bool {
    let mut components = Path::new(part).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(found)), None) if found == part)
}

/// So many directories are held open: a listing comes in order, so few are in use at once.
const OPEN: usize = 16;

/// Directories below the destination, each created once.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    created: HashSet<PathBuf>,
    /// The last ones that files went into, the latest at the end.
    open: VecDeque<Arc<Dir>>,
}

impl Directories {
    /// The directory of a file of so many bytes, which has been created, if that makes writing it quicker.
    pub(super) fn for_small(&mut self, file: &Path, size: u64) -> Option<Arc<Dir>> {
        let path = file.parent().filter(|_| size <= SMALL)?;
        if let Some(dir) = self.open.iter().rev().find(|dir| dir.path() == path) {
            return Some(Arc::clone(dir));
        }
        // One that cannot be opened may be written to all the same.
        let dir = Arc::new(Dir::open(path).ok()?);
        if self.open.len() >= OPEN {
            self.open.pop_front();
        }
        self.open.push_back(Arc::clone(&dir));
        Some(dir)
    }

    /// Makes sure that there is such a directory.
    pub(crate) fn create(&mut self, path: &Path) -> Result<()> {
        if self.created.contains(path) {
            return Ok(());
        }
        fs::create_dir_all(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => local_fault(format!(
                "cannot create the directory {}: a file is in the way, of an object whose name is the beginning of \
                 this one's, say",
                path.display()
            ))
            .with_source(error),
            _ => local("create the directory", path, error),
        })?;
        if self.created.len() >= REMEMBERED {
            self.created.clear();
        }
        self.created.insert(path.to_owned());
        Ok(())
    }
}

/// The object's name of a path below the source.
pub(crate) fn key_of(prefix: &str, relative: &Path) -> Result<String> {
    let mut key = String::from(prefix);
    for (position, part) in relative.components().enumerate() {
        let text = part.as_os_str().to_str().ok_or_else(|| {
            let text = format!("cannot name an object after {}: it is not UTF-8", relative.display());
            Error::new(ErrorKind::InvalidInput, text)
        })?;
        if position > 0 {
            key.push('/');
        }
        key.push_str(text);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_below_the_destination() {
        assert_eq!(place("a/b c/d").unwrap(), Place::File("a/b c/d".into()));
        assert_eq!(place("...").unwrap(), Place::File("...".into()));
        assert_eq!(place("a/b/").unwrap(), Place::Directory("a/b".into()));
        assert_eq!(place("").unwrap(), Place::Directory(PathBuf::new()));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "..",
            "../x",
            "a/../../x",
            "/etc/passwd",
            "a//b",
            "a/./b",
            "./a",
            "a\0b",
            "/",
            "//",
            "a//",
            "../",
        ] {
            let error = place(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        let mut directories = Directories::default();
        for path in ["a", "a/b"] {
            let error = directories.create(&dir.path().join(path)).unwrap_err();
            assert!(error.message().contains("a file is in the way"), "{error}");
        }
        directories.create(&dir.path().join("b/c")).unwrap();
        directories.create(&dir.path().join("b/c")).unwrap();
    }

    #[test]
    fn prefixes_end_in_a_slash() {
        assert_eq!(as_prefix("a".into()), "a/");
        assert_eq!(as_prefix("a/".into()), "a/");
        assert_eq!(as_prefix(String::new()), "");
        assert_eq!(key_of("p/", Path::new("a/b")).unwrap(), "p/a/b");
    }
}

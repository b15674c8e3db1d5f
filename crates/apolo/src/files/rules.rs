//! What of a directory is left out.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use longshore_core_types::{Error, ErrorKind, Result};

use crate::ignore::IgnoreFile;

pub(super) type Keep = dyn Fn(&str) -> bool + Send + Sync;

/// The ignore files that are about a directory: its own, and those of the directories above it.
#[derive(Debug)]
pub(super) struct Scope {
    above: Option<Arc<Self>>,
    /// In the order in which their names were given; the last that is about a name decides.
    files: Vec<IgnoreFile>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The directory is this one below the root of the upload: empty, or with a slash at its end.
    Below(String),
    /// The root of the upload is this one below the directory, with a slash at its end.
    Above(String),
}

impl Scope {
    /// Whether something is left out, by its name below the root of the upload; `None` if no rule is about it.
    fn ignores(&self, name: &str) -> Option<bool> {
        let own = |file: &IgnoreFile| match &self.place {
            Place::Below(folder) => file.ignores_below(folder, name),
            Place::Above(between) => file.ignores(&format!("{between}{name}")),
        };
        let decided = self.files.iter().rev().find_map(own);
        decided.or_else(|| self.above.as_ref()?.ignores(name))
    }
}

/// What of a tree is left out: what ignore files say, then what the caller says.
#[derive(Clone, Default)]
pub(super) struct Rules {
    names: Vec<OsString>,
    keep: Option<Arc<Keep>>,
}

impl Rules {
    pub(super) fn new(names: Vec<OsString>, keep: Option<Arc<Keep>>) -> Self {
        Self { names, keep }
    }

    /// Whether something is meant; names of directories end in `/`.
    pub(super) fn keeps(&self, scope: Option<&Scope>, name: &str) -> bool {
        match scope.and_then(|scope| scope.ignores(name)) {
            Some(ignored) => !ignored,
            None => self.keep.as_ref().is_none_or(|keep| keep(name)),
        }
    }

    /// The ignore files of the directories above the root of an upload, which is absolute.
    pub(super) fn above(&self, root: &Path) -> Result<Option<Arc<Scope>>> {
        let mut scope = None;
        if self.names.is_empty() {
            return Ok(scope);
        }
        let directories: Vec<&Path> = root.ancestors().skip(1).collect();
        for directory in directories.into_iter().rev() {
            let between = root.strip_prefix(directory).unwrap_or(root);
            let between: Vec<_> = between.iter().map(|part| part.to_string_lossy()).collect();
            scope = self.read(directory, Place::Above(format!("{}/", between.join("/"))), scope)?;
        }
        Ok(scope)
    }

    /// The same with the ignore files of a directory of the upload, which has this name below the root.
    pub(super) fn within(
        &self,
        directory: &Path,
        name: &str,
        above: Option<Arc<Scope>>,
    ) -> Result<Option<Arc<Scope>>> {
        self.read(directory, Place::Below(name.to_owned()), above)
    }

    fn read(&self, directory: &Path, place: Place, above: Option<Arc<Scope>>) -> Result<Option<Arc<Scope>>> {
        let paths = self.names.iter().map(|name| directory.join(name));
        let files: Vec<_> =
            paths.map(|path| read(&path)).filter_map(Result::transpose).collect::<Result<_>>()?;
        Ok(if files.is_empty() { above } else { Some(Arc::new(Scope { above, files, place })) })
    }
}

/// An ignore file, if there is one.
fn read(path: &PathBuf) -> Result<Option<IgnoreFile>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
                return Ok(None);
            }
            _ => {
                let text = format!("cannot read {}", path.display());
                return Err(Error::new(ErrorKind::LocalIo, text).with_source(error));
            }
        },
    };
    // Half of the rules would let through what was to be left out.
    let text = String::from_utf8(text).map_err(|error| {
        let text = format!("{} is not UTF-8", path.display());
        Error::new(ErrorKind::InvalidInput, text).with_source(error)
    })?;
    Ok(Some(IgnoreFile::parse(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_decides_and_the_caller_last() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("up/src");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(place.path().join(".ignore"), "*.log\n/up/src/x\n").unwrap();
        fs::write(root.join(".ignore"), "!keep.log\n*.tmp\n").unwrap();
        fs::write(root.join("sub/.ignore"), "/own\n!a.tmp\n").unwrap();
        fs::write(root.join("sub/.second"), "keep.log\n").unwrap();
        let keep: Arc<Keep> = Arc::new(|name: &str| !name.contains("backup"));
        let rules = Rules::new(vec![".ignore".into(), ".second".into()], Some(keep));
        let above = rules.above(&root).unwrap();
        let of_root = rules.within(&root, "", above.clone()).unwrap();
        let of_sub = rules.within(&root.join("sub"), "sub/", of_root.clone()).unwrap();
        let keeps = |scope: &Option<Arc<Scope>>, name: &str| rules.keeps(scope.as_deref(), name);
        assert!(!keeps(&above, "a.log") && !keeps(&above, "x") && keeps(&above, "y"));
        assert!(!keeps(&of_root, "a.log") && keeps(&of_root, "keep.log") && !keeps(&of_root, "a.tmp"));
        assert!(keeps(&of_sub, "sub/a.tmp") && !keeps(&of_sub, "sub/b.tmp") && !keeps(&of_sub, "sub/own"));
        assert!(!keeps(&of_sub, "sub/keep.log"), "the file whose name was given last");
        assert!(!keeps(&of_sub, "sub/a.backup"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let rules = Rules::new(vec![".ignore".into()], None);
        fs::create_dir(place.path().join(".ignore")).unwrap();
        assert!(rules.within(place.path(), "", None).unwrap().is_none());
        fs::remove_dir(place.path().join(".ignore")).unwrap();
        fs::write(place.path().join(".ignore"), [0xff, 0xfe]).unwrap();
        let error = rules.within(place.path(), "", None).unwrap_err();
        assert!(error.message().contains(".ignore is not UTF-8"), "{error}");
    }
}

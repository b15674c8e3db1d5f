//! `--exclude-from-files`: files in a local folder that say what of it is left out, as `.gitignore` does.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use longshore::{Error, ErrorKind};

use crate::{
    commands::cp::plan::is_plain,
    failure::Failure,
    output::{Message, Output},
};

/// What such files leave out of a folder, asked name by name.
///
/// They are read when the first name below their folder comes. Names come nearly in order, so only the files of the
/// folders around the present one are kept.
pub(super) struct Ignored {
    root: PathBuf,
    /// What the files are called. Of two in one folder the one named last decides.
    names: Vec<String>,
    out: Output,
    /// Files that could not be read.
    faults: AtomicU64,
    /// The folder itself with all above it, and those around the name that was asked for last.
    levels: Mutex<Vec<Level>>,
}

/// A folder around a name.
struct Level {
    /// Its name below the root: empty, or with a slash at its end.
    folder: String,
    /// In the order of their weight.
    rules: Vec<Gitignore>,
    /// Nothing in it is meant.
    left_out: bool,
}

impl Ignored {
    /// Reads the files of the folder and of those above it.
    pub(super) fn new(root: &Path, names: &[String], out: &Output) -> Result<Self, Failure> {
        let real = fs::canonicalize(root)
            .map_err(|error| Failure::io(format!("cannot read the directory {}", root.display()), error))?;
        let mut rules = Vec::new();
        let around: Vec<&Path> = real.ancestors().collect();
        for folder in around.into_iter().rev() {
            rules.extend(read_all(folder, names).map_err(|error| Failure::of("", error))?);
        }
        let levels = Mutex::new(vec![Level { folder: String::new(), rules, left_out: false }]);
        let (names, out) = (names.to_vec(), out.clone());
        Ok(Self { root: real, names, out, faults: AtomicU64::new(0), levels })
    }

    /// Whether a name below the folder is left out, be it there or in the place that the folder is copied to.
    ///
    /// As in git, nothing below a folder that is left out comes back in; the innermost file that has a rule for a name
    /// decides, and in it the last rule.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        while levels.last().is_some_and(|level| !name.starts_with(&level.folder)) {
            levels.pop();
        }
        while let Some(level) = levels.last().filter(|level| !level.left_out) {
            let known = level.folder.len();
            let Some(part) = name[known..].find('/').map(|end| &name[known..known + end]) else { break };
            // No folder here can be called so, but a name in a store can.
            if !is_plain(part) {
                break;
            }
            let level = self.enter(&levels, &name[..=known + part.len()]);
            levels.push(level);
        }
        let within = levels.last().is_some_and(|level| level.left_out);
        within || self.is_ignored(&levels, name.trim_end_matches('/'), name.ends_with('/'))
    }

    /// How many files could not be read.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    fn enter(&self, around: &[Level], folder: &str) -> Level {
        let path = folder.trim_end_matches('/');
        let left_out = self.is_ignored(around, path, true);
        let read = if left_out { Ok(Vec::new()) } else { read_all(&self.root.join(path), &self.names) };
        let folder = folder.to_owned();
        match read {
            Ok(rules) => Level { folder, rules, left_out },
            Err(error) => {
                self.faults.fetch_add(1, Ordering::Relaxed);
                if let Failure::Told(told) = Failure::of(format!("{folder} is left out"), error) {
                    self.out.tell(&Message::Error((&*told).into()));
                }
                Level { folder, rules: Vec::new(), left_out: true }
            }
        }
    }

    fn is_ignored(&self, around: &[Level], name: &str, is_folder: bool) -> bool {
        let path = self.root.join(name);
        let rules = around.iter().rev().flat_map(|level| level.rules.iter().rev());
        for rules in rules {
            match rules.matched(&path, is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

impl fmt::Debug for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ignored")
            .field("root", &self.root)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The files of these names in a folder. Half of the rules would let through what was to be left out, so a file that
/// cannot be read or has a line that is no pattern is an error.
fn read_all(folder: &Path, names: &[String]) -> Result<Vec<Gitignore>, Error> {
    let mut found = Vec::new();
    for name in names {
        let path = folder.join(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename => continue,
                _ => {
                    let text = format!("cannot read {}", path.display());
                    return Err(Error::new(ErrorKind::LocalIo, text).with_source(error));
                }
            },
        };
        let wrong = |text: String| Error::new(ErrorKind::LocalIo, format!("{}{text}", path.display()));
        let text = String::from_utf8(text).map_err(|_| wrong(" is not UTF-8".to_owned()))?;
        let mut builder = GitignoreBuilder::new(folder);
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let added = builder.add_line(None, line);
            added.map_err(|error| wrong(format!(", line {}: {error}", number + 1)))?;
        }
        found.push(builder.build().map_err(|error| wrong(format!(": {error}")))?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(root: &Path) -> Ignored {
        let names = [".gitignore".to_owned(), ".mine".to_owned()];
        Ignored::new(root, &names, &Output::new(false, true, false)).unwrap()
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_innermost_rule_decides() {
        let dir = tree(&[
            (".gitignore", "/up/root/above\n"),
            ("up/root/.gitignore", "*.log\n/build/\n# comment\nsecret\n!sub/b.log\n"),
            ("up/root/sub/.gitignore", "!keep.log\n*.tmp\r\n"),
            ("up/root/sub/.mine", "keep.log\n!a.tmp\n"),
        ]);
        let ignored = ignored(&dir.path().join("up/root"));
        for name in [
            "above",
            "a.log",
            "build/x/y",
            "build/",
            "secret",
            "x/secret/y",
            "sub/keep.log",
            "sub/b.tmp",
            "sub/c/d.tmp",
            "sub/c.log",
        ] {
            assert!(ignored.leaves_out(name), "{name}");
        }
        for name in ["a", "b/above", "x/build/y", "sub/a.tmp", "sub/b.log", "b.tmp", ".gitignore", "sub/"] {
            assert!(!ignored.leaves_out(name), "{name}");
        }
        assert_eq!(ignored.faults(), 0);
    }

    #[test]
    fn names_that_only_a_store_can_have() {
        let dir = tree(&[(".mine", "*\n"), ("root/.gitignore", "x\n!*\n")]);
        let ignored = ignored(&dir.path().join("root"));
        for name in ["../y", "/etc/y", "a//y", "a/./y", "", "/", &format!("{}/y", "n".repeat(300)), "a\0/y"] {
            assert!(!ignored.leaves_out(name), "{name:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_leaves_out_its_folder() {
        let dir = tree(&[("a/.gitignore", "x\n"), ("b/.gitignore", "{x\n"), ("c/y", "")]);
        fs::write(dir.path().join("c/.mine"), [0xff]).unwrap();
        let ignored = ignored(dir.path());
        let left: Vec<_> = ["a/x", "a/y", "b/x", "b/y", "c/d/y", "d/x"]
            .into_iter()
            .filter(|name| !ignored.leaves_out(name))
            .collect();
        assert_eq!((left, ignored.faults()), (vec!["a/y", "d/x"], 2));
        fs::write(dir.path().join(".mine"), [0xff]).unwrap();
        let names = [".mine".to_owned()];
        assert!(Ignored::new(dir.path(), &names, &Output::new(false, true, false)).is_err());
    }
}

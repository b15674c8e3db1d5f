//! Names that a place takes for one, so that the second would replace what the first became.

use std::{collections::HashSet, fs, path::Path};

use longshore_core_types::{ChecksumKind, Error, ErrorKind, Result, checksum::Hasher};
use unicode_normalization::UnicodeNormalization;

/// What a file system does not tell apart in names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fold {
    /// Upper and lower case.
    pub(crate) case: bool,
    /// A letter with its mark, and a letter followed by its mark.
    pub(crate) forms: bool,
}

impl Fold {
    /// That of the file system below a directory, which need not be there yet. An empty file is there for a moment.
    pub(crate) fn below(root: &Path) -> Self {
        let Some(existing) = root.ancestors().find(|path| path.is_dir()) else { return Self::default() };
        let name = |accent: &str| format!(".longshore-names-{:x}-{accent}", std::process::id());
        let (composed, decomposed) = (name("\u{e9}"), name("e\u{301}"));
        let probe = existing.join(&composed);
        if fs::OpenOptions::new().write(true).create_new(true).open(&probe).is_err() {
            return Self::default();
        }
        let fold = Self {
            case: existing.join(composed.to_uppercase()).exists(),
            forms: existing.join(decomposed).exists(),
        };
        // It is empty and has a name of its own; another look at the directory would find it.
        let _ = fs::remove_file(&probe);
        fold
    }

    /// Whether different names always are different files.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The same text for all names that are one.
    fn apply(self, name: &str) -> String {
        match (self.case, self.forms) {
            (false, false) => name.to_owned(),
            (true, false) => name.to_lowercase(),
            (false, true) => name.nfc().collect(),
            (true, true) => name.nfc().flat_map(char::to_lowercase).nfc().collect(),
        }
    }
}

/// The names that items have got, as 8 bytes each.
#[derive(Debug)]
pub(crate) struct Taken {
    fold: Fold,
    names: HashSet<u64>,
}

impl Taken {
    pub(crate) fn new(fold: Fold) -> Self {
        Self { fold, names: HashSet::new() }
    }

    /// Takes a name; `AlreadyExists` if another item has it.
    pub(crate) fn take(&mut self, name: &str) -> Result<()> {
        let mut hasher = Hasher::new(ChecksumKind::XxHash64);
        hasher.update(self.fold.apply(name).as_bytes());
        let hash = hasher.finish().as_bytes().try_into().map_or(0, u64::from_be_bytes);
        if self.names.insert(hash) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::AlreadyExists, format!("another item has become {name:?} already")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clashes(case: bool, forms: bool, names: [&str; 2]) -> bool {
        let mut taken = Taken::new(Fold { case, forms });
        taken.take(names[0]).unwrap();
        taken.take(names[1]).is_err()
    }

    #[test]
    fn names_meet_where_they_are_not_told_apart() {
        let case = ["d/Ä", "d/ä"];
        let forms = ["caf\u{e9}", "cafe\u{301}"];
        let both = ["CAF\u{c9}", "cafe\u{301}"];
        for (fold, expected) in [
            ((false, false), [false, false, false]),
            ((true, false), [true, false, false]),
            ((false, true), [false, true, false]),
            ((true, true), [true, true, true]),
        ] {
            assert_eq!([case, forms, both].map(|names| clashes(fold.0, fold.1, names)), expected, "{fold:?}");
        }
        assert!(clashes(false, false, ["x", "x"]));
        assert!(!clashes(true, true, ["a", "b"]));
    }

    #[test]
    fn a_look_at_a_file_system_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let fold = Fold::below(&dir.path().join("not/there"));
        if cfg!(target_os = "linux") {
            assert!(fold.is_none(), "{fold:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

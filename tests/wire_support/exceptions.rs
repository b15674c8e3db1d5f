//! Agreed differences between recordings and code: `tests/wire/exceptions`, one file for each platform.
//!
//! An entry that no difference needs fails the test.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::Deserialize;

use super::exchange::directory;

/// One agreed difference.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// File without its extension.
    pub(crate) file: String,
    /// Name of the exchange.
    pub(crate) name: String,
    /// `client` or `server`.
    pub(crate) side: String,
    /// What differs: `status`, `body`, `header:NAME`, or `all`.
    pub(crate) field: String,
    /// Why.
    pub(crate) reason: String,
    /// Section of the protocol description.
    pub(crate) spec: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    exception: Vec<Exception>,
}

/// The exceptions of one side, and which of them were needed.
#[derive(Debug)]
pub(crate) struct Exceptions {
    all: Vec<Exception>,
    used: RefCell<BTreeSet<usize>>,
}

impl Exceptions {
    pub(crate) fn load(side: &str) -> Self {
        let folder = directory().join("exceptions");
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let paths: BTreeSet<_> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
        let all = paths.iter().flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let document: Document =
                toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            document.exception
        });
        let all = all.filter(|e| e.side == side).collect();
        Self { all, used: RefCell::default() }
    }

    /// True if the difference is agreed.
    pub(crate) fn allows(&self, file: &str, name: &str, field: &str) -> bool {
        let found = self
            .all
            .iter()
            .position(|e| e.file == file && e.name == name && (e.field == field || e.field == "all"));
        if let Some(index) = found {
            self.used.borrow_mut().insert(index);
        }
        found.is_some()
    }

    /// Entries of `files` that no difference needed.
    pub(crate) fn unused(&self, files: &[&str]) -> Vec<&Exception> {
        let used = self.used.borrow();
        let idle =
            |(index, e): &(usize, &Exception)| !used.contains(index) && files.contains(&e.file.as_str());
        self.all.iter().enumerate().filter(idle).map(|(_, e)| e).collect()
    }

    /// Exchanges that an exception covers.
    pub(crate) fn exchanges(&self) -> usize {
        self.all.iter().map(|e| (&e.file, &e.name)).collect::<BTreeSet<_>>().len()
    }
}

//! Names that a store does not take, found before anything is sent.

use std::fmt::Display;

use longshore_blob_api::{BlobStore, NameRules};
use longshore_core_types::{Error, ErrorKind, Result, StoreUrl};

/// So many are named; the others are counted.
const SHOWN: usize = 20;

/// Collects the names that the rules of a store forbid.
pub(crate) struct Offenders {
    rules: NameRules,
    store: StoreUrl,
    shown: Vec<String>,
    count: u64,
}

impl Offenders {
    /// `None` for a store that does not say which names it takes.
    pub(crate) fn of(store: &impl BlobStore) -> Option<Self> {
        let rules = store.capability().names?;
        Some(Self { rules, store: store.url(), shown: Vec::new(), count: 0 })
    }

    /// Looks at the name that an item would get.
    pub(crate) fn look(&mut self, item: impl Display, key: &str) {
        if let Some(fault) = self.rules.fault(key) {
            self.count += 1;
            if self.shown.len() < SHOWN {
                self.shown.push(format!("{item}: {fault}"));
            }
        }
    }

    /// [`ErrorKind::InvalidInput`] if there were any.
    pub(crate) fn verdict(mut self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.shown.len() as u64;
        if more > 0 {
            self.shown.push(format!("and {more} more"));
        }
        let text = format!("{} takes no objects of these names: {}", self.store, self.shown.join("; "));
        Err(Error::new(ErrorKind::InvalidInput, text))
    }
}

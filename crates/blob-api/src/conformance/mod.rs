//! The suite that proves a store.
//!
//! [`cases`] lists what every store must do, one named case for each promise of
//! [`BlobStore`] and [`BlobStoreExt`]. A case says first whether it
//! applies ([`Case::needs`]): what a store cannot do by its [`Capability`](crate::Capability) is no fault, and
//! that it refuses to is a case of its own. Cases share nothing, so they run in any order and at once; the suite
//! needs no runtime but the store's.
//!
//! ```
//! # #[cfg(feature = "memory")]
//! # futures_util::future::FutureExt::now_or_never(async {
//! use longshore_blob_api::{AnyStore, MemoryStore, conformance};
//!
//! let store = AnyStore::new(MemoryStore::new("scratch")?);
//! for case in conformance::cases() {
//!     match case.needs(&store) {
//!         Ok(()) => case.run(&store, "suite/").await.map_err(|failure| failure.to_string())?,
//!         Err(reason) => println!("{} is skipped: {reason}", case.name()),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap().unwrap();
//! ```

#[macro_use]
mod check;

mod agreement;
mod attributes;
mod concurrency;
mod conditional;
mod copy;
mod delete;
mod get_many;
mod listing;
mod multipart;
mod multipart_faults;
mod names;
mod need;
mod object;
mod paging;
mod pin;
mod ranges;
mod readers;
#[cfg(test)]
#[cfg(feature = "memory")]
mod tests;
mod writers;

use std::{fmt, sync::LazyLock};

use futures_util::{TryStreamExt, future::BoxFuture};
use longshore_core_types::{ErrorKind, ObjectKey, Result};

pub use self::check::Failure;
use self::check::Outcome;
use crate::{AnyStore, BlobStore, BlobStoreExt, Entry, ListOptions};

/// All cases, in the order of their groups.
pub fn cases() -> &'static [Case] {
    static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| {
        [
            object::CASES,
            attributes::CASES,
            ranges::CASES,
            names::CASES,
            listing::CASES,
            paging::CASES,
            delete::CASES,
            conditional::CASES,
            pin::CASES,
            copy::CASES,
            get_many::CASES,
            multipart::CASES,
            multipart_faults::CASES,
            readers::CASES,
            writers::CASES,
            concurrency::CASES,
            agreement::CASES,
        ]
        .concat()
    });
    &ALL
}

/// One promise, and the code that checks it.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    needs: fn(&AnyStore) -> Result<(), &'static str>,
    body: Body,
}

type Body = for<'a> fn(&'a AnyStore, &'a Namespace) -> BoxFuture<'a, Outcome>;

impl Case {
    /// Its name, `group::case`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it applies to a store of these abilities, and why not. Asks nobody.
    pub fn needs(&self, store: &AnyStore) -> Result<(), &'static str> {
        (self.needs)(store)
    }

    /// Runs it on names that start with `root` and the name of the case, and deletes what it left there.
    ///
    /// Nothing else may use these names meanwhile. Two runs at once need two roots.
    pub async fn run(&self, store: &AnyStore, root: &str) -> Result<(), Failure> {
        let space = Namespace { prefix: format!("{root}{}/", self.name.replace("::", "-")) };
        let result = (self.body)(store, &space).await;
        let cleaned = space.clean(store).await;
        result.and(cleaned).map_err(|failure| failure.of(self.name))
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

/// Names that belong to one run of one case.
struct Namespace {
    prefix: String,
}

impl Namespace {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn key(&self, name: &str) -> Result<ObjectKey> {
        ObjectKey::new(self.name(name))
    }

    /// Options that list names of the case that start with `prefix`.
    fn list(&self, prefix: &str) -> ListOptions {
        ListOptions::prefix(self.name(prefix))
    }

    /// What a listing finds, without the common part of the names.
    async fn names(&self, store: &AnyStore, opts: ListOptions) -> Result<Vec<String>> {
        let entries: Vec<Entry> = store.list(opts).try_collect().await?;
        Ok(entries.iter().map(|entry| self.short(entry.name())).collect())
    }

    fn short(&self, name: &str) -> String {
        name.strip_prefix(&self.prefix).unwrap_or(name).to_owned()
    }

    async fn clean(&self, store: &AnyStore) -> Outcome {
        if store.capability().read_only || store.capability().unlisted {
            return Ok(());
        }
        let entries: Vec<Entry> = store.list(self.list("")).try_collect().await?;
        for entry in entries {
            if let Entry::Object(meta) = entry {
                match store.delete(&meta.key, crate::DeleteOptions::default()).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

//! The store in memory.

use longshore_blob_api::{AnyStore, MemoryStore};

use super::{Backend, Opened};

/// All cases but those for stores that can do less.
pub(crate) fn backend() -> Backend {
    Backend {
        name: "memory",
        open: |_| Ok(Opened::new(AnyStore::new(MemoryStore::new("conformance")?))),
        except: &[],
    }
}

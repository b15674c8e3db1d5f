//! What most programs need: `use longshore::prelude::*;`.
//!
//! The traits come without names, so they collide with nothing.

pub use longshore_blob_api::{AnyStore, BlobStore as _, BlobStoreExt as _};
pub use longshore_core_types::{Error, ErrorKind, ObjectKey, Payload, StoreUrl};
#[cfg(feature = "transfer")]
pub use longshore_transfer::Transfer;

pub use crate::open::{OpenOptions, open};

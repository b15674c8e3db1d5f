#![doc = include_str!("../README.md")]

pub mod prelude;

mod open;

#[cfg(feature = "aistore")]
pub use longshore_aistore as aistore;
pub use longshore_blob_api as blob_api;
#[cfg(feature = "transfer")]
pub use longshore_transfer as transfer;
#[cfg(feature = "aistore")]
pub use longshore_transport as transport;

pub use longshore_blob_api::*;
pub use longshore_core_types::*;
pub use open::{OpenOptions, open, supports};

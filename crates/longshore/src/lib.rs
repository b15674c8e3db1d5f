#![doc = include_str!("../README.md")]

pub mod prelude;

mod open;

#[cfg(feature = "aistore")]
pub use longshore_aistore as aistore;
#[cfg(feature = "apolo")]
pub use longshore_apolo as apolo;
#[cfg(feature = "authn")]
pub use longshore_authn_api as authn;
pub use longshore_blob_api as blob_api;
#[cfg(feature = "http")]
pub use longshore_http_store as http_store;
#[cfg(feature = "_object-store")]
pub use longshore_object_store as object_store;
#[cfg(feature = "supabase")]
pub use longshore_supabase as supabase;
#[cfg(feature = "transfer")]
pub use longshore_transfer as transfer;
#[cfg(any(feature = "_platform", feature = "authn", feature = "http"))]
pub use longshore_transport as transport;

pub use longshore_blob_api::*;
pub use longshore_core_types::*;
pub use open::{OpenOptions, open, supports};

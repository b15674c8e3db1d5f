#![doc = include_str!("../README.md")]

mod access;
mod aistore;
mod apolo;
mod authn;
mod builder;
mod checksum;
mod fault;
mod handle;
mod http;
mod journal;
mod raw;
mod s3;
mod storage;
mod supabase;
mod sync;

pub use apolo::{ApoloAction, ApoloSettings};
pub use builder::{DevServer, DevServerBuilder, StartError};
pub use fault::{Fault, FaultId, FaultKind, Faults, ParseFaultError, Unsettled};
pub use handle::Handle;
pub use journal::{Journal, JournalEntry, NodeKind};
pub use supabase::{RowSecurity, SupabaseSettings};

/// Compiles and runs what the guide shows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/devserver.md")]
struct Guide;

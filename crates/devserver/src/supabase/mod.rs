//! A Supabase Storage service: buckets, objects, signed URLs, resumable uploads.
//!
//! Answers are those of the real server, to the wording and to statuses that one would not expect. Its few defects that
//! lose data or break limits are not copied, but for those of the paged listing, which clients have to live with.

mod bucket_api;
mod caller;
mod change;
mod cx;
mod error;
mod form;
mod gateway;
pub(crate) mod jwt;
mod list;
mod list_v2;
mod names;
pub(crate) mod query;
mod read;
mod render;
mod route;
mod rows;
mod s3;
mod schema;
mod server;
mod settings;
mod sign;
mod store;
pub(crate) mod time;
mod tus;
mod upload;

use std::sync::Arc;

use tokio::sync::mpsc;

pub(crate) use server::Server;
pub use settings::{RowSecurity, SupabaseSettings};

use crate::fault::Faults;
use crate::http::Restart;
use crate::journal::Journal;
use crate::storage::Storage;

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    storage: Arc<Storage>,
    settings: SupabaseSettings,
    faults: Arc<Faults>,
    journal: Arc<Journal>,
    restarts: mpsc::Sender<Restart>,
    /// Resumable uploads that are written to.
    uploads: tus::Locks,
}

impl Service {
    pub(crate) fn new(
        storage: Arc<Storage>,
        settings: SupabaseSettings,
        faults: Arc<Faults>,
        journal: Arc<Journal>,
        restarts: mpsc::Sender<Restart>,
    ) -> Self {
        Self { storage, settings, faults, journal, restarts, uploads: tus::Locks::default() }
    }
}

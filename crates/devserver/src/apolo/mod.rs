//! The buckets service of an Apolo cluster, with as much of the platform as its clients ask for.
//!
//! Buckets lie on the embedded S3; the service keeps records of them and gives credentials that S3 honours: temporary
//! ones that expire, and read-only ones that cannot write. Statuses and wording are the real service's, which answers
//! most of what is wrong with 500.

mod bucket_api;
mod caller;
mod credential_api;
mod error;
mod platform;
mod schema;
mod server;
mod settings;
mod sign;
mod state;

use std::sync::Arc;

use tokio::sync::mpsc;

pub(crate) use server::Server;
pub use settings::{ApoloAction, ApoloSettings};

use crate::fault::Faults;
use crate::http::Restart;
use crate::journal::Journal;
use crate::s3::{Grant, Key, Keys, OwnBuckets};
use crate::storage::{Storage, StorageError};
use crate::supabase::time::uuid;
use state::{Credentials, State};

/// Where the service is, and what it shares.
pub(crate) struct Place {
    /// Base URL, `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    pub(crate) restarts: mpsc::Sender<Restart>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
}

/// The S3 that buckets lie on.
pub(crate) struct Provider {
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    pub(crate) buckets: Arc<OwnBuckets>,
    pub(crate) keys: Arc<Keys>,
    /// Access key and secret that open everything.
    pub(crate) master: (String, String),
}

/// The service.
pub(crate) struct Service {
    settings: ApoloSettings,
    state: State,
    place: Place,
    provider: Provider,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Service {
    pub(crate) fn open(
        storage: Arc<Storage>,
        settings: ApoloSettings,
        place: Place,
        provider: Provider,
    ) -> Result<Self, StorageError> {
        let service = Self { settings, state: State::open(storage)?, place, provider };
        for credentials in service.state.credentials() {
            service.admit(&credentials);
        }
        Ok(service)
    }

    /// Makes S3 honour persistent credentials.
    fn admit(&self, credentials: &Credentials) {
        let wanted = |id: &String| self.state.bucket(|b| b.id == *id).map(|b| b.name_at_provider);
        let names = credentials.buckets.iter().filter_map(wanted).collect();
        let grant = Grant::Buckets { names, write: !credentials.read_only };
        let key = Key { secret: credentials.secret.clone(), session: None, expires: None, grant };
        self.provider.keys.add(credentials.access_key.clone(), key);
    }
}

/// Random letters and digits.
fn random(alphabet: &str, length: usize) -> String {
    let characters: Vec<_> = alphabet.chars().collect();
    std::iter::repeat_with(|| characters[fastrand::usize(..characters.len())]).take(length).collect()
}

//! Uploads that go straight to the target.
//!
//! A gateway only says where an upload goes; from 256 KiB on it closes the connection behind that answer.
//! On a cluster that does not authenticate its clients, the client knows the place as well: the target with
//! the highest random weight in the cluster map.
//!
//! Only the gateway looks at a bucket's access mask, so a bucket that forbids something to somebody is never
//! written to directly.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use longshore_core_types::{Error, Result};
use longshore_transport::{BaseUrl, RequestOptions, TransportError};

use crate::{
    client::Client,
    cluster::MAP_LIMIT,
    error::needs_gateway,
    object::options::ObjectAt,
    smap::{ClusterMap, redirect_marks},
};

/// Age at which the map is asked for again. A target takes what it is sent, even if the object belongs
/// elsewhere, so an upload by an old map could be stored where nobody looks for it; a change of the cluster
/// takes many times longer than this to come into force.
const MAP_AGE: Duration = Duration::from_secs(5);

/// How long uploads go through the gateway after a target could not be reached.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether, and where, uploads may skip the gateway.
#[derive(Debug, Default)]
pub(crate) struct Direct(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Not on this cluster, or not wanted.
    off: bool,
    paused_until: Option<Instant>,
    map: Option<(Instant, Arc<ClusterMap>)>,
}

/// Where an upload goes, and what it must carry to be taken there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: BaseUrl,
    pub(crate) marks: [(&'static str, String); 2],
}

impl Direct {
    pub(crate) fn new(enabled: bool) -> Self {
        Self(Mutex::new(State { off: !enabled, ..State::default() }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> bool {
        let state = self.state();
        !state.off && state.paused_until.is_none_or(|until| until <= Instant::now())
    }

    /// The target of the object, unless uploads go through the gateway.
    pub(crate) async fn target(&self, client: &Client, at: &ObjectAt) -> Option<Place> {
        if !self.usable() {
            return None;
        }
        let map = match self.map(client).await {
            Ok(map) => map,
            Err(error) => {
                // The gateway will say what is wrong, if anything is.
                tracing::debug!(%error, "no cluster map");
                self.pause();
                return None;
            }
        };
        if !client.facts().is_open(client, at.bucket()).await {
            return None;
        }
        let target = map.target_of(&at.uname()).ok()?;
        let endpoint = BaseUrl::parse(&target.public_net.url, "a node").ok()?;
        Some(Place { endpoint, marks: redirect_marks(&map, SystemTime::now()) })
    }

    async fn map(&self, client: &Client) -> Result<Arc<ClusterMap>> {
        if let Some((_, map)) = self.state().map.as_ref().filter(|(taken, _)| taken.elapsed() < MAP_AGE) {
            return Ok(Arc::clone(map));
        }
        // Two uploads at once may both ask; the map is small, and waiting for each other gains nothing.
        let taken = Instant::now();
        let request = ClusterMap::request();
        let answer = client.call_at(client.gateway(), request, RequestOptions::default()).await?;
        let map = Arc::new(ClusterMap::parse(&answer.bytes(MAP_LIMIT).await?)?);
        self.state().map = Some((taken, Arc::clone(&map)));
        Ok(map)
    }

    /// Whether a failed direct upload may be sent through the gateway instead: only if the target surely
    /// kept nothing of it.
    pub(crate) fn fall_back(&self, error: &Error) -> bool {
        if needs_gateway(error) {
            self.state().off = true;
            return true;
        }
        let unsent = TransportError::find(error).is_some_and(|error| !error.sent().anything);
        if unsent {
            self.pause();
        }
        unsent
    }

    fn pause(&self) {
        let mut state = self.state();
        state.map = None;
        state.paused_until = Some(Instant::now() + PAUSE);
    }
}

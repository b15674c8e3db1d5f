//! Connections to one server, kept for the next request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use http::HeaderValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

#[cfg(feature = "http2")]
use super::http2::{Multiplexed, Slot};
use super::{conn::Conn, proxy::Via};
use crate::{Phase, PoolConfig, Progress, TransportError, TransportErrorKind, endpoint::Endpoint};

/// The servers that were asked so far.
pub(super) struct Pool {
    config: PoolConfig,
    origins: RwLock<HashMap<Endpoint, Arc<Origin>>>,
}

/// One server.
pub(super) struct Origin {
    pub(super) endpoint: Endpoint,
    /// Prebuilt `Host`.
    pub(super) host: HeaderValue,
    pub(super) via: Option<Via>,
    #[cfg(feature = "http2")]
    pub(super) http2: Slot,
    idle_limit: Duration,
    /// One permit per connection in use. The semaphore is fair: first come, first served.
    permits: Arc<Semaphore>,
    /// The latest one last, and taken first: the others may grow too old and go.
    idle: Mutex<Vec<(Conn, Instant)>>,
}

/// The right to one connection, and the connection once there is one.
pub(super) struct Lease {
    conn: Option<Conn>,
    /// Instead of a connection of its own.
    #[cfg(feature = "http2")]
    shared: Option<Arc<Multiplexed>>,
    origin: Arc<Origin>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self { config, origins: RwLock::default() }
    }

    pub(super) fn origin(
        &self,
        endpoint: &Endpoint,
        via: impl FnOnce() -> Result<Option<Via>, TransportError>,
    ) -> Result<Arc<Origin>, TransportError> {
        let origins = self.origins.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = origins.get(endpoint) {
            return Ok(Arc::clone(origin));
        }
        drop(origins);
        let origin = Arc::new(Origin {
            host: host(endpoint)?,
            via: via()?,
            #[cfg(feature = "http2")]
            http2: Slot::default(),
            idle_limit: self.config.idle,
            permits: Arc::new(Semaphore::new(self.config.max_per_host.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            endpoint: endpoint.clone(),
        });
        let mut origins = self.origins.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(origins.entry(endpoint.clone()).or_insert(origin)))
    }

    /// Closes what has been idle too long, at every server. Nothing runs in the background, so this is
    /// done when a new connection is made, and a server's own when it is used.
    pub(super) fn sweep(&self) {
        for origin in self.origins.read().unwrap_or_else(PoisonError::into_inner).values() {
            #[cfg(feature = "http2")]
            origin.http2.sweep(origin.idle_limit);
            origin
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|(_, since)| origin.keeps(*since));
        }
    }
}

impl Origin {
    /// Waits in line for the right to a connection, and takes an idle one if there is one.
    pub(super) async fn lease(self: &Arc<Self>, progress: &Progress) -> Result<Lease, TransportError> {
        let permit = if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            permit
        } else {
            progress.enter(Phase::Local);
            let closed = |_| TransportError::new(TransportErrorKind::Connect, "the pool is closed");
            Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?
        };
        Ok(Lease {
            conn: self.take(),
            #[cfg(feature = "http2")]
            shared: None,
            origin: Arc::clone(self),
            _permit: permit,
        })
    }

    /// The connection that all requests share, if there is one.
    #[cfg(feature = "http2")]
    pub(super) fn multiplexed(&self) -> Option<Arc<Multiplexed>> {
        self.http2.get(self.idle_limit)
    }

    fn take(&self) -> Option<Conn> {
        loop {
            // The lock is not held while the connection is tried.
            let (mut conn, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if self.keeps(since) && conn.is_usable() {
                return Some(conn);
            }
        }
    }

    fn keeps(&self, since: Instant) -> bool {
        since.elapsed() < self.idle_limit
    }

    /// Closes all idle connections: one of them turned out to be dead, the others likely are.
    pub(super) fn close_idle(&self) {
        let closed = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(closed);
    }
}

impl Lease {
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.origin.endpoint
    }

    pub(super) fn conn(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }

    /// The exchange takes place on this connection.
    #[cfg(feature = "http2")]
    pub(super) fn share(&mut self, shared: Arc<Multiplexed>) {
        self.shared = Some(shared);
    }

    /// Whether somebody else drives the connection.
    #[cfg(feature = "http2")]
    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    pub(super) fn take(&mut self) -> Option<Conn> {
        self.conn.take()
    }

    pub(super) fn set(&mut self, conn: Conn) -> &mut Conn {
        self.conn.insert(conn)
    }

    pub(super) fn discard(&mut self) {
        self.conn = None;
    }

    /// The exchange is over, both ways: keeps the connection. Whether it can take another one is found out
    /// by who wants it.
    pub(super) fn give_back(mut self) {
        #[cfg(feature = "http2")]
        if self.shared.is_some() {
            self.origin.http2.touch();
        }
        let Some(conn) = self.conn.take().filter(|conn| !conn.has_ended()) else { return };
        if self.origin.idle_limit.is_zero() {
            return;
        }
        let mut idle = self.origin.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // The oldest are in front.
        let old = idle.iter().take_while(|(_, since)| !self.origin.keeps(*since)).count();
        idle.drain(..old);
        idle.push((conn, Instant::now()));
    }
}

fn host(endpoint: &Endpoint) -> Result<HeaderValue, TransportError> {
    let default = if endpoint.https { 443 } else { 80 };
    let host = endpoint.host();
    if host.is_empty() {
        return Err(TransportError::new(TransportErrorKind::InvalidRequest, "the URL has no host"));
    }
    let text = match endpoint.authority.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    HeaderValue::try_from(text).map_err(|_| {
        TransportError::new(TransportErrorKind::InvalidRequest, "the host cannot stand in a header")
    })
}

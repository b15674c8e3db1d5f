//! How many connections to keep, and for how long.

use std::time::Duration;

/// Limits of the connection pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Most connections to one server at one time, used and idle; over HTTP/2, most requests. 128. Further requests wait in line,
    /// first come, first served.
    pub max_per_host: usize,
    /// How long an unused connection is kept. 5 s.
    ///
    /// Shorter than what servers grant, or a request meets a connection that the server is closing:
    /// AIStore's own client takes 6 s.
    pub idle: Duration,
    /// Whether to speak HTTP/2 with servers that offer it over TLS. Off.
    #[cfg(feature = "http2")]
    pub http2: Http2,
}

/// Whether to speak HTTP/2.
#[cfg(feature = "http2")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// HTTP/1.1 only: the default, as bodies are what this is for. Many bodies over one connection share
    /// one congestion window, one core for TLS, and the server's windows of flow control, and are slower
    /// than over a connection each.
    #[default]
    Off,
    /// HTTP/2 where the server chooses it when the connection is made (ALPN), over one connection for all
    /// requests to it; HTTP/1.1 elsewhere, and always without TLS. Good for many small calls to a distant
    /// server.
    Negotiated,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_per_host: 128,
            idle: Duration::from_secs(5),
            #[cfg(feature = "http2")]
            http2: Http2::Off,
        }
    }
}

impl PoolConfig {
    /// Sets the most connections to one server at one time.
    #[must_use]
    pub fn max_per_host(mut self, limit: usize) -> Self {
        self.max_per_host = limit;
        self
    }

    /// Sets how long an unused connection is kept; zero keeps none.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// Sets whether to speak HTTP/2.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    pub(super) fn faults(&self) -> Option<String> {
        (self.max_per_host == 0)
            .then(|| "pool.max_per_host is 0, so no request could ever be sent".to_owned())
    }
}

//! Settings of a [`Transport`](crate::Transport).

mod pool;
mod proxy;
mod retry;
mod timeouts;
mod tls;

use http::HeaderValue;

#[cfg(feature = "http2")]
pub use self::pool::Http2;
pub use self::{
    pool::PoolConfig,
    proxy::ProxyConfig,
    retry::{BudgetConfig, Jitter, RetryConfig},
    timeouts::TimeoutConfig,
    tls::{Identity, TlsConfig},
};

/// Everything that the default stack can be told.
///
/// ```
/// # use std::time::Duration;
/// # use longshore_transport::{RetryConfig, TimeoutConfig, TransportConfig};
/// let config = TransportConfig::default()
///     .retry(RetryConfig::default().max_attempts(3))
///     .timeouts(TimeoutConfig::default().connect(Duration::from_secs(2)));
/// assert_eq!(config.retry.max_attempts, 3);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransportConfig {
    /// How long each step may take.
    pub timeouts: TimeoutConfig,
    /// When a request is sent again.
    pub retry: RetryConfig,
    /// Whom to trust, and who we are, for `https`.
    pub tls: TlsConfig,
    /// Which proxy to use. By default what the environment says.
    pub proxy: ProxyConfig,
    /// How many connections to keep, and for how long.
    pub pool: PoolConfig,
    /// Most exchanges at one time, over all servers; further ones wait in line. An exchange lasts until
    /// its answer's body ends or is dropped. No limit by default: the pool has one for each server.
    pub max_in_flight: Option<usize>,
    /// Most redirects of one request, 5 by default.
    pub max_redirects: usize,
    /// `User-Agent` of requests that have none.
    pub user_agent: Option<HeaderValue>,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            timeouts: TimeoutConfig::default(),
            retry: RetryConfig::default(),
            tls: TlsConfig::default(),
            proxy: ProxyConfig::default(),
            pool: PoolConfig::default(),
            max_in_flight: None,
            max_redirects: 5,
            user_agent: Some(HeaderValue::from_static(concat!("longshore/", env!("CARGO_PKG_VERSION")))),
        }
    }
}

impl TransportConfig {
    /// Sets the time-outs.
    #[must_use]
    pub fn timeouts(mut self, timeouts: TimeoutConfig) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the retry policy.
    #[must_use]
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.retry = retry;
        self
    }

    /// Sets trust and identity for `https`.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: ProxyConfig) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sets the limits of the connection pool.
    #[must_use]
    pub fn pool(mut self, pool: PoolConfig) -> Self {
        self.pool = pool;
        self
    }

    /// Sets the most exchanges at one time; at least one.
    #[must_use]
    pub fn max_in_flight(mut self, limit: usize) -> Self {
        self.max_in_flight = Some(limit);
        self
    }

    /// Sets the most redirects of one request.
    #[must_use]
    pub fn max_redirects(mut self, limit: usize) -> Self {
        self.max_redirects = limit;
        self
    }

    /// Sets the `User-Agent` of requests that have none; `None` sends none.
    #[must_use]
    pub fn user_agent(mut self, agent: Option<HeaderValue>) -> Self {
        self.user_agent = agent;
        self
    }

    /// What is wrong with the settings, each as a sentence.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.retry.faults();
        faults.extend(self.timeouts.faults());
        faults.extend(self.pool.faults());
        faults.extend(self.tls.faults());
        faults.extend(self.proxy.faults());
        if self.max_in_flight == Some(0) {
            faults.push("max_in_flight is 0, so no request could ever be sent".to_owned());
        }
        faults
    }
}

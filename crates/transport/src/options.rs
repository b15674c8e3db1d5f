//! How one request is to be sent.

use std::time::{Duration, Instant};

use crate::TimeoutConfig;

/// Travels in the extensions of a request and overrides the configuration for it.
///
/// ```
/// # use std::time::Duration;
/// # use longshore_transport::RequestOptions;
/// # use longshore_core_types::Payload;
/// let mut request = http::Request::put("http://localhost:8080/v1/objects/b/o").body(Payload::from("…"))?;
/// request.extensions_mut().insert(RequestOptions::default().expect_continue(Duration::from_secs(1)));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RequestOptions {
    /// Replaces the configured time-outs.
    pub timeouts: Option<TimeoutConfig>,
    /// No part of the call, the reading of the answer's body included, lasts beyond this moment.
    pub deadline: Option<Instant>,
    /// Sends the head with `Expect: 100-continue` and the body only when the server answers 100, or has
    /// been silent for this long. After a final status the body is never sent.
    pub expect_continue: Option<Duration>,
}

impl RequestOptions {
    /// Replaces the configured time-outs.
    #[must_use]
    pub fn timeouts(mut self, timeouts: TimeoutConfig) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Ends the call, the reading of the answer's body included, at this moment.
    #[must_use]
    pub fn deadline(mut self, at: Instant) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Waits for the server's consent before the body, at most this long (1 s is usual).
    #[must_use]
    pub fn expect_continue(mut self, silence: Duration) -> Self {
        self.expect_continue = Some(silence);
        self
    }
}

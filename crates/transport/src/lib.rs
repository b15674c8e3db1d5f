//! One HTTP client built from tower layers: retry, credentials, redirects, time-outs, tracing, limits.
//!
//! ```
//! use longshore_transport::{RetryConfig, Transport, TransportConfig};
//!
//! let transport = Transport::builder()
//!     .config(TransportConfig::default().retry(RetryConfig::default().max_attempts(3)))
//!     .build()?;
//! # Ok::<(), longshore_core_types::Error>(())
//! ```

pub mod body;
pub mod layers;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod builder;
mod client;
mod config;
mod endpoint;
mod error;
mod options;
mod progress;
mod replay;
mod service;

pub use self::{
    builder::TransportBuilder,
    config::{
        BudgetConfig, Identity, Jitter, PoolConfig, ProxyConfig, RetryConfig, TimeoutConfig, TlsConfig,
        TransportConfig,
    },
    error::{Sent, TransportError, TransportErrorKind},
    layers::{
        auth::{BearerToken, CredentialProvider, Credentials, Token, TokenCache, TokenSource},
        redirect::{ClusterRedirects, RedirectAction, RedirectHop, RedirectPolicy},
        retry::{Attempts, Decision, RetryClassifier, StandardClassifier, retry_after},
    },
    options::RequestOptions,
    progress::{Phase, Progress},
    service::{HttpRequest, HttpResponse, HttpService, ResponseBody, Transport},
};

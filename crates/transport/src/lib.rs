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

mod builder;
mod client;
mod config;
mod error;
mod options;
mod service;

pub use self::{
    builder::TransportBuilder,
    config::{
        BudgetConfig, Identity, Jitter, PoolConfig, ProxyConfig, RetryConfig, TimeoutConfig, TlsConfig,
        TransportConfig,
    },
    error::{Sent, TransportError, TransportErrorKind},
    layers::{
        auth::{BearerToken, CredentialProvider, Credentials},
        redirect::{ClusterRedirects, RedirectAction, RedirectHop, RedirectPolicy},
        retry::{Decision, RetryClassifier, StandardClassifier},
    },
    options::RequestOptions,
    service::{HttpRequest, HttpResponse, HttpService, ResponseBody, Transport},
};

#![doc = include_str!("../README.md")]

pub mod body;
pub mod layers;
#[doc(hidden)]
pub mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod base_url;
mod builder;
mod client;
mod config;
mod encode;
mod endpoint;
mod error;
mod options;
mod progress;
mod replay;
mod service;

#[cfg(feature = "http2")]
pub use self::config::Http2;
pub use self::{
    base_url::BaseUrl,
    builder::TransportBuilder,
    client::{ClientBody, HttpClient},
    config::{
        BudgetConfig, Identity, Jitter, PoolConfig, ProxyConfig, RetryConfig, TimeoutConfig, TlsConfig,
        TransportConfig,
    },
    encode::{Query, encode_path, encode_segment},
    error::{Sent, TransportError, TransportErrorKind},
    layers::{
        auth::{
            BearerToken, CredentialProvider, Credentials, Token, TokenCache, TokenSource, read_token_file,
        },
        redirect::{ClusterRedirects, RedirectAction, RedirectHop, RedirectPolicy},
        retry::{Attempts, Decision, RetryClassifier, StandardClassifier, retry_after},
    },
    options::RequestOptions,
    progress::{Phase, Progress},
    service::{HttpRequest, HttpResponse, HttpService, ResponseBody, Transport},
};

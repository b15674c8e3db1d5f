#![doc = include_str!("../README.md")]

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
    client::{ClientBody, HttpClient},
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

#[cfg(test)]
mod tests {
    /// The README shows what a dependant gets; it must be what the manifest says.
    #[test]
    fn the_readme_lists_the_dependencies() {
        let manifest = include_str!("../Cargo.toml");
        let (_, after) = manifest.split_once("[dependencies]\n").unwrap();
        let (section, _) = after.split_once("\n[").unwrap();
        let name = |line: &'static str| line.split(['.', ' ', '=']).next().unwrap();
        let wanted: Vec<_> = section.lines().map(name).filter(|name| !name.is_empty()).collect();
        let readme = include_str!("../README.md").lines();
        let shown: Vec<_> = readme.filter_map(|line| line.split_once("── ").map(|(_, name)| name)).collect();
        assert_eq!(shown, wanted);
    }
}

//! Which proxy to use.

use http::{Uri, uri::Scheme};
use longshore_core_types::Secret;

/// Where requests go through.
///
/// `http` requests are sent to the proxy with their full URL, `https` ones through a `CONNECT` tunnel.
/// The proxy itself is spoken to in plain HTTP.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ProxyConfig {
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case. Loopback addresses
    /// are always reached directly. The environment is read when the transport is built; a variable that
    /// holds no URL of a proxy fails the requests that it is for.
    #[default]
    Environment,
    /// No proxy, whatever the environment says.
    Direct,
    /// These proxies, whatever the environment says. Each may hold `user:password@`.
    Explicit {
        /// For `http` URLs, such as `http://proxy:3128`.
        http: Option<Secret>,
        /// For `https` URLs.
        https: Option<Secret>,
        /// Hosts to reach directly, as in `NO_PROXY`: names, domains, addresses, networks, with commas.
        except: String,
    },
}

impl ProxyConfig {
    /// One proxy for everything.
    pub fn all(url: impl Into<Secret>) -> Self {
        let url = url.into();
        Self::Explicit { http: Some(url.clone()), https: Some(url), except: String::new() }
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let Self::Explicit { http, https, .. } = self else { return Vec::new() };
        let wrong = |(name, url): (&str, &Option<Secret>)| {
            let uri = url.as_ref()?.expose().parse::<Uri>();
            // The URL itself may hold a password and is not shown.
            let usable =
                |uri: Uri| uri.host().is_some() && uri.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
            let usable = uri.is_ok_and(usable);
            (!usable).then(|| format!("the proxy for {name} is no http://host:port URL"))
        };
        [("http", http), ("https", https)].into_iter().filter_map(wrong).collect()
    }
}

//! From a host name to a connection.

use std::{io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use longshore_core_types::Result;
use tokio::net::{TcpStream, lookup_host};

use super::{
    proxy::{self, Proxies, Via},
    stream::Kind,
};
use crate::{TransportConfig, TransportError, TransportErrorKind, endpoint::Endpoint};

/// An address that does not answer at once gets company after this time (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

pub(super) struct Connector {
    proxies: Proxies,
    #[cfg(feature = "rustls")]
    tls: super::tls::Tls,
    #[cfg(feature = "http2")]
    http2: bool,
}

impl Connector {
    #[cfg_attr(
        not(feature = "rustls"),
        expect(clippy::unnecessary_wraps, reason = "TLS settings can be wrong")
    )]
    pub(super) fn new(config: &TransportConfig) -> Result<Self> {
        Ok(Self {
            proxies: Proxies::new(&config.proxy),
            #[cfg(feature = "rustls")]
            tls: super::tls::Tls::new(config)?,
            #[cfg(feature = "http2")]
            http2: config.pool.http2 == crate::Http2::Negotiated,
        })
    }

    /// Whether a server is asked for HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn negotiates(&self, origin: &super::pool::Origin) -> bool {
        self.http2 && origin.endpoint.https
    }

    pub(super) fn proxy(&self, server: &Endpoint) -> Result<Option<Via>, TransportError> {
        self.proxies.find(server)
    }

    /// A connection to the server, TLS included, within `limit`.
    pub(super) async fn connect(
        &self,
        server: &Endpoint,
        via: Option<&Via>,
        limit: Option<Duration>,
    ) -> Result<Kind, TransportError> {
        let work = self.open(server, via);
        let outcome = match limit {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                Err(TransportError::new(
                    TransportErrorKind::Connect,
                    format!("no connection within {limit:?}"),
                ))
            }),
        };
        outcome.map_err(|error| error.with_endpoint(server.to_string()))
    }

    async fn open(&self, server: &Endpoint, via: Option<&Via>) -> Result<Kind, TransportError> {
        let mut tcp = dial(via.map_or(server, |via| &via.endpoint)).await.map_err(|error| {
            let what = match via {
                Some(via) => format!("cannot connect to the proxy {}", via.endpoint),
                None => "cannot connect".to_owned(),
            };
            TransportError::new(TransportErrorKind::Connect, what).with_source(error)
        })?;
        if !server.https {
            return Ok(Kind::Plain(tcp));
        }
        if let Some(via) = via {
            proxy::tunnel(&mut tcp, via, server).await?;
        }
        #[cfg(feature = "rustls")]
        {
            Ok(Kind::Tls(Box::new(self.tls.handshake(server.host(), tcp).await?)))
        }
        #[cfg(not(feature = "rustls"))]
        {
            let why = "https needs the feature `rustls`, which this build does not have";
            Err(TransportError::new(TransportErrorKind::InvalidRequest, why))
        }
    }
}

/// Tries all addresses of a host, each a little after the one before it; the first connection wins.
async fn dial(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let host = endpoint.host().trim_start_matches('[').trim_end_matches(']');
    let mut addresses = interleave(lookup_host((host, endpoint.port())).await?).into_iter();
    let mut running = FuturesUnordered::new();
    let mut fault = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match addresses.next() {
            Some(address) => running.push(TcpStream::connect(address)),
            None if running.is_empty() => return Err(fault),
            None => {}
        }
        let outcome = if addresses.len() > 0 {
            let Ok(outcome) = tokio::time::timeout(NEXT_ADDRESS, running.next()).await else { continue };
            outcome
        } else {
            running.next().await
        };
        match outcome {
            Some(Ok(tcp)) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Some(Err(error)) => fault = error,
            None => {}
        }
    }
}

/// IPv6 and IPv4 by turns, in the resolver's order: if one of them leads nowhere, the other is next.
fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let all: Vec<_> = addresses.collect();
    let first_is_v6 = all.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = all.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut mixed = Vec::new();
    for address in first {
        mixed.push(address);
        mixed.extend(second.next());
    }
    mixed.extend(second);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: [&str; 4]| list.map(|a| a.parse::<SocketAddr>().unwrap());
        let given = parse(["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(interleave(given.into_iter()), parse(["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
    }
}

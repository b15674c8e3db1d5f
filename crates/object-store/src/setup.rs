//! How requests go out: what the builders of all clouds have in common.

use std::time::Duration;

use longshore_core_types::Result;
use longshore_transport::{CredentialProvider, Transport, TransportBuilder, TransportConfig};

/// Longest time that making a connection to a token service may take. Where there is none, nothing answers at all.
const TOKEN_CONNECT: Duration = Duration::from_secs(2);

/// The transport of the requests to the store.
pub(crate) fn transport(
    builder: TransportBuilder,
    config: TransportConfig,
    credentials: Option<impl CredentialProvider>,
) -> Result<Transport> {
    let builder = builder.config(config);
    match credentials {
        Some(credentials) => builder.credentials(credentials).build(),
        None => builder.build(),
    }
}

/// The transport of requests for tokens: without the caller's layers, which are for the store's requests.
pub(crate) fn token_transport(builder: &TransportBuilder, config: &TransportConfig) -> Result<Transport> {
    let mut config = config.clone();
    let connect = config.timeouts.connect.map_or(TOKEN_CONNECT, |limit| limit.min(TOKEN_CONNECT));
    config.timeouts.connect = Some(connect);
    builder.sibling().config(config).build()
}

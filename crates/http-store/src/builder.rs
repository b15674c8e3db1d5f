//! Settings of a store.

use longshore_core_types::{ObjectKey, Result};
use longshore_transport::Transport;

use crate::{HttpStore, address::Address};

/// Settings of an [`HttpStore`]. Building does no I/O.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct HttpStoreBuilder {
    // Never shown: it may hold a signature, or a password that is refused later.
    url: longshore_core_types::Secret,
    transport: Option<Transport>,
    ranges: bool,
    max_unsized: u64,
}

impl HttpStoreBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned().into(), transport: None, ranges: true, max_unsized: 32 << 20 }
    }

    /// Sends everything through this transport. By default one with the default settings, without credentials.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Whether the server has ranges, which is assumed; [`HttpStore::probe`] asks it.
    pub fn ranges(mut self, ranges: bool) -> Self {
        self.ranges = ranges;
        self
    }

    /// Largest object in bytes that is read into memory where the server does not state its length; 32 MiB by
    /// default.
    pub fn max_unsized(mut self, bytes: u64) -> Self {
        self.max_unsized = bytes;
        self
    }

    /// The store of all names under the URL. A query of the URL goes with each request.
    ///
    /// `InvalidInput` if this is no URL of a web server; `InvalidConfig` if the transport cannot be built.
    pub fn build(self) -> Result<HttpStore> {
        let address = Address::base(self.url.expose())?;
        self.store(address)
    }

    /// The store of the folder that the URL lies in, and the name of the object that it is.
    ///
    /// `InvalidInput` if this is no URL of an object; `InvalidConfig` if the transport cannot be built.
    pub fn build_object(self) -> Result<(HttpStore, ObjectKey)> {
        let (address, key) = Address::object(self.url.expose())?;
        Ok((self.store(address)?, key))
    }

    fn store(self, address: Address) -> Result<HttpStore> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => Transport::builder().build()?,
        };
        HttpStore::new(address, transport, self.ranges, self.max_unsized)
    }
}

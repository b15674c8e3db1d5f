//! Azure Blob Storage, over an emulator that runs already: `cargo xtask test peers azurite` starts one.

use longshore_blob_api::AnyStore;
use longshore_object_store::azure::AzureBuilder;

use super::{Backend, Context, Fault, Opened};

/// Where the emulator is. Nothing but loopback is asked.
const URL: &str = "LONGSHORE_AZURITE_URL";

/// One container of the emulator for all cases; none without an emulator.
pub(crate) fn backend() -> Option<Backend> {
    std::env::var_os(URL).map(|_| Backend { name: "azurite", open, except: &[] })
}

fn open(context: &Context) -> Result<Opened, Fault> {
    let url = std::env::var(URL)?;
    if !url.starts_with("http://127.0.0.1:") {
        return Err(format!("{URL} must be an address on loopback, not {url}").into());
    }
    let store = AzureBuilder::new("conformance").emulator(&url).build()?;
    context.run(store.create_container())??;
    Ok(Opened::new(AnyStore::new(store)))
}

//! Azure Blob Storage.

mod config;
mod credentials;
mod error;
mod sign;
mod store;
mod store_copy;
mod store_list;
mod upload;
mod wire;

pub use config::AzureBuilder;
pub use credentials::AzureCredentials;
pub use store::AzureStore;

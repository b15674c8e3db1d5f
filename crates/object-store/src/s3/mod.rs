//! Amazon S3, and stores with its API.

mod client;
mod config;
mod credentials;
mod endpoint;
mod error;
mod exact;
mod sign;
mod store;
mod store_copy;
mod store_list;
mod wire;

pub use config::S3Builder;
pub use credentials::AwsCredentials;
pub use store::S3Store;

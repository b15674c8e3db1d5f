//! Amazon S3, and stores with its API.

mod config;
mod credentials;
mod error;
mod flavor;
mod refusals;
mod sign;
mod store;
mod store_copy;
mod store_list;
mod wire;

pub use config::S3Builder;
pub use credentials::AwsCredentials;
#[cfg(feature = "gcs")]
pub(crate) use error::from_response as google_error;
pub use store::S3Store;
#[cfg(feature = "gcs")]
pub(crate) use store::google;

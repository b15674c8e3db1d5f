//! Google Cloud Storage, by its XML interface: that of S3, with other names for headers.

mod config;
mod credentials;
mod sign;
mod store;
mod translate;

pub use config::GcsBuilder;
pub use credentials::GcsCredentials;
pub(crate) use sign::UrlSigner;
pub use store::GcsStore;
pub(crate) use translate::{answer as translate_answer, request as translate_request};

//! Google Cloud Storage, by its XML interface: that of S3, with other names for headers. Buckets are listed, made and
//! removed by its JSON interface.

mod buckets;
mod config;
mod credentials;
mod error;
mod sign;
mod store;
mod translate;

pub use config::GcsBuilder;
pub use credentials::GcsCredentials;
pub(crate) use error::from_response as read_error;
pub(crate) use sign::UrlSigner;
pub use store::GcsStore;
pub(crate) use translate::{answer as translate_answer, request as translate_request};

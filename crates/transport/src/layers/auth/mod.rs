//! Credentials.

mod provider;

pub use provider::{BearerToken, CredentialProvider, Credentials};

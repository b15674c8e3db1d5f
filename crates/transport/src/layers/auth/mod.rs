//! Credentials: where they come from, and the layer that puts them on requests.

mod cache;
mod file;
mod layer;
mod provider;

pub use self::{
    cache::{Token, TokenCache, TokenSource},
    file::read_token_file,
    layer::{Auth, AuthLayer},
    provider::{BearerToken, CredentialProvider, Credentials},
};

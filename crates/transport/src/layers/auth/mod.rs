//! Credentials: where they come from, and the layer that puts them on requests.

mod cache;
mod layer;
mod provider;

pub use self::{
    cache::{Token, TokenCache, TokenSource},
    layer::{Auth, AuthLayer},
    provider::{BearerToken, CredentialProvider, Credentials},
};

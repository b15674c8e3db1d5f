#![doc = include_str!("../README.md")]

mod behind;
mod buckets;
mod client;
mod config;
mod connect;
mod encoded;
mod error;
mod ignore;
mod model;
mod ndjson;
mod pattern;
mod persistent;
mod renewing;
mod store;
mod tree;
mod uri;
mod wire;

pub use buckets::{BucketStream, Buckets, NewImport};
pub use client::Client;
pub use config::ClientBuilder;
pub use ignore::IgnoreFile;
pub use model::{Bucket, BucketCredentials, CredentialMap, PersistentCredentials, Provider};
pub use persistent::PersistentKeys;
pub use store::{Store, Usage};
pub use tree::EntryStream;
pub use uri::{BlobUri, UriDefaults};

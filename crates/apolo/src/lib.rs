#![doc = include_str!("../README.md")]

mod behind;
mod buckets;
mod client;
mod clock;
mod config;
mod connect;
mod encoded;
mod error;
mod faults;
#[cfg(feature = "transfer")]
mod files;
mod ignore;
#[cfg(feature = "platform-config")]
mod login;
mod model;
mod ndjson;
mod pattern;
mod persistent;
mod place;
mod platform;
mod renewing;
mod store;
mod tree;
mod uri;
mod wire;

pub use buckets::{BucketStream, Buckets, NewImport};
pub use client::Client;
pub use config::ClientBuilder;
#[cfg(feature = "transfer")]
pub use files::{Copied, FileCopy, FileEvent, Files, Location, TreeCopy};
pub use ignore::IgnoreFile;
pub use model::{Bucket, BucketCredentials, CredentialMap, PersistentCredentials, Provider};
pub use persistent::PersistentKeys;
pub use store::{Store, Usage};
pub use tree::{EntryStream, Removed};
pub use uri::{BlobUri, UriDefaults};

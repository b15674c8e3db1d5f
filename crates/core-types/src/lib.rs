#![doc = include_str!("../README.md")]

pub mod call;
pub mod checksum;
pub mod error;
pub mod key;
pub mod meta;
pub mod payload;
pub mod pressure;
pub mod range;
pub mod retry;
pub mod secret;
pub mod store_url;

pub use call::{CallInfo, Resource};
pub use checksum::{Checksum, ChecksumKind};
pub use error::{Error, ErrorKind, Result};
pub use key::{BucketName, ObjectKey};
pub use meta::{Attributes, ObjectMeta};
pub use payload::Payload;
pub use pressure::Pressure;
pub use range::{ByteRange, ContentRange};
pub use retry::{Idempotency, Retryability};
pub use secret::Secret;
pub use store_url::{Location, Namespace, Scheme, StoreUrl};

/// An error of any type, as tower middleware and body streams pass it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

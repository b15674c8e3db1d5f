#![doc = include_str!("../README.md")]

#[cfg(any(feature = "v0_13", feature = "v0_14"))]
mod adapter;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(feature = "connector")]
mod connector;
#[cfg(feature = "_cloud")]
pub mod credentials;
#[cfg(feature = "gcs")]
pub mod gcs;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "_cloud")]
mod setup;
#[cfg(feature = "v0_13")]
pub mod v0_13;
#[cfg(feature = "v0_14")]
pub mod v0_14;
#[cfg(feature = "_cloud")]
mod wire;

#[cfg(feature = "connector")]
pub use connector::TransportConnector;

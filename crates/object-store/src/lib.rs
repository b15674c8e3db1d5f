#![doc = include_str!("../README.md")]

#[cfg(any(feature = "v0_13", feature = "v0_14"))]
mod adapter;
#[cfg(feature = "connector")]
mod connector;
#[cfg(feature = "cloud")]
pub mod credentials;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "cloud")]
mod setup;
#[cfg(feature = "v0_13")]
pub mod v0_13;
#[cfg(feature = "v0_14")]
pub mod v0_14;

#[cfg(feature = "connector")]
pub use connector::TransportConnector;

#![doc = include_str!("../README.md")]

#[cfg(any(feature = "v0_13", feature = "v0_14"))]
mod adapter;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "v0_13")]
pub mod v0_13;
#[cfg(feature = "v0_14")]
pub mod v0_14;

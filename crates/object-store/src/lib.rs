#![doc = include_str!("../README.md")]

#[cfg(feature = "s3")]
pub mod s3;

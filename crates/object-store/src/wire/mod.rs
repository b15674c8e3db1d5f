//! Requests and answers, as all clouds have them.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod endpoint;
pub(crate) mod exact;
#[cfg(any(feature = "azure", feature = "s3"))]
pub(crate) mod pages;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod sign;
pub(crate) mod xml;

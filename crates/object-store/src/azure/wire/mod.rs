//! Requests and answers of Azure, as pure functions: parameters to a request, an answer to a value.
//!
//! Nothing here does I/O.

pub(super) mod answer;
pub(super) mod request;
pub(super) mod xml;

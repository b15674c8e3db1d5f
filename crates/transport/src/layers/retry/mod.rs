//! Sending a request again.

mod classify;

pub use classify::{Decision, RetryClassifier, StandardClassifier};

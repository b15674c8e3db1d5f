//! The layers of the default stack, each public and each usable in a stack of your own.

pub mod auth;
pub mod deadline;
pub mod inflight;
pub mod redirect;
pub mod retry;
pub mod timeout;
pub mod trace;

mod attempt;
mod erase;
mod standard;

pub use erase::erase;
pub(crate) use standard::{Layers, Standard};

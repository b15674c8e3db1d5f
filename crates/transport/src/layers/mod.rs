//! The layers of the default stack, each public and each usable in a stack of your own.

pub mod auth;
pub mod redirect;
pub mod retry;

mod erase;

pub(crate) use erase::erase;

//! Archives: reading what is inside them, and writing them.

mod append;
mod get;
mod grow;
mod job;
mod pipe;
mod shard;
mod tar;
mod write;
mod zip;
mod zip_write;

pub(crate) use append::append;
pub(crate) use get::{Wanted, check_query, explain, get, members, open_member};
pub(crate) use job::archive;
pub(crate) use pipe::{Pipe, pipe};
pub(crate) use shard::{Format, Shard};
pub(crate) use write::Archiver;

//! Trees of files and the objects that they become.

mod batch;
mod download;
mod filter;
mod names;
mod offenders;
mod running;
mod upload;
mod walk;

pub use self::{
    download::DownloadDir,
    filter::{Filter, FilterBuilder},
    upload::UploadDir,
    walk::SymlinkPolicy,
};
pub(crate) use self::{
    names::{Place, as_prefix, key_of, place},
    offenders::Offenders,
    walk::{Found, walk_in_order},
};

//! Trees of files and the objects that they become.

mod batch;
mod clash;
mod download;
mod filter;
mod names;
mod offenders;
mod running;
mod upload;
mod walk;

pub(crate) use self::{
    clash::{Fold, Taken},
    names::{as_prefix, key_of},
    offenders::Offenders,
    walk::{Found, walk_in_order},
};
pub use self::{
    download::DownloadDir,
    filter::{Filter, FilterBuilder},
    names::path_below,
    upload::UploadDir,
    walk::SymlinkPolicy,
};

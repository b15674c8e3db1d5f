//! Directories and prefixes.

mod batch;
mod download;
mod names;
mod running;
mod upload;
mod walk;

pub use download::DownloadDir;
pub use upload::UploadDir;
pub use walk::SymlinkPolicy;

//! TAR archives as streams, both ways.

pub(crate) mod append;
pub(crate) mod read;
pub(crate) mod write;

/// Everything in an archive is a multiple of this.
pub(crate) const BLOCK: usize = 512;

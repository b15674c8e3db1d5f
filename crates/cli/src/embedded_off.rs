//! What takes the place of the embedded server in a build without it.

use std::path::Path;

use crate::{failure::Failure, interrupt::Interrupt, output::Output};

/// There is none.
#[derive(Debug)]
pub(crate) enum Embedded {}

impl Embedded {
    /// Says that an endpoint must be given.
    #[expect(clippy::unused_async, reason = "stands in for a function that waits")]
    pub(crate) async fn open(_dir: &Path) -> Result<Self, Failure> {
        Err(Failure::usage(
            "no AIStore endpoint is known, and this build has no embedded server (feature `dev`)",
        ))
    }

    pub(crate) fn aistore(&self) -> &str {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "stands in for a function that waits")]
    pub(crate) async fn close(self, _out: &Output, _interrupt: &Interrupt) {
        match self {}
    }
}

//! A transfer that runs in the background.

use std::{fmt, future::Future};

use longshore_core_types::ErrorKind;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    cancel::CancelToken,
    error::{Result, TransferError, cancelled, task_failed},
    progress::Progress,
};

/// A transfer that runs in the background and completes by itself.
///
/// Dropping the handle stops the work at once: temporary files are removed, but an upload in parts stays at the
/// store without being aborted, since nobody is left to wait for that. [`abort`](Self::abort) does.
#[must_use = "dropping a handle stops the transfer"]
pub struct TransferHandle<T> {
    task: JoinSet<Result<T>>,
    progress: watch::Receiver<Progress>,
    cancel: CancelToken,
}

impl<T: Send + 'static> TransferHandle<T> {
    pub(crate) fn start(
        work: impl Future<Output = Result<T>> + Send + 'static,
        progress: watch::Receiver<Progress>,
        cancel: CancelToken,
    ) -> Self {
        let mut task = JoinSet::new();
        task.spawn(work);
        Self { task, progress, cancel }
    }

    /// The totals so far, and a way to wait for the next ones.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Stops it from elsewhere.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Waits for its end.
    pub async fn join(mut self) -> Result<T> {
        match self.task.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(TransferError::from(task_failed(error))),
            None => Err(TransferError::from(cancelled())),
        }
    }

    /// Stops it at once and waits until what it leaves behind is cleaned up.
    ///
    /// What it did until then, if it had ended already; `None` if it was stopped. Fails with what went wrong
    /// instead, and also if the clean-up failed.
    pub async fn abort(self) -> Result<Option<T>> {
        self.cancel.stop_now();
        match self.join().await {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == ErrorKind::Cancelled && error.reason().related().is_empty() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl<T> fmt::Debug for TransferHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferHandle").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}

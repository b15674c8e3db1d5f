//! Stopping work from outside.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

/// Stops the transfers that were given a clone of it.
///
/// [`stop`](Self::stop) lets requests that run go on for a few seconds
/// ([`TransferBuilder::grace`](crate::TransferBuilder::grace)) and starts nothing new;
/// [`stop_now`](Self::stop_now) ends them at once. Either way temporary files are removed and uploads in parts
/// are aborted, unless they were asked to be kept. A transfer that was stopped fails with
/// [`ErrorKind::Cancelled`](longshore_core_types::ErrorKind); one that had no more to start succeeds.
///
/// Cloning shares the state. Dropping stops nothing.
#[derive(Clone, Debug)]
pub struct CancelToken(Arc<watch::Sender<Stage>>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Running,
    Stopping { since: Instant },
    Now,
}

impl CancelToken {
    /// A token that stops nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Stage::Running)))
    }

    /// Starts nothing new and gives what runs a few seconds.
    pub fn stop(&self) {
        self.0.send_if_modified(|stage| {
            let running = *stage == Stage::Running;
            if running {
                *stage = Stage::Stopping { since: Instant::now() };
            }
            running
        });
    }

    /// Ends what runs at once.
    pub fn stop_now(&self) {
        self.0.send_replace(Stage::Now);
    }

    /// Whether either was called.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() != Stage::Running
    }

    /// Waits until either is called.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|stage| *stage != Stage::Running).await;
    }

    /// Waits until what runs shall end: `grace` after `stop`, or at once after `stop_now`.
    pub(crate) async fn expired(&self, grace: Duration) {
        let mut stages = self.0.subscribe();
        loop {
            let stage = *stages.borrow_and_update();
            match stage {
                Stage::Now => return,
                Stage::Running => {
                    let _ = stages.changed().await;
                }
                Stage::Stopping { since } => {
                    // Beyond all time there is no end.
                    let Some(end) = since.checked_add(grace) else {
                        let _ = stages.changed().await;
                        continue;
                    };
                    tokio::select! {
                        () = tokio::time::sleep_until(end) => return,
                        _ = stages.changed() => {}
                    }
                }
            }
        }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn grace_runs_from_the_first_stop() {
        let token = CancelToken::new();
        let other = token.clone();
        assert!(!token.is_stopped());
        other.stop();
        token.stopped().await;
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        other.stop();
        token.expired(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn there_may_be_grace_without_end() {
        let token = CancelToken::new();
        token.stop();
        let wait = token.expired(Duration::MAX);
        assert!(tokio::time::timeout(Duration::from_secs(1_000_000), wait).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn stop_now_ends_the_grace() {
        let token = CancelToken::new();
        token.stop();
        let wait = token.expired(Duration::from_secs(3600));
        tokio::pin!(wait);
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut wait).await.is_err());
        token.stop_now();
        let start = Instant::now();
        wait.await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

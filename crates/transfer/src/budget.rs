//! The limit of bytes in memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in pages of this size, since semaphores count in 32 bits.
const PAGE: u64 = 4096;

/// Memory that may be in use at once. A holder of a [`Ticket`] may use that many bytes.
///
/// Tickets are granted in the order they are asked for, so a large one is not starved by small ones.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pages: Arc<Semaphore>,
    total: u64,
    usage: Arc<Usage>,
}

#[derive(Debug, Default)]
struct Usage {
    now: AtomicU64,
    peak: AtomicU64,
}

/// The right to use some bytes of memory, given back when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    _pages: OwnedSemaphorePermit,
    bytes: u64,
    usage: Arc<Usage>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.usage.now.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let pages = (bytes / PAGE).clamp(1, u64::from(u32::MAX));
        let semaphore = Semaphore::new(usize::try_from(pages).unwrap_or(Semaphore::MAX_PERMITS));
        Self { pages: Arc::new(semaphore), total: pages * PAGE, usage: Arc::default() }
    }

    /// Waits for the right to use `bytes`. More than the whole budget is cut to the whole.
    pub(crate) async fn ticket(&self, bytes: u64) -> Ticket {
        let pages = self.pages_of(bytes);
        let permit = Arc::clone(&self.pages).acquire_many_owned(pages).await;
        let Ok(permit) = permit else { unreachable!("the budget is never closed") };
        self.granted(permit, pages)
    }

    /// The right to use `bytes`, if it is to be had without waiting.
    pub(crate) fn try_ticket(&self, bytes: u64) -> Option<Ticket> {
        let pages = self.pages_of(bytes);
        let permit = Arc::clone(&self.pages).try_acquire_many_owned(pages).ok()?;
        Some(self.granted(permit, pages))
    }

    fn granted(&self, permit: OwnedSemaphorePermit, pages: u32) -> Ticket {
        let bytes = u64::from(pages) * PAGE;
        let now = self.usage.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.usage.peak.fetch_max(now, Ordering::Relaxed);
        Ticket { _pages: permit, bytes, usage: Arc::clone(&self.usage) }
    }

    fn pages_of(&self, bytes: u64) -> u32 {
        let pages = bytes.clamp(1, self.total).div_ceil(PAGE);
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn in_use(&self) -> u64 {
        self.usage.now.load(Ordering::Relaxed)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.usage.peak.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn tickets_wait_for_room_and_give_it_back() {
        let budget = Budget::new(10 * PAGE);
        let seven = budget.ticket(7 * PAGE - 1).await;
        assert_eq!(budget.in_use(), 7 * PAGE);
        let mut four = Box::pin(budget.ticket(4 * PAGE));
        assert!(four.as_mut().now_or_never().is_none());
        // Small ones do not overtake the one that waits.
        assert!(budget.ticket(1).now_or_never().is_none());
        drop(seven);
        drop(four.await);
        assert_eq!((budget.in_use(), budget.peak()), (0, 7 * PAGE));
    }

    #[tokio::test]
    async fn more_than_everything_is_everything() {
        let budget = Budget::new(3 * PAGE + 1);
        assert_eq!(budget.total(), 3 * PAGE);
        let all = budget.ticket(u64::MAX).await;
        assert_eq!(budget.in_use(), budget.total());
        assert!(budget.ticket(1).now_or_never().is_none());
        drop(all);
    }
}

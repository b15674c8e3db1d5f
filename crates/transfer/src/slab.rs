//! Buffers that are used again.
//!
//! A fresh buffer for each chunk makes the allocator grow and trim its heap each time: hundreds of thousands of
//! page faults for a few gigabytes. Buffers that come back stay in memory and cost nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep},
};

/// Size of a buffer. Reads and writes of this size cost half of what 16 to 64 KiB cost.
pub(crate) const SLAB: usize = 256 << 10;

/// Fewer bytes than this get a buffer of their own length: the allocator keeps small ones by itself.
const WORTH_A_SLAB: usize = 64 << 10;

/// A buffer that nobody used for so long is freed.
const IDLE: Duration = Duration::from_secs(5);

/// Memory that buffers for so many bytes take.
pub(crate) fn footprint(bytes: u64) -> u64 {
    if bytes < WORTH_A_SLAB as u64 { bytes } else { bytes.next_multiple_of(SLAB as u64) }
}

/// Buffers of [`SLAB`] bytes.
#[derive(Clone, Debug)]
pub(crate) struct SlabPool(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    /// Last come, first served, so those at the front are the ones that idle.
    slabs: Vec<(Instant, Box<[u8]>)>,
    most: usize,
    /// The task that frees buffers which nobody takes again, while there are any.
    trimmer: JoinSet<()>,
    #[cfg(test)]
    in_use: usize,
    #[cfg(test)]
    most_in_use: usize,
}

impl SlabPool {
    /// A pool that keeps up to `most` buffers that nobody uses.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Free {
            slabs: Vec::new(),
            most,
            trimmer: JoinSet::new(),
            #[cfg(test)]
            in_use: 0,
            #[cfg(test)]
            most_in_use: 0,
        })))
    }

    /// A buffer for `length` bytes, of which [`SLAB`] fit at most: one of the pool, or, where most of that would
    /// stay empty, one of just this length.
    pub(crate) fn take_for(&self, length: usize) -> Slab {
        if length >= WORTH_A_SLAB {
            return self.take();
        }
        #[cfg(test)]
        self.count_one();
        Slab { buffer: vec![0; length].into_boxed_slice(), filled: 0, pool: self.clone() }
    }

    /// A buffer of [`SLAB`] bytes with arbitrary contents.
    pub(crate) fn take(&self) -> Slab {
        #[cfg(test)]
        self.count_one();
        let free = lock(&self.0).slabs.pop();
        let buffer = free.map_or_else(|| vec![0; SLAB].into_boxed_slice(), |(_, buffer)| buffer);
        Slab { buffer, filled: 0, pool: self.clone() }
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        let mut free = lock(&self.0);
        #[cfg(test)]
        {
            free.in_use -= 1;
        }
        if buffer.len() == SLAB && free.slabs.len() < free.most {
            free.slabs.push((Instant::now(), buffer));
            self.trim_later(&mut free);
        }
    }

    /// Sees to it that buffers are freed once nobody has used them for long, where a runtime can wait for that.
    fn trim_later(&self, free: &mut Free) {
        // One whose runtime is gone is over as well.
        while free.trimmer.try_join_next().is_some() {}
        if free.trimmer.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            free.trimmer.spawn_on(trim(Arc::downgrade(&self.0)), &runtime);
        }
    }

    #[cfg(test)]
    fn count_one(&self) {
        let mut free = self.0.lock().unwrap();
        free.in_use += 1;
        free.most_in_use = free.most_in_use.max(free.in_use);
    }

    #[cfg(test)]
    pub(crate) fn most_in_use(&self) -> usize {
        self.0.lock().unwrap().most_in_use
    }

    #[cfg(test)]
    fn idle(&self) -> usize {
        self.0.lock().unwrap().slabs.len()
    }
}

fn lock(free: &Mutex<Free>) -> MutexGuard<'_, Free> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees buffers that nobody uses until none is left.
async fn trim(pool: Weak<Mutex<Free>>) {
    loop {
        sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut free = lock(&pool);
        let idle = free.slabs.iter().take_while(|(since, _)| since.elapsed() >= IDLE).count();
        free.slabs.drain(..idle);
        if free.slabs.is_empty() {
            return;
        }
    }
}

/// A buffer of a pool. It returns there when dropped, also after it has become [`Bytes`].
#[derive(Debug)]
pub(crate) struct Slab {
    buffer: Box<[u8]>,
    filled: usize,
    pool: SlabPool,
}

impl Slab {
    /// How much more fits.
    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.filled
    }

    /// Room of at most `length` bytes behind what is filled; [`filled`](Self::filled) says how much was used.
    pub(crate) fn spare(&mut self, length: usize) -> &mut [u8] {
        let end = self.buffer.len().min(self.filled.saturating_add(length));
        &mut self.buffer[self.filled..end]
    }

    /// Declares that the next `length` bytes have been filled.
    pub(crate) fn filled(&mut self, length: usize) {
        self.filled = self.buffer.len().min(self.filled + length);
    }

    /// Copies as much of `bytes` as fits and says how much that was.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        let length = bytes.len().min(self.room());
        self.spare(length).copy_from_slice(&bytes[..length]);
        self.filled(length);
        length
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// What was filled, as bytes that give the buffer back when the last reference is gone.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Slab {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_slice_is_gone() {
        let pool = SlabPool::new(1);
        let mut slab = pool.take();
        assert_eq!(slab.append(b"hello"), 5);
        let address = slab.as_ref().as_ptr();
        let bytes = slab.freeze();
        let slice = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&slice[..], pool.idle()), (&b"el"[..], 0));
        drop(slice);
        assert_eq!(pool.idle(), 1);
        let again = pool.take();
        assert_eq!((again.buffer.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn the_pool_keeps_no_more_than_it_may() {
        let pool = SlabPool::new(2);
        drop([pool.take(), pool.take(), pool.take()]);
        assert_eq!(pool.idle(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn buffers_that_nobody_uses_are_freed_after_a_while() {
        let pool = SlabPool::new(4);
        for _ in 0..2 {
            let (first, second) = (pool.take(), pool.take());
            drop(first);
            sleep(IDLE / 2).await;
            drop(second);
            assert_eq!(pool.idle(), 2);
            sleep(IDLE + Duration::from_millis(1)).await;
            assert_eq!(pool.idle(), 1);
            sleep(IDLE).await;
            assert_eq!(pool.idle(), 0);
        }
    }

    #[test]
    fn appending_stops_at_the_end() {
        let mut slab = SlabPool::new(1).take();
        let chunk = vec![7; SLAB - 1];
        assert_eq!(slab.append(&chunk), SLAB - 1);
        assert_eq!(slab.append(&chunk), 1);
        assert_eq!((slab.len(), slab.room()), (SLAB, 0));
    }
}

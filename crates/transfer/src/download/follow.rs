//! A checksum that needs the bytes in order, over a file whose parts arrive in any.

use std::{
    fs::File,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use longshore_core_types::{Checksum, ChecksumKind, Result, checksum::Hasher};
use tokio::{sync::oneshot, task::yield_now};

use super::source::Cut;
use crate::{
    error::local_fault,
    file_io::read_at,
    part_file::hash_range,
    plan::MIB,
    slab::{SLAB, SlabPool},
};

/// So many bytes are worth waking the thread for. The end of a part is, too. Fewer are read back by whoever has
/// the bytes behind them in hand.
const WORTH_WAKING: u64 = MIB;

/// How often in a row a part waits for the one whose turn it is: for milliseconds, so that no connection is left
/// alone for long.
const TURNS: u32 = 256;

/// Hashes what arrives in order while it is in hand, and reads from the file what arrived early.
///
/// The reading is done by a thread of its own, so that the checksum is there soon after the last byte. What it
/// reads was written a moment ago and comes from memory.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    file: Arc<File>,
    slabs: SlabPool,
    result: Mutex<Option<oneshot::Receiver<io::Result<Option<Checksum>>>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Of all bytes before `at`. Whoever hashes takes it away and puts it back further on.
    hasher: Option<Hasher>,
    at: u64,
    /// How often bytes were hashed while they were in hand.
    in_hand: u64,
    /// The part that `at` lies in; their number at the end of the file.
    part: usize,
    parts: Vec<Part>,
    /// The thread waits to be woken.
    asleep: bool,
    given_up: bool,
}

#[derive(Debug)]
struct Part {
    /// Up to where the part is in the file.
    upto: u64,
    end: u64,
}

impl State {
    /// Bytes that can be read from the file and hashed right now.
    fn ready(&self) -> u64 {
        self.parts.get(self.part).map_or(0, |part| part.upto.saturating_sub(self.at))
    }

    fn worth_waking(&self) -> bool {
        if self.given_up {
            return true;
        }
        let Some(part) = self.parts.get(self.part) else { return true };
        let ready = self.ready();
        self.hasher.is_some() && (ready >= WORTH_WAKING || ready > 0 && part.upto == part.end)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        // Each call for the thread costs two switches between threads.
        if state.asleep && state.worth_waking() {
            state.asleep = false;
            self.changed.notify_one();
        }
    }

    /// Everything before `at` is in the hash now.
    fn put_back(&self, hasher: Hasher, at: u64) {
        self.change(|state| {
            (state.hasher, state.at) = (Some(hasher), at);
            while state.parts.get(state.part).is_some_and(|part| part.end <= at) {
                state.part += 1;
            }
        });
    }
}

impl Follower {
    pub(crate) fn start(file: Arc<File>, cut: Cut, kind: ChecksumKind, slabs: SlabPool) -> Result<Self> {
        let part = |index| {
            let range = cut.range(index);
            Part { upto: range.start, end: range.end }
        };
        let state = State {
            hasher: Some(Hasher::new(kind)),
            at: cut.start,
            in_hand: 0,
            part: 0,
            parts: (0..cut.parts()).map(part).collect(),
            asleep: false,
            given_up: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (sender, result) = oneshot::channel();
        let (seen, reading, buffers) = (Arc::clone(&shared), Arc::clone(&file), slabs.clone());
        std::thread::Builder::new()
            .name("longshore-hash".into())
            .spawn(move || {
                // Nobody waits any more if the download was given up.
                let _ = sender.send(follow(&reading, &buffers, &seen));
            })
            .map_err(|error| local_fault("cannot start a thread for checksums".into()).with_source(error))?;
        Ok(Self { shared, file, slabs, result: Mutex::new(Some(result)) })
    }

    /// Lets the part whose turn it is go first, while its bytes come without waiting: what arrives in order need
    /// not be read back. Says how long that took.
    ///
    /// Nothing is lost by it. Where the network decides, the part whose turn it is waits too, and nobody waits
    /// for it; where this thread is what is scarce, it does the same work in another order.
    pub(crate) async fn give_way(&self, at: u64) -> Duration {
        let mut begin = None;
        for _ in 0..TURNS {
            let Some(before) = self.in_hand_before(at) else { break };
            begin.get_or_insert_with(Instant::now);
            yield_now().await;
            if self.in_hand_before(at).is_none_or(|now| now == before) {
                break;
            }
        }
        begin.map_or(Duration::ZERO, |begin| begin.elapsed())
    }

    /// How often bytes before `at` were hashed in hand; `None` if the part at `at` has its turn.
    fn in_hand_before(&self, at: u64) -> Option<u64> {
        let state = self.shared.state();
        let turn = state.parts.get(state.part)?;
        (turn.end <= at).then_some(state.in_hand)
    }

    /// Hashes the bytes from `at` on if they come next in order, and nobody else is hashing.
    ///
    /// They must be on their way into the file, where they will be looked for if they were not taken here.
    pub(crate) fn offer(&self, at: u64, bytes: &[u8]) {
        let mut state = self.shared.state();
        let Some(missing) = at.checked_sub(state.at).filter(|missing| *missing <= WORTH_WAKING) else {
            return;
        };
        if missing > state.ready() {
            return;
        }
        let (from, Some(mut hasher)) = (state.at, state.hasher.take()) else { return };
        state.in_hand += 1;
        drop(state);
        let mut reached = self.catch_up(&mut hasher, from, at);
        if reached == at {
            hasher.update(bytes);
            reached += bytes.len() as u64;
        }
        self.shared.put_back(hasher, reached);
    }

    /// Hashes what was written a moment ago. What cannot be read is left to the thread, which says why.
    fn catch_up(&self, hasher: &mut Hasher, mut from: u64, to: u64) -> u64 {
        let mut slab = None;
        while from < to {
            let length = usize::try_from(to - from).unwrap_or(usize::MAX);
            let buffer = slab.get_or_insert_with(|| self.slabs.take()).spare(length);
            match read_at(&self.file, buffer, from) {
                Ok(read) if read == buffer.len() => hasher.update(buffer),
                _ => break,
            }
            from += buffer.len() as u64;
        }
        from
    }

    /// The bytes of a part up to `upto` are in the file.
    pub(crate) fn advance(&self, index: u64, upto: u64) {
        self.shared.change(|state| {
            if let Some(part) = usize::try_from(index).ok().and_then(|index| state.parts.get_mut(index)) {
                part.upto = part.upto.max(upto);
            }
        });
    }

    /// The checksum, once every part has been written.
    pub(crate) async fn finish(&self) -> Result<Option<Checksum>> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(result) = result else { return Ok(None) };
        match result.await {
            Ok(Ok(checksum)) => Ok(checksum),
            Ok(Err(error)) => Err(local_fault("cannot read back what was written".into()).with_source(error)),
            Err(_) => Err(local_fault("the thread that computes the checksum is gone".into())),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.change(|state| state.given_up = true);
    }
}

/// Hashes what has not been hashed by the time it is in the file. `None` if it was given up.
fn follow(file: &File, slabs: &SlabPool, shared: &Shared) -> io::Result<Option<Checksum>> {
    let mut slab = None;
    let mut state = shared.state();
    loop {
        if state.given_up {
            return Ok(None);
        }
        if state.part == state.parts.len()
            && let Some(hasher) = state.hasher.take()
        {
            return Ok(Some(hasher.finish()));
        }
        let ready = state.ready();
        if ready > 0
            && let Some(mut hasher) = state.hasher.take()
        {
            let (at, upto) = (state.at, state.at + ready);
            drop(state);
            let buffer = slab.get_or_insert_with(|| slabs.take()).spare(SLAB);
            if hash_range(file, &mut hasher, at, upto, buffer)? < upto {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            shared.put_back(hasher, upto);
            state = shared.state();
            continue;
        }
        state.asleep = true;
        while state.asleep {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_io::write_at;

    const CUT: Cut = Cut { start: 0, first_end: 3, part: 4, end: 9 };

    fn start(file: &Arc<File>, cut: Cut) -> Follower {
        Follower::start(Arc::clone(file), cut, ChecksumKind::Sha256, SlabPool::new(1)).unwrap()
    }

    fn sum(bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(ChecksumKind::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Where the hash is once the thread has nothing to do.
    async fn at(follower: &Follower) -> u64 {
        while !follower.shared.state().asleep {
            tokio::task::yield_now().await;
        }
        follower.shared.state().at
    }

    #[tokio::test]
    async fn parts_in_any_order_give_the_checksum_of_the_whole() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        for (index, upto) in [(2, 9), (1, 5), (0, 3), (1, 7)] {
            let start = CUT.range(index).start;
            let bytes: Vec<u8> = (start..upto).map(|at| b"abcdefghi"[usize::try_from(at).unwrap()]).collect();
            write_at(&file, &bytes, start).unwrap();
            follower.advance(index, upto);
        }
        assert_eq!(follower.finish().await.unwrap(), Some(sum(b"abcdefghi")));
    }

    #[tokio::test]
    async fn bytes_in_order_are_not_read_back() {
        // The file stays empty: whoever reads it fails.
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        for (at, bytes) in [(0, &b"ab"[..]), (2, b"c"), (3, b"defg"), (7, b"hi")] {
            follower.offer(at, bytes);
        }
        assert_eq!(follower.finish().await.unwrap(), Some(sum(b"abcdefghi")));
    }

    #[tokio::test]
    async fn hashing_in_hand_goes_on_behind_what_arrived_early() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        assert_eq!(at(&follower).await, 0);
        // Part 1 is early, and all but its last byte is there when its turn comes.
        follower.offer(3, b"def");
        write_at(&file, b"def", 3).unwrap();
        follower.advance(1, 6);
        follower.offer(0, b"abc");
        assert_eq!(at(&follower).await, 3);
        // Too few bytes to wake the thread for, and whoever has the next ones reads them back.
        follower.offer(6, b"g");
        assert_eq!(at(&follower).await, 7);
        follower.offer(7, b"hi");
        assert_eq!(follower.finish().await.unwrap(), Some(sum(b"abcdefghi")));
    }

    #[tokio::test]
    async fn early_bytes_that_nobody_continues_are_read_back_when_their_part_ends() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        write_at(&file, b"\0\0\0defg", 0).unwrap();
        follower.advance(1, 6);
        follower.offer(0, b"abc");
        follower.advance(1, 7);
        assert_eq!(at(&follower).await, 7);
        follower.offer(7, b"hi");
        assert_eq!(follower.finish().await.unwrap(), Some(sum(b"abcdefghi")));
    }

    #[tokio::test]
    async fn parts_wait_only_while_the_one_whose_turn_it_is_moves() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        // Nothing moves.
        follower.give_way(3).await;
        let moving = async {
            for (at, byte) in [b"a", b"b"].into_iter().enumerate() {
                follower.offer(at as u64, byte);
                yield_now().await;
            }
        };
        tokio::join!(follower.give_way(3), moving);
        assert_eq!(follower.shared.state().at, 2);
        assert_eq!(follower.give_way(2).await, Duration::ZERO);
        follower.offer(2, b"c");
        assert_eq!(follower.give_way(3).await, Duration::ZERO);
    }

    #[tokio::test]
    async fn writers_in_any_order_and_the_thread_agree() {
        const SIZE: usize = 5_000_000;
        let mut random = fastrand::Rng::with_seed(1);
        let mut content = vec![0; SIZE];
        random.fill(&mut content);
        let cut = Cut { start: 0, first_end: 700_001, part: 1_300_000, end: SIZE as u64 };
        for _ in 0..20 {
            let file = Arc::new(tempfile::tempfile().unwrap());
            let follower = start(&file, cut);
            let mut left: Vec<_> = (0..cut.parts()).map(|index| (index, cut.range(index))).collect();
            while !left.is_empty() {
                let chosen = random.usize(..left.len());
                let (index, range) = &mut left[chosen];
                let end = range.end.min(range.start + random.u64(1..400_000));
                let bytes = &content[usize::try_from(range.start).unwrap()..usize::try_from(end).unwrap()];
                // What a second fetcher brings is offered to nobody.
                if random.u8(..) > 20 {
                    follower.offer(range.start, bytes);
                }
                write_at(&file, bytes, range.start).unwrap();
                follower.advance(*index, end);
                range.start = end;
                if range.is_empty() {
                    left.swap_remove(chosen);
                }
            }
            assert_eq!(follower.finish().await.unwrap(), Some(sum(&content)));
        }
    }

    #[tokio::test]
    async fn a_file_that_lost_bytes_is_an_error() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        follower.advance(0, 3);
        assert!(follower.finish().await.is_err());
    }

    #[tokio::test]
    async fn the_thread_ends_when_the_download_is_given_up() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file, CUT);
        let result = follower.result.lock().unwrap().take().unwrap();
        drop(follower);
        assert_eq!(result.await.unwrap().unwrap(), None);
    }
}

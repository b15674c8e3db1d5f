//! A checksum that needs the bytes in order, over a file whose parts arrive in any.

use std::{
    fs::File,
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use longshore_core_types::{Checksum, ChecksumKind, Result, checksum::Hasher};
use tokio::sync::oneshot;

use super::source::Cut;
use crate::{
    error::local_fault,
    part_file::hash_range,
    slab::{SLAB, SlabPool},
};

/// Reads the file behind its writers, on a thread of its own, so that the checksum is there soon after the last
/// byte. What it reads was written a moment ago and comes from memory.
#[derive(Debug)]
pub(crate) struct Follower {
    written: Arc<Written>,
    result: Mutex<Option<oneshot::Receiver<io::Result<Option<Checksum>>>>>,
}

#[derive(Debug)]
struct Written {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// For each part, up to where it is in the file.
    upto: Vec<u64>,
    given_up: bool,
}

impl Follower {
    pub(crate) fn start(file: Arc<File>, cut: Cut, kind: ChecksumKind, slabs: SlabPool) -> Result<Self> {
        let upto = (0..cut.parts()).map(|index| cut.range(index).start).collect();
        let state = Mutex::new(State { upto, given_up: false });
        let written = Arc::new(Written { state, changed: Condvar::new() });
        let (sender, result) = oneshot::channel();
        let seen = Arc::clone(&written);
        std::thread::Builder::new()
            .name("longshore-hash".into())
            .spawn(move || {
                // Nobody waits any more if the download was given up.
                let _ = sender.send(follow(&file, cut, kind, &slabs, &seen));
            })
            .map_err(|error| local_fault("cannot start a thread for checksums".into()).with_source(error))?;
        Ok(Self { written, result: Mutex::new(Some(result)) })
    }

    /// The bytes of a part up to `upto` are in the file.
    pub(crate) fn advance(&self, index: u64, upto: u64) {
        let mut state = self.written.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = usize::try_from(index).ok().and_then(|index| state.upto.get_mut(index))
            && *position < upto
        {
            *position = upto;
            self.written.changed.notify_one();
        }
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
        self.written.state.lock().unwrap_or_else(PoisonError::into_inner).given_up = true;
        self.written.changed.notify_one();
    }
}

/// `None` if it was given up.
fn follow(
    file: &File,
    cut: Cut,
    kind: ChecksumKind,
    slabs: &SlabPool,
    written: &Written,
) -> io::Result<Option<Checksum>> {
    let mut hasher = Hasher::new(kind);
    let mut slab = slabs.take();
    for (position, index) in (0..cut.parts()).enumerate() {
        let range = cut.range(index);
        let mut at = range.start;
        while at < range.end {
            let upto = {
                let state = written.state.lock().unwrap_or_else(PoisonError::into_inner);
                let waiting = |state: &mut State| state.upto[position] <= at && !state.given_up;
                let state =
                    written.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
                if state.given_up {
                    return Ok(None);
                }
                state.upto[position]
            };
            let read = hash_range(file, &mut hasher, at, upto, slab.spare(SLAB))?;
            if read < upto {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at = upto;
        }
    }
    Ok(Some(hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_io::write_at;

    const CUT: Cut = Cut { start: 0, first_end: 3, part: 4, end: 9 };

    fn start(file: &Arc<File>) -> Follower {
        Follower::start(Arc::clone(file), CUT, ChecksumKind::Sha256, SlabPool::new(1)).unwrap()
    }

    #[tokio::test]
    async fn parts_in_any_order_give_the_checksum_of_the_whole() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file);
        for (index, upto) in [(2, 9), (1, 5), (0, 3), (1, 7)] {
            let start = CUT.range(index).start;
            let bytes: Vec<u8> = (start..upto).map(|at| b"abcdefghi"[usize::try_from(at).unwrap()]).collect();
            write_at(&file, &bytes, start).unwrap();
            follower.advance(index, upto);
        }
        let mut hasher = Hasher::new(ChecksumKind::Sha256);
        hasher.update(b"abcdefghi");
        assert_eq!(follower.finish().await.unwrap(), Some(hasher.finish()));
    }

    #[tokio::test]
    async fn the_thread_ends_when_the_download_is_given_up() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let follower = start(&file);
        let result = follower.result.lock().unwrap().take().unwrap();
        drop(follower);
        assert_eq!(result.await.unwrap().unwrap(), None);
    }
}

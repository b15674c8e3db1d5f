//! What happens to files while it happens.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_core_types::StoreUrl;
use longshore_transfer::{ProgressSink, TransferEvent};

/// A local file or directory, or an object or folder of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Its absolute path.
    Local(PathBuf),
    /// The bucket and the name in it; of a folder without a slash at the end.
    Bucket(StoreUrl),
}

/// The path, or the `blob:` URL.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Bucket(url) => url.fmt(f),
        }
    }
}

/// Something that happened to a file or directory.
///
/// Of each file that moves comes `Start`, then any number of `Step`, then `Complete`; of each directory `Enter` before
/// anything in it, and `Leave` after all of it. Between the files and directories of one directory there is no order. Of
/// what is left alone or filtered out comes nothing; of what fails, no `Complete`, and no `Leave` of the directories above.
/// `Delete` comes when it is done, and of a folder after everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileEvent {
    /// A file begins to move.
    #[doc(alias = "StorageProgressStart")]
    Start {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
        /// Bytes of the whole file.
        size: u64,
    },
    /// Bytes have moved; told a few times a second at most.
    #[doc(alias = "StorageProgressStep")]
    Step {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
        /// Bytes that are there by now, those of an earlier transfer among them. Never falls.
        current: u64,
        /// Bytes of the whole file.
        size: u64,
    },
    /// A file is there, whole.
    #[doc(alias = "StorageProgressComplete")]
    Complete {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
        /// Bytes of the whole file.
        size: u64,
    },
    /// A directory begins.
    #[doc(alias = "StorageProgressEnterDir")]
    Enter {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
    },
    /// Everything in a directory is done.
    #[doc(alias = "StorageProgressLeaveDir")]
    Leave {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
    },
    /// Something in a directory cannot move; the others go on.
    #[doc(alias = "StorageProgressFail")]
    Fail {
        /// Where from.
        from: Location,
        /// Where to.
        to: Location,
        /// Why.
        message: String,
    },
    /// An object, or a folder with everything in it, is gone.
    #[doc(alias = "StorageProgressDelete")]
    Delete {
        /// Which one.
        at: Location,
        /// A folder.
        is_dir: bool,
    },
}

type Listener = dyn FnMut(&FileEvent) + Send;

/// Who hears of events, one at a time.
#[derive(Clone, Default)]
pub(super) struct Events(Option<Arc<Mutex<Listener>>>);

impl Events {
    pub(super) fn new(listener: impl FnMut(&FileEvent) + Send + 'static) -> Self {
        Self(Some(Arc::new(Mutex::new(listener))))
    }

    pub(super) fn send(&self, event: impl FnOnce() -> FileEvent) {
        if let Some(listener) = &self.0 {
            // One that panicked before is none of this event's business.
            (listener.lock().unwrap_or_else(PoisonError::into_inner))(&event());
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0.is_some()).finish()
    }
}

/// Turns what a transfer tells of one file into events of that file.
pub(super) struct Track {
    events: Events,
    from: Location,
    to: Location,
    size: u64,
    /// Held while an event is sent, so that events of parts that move side by side keep their order.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: u64,
    ended: bool,
}

impl Track {
    /// `there` bytes are at the destination already.
    pub(super) fn new(events: &Events, from: Location, to: Location, size: u64, there: u64) -> Self {
        let state = Mutex::new(State { current: there, ended: false });
        Self { events: events.clone(), from, to, size, state }
    }

    fn ends(&self) -> (Location, Location) {
        (self.from.clone(), self.to.clone())
    }

    fn step(&self, state: &mut State, done: u64) {
        let current = done.min(self.size);
        if current <= state.current || state.ended {
            return;
        }
        state.current = current;
        let ((from, to), size) = (self.ends(), self.size);
        self.events.send(|| FileEvent::Step { from, to, current, size });
    }
}

impl ProgressSink for Track {
    fn event(&self, event: &TransferEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.size;
        match event {
            TransferEvent::Started { .. } => {
                let (from, to) = self.ends();
                self.events.send(|| FileEvent::Start { from, to, size });
            }
            TransferEvent::Moved { done, .. } => self.step(&mut state, *done),
            TransferEvent::ItemDone { .. } => {
                self.step(&mut state, size);
                state.ended = true;
                let (from, to) = self.ends();
                self.events.send(|| FileEvent::Complete { from, to, size });
            }
            _ => {}
        }
    }
}

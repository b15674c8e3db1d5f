//! Bodies of uploads: bytes of a file or of memory, hashed, counted and paced as they go.

use std::{
    io,
    ops::Range,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use longshore_core_types::{Checksum, ChecksumKind, Payload, checksum::Hasher};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    context,
    progress::ItemReporter,
    slab::{SLAB, Slab, footprint},
    source_file::SourceFile,
};

/// Buffers that a request needs while it sends: the one being filled and what the connection holds.
const MEMORY: u64 = 3 * SLAB as u64;

/// Memory that a request needs for a body of so many bytes.
pub(crate) fn memory(bytes: u64) -> u64 {
    footprint(bytes).min(MEMORY)
}

/// Where the bytes come from. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    File(Arc<SourceFile>),
    Memory(Arc<[Bytes]>),
}

impl Origin {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Memory(chunks) => chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        }
    }
}

impl From<Bytes> for Origin {
    fn from(bytes: Bytes) -> Self {
        Self::Memory([bytes].into())
    }
}

/// One body, which can be sent any number of times; what each attempt sends is counted and hashed anew.
#[derive(Clone)]
pub(crate) struct Body(Arc<Shared>);

struct Shared {
    context: context::Context,
    origin: Origin,
    range: Range<u64>,
    reporter: ItemReporter,
    /// Bytes that the current attempt has handed out.
    counted: AtomicU64,
    kind: Option<ChecksumKind>,
    /// Of the bytes of the last attempt that was read to its end.
    checksum: Mutex<Option<Checksum>>,
    /// Called before the last bytes of an attempt are handed out.
    at_end: Option<AtEnd>,
    /// When the current attempt has handed out its last bytes.
    sent: watch::Sender<Option<Instant>>,
}

/// Something to do before the last bytes of a body are handed out.
pub(crate) type AtEnd = Box<dyn Fn() + Send + Sync>;

impl Body {
    pub(crate) fn new(
        context: &context::Context,
        origin: Origin,
        range: Range<u64>,
        kind: Option<ChecksumKind>,
        reporter: &ItemReporter,
    ) -> Self {
        Self::observed(context, origin, range, kind, reporter, None)
    }

    /// The same, and does something before the last bytes are handed out.
    pub(crate) fn observed(
        context: &context::Context,
        origin: Origin,
        range: Range<u64>,
        kind: Option<ChecksumKind>,
        reporter: &ItemReporter,
        at_end: Option<AtEnd>,
    ) -> Self {
        Self(Arc::new(Shared {
            context: context.clone(),
            origin,
            range,
            reporter: reporter.clone(),
            counted: AtomicU64::new(0),
            kind,
            checksum: Mutex::new(None),
            at_end,
            sent: watch::Sender::new(None),
        }))
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.range.end - self.0.range.start
    }

    /// What to send. Each attempt of the store starts from the first byte.
    pub(crate) fn payload(&self) -> Payload {
        let shared = Arc::clone(&self.0);
        Payload::replayable(Some(self.len()), move || Box::pin(Chunks::open(&shared)))
    }

    /// The checksum of what was sent, if an attempt reached the end.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        if self.len() == 0 {
            // Nobody needs to read a body that has nothing.
            return self.0.kind.map(|kind| Hasher::new(kind).finish());
        }
        self.0.checksum.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the last attempt has been without an answer, if all of it was sent.
    pub(crate) fn waited(&self) -> Option<Duration> {
        self.0.sent.borrow().map(|sent| sent.elapsed())
    }

    /// Resolves when all of an attempt was sent so long ago.
    pub(crate) async fn unanswered_for(&self, limit: Duration) {
        let mut sent = self.0.sent.subscribe();
        loop {
            let end = sent.borrow_and_update().map(|sent| sent + limit);
            tokio::select! {
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return,
                // Cannot fail: the sender is here.
                _ = sent.changed() => {}
            }
        }
    }

    /// What the last attempt sent has not arrived.
    pub(crate) fn forget(&self) {
        self.0.reporter.moved_back(self.0.counted.swap(0, Ordering::Relaxed));
    }

    /// What was sent has arrived, whatever was counted: a store need not read the body if it knows better.
    pub(crate) fn settle(&self) {
        let counted = self.0.counted.swap(0, Ordering::Relaxed);
        self.0.reporter.moved_back(counted);
        self.0.reporter.moved(self.len());
    }
}

/// One attempt.
struct Chunks {
    shared: Arc<Shared>,
    at: u64,
    hasher: Option<Hasher>,
    pace: Option<Pin<Box<Sleep>>>,
    reading: Option<JoinHandle<io::Result<Slab>>>,
}

impl Chunks {
    fn open(shared: &Arc<Shared>) -> Self {
        shared.reporter.moved_back(shared.counted.swap(0, Ordering::Relaxed));
        shared.sent.send_replace(None);
        Self {
            shared: Arc::clone(shared),
            at: shared.range.start,
            hasher: shared.kind.map(Hasher::new),
            pace: None,
            reading: None,
        }
    }

    fn left(&self) -> usize {
        usize::try_from(self.shared.range.end - self.at).unwrap_or(usize::MAX)
    }

    /// The next bytes of a file: read here while reads are quick, as they are from the page cache, and in
    /// the background, one buffer ahead, once one was not.
    fn poll_file(&mut self, file: &Arc<SourceFile>, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let slab = if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            read.map_err(io::Error::other)??
        } else if file.is_slow() {
            self.reading = Some(self.read_ahead(file, self.at));
            return self.poll_file(file, cx);
        } else {
            let mut slab = self.shared.context.engine.slabs.take_for(self.left());
            file.read(&mut slab, self.at, self.left())?;
            slab
        };
        let next = self.at + slab.len() as u64;
        if next < self.shared.range.end {
            if file.is_slow() {
                self.reading = Some(self.read_ahead(file, next));
            }
        } else {
            // The last bytes only go out if the file is what it was before the first ones were read.
            file.check().map_err(io::Error::other)?;
        }
        Poll::Ready(Ok(slab.freeze()))
    }

    fn read_ahead(&self, file: &Arc<SourceFile>, at: u64) -> JoinHandle<io::Result<Slab>> {
        let file = Arc::clone(file);
        let length = usize::try_from(self.shared.range.end - at).unwrap_or(usize::MAX);
        let mut slab = self.shared.context.engine.slabs.take_for(length);
        tokio::task::spawn_blocking(move || file.read(&mut slab, at, length).map(|()| slab))
    }

    /// The next bytes of memory, from the chunk that holds the position.
    fn next_in_memory(&self, chunks: &[Bytes]) -> Bytes {
        let mut skip = self.at;
        for chunk in chunks {
            let length = chunk.len() as u64;
            if skip < length {
                let start = usize::try_from(skip).unwrap_or(usize::MAX);
                let end = chunk.len().min(start.saturating_add(self.left().min(SLAB)));
                return chunk.slice(start..end);
            }
            skip -= length;
        }
        Bytes::new()
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(pace) = &mut self.pace {
            ready!(pace.as_mut().poll(cx));
            self.pace = None;
        }
        if self.at == self.shared.range.end {
            return Poll::Ready(None);
        }
        let chunk = match &self.shared.origin {
            Origin::File(file) => {
                let file = Arc::clone(file);
                match ready!(self.poll_file(&file, cx)) {
                    Ok(chunk) => chunk,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
            Origin::Memory(chunks) => self.next_in_memory(chunks),
        };
        let length = chunk.len() as u64;
        self.at += length;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        let shared = &*self.shared;
        shared.counted.fetch_add(length, Ordering::Relaxed);
        shared.reporter.moved(length);
        shared.context.requests.moved(length);
        let rate = &shared.context.engine.upload_rate;
        let until = rate.claim(chunk.len());
        self.pace = until.map(|until| Box::pin(sleep_until(until)));
        if self.at == shared.range.end {
            let checksum = self.hasher.take().map(Hasher::finish);
            if let Some(at_end) = &shared.at_end {
                at_end();
            }
            *shared.checksum.lock().unwrap_or_else(PoisonError::into_inner) = checksum;
            // A store that waits for the end of the stream waits for its pace too.
            shared.sent.send_replace(Some(until.unwrap_or_else(Instant::now)));
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

//! The bytes of an object in order, fetched in parts ahead of the reader.

use std::{
    collections::VecDeque,
    fmt,
    future::{pending, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use bytes::Bytes;
use futures_core::{Stream, future::BoxFuture};
use longshore_blob_api::BlobStore;
use longshore_core_types::{Error, ErrorKind, ObjectMeta, checksum::Hasher};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::{
    DownloadOutcome,
    source::{Cut, Failure, PartReader, Subject, Version},
};
use crate::{
    budget::Ticket,
    context::weight,
    error::TransferError,
    pace::Pace,
    progress::ItemReporter,
    slab::{SLAB, Slab, SlabPool, footprint},
};

/// Memory suffices for so many parts that are fetched ahead.
const AHEAD_AT_ONCE: u64 = 4;

/// An object whose bytes come in order.
///
/// The part that is read next is fetched by the reader itself, straight from its connection; behind it parts are
/// fetched ahead, each of which has a ticket for its memory first. So what is held in memory never exceeds the
/// budget, and a reader that stops holds its share but keeps nobody else from moving.
pub(crate) struct Window<S> {
    version: Arc<Version<S>>,
    cut: Cut,
    /// The part that is read now, and where its bytes come from.
    index: u64,
    current: From<S>,
    /// Parts that are being fetched ahead, in order; the first is the one behind `index`.
    ahead: VecDeque<Ahead>,
    tasks: JoinSet<()>,
    hasher: Option<Hasher>,
    /// The last bytes, until the checksum has been compared.
    held: Option<Bytes>,
    ended: bool,
    pace: Arc<Pace>,
}

enum From<S> {
    /// The connection.
    Direct(Box<PartReader<S>>),
    /// A part that was fetched ahead.
    Ahead(Ahead),
}

/// A part that is fetched ahead: its bytes as they arrive, in memory that is paid for.
struct Ahead {
    bytes: mpsc::UnboundedReceiver<Result<Bytes, Failure>>,
    /// How many are still to come.
    left: u64,
    _tickets: Arc<[Ticket; 2]>,
}

impl Ahead {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.bytes.recv().await {
            Some(bytes) => {
                let bytes = bytes?;
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes))
            }
            None if self.left == 0 => Ok(None),
            // A task that panicked must not look like the end of a part.
            None => Err(Error::new(ErrorKind::Other, "a task ended before its part was whole").into()),
        }
    }
}

impl<S: BlobStore + Clone> Window<S> {
    pub(crate) async fn open(subject: &Arc<Subject<S>>, reporter: &ItemReporter) -> Result<Self, Failure> {
        let mut restarts = subject.context.config().retry.restarts;
        let (version, mut cut, opened) = loop {
            // The permit counts for the head only: a reader that stops must not hold one for ever.
            let small = weight(subject.size_hint.unwrap_or(u64::MAX));
            let _admission = subject.context.admit(small, 1).await?;
            match subject.open().await {
                // Nothing has been handed out, so another version is as good.
                Err(Failure::Replaced(error)) if restarts > 0 => {
                    restarts -= 1;
                    reporter.restarted(error);
                }
                opened => break opened?,
            }
        };
        // Several parts have to fit into memory at once, or nothing would be fetched ahead.
        let most = subject.context.engine.read_ahead.total() / AHEAD_AT_ONCE;
        cut.part = cut.part.min(most / SLAB as u64 * SLAB as u64);
        reporter.planned(cut.end - cut.start, cut.parts(), cut.part.min(cut.end - cut.start));
        let reader = version.read(0, cut.range(0), Some(opened));
        let hasher = version.kind().map(Hasher::new);
        Ok(Self {
            version,
            cut,
            index: 0,
            current: From::Direct(Box::new(reader)),
            ahead: VecDeque::new(),
            tasks: JoinSet::new(),
            hasher,
            held: None,
            ended: false,
            pace: Arc::default(),
        })
    }

    /// The next bytes; `None` at the end, once the checksum has been compared.
    pub(crate) async fn next(&mut self, reporter: &ItemReporter) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.ended {
                return Ok(None);
            }
            self.fetch_ahead(reporter);
            let Some(bytes) = self.raw(reporter).await? else {
                self.ended = true;
                let found = self.hasher.take().map(Hasher::finish);
                self.version.compare(found.as_ref())?;
                self.version.still_there().await?;
                return Ok(self.held.take());
            };
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&bytes);
            }
            reporter.moved(bytes.len() as u64);
            if let Some(earlier) = self.held.replace(bytes) {
                return Ok(Some(earlier));
            }
        }
    }

    async fn raw(&mut self, reporter: &ItemReporter) -> Result<Option<Bytes>, Failure> {
        loop {
            let bytes = match &mut self.current {
                From::Direct(reader) => {
                    reader.next(reporter).await.map_err(|failure| failure.in_part(self.index))?
                }
                From::Ahead(part) => part.next().await.map_err(|failure| failure.in_part(self.index))?,
            };
            if bytes.is_some() {
                return Ok(bytes);
            }
            let range = self.cut.range(self.index);
            reporter.part_done(self.index, range.end - range.start);
            self.index += 1;
            if self.index >= self.cut.parts() {
                return Ok(None);
            }
            self.current = if let Some(part) = self.ahead.pop_front() {
                From::Ahead(part)
            } else {
                let range = self.cut.range(self.index);
                From::Direct(Box::new(self.version.read(self.index, range, None)))
            };
            self.fetch_ahead(reporter);
        }
    }

    /// Begins to fetch further parts, as far as memory and requests are free right now.
    fn fetch_ahead(&mut self, reporter: &ItemReporter) {
        // Tasks tell their result by their channel, so only their remains are cleared away.
        while self.tasks.try_join_next().is_some() {}
        let context = self.version.context();
        let engine = &context.engine;
        loop {
            let index = self.index + 1 + self.ahead.len() as u64;
            let enough = self.ahead.len() + 1 >= engine.config.concurrency;
            if enough || index >= self.cut.parts() || context.cancel.is_stopped() {
                return;
            }
            let range = self.cut.range(index);
            let length = range.end - range.start;
            let size = footprint(length);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let Some(request) = context.requests.try_permit() else { return };
            // Half of the budget is never given to readers, who may stop at any time.
            let Some(ahead) = engine.read_ahead.try_ticket(size) else { return };
            let Some(memory) = engine.memory.try_ticket(size) else { return };
            let (sender, bytes) = mpsc::unbounded_channel();
            let tickets = Arc::new([ahead, memory]);
            let reader = self.version.read(index, range.clone(), None);
            let (slabs, reporter) = (engine.slabs.clone(), reporter.clone());
            let pace = engine.config.hedge.then(|| Arc::clone(&self.pace));
            // The bytes may outlive the part as the reader sees it, so both hold the tickets.
            let held = Arc::clone(&tickets);
            let engine = Arc::clone(engine);
            self.tasks.spawn(async move {
                engine.request_rate.pace(1).await;
                collect(reader, length, pace.as_deref(), &slabs, &sender, &reporter).await;
                drop((request, held));
            });
            self.ahead.push_back(Ahead { bytes, left: range.end - range.start, _tickets: tickets });
        }
    }

    pub(crate) fn meta(&self) -> &ObjectMeta {
        &self.version.meta
    }

    pub(crate) fn outcome(&self) -> DownloadOutcome {
        DownloadOutcome {
            meta: self.version.meta.clone(),
            bytes: self.cut.end - self.cut.start,
            parts: self.cut.parts(),
            resumed: 0,
            verified: self.version.kind(),
        }
    }
}

/// Copies a part into buffers of the pool: frames of a connection would each keep more memory than they show.
async fn collect<S: BlobStore + Clone>(
    mut reader: PartReader<S>,
    size: usize,
    pace: Option<&Pace>,
    slabs: &SlabPool,
    sender: &mpsc::UnboundedSender<Result<Bytes, Failure>>,
    reporter: &ItemReporter,
) {
    let mut slab: Option<Slab> = None;
    let mut left = size;
    let begin = Instant::now();
    let mut renewed = pace.is_none();
    loop {
        let late = async {
            match pace {
                Some(pace) if !renewed => pace.late(begin, size as u64).await,
                _ => pending().await,
            }
        };
        let next = tokio::select! {
            biased;
            next = reader.next(reporter) => next,
            () = late => {
                // What is left is asked for anew, once.
                renewed = true;
                reader.renew();
                continue;
            }
        };
        match next {
            Ok(Some(mut bytes)) => {
                while !bytes.is_empty() {
                    let open = slab.get_or_insert_with(|| slabs.take_for(left));
                    let taken = open.append(&bytes);
                    left = left.saturating_sub(taken);
                    let _ = bytes.split_to(taken);
                    if open.room() == 0 && !flush(&mut slab, sender) {
                        return;
                    }
                }
            }
            Ok(None) => {
                flush(&mut slab, sender);
                if let Some(pace) = pace {
                    pace.took(begin.elapsed(), size as u64);
                }
                return;
            }
            Err(failure) => {
                // Nobody listens any more if the reader is gone.
                let _ = sender.send(Err(failure));
                return;
            }
        }
    }
}

/// Whether somebody still listens.
fn flush(slab: &mut Option<Slab>, sender: &mpsc::UnboundedSender<Result<Bytes, Failure>>) -> bool {
    slab.take().is_none_or(|slab| sender.send(Ok(slab.freeze())).is_ok())
}

/// An object as a stream of bytes in order.
///
/// It ends after the first error. Dropping it stops what is fetched ahead. While nobody reads it, it holds what was
/// fetched ahead, at most half of the memory budget, and one connection.
pub struct Body<S> {
    meta: ObjectMeta,
    state: State<S>,
    reporter: ItemReporter,
}

type Step<S> = (Window<S>, Result<Option<Bytes>, Failure>);

enum State<S> {
    Ready(Box<Window<S>>),
    Reading(BoxFuture<'static, Step<S>>),
    Ended,
}

impl<S: BlobStore + Clone> Body<S> {
    pub(crate) fn new(window: Window<S>, reporter: ItemReporter) -> Self {
        Self { meta: window.meta().clone(), state: State::Ready(Box::new(window)), reporter }
    }

    /// The object as the store described it.
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransferError> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    fn poll_chunk(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, TransferError>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Ready(mut window) => {
                    let reporter = self.reporter.clone();
                    self.state = State::Reading(Box::pin(async move {
                        let result = window.next(&reporter).await;
                        (*window, result)
                    }));
                }
                State::Reading(mut step) => match step.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(step);
                        return Poll::Pending;
                    }
                    Poll::Ready((window, Ok(Some(bytes)))) => {
                        self.state = State::Ready(Box::new(window));
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    Poll::Ready((_, Ok(None))) => {
                        self.reporter.ended(&Ok(()));
                        return Poll::Ready(None);
                    }
                    Poll::Ready((_, Err(failure))) => {
                        let error = failure.into_error().on(self.reporter.item()).after(self.reporter.done());
                        let result: Result<(), _> = Err(error.clone());
                        self.reporter.ended(&result);
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }
}

impl<S: BlobStore + Clone> Stream for Body<S> {
    type Item = Result<Bytes, TransferError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl<S> fmt::Debug for Body<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("meta", &self.meta).finish_non_exhaustive()
    }
}

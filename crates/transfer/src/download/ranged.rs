//! A download to a file in parts, several at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_blob_api::BlobStore;
use longshore_core_types::{
    Checksum, ChecksumKind, ErrorKind,
    checksum::{Hasher, combine_crc32c},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    at_once::{AtOnce, nanos},
    follow::Follower,
    source::{Cut, Failure, Opened, Version},
};
use crate::{
    checkpoint::DownloadKeeper,
    context::Admission,
    error::{cancelled, task_failed},
    pace::{Pace, is_late, patience},
    part_file::{PartFile, Stash},
    plan::LARGEST,
    progress::ItemReporter,
    requests::FULL,
    upload::crc32c,
};

/// Memory that a request needs while it writes: what the connection holds, and the jobs of a slow disk.
pub(crate) const MEMORY: u64 = 1 << 20;

/// How often a worker that has nothing to do looks for a part that is late.
const LOOK: Duration = Duration::from_millis(20);

/// Of the bytes of a download, fetch this share twice at most.
const HEDGE_SHARE: (u64, u64) = (3, 100);

/// Fetches the parts of one version into one file.
pub(crate) struct Board<S> {
    version: Arc<Version<S>>,
    file: Arc<PartFile>,
    cut: Cut,
    reporter: ItemReporter,
    next: AtomicU64,
    state: Mutex<State>,
    pace: Pace,
    at_once: AtOnce,
    follower: Option<Follower>,
    /// Parts that were in the file from the beginning.
    resumed: BTreeSet<u64>,
    /// Notes what is in the file.
    keeper: Option<DownloadKeeper>,
    /// Parts that are not done.
    left: AtomicU64,
    /// Bytes that were fetched twice.
    wasted: AtomicU64,
    /// Tells the workers that have nothing to do that a part has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    running: BTreeMap<u64, Arc<Running>>,
    /// The crc32c of each part that is done, where that is computed.
    sums: BTreeMap<u64, u32>,
}

/// A part that is being fetched, perhaps by two.
struct Running {
    index: u64,
    begin: Instant,
    /// Where the first fetcher is, and the hash of everything before that.
    first: Mutex<(u64, Option<Hasher>)>,
    /// The position that has been counted as progress.
    counted: AtomicU64,
    /// Nanoseconds that it gave way to another part, which do not make it late.
    gave_way: AtomicU64,
    /// A second fetcher is at it.
    helped: AtomicBool,
    /// It crawled, and was told to go on over another connection.
    renewed: AtomicBool,
    renew: Notify,
    done: watch::Sender<bool>,
}

impl Running {
    fn first(&self) -> MutexGuard<'_, (u64, Option<Hasher>)> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: BlobStore + Clone> Board<S> {
    /// `parts` are in the file already, with their crc32c.
    pub(crate) fn new(
        version: Arc<Version<S>>,
        file: Arc<PartFile>,
        cut: Cut,
        reporter: ItemReporter,
        parts: BTreeMap<u64, u32>,
    ) -> longshore_core_types::Result<Arc<Self>> {
        let follower = match version.kind() {
            Some(kind) if kind != ChecksumKind::Crc32c => {
                let slabs = version.context().engine.slabs.clone();
                Some(Follower::start(file.reader(), cut, kind, slabs)?)
            }
            _ => None,
        };
        for index in parts.keys() {
            if let Some(follower) = &follower {
                follower.advance(*index, cut.range(*index).end - cut.start);
            }
        }
        let concurrency = version.context().config().concurrency;
        let keeper = file.keeper((&version.url(), &version.meta), cut, parts.clone());
        Ok(Arc::new(Self {
            version,
            file,
            cut,
            reporter,
            next: AtomicU64::new(0),
            left: AtomicU64::new(cut.parts() - parts.len() as u64),
            resumed: parts.keys().copied().collect(),
            pace: Pace::default(),
            at_once: AtOnce::new(concurrency, follower.is_some()),
            state: Mutex::new(State { sums: parts, ..State::default() }),
            follower,
            keeper,
            wasted: AtomicU64::new(0),
            ended: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what is missing, beginning with the body of the first parts if there is one, and returns the checksum
    /// of the whole.
    pub(crate) async fn fetch_all(
        self: &Arc<Self>,
        first: Option<(Opened, Option<Admission>)>,
    ) -> Result<Option<Checksum>, Failure> {
        let mut tasks = JoinSet::new();
        if let Some(((_, promised), _)) = &first {
            self.next.store(self.brought_up_to(*promised), Ordering::Relaxed);
        }
        tasks.spawn(Arc::clone(self).work(0, first));
        let parts = usize::try_from(self.cut.parts()).unwrap_or(usize::MAX);
        for worker in 1..parts.min(self.at_once.allowed()) {
            tasks.spawn(Arc::clone(self).work(worker, None));
        }
        let mut result = Ok(());
        let hedge = self.version.context().config().hedge;
        loop {
            let ended = tokio::select! {
                ended = tasks.join_next() => ended,
                () = sleep(LOOK), if hedge => {
                    self.renew();
                    continue;
                }
            };
            let Some(ended) = ended else { break };
            match ended.map_err(|error| Failure::from(task_failed(error))).flatten() {
                Ok(()) => {}
                // Who has nothing to do ends at once; what runs has the time of grace.
                Err(Failure::Final(error)) if error.kind() == ErrorKind::Cancelled => {
                    result = Err(error.into());
                }
                Err(failure) => {
                    result = Err(failure);
                    break;
                }
            }
        }
        // The file may be used again, or removed, only when nobody writes to it any more.
        tasks.shutdown().await;
        result?;
        self.checksum().await
    }

    async fn checksum(&self) -> Result<Option<Checksum>, Failure> {
        if let Some(follower) = &self.follower {
            return Ok(follower.finish().await?);
        }
        if self.version.kind().is_none() {
            return Ok(None);
        }
        let state = self.state();
        let whole = state.sums.iter().fold(0, |whole, (index, sum)| {
            let range = self.cut.range(*index);
            combine_crc32c(whole, *sum, range.end - range.start)
        });
        Ok(Some(Checksum::new(ChecksumKind::Crc32c, whole.to_be_bytes().to_vec())?))
    }

    /// Takes part after part, several in one request where that is worth it, then helps with one that is late.
    async fn work(
        self: Arc<Self>,
        worker: usize,
        first: Option<(Opened, Option<Admission>)>,
    ) -> Result<(), Failure> {
        if let Some((opened, admission)) = first {
            let parts = 0..self.brought_up_to(opened.1);
            Box::pin(self.at_once.count(self.parts(parts, Some(opened), admission))).await?;
        }
        let context = self.version.context();
        loop {
            let ended = self.ended.notified();
            if self.next.load(Ordering::Relaxed) >= self.cut.parts() {
                break;
            }
            if context.cancel.is_stopped() {
                return Err(cancelled().into());
            }
            if worker >= self.at_once.allowed() {
                tokio::select! {
                    () = ended => {}
                    () = context.cancel.stopped() => {}
                }
                continue;
            }
            let admission = context.admit(FULL, MEMORY).await?;
            // Taken only now, so that parts start in the order of their bytes.
            let Some(parts) = self.take() else { break };
            Box::pin(self.at_once.count(self.parts(parts, None, Some(admission)))).await?;
        }
        while context.config().hedge && !context.cancel.is_stopped() {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // From here on no end of a part is missed, so the look at what runs comes after it.
            ended.as_mut().enable();
            if self.left.load(Ordering::Relaxed) == 0 {
                break;
            }
            if let Some((running, whole)) = self.late() {
                Box::pin(self.hedge(&running, patience(whole))).await;
                continue;
            }
            tokio::select! {
                () = ended => {}
                () = sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// How many parts the first answer brings that goes up to this position.
    fn brought_up_to(&self, promised: u64) -> u64 {
        self.cut.parts_up_to(promised).max(1)
    }

    /// The next parts that are not in the file yet: one, or several in a row for one request.
    fn take(&self) -> Option<Range<u64>> {
        let parts = self.cut.parts();
        let mut taken = None;
        let _ = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let start = (next..parts).find(|index| !self.resumed.contains(index))?;
            let most = start + self.together(parts - start);
            let end = (start..most).find(|index| self.resumed.contains(index)).unwrap_or(most);
            taken = Some(start..end);
            Some(end)
        });
        taken
    }

    /// How many parts the next request should bring, of so many that are left.
    fn together(&self, left: u64) -> u64 {
        let config = self.version.context().config();
        let planned = config.plans_requests() && self.at_once.may_join();
        let Some(bytes) = self.version.measured.worth_a_request().filter(|_| planned) else { return 1 };
        let wanted = bytes.min(LARGEST).div_ceil(self.cut.part);
        // The last ones go one by one, so that nobody has much to do when the others are done.
        let share = left / (2 * config.concurrency as u64);
        wanted.min(LARGEST / self.cut.part).min(share).max(1)
    }

    /// Fetches parts in a row, with one request as long as nothing goes wrong.
    async fn parts(
        &self,
        parts: Range<u64>,
        mut opened: Option<Opened>,
        _admission: Option<Admission>,
    ) -> Result<(), Failure> {
        let upto = self.cut.range(parts.end - 1).end;
        for index in parts {
            opened = self.part(index, opened, upto).await?;
        }
        Ok(())
    }

    /// Fetches a part, by requests that go on to `upto`. The answer is the body behind the part, if it is at hand.
    async fn part(
        &self,
        index: u64,
        mut opened: Option<Opened>,
        upto: u64,
    ) -> Result<Option<Opened>, Failure> {
        let range = self.cut.range(index);
        let inline = self.version.kind().filter(|kind| *kind == ChecksumKind::Crc32c);
        let inline = inline.or(self.keeper.as_ref().map(|_| ChecksumKind::Crc32c));
        let running = Arc::new(Running {
            index,
            begin: Instant::now(),
            first: Mutex::new((range.start, inline.map(Hasher::new))),
            counted: AtomicU64::new(range.start),
            gave_way: AtomicU64::new(0),
            helped: AtomicBool::new(false),
            renewed: AtomicBool::new(false),
            renew: Notify::new(),
            done: watch::Sender::new(false),
        });
        self.state().running.insert(index, Arc::clone(&running));
        let mut done = running.done.subscribe();
        let mut stash = Stash::default();
        let rest = loop {
            let renew = tokio::select! {
                biased;
                result = self.fetch(&running, opened.take(), upto, &mut stash) => {
                    break result.map_err(|failure| failure.in_part(index))?;
                }
                // Waiting cannot fail: the sender is in `running`.
                _ = done.wait_for(|done| *done) => false,
                () = running.renew.notified() => true,
            };
            // Whoever goes on does so behind the bytes that are here, which may not all be in the file yet.
            self.file.flush(&mut stash).await?;
            if !renew {
                break None;
            }
        };
        self.written(index, range.end - self.cut.start);
        if let Some(keeper) = &self.keeper {
            // Only now: whichever fetcher was first, all of the part is in the file.
            let sum = self.state().sums.get(&index).copied();
            if let Some(sum) = sum {
                keeper.finished(index, sum, &self.reporter);
            }
        }
        Ok(rest)
    }

    /// Fetches a part from where it is to its end. Whatever it has counted is in the file or in `stash`, also if it
    /// is given up half-way.
    async fn fetch(
        &self,
        running: &Running,
        opened: Option<Opened>,
        upto: u64,
        stash: &mut Stash,
    ) -> Result<Option<Opened>, Failure> {
        let range = running.first().0..self.cut.range(running.index).end;
        let mut reader = self.version.read(running.index, range, opened).asking_up_to(upto);
        loop {
            let at = reader.position();
            if let Some(follower) = &self.follower {
                let waited = follower.give_way(at - self.cut.start).await;
                running.gave_way.fetch_add(nanos(waited), Ordering::Relaxed);
            }
            let Some(bytes) = reader.next(&self.reporter).await? else { break };
            if let Some(follower) = &self.follower {
                follower.offer(at - self.cut.start, &bytes);
            }
            if let Some(upto) = self.file.write(stash, at - self.cut.start, bytes.clone()).await? {
                self.written(running.index, upto);
            }
            let upto = at + bytes.len() as u64;
            {
                let mut first = running.first();
                if let Some(hasher) = &mut first.1 {
                    hasher.update(&bytes);
                }
                first.0 = upto;
            }
            self.count(running, upto);
        }
        self.file.flush(stash).await?;
        // Not taken: one who begins to help right now must find it.
        let hasher = running.first().1.clone();
        self.done(running, hasher);
        Ok(reader.rest())
    }

    /// Lets parts that crawl go on over another connection, each once. No byte is fetched twice for that.
    fn renew(&self) {
        let state = self.state();
        for running in state.running.values() {
            let Some((left, whole)) = self.left(running) else { continue };
            let slow = is_late(left, whole) && running.busy() > patience(whole);
            if slow && !running.renewed.swap(true, Ordering::Relaxed) {
                running.renew.notify_one();
            }
        }
    }

    /// Fetches the rest of a part a second time; whoever is first wins. What goes wrong here is left to the first: nobody
    /// tries that part again, since what fails at once, as everything does once the transfer is stopped, would fail at
    /// once for ever.
    ///
    /// One that is late itself is given up, so that another one may be luckier.
    async fn hedge(&self, running: &Running, patience: Duration) {
        let mut done = running.done.subscribe();
        let (from, hasher) = {
            let first = running.first();
            (first.0, first.1.clone())
        };
        let second = Second { from, at: AtomicU64::new(from) };
        let result = tokio::select! {
            biased;
            _ = done.wait_for(|done| *done) => Ok(None),
            result = self.fetch_again(running, &second, hasher) => result,
            () = sleep(patience) => Ok(None),
        };
        self.wasted.fetch_add(second.overlap(running), Ordering::Relaxed);
        match result {
            Ok(Some(hasher)) => self.done(running, hasher),
            Ok(None) => running.helped.store(false, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// The hash of the part; `None` if so much was fetched twice that it is not worth going on.
    async fn fetch_again(
        &self,
        running: &Running,
        second: &Second,
        mut hasher: Option<Hasher>,
    ) -> Result<Option<Option<Hasher>>, Failure> {
        let _admission = self.version.context().admit(FULL, MEMORY).await?;
        let end = self.cut.range(running.index).end;
        let mut reader = self.version.read(running.index, second.from..end, None);
        let mut stash = Stash::default();
        loop {
            let at = reader.position();
            let Some(bytes) = reader.next(&self.reporter).await? else { break };
            let upto = at + bytes.len() as u64;
            second.at.store(upto, Ordering::Relaxed);
            if second.overlap(running) > self.may_waste() {
                return Ok(None);
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&bytes);
            }
            self.count(running, upto);
            self.file.write(&mut stash, at - self.cut.start, bytes).await?;
        }
        self.file.flush(&mut stash).await?;
        Ok(Some(hasher))
    }

    /// The part that is furthest behind, if it is late, nobody helps it now, and bytes may still be wasted; and how
    /// long all of it should take.
    fn late(&self) -> Option<(Arc<Running>, f64)> {
        if self.may_waste() == 0 {
            return None;
        }
        let state = self.state();
        let (_, whole, running) = state
            .running
            .values()
            .filter(|running| !running.helped.load(Ordering::Relaxed))
            .filter_map(|running| {
                let (left, whole) = self.left(running)?;
                is_late(left, whole).then_some((left, whole, running))
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        // Claimed while the state is locked, so that two idle workers never help the same part.
        running.helped.store(true, Ordering::Relaxed);
        Some((Arc::clone(running), whole))
    }

    /// Estimated seconds to the end of a part, and for all of it; `None` if it is too early to say.
    fn left(&self, running: &Running) -> Option<(f64, f64)> {
        let range = self.cut.range(running.index);
        let whole = self.pace.whole(range.end - range.start)?;
        Some((running.left(&range, whole)?, whole))
    }

    fn may_waste(&self) -> u64 {
        let size = self.cut.end - self.cut.start;
        (size / HEDGE_SHARE.1 * HEDGE_SHARE.0).saturating_sub(self.wasted.load(Ordering::Relaxed))
    }

    /// Counts bytes that nobody has counted yet.
    fn count(&self, running: &Running, upto: u64) {
        let before = running.counted.fetch_max(upto, Ordering::Relaxed);
        if upto > before {
            self.reporter.moved(upto - before);
            self.at_once.moved(upto - before);
        }
    }

    /// A part is in the file up to this position of the file.
    fn written(&self, index: u64, upto: u64) {
        if let Some(follower) = &self.follower {
            follower.advance(index, upto);
        }
    }

    /// Ends a part, unless the other fetcher has done so.
    fn done(&self, running: &Running, hasher: Option<Hasher>) {
        let range = self.cut.range(running.index);
        let size = range.end - range.start;
        {
            let mut state = self.state();
            if state.running.remove(&running.index).is_none() {
                return;
            }
            self.left.fetch_sub(1, Ordering::Relaxed);
            self.pace.took(running.busy(), size);
            if let Some(sum) = hasher.and_then(|hasher| crc32c(&hasher.finish())) {
                state.sums.insert(running.index, sum);
            }
        }
        running.done.send_replace(true);
        self.ended.notify_waiters();
        self.reporter.part_done(running.index, size);
    }
}

/// The second fetcher of a part.
struct Second {
    from: u64,
    at: AtomicU64,
}

impl Second {
    /// Bytes that both fetchers have fetched.
    fn overlap(&self, running: &Running) -> u64 {
        let both = running.first().0.min(self.at.load(Ordering::Relaxed));
        both.saturating_sub(self.from)
    }
}

impl Running {
    /// How long it has been fetched.
    fn busy(&self) -> Duration {
        let gave_way = Duration::from_nanos(self.gave_way.load(Ordering::Relaxed));
        self.begin.elapsed().saturating_sub(gave_way)
    }

    /// Estimated seconds to the end of the part, of which a whole one takes `whole`; `None` if it is too early
    /// to say.
    fn left(&self, range: &Range<u64>, whole: f64) -> Option<f64> {
        let elapsed = self.busy().as_secs_f64();
        if elapsed < whole / 2.0 {
            return None;
        }
        let at = self.first().0;
        if at > range.start {
            return Some(elapsed * fraction(range.end - at, at - range.start));
        }
        // Not a byte so far: worse than any that has some.
        (elapsed > whole).then_some(f64::INFINITY)
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn fraction(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}

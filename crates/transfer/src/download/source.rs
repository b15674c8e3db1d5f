//! One version of an object, read in ranges that continue where they broke off.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{BlobStore, ByteStream, GetOptions, GetResult, HeadOptions, Pin, PinKind};
use longshore_core_types::{
    ByteRange, Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, ObjectMeta, StoreUrl,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    checkpoint::SavedDownload,
    config::Verify,
    context::Context,
    error::TransferError,
    measured::Measured,
    plan::{MIB, download_part},
    progress::ItemReporter,
    retry::Attempts,
};

/// After so many bytes in a row the failures before them do not count any more.
const PROGRESS: u64 = MIB;

/// Why a download did not get through.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It fails.
    Final(TransferError),
    /// The object was replaced while it was read.
    Replaced(Error),
    /// What arrived does not have the checksum that the store states.
    Corrupt(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error.into())
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    pub(crate) fn into_error(self) -> TransferError {
        match self {
            Self::Final(error) => error,
            Self::Replaced(error) | Self::Corrupt(error) => error.into(),
        }
    }

    pub(crate) fn in_part(self, index: u64) -> Self {
        match self {
            Self::Final(error) => Self::Final(error.in_part(index)),
            other => other,
        }
    }
}

/// A body that is open already, and the position behind its last byte as the answer says.
pub(crate) type Opened = (ByteStream, u64);

/// Why a request of a known version got no body.
enum Refused {
    Replaced(Error),
    Failed(Error),
}

/// What a download is about.
#[derive(Debug)]
pub(crate) struct Subject<S> {
    pub(crate) context: Context,
    pub(crate) store: S,
    pub(crate) key: ObjectKey,
    /// Only these bytes of the object.
    pub(crate) only: Option<ByteRange>,
    /// Size of the object, if a listing told.
    pub(crate) size_hint: Option<u64>,
    /// The answer to a request for the whole object that was made already.
    pub(crate) given: Mutex<Option<GetResult>>,
    /// That request has its permit and memory, and it is the only one that may run.
    pub(crate) admitted: bool,
}

/// One version of the object.
#[derive(Debug)]
pub(crate) struct Version<S> {
    subject: Arc<Subject<S>>,
    pub(crate) meta: ObjectMeta,
    pin: Pin,
    /// The checksum of the whole object that is to be compared.
    pub(crate) expected: Option<Checksum>,
    ranged: bool,
    /// More than one answer has told of it, which may have been about different objects.
    asked_again: AtomicBool,
    pub(crate) measured: Arc<Measured>,
}

/// How the wanted bytes are cut: the end of the first part, and the size of the parts behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) start: u64,
    pub(crate) first_end: u64,
    pub(crate) part: u64,
    pub(crate) end: u64,
}

impl Cut {
    pub(crate) fn parts(&self) -> u64 {
        1 + (self.end - self.first_end).div_ceil(self.part)
    }

    /// The same with what the first request brings in several parts, if it brings that much: each of them is worth
    /// keeping. What is left over is the first part, so that the last of them ends where the answer does.
    pub(crate) fn with_first_in_parts(self) -> Self {
        if self.first_end == self.end {
            return self;
        }
        let rest = match (self.first_end - self.start) % self.part {
            0 => self.part,
            rest => rest,
        };
        Self { first_end: self.start + rest, ..self }
    }

    /// How many parts end at this position or before it.
    pub(crate) fn parts_up_to(&self, position: u64) -> u64 {
        if position >= self.end {
            return self.parts();
        }
        position.checked_sub(self.first_end).map_or(0, |behind| 1 + behind / self.part)
    }

    pub(crate) fn size(&self, index: u64) -> u64 {
        let range = self.range(index);
        range.end - range.start
    }

    /// Whether it cuts anything, which is not certain of one that was read from a file.
    pub(crate) fn is_sound(&self) -> bool {
        self.start < self.first_end && self.first_end <= self.end && self.part > 0
    }

    pub(crate) fn range(&self, index: u64) -> Range<u64> {
        match index.checked_sub(1) {
            None => self.start..self.first_end,
            Some(behind) => {
                let start = self.first_end.saturating_add(behind.saturating_mul(self.part)).min(self.end);
                start..start.saturating_add(self.part).min(self.end)
            }
        }
    }
}

impl<S: BlobStore + Clone> Subject<S> {
    /// Asks for the first bytes, which also tells what there is: no request is spent on that alone.
    ///
    /// The caller has been admitted.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<(Arc<Version<S>>, Cut, Opened), Failure> {
        let config = self.context.config();
        let ranged = self.store.capability().ranged_get;
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = given {
            let whole = 0..answer.meta.size;
            return self.opened(answer, whole, ranged).await;
        }
        let serial = config.serial_download;
        let first = match (self.only, self.size_hint) {
            _ if !ranged => None,
            (Some(only), _) => {
                let first = serial.max(download_part(0, config.part_size, None));
                return self.open_range(only, first).await;
            }
            (None, Some(size)) if size <= serial => None,
            (None, Some(size)) => Some(download_part(size, config.part_size, None)),
            (None, None) => Some(serial.max(download_part(0, config.part_size, None))),
        };
        if self.only.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{} cannot read a part of an object", self.store.url()),
            )
            .into());
        }
        let options = match first {
            Some(first) => GetOptions::default().with_range(0..first),
            None => GetOptions::default(),
        };
        let asked = Instant::now();
        let answer = match self.context.within_grace(self.store.get(&self.key, options)).await {
            // An empty object has no first byte, which some servers say so.
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable && first.is_some() => {
                self.context.within_grace(self.store.get(&self.key, GetOptions::default())).await?
            }
            answer => answer?,
        };
        if ranged {
            self.measured().waited(asked.elapsed());
        }
        if answer.range.start != 0 {
            return Err(wrong_range(&answer, &(0..first.unwrap_or(answer.meta.size))).into());
        }
        let size = answer.meta.size;
        self.opened(answer, 0..size, ranged).await
    }

    async fn open_range(
        self: &Arc<Self>,
        only: ByteRange,
        first: u64,
    ) -> Result<(Arc<Version<S>>, Cut, Opened), Failure> {
        // The end of the object cuts what reaches over it, so a range without an end needs no size.
        let asked = match only {
            ByteRange::Bounded { start, end } => (start..end.min(start.saturating_add(first))).into(),
            ByteRange::From(start) => (start..start.saturating_add(first)).into(),
            ByteRange::Suffix(_) => only,
        };
        let options = GetOptions::default().with_range(asked);
        let answer = self.context.within_grace(self.store.get(&self.key, options)).await?;
        let wanted = only.resolve(answer.meta.size)?;
        if answer.range.start != wanted.start {
            return Err(wrong_range(&answer, &wanted).into());
        }
        self.opened(answer, wanted, true).await
    }

    /// The version that an interrupted download was about, if it still is the object.
    pub(crate) async fn reopen(self: &Arc<Self>, saved: &SavedDownload) -> Result<Arc<Version<S>>, Failure> {
        let meta = self.context.within_grace(self.store.head(&self.key, HeadOptions::default())).await?;
        let wanted = match self.only {
            Some(only) => only.resolve(meta.size)?,
            None => 0..meta.size,
        };
        if !saved.is_of(&self.store.url().with_key(self.key.as_str()), &meta, &wanted) {
            let text = "what an interrupted download left is of another object, or of another state of it";
            return Err(Failure::Replaced(Error::new(ErrorKind::PreconditionFailed, text)));
        }
        let expected = self.expected(&meta, wanted == (0..meta.size))?;
        Ok(Arc::new(self.version(meta, expected, true)))
    }

    /// The object, if it goes on behind so many bytes, and how to cut it: what is there is the first part.
    pub(crate) async fn beyond(
        self: &Arc<Self>,
        there: u64,
    ) -> Result<Option<(Arc<Version<S>>, Cut)>, Failure> {
        if there == 0 || self.only.is_some() || !self.store.capability().ranged_get {
            return Ok(None);
        }
        let meta = self.context.within_grace(self.store.head(&self.key, HeadOptions::default())).await?;
        if meta.size <= there {
            return Ok(None);
        }
        let part = download_part(meta.size - there, self.context.config().part_size, meta.chunk_size);
        let cut = Cut { start: 0, first_end: there, part, end: meta.size };
        let expected = self.expected(&meta, true)?;
        Ok(Some((Arc::new(self.version(meta, expected, true)), cut)))
    }

    fn version(self: &Arc<Self>, meta: ObjectMeta, expected: Option<Checksum>, ranged: bool) -> Version<S> {
        let asked_again = AtomicBool::new(false);
        let (pin, measured) = (Pin::from(&meta), self.measured());
        Version { subject: Arc::clone(self), meta, pin, expected, ranged, asked_again, measured }
    }

    fn measured(&self) -> Arc<Measured> {
        self.context.engine.measured(&self.store.url())
    }

    /// The checksum that is compared at the end.
    fn expected(&self, meta: &ObjectMeta, whole: bool) -> Result<Option<Checksum>, Failure> {
        let stated = if whole { best(&meta.checksums) } else { None };
        match self.context.config().verify {
            Verify::Never => Ok(None),
            Verify::Always if stated.is_none() => Err(unverifiable(self.store.url()).into()),
            Verify::Auto | Verify::Always => Ok(stated),
        }
    }

    async fn opened(
        self: &Arc<Self>,
        answer: GetResult,
        wanted: Range<u64>,
        ranged: bool,
    ) -> Result<(Arc<Version<S>>, Cut, Opened), Failure> {
        if answer.range.is_empty() && !wanted.is_empty() {
            return Err(wrong_range(&answer, &wanted).into());
        }
        let config = self.context.config();
        let mut meta = answer.meta.clone();
        let whole = wanted == (0..meta.size);
        if config.verify == Verify::Always && whole && best(&meta.checksums).is_none() {
            let head = self.context.within_grace(self.store.head(&self.key, HeadOptions::default())).await?;
            if !Pin::from(&meta).matches(&head) {
                return Err(Failure::Replaced(replaced()));
            }
            meta.checksums.clone_from(&head.checksums);
        }
        let expected = self.expected(&meta, whole)?;
        let first_end = answer.range.end.clamp(wanted.start, wanted.end);
        let size = wanted.end - wanted.start;
        // A short answer is continued by its own request, unless the rest is worth several.
        let serial = size <= config.serial_download || !ranged || self.admitted;
        let first_end = if serial { wanted.end } else { first_end };
        let cut = Cut {
            start: wanted.start,
            first_end,
            part: download_part(size, config.part_size, meta.chunk_size),
            end: wanted.end,
        };
        let version = self.version(meta, expected, ranged);
        let promised = answer.range.end;
        Ok((Arc::new(version), cut, (answer.into_stream(), promised)))
    }
}

impl<S: BlobStore + Clone> Version<S> {
    /// The object, with its key.
    pub(crate) fn url(&self) -> StoreUrl {
        self.subject.store.url().with_key(self.subject.key.as_str())
    }

    pub(crate) fn context(&self) -> &Context {
        &self.subject.context
    }

    /// The bytes `range`, with a body that already delivers them, or a request to be made.
    pub(crate) fn read(
        self: &Arc<Self>,
        index: u64,
        range: Range<u64>,
        opened: Option<Opened>,
    ) -> PartReader<S> {
        let (body, promised) = opened.map_or((None, 0), |(body, promised)| (Some(body), promised));
        PartReader {
            version: Arc::clone(self),
            index,
            at: range.start,
            end: range.end,
            upto: range.end,
            body,
            over: None,
            promised,
            skip: 0,
            moved: 0,
            failed: 0,
            measured: (range.start, Instant::now()),
        }
    }

    /// Whether it still is the version that the first answer described, where it took others that could not insist on it.
    pub(crate) async fn still_there(&self) -> Result<(), Failure> {
        let store = &self.subject.store;
        // Where nothing is stated that tells versions apart, there is nothing to insist on but the size. A checksum that
        // was compared says more than another question.
        let nameless = self.pin.etag.is_none() && self.pin.version.is_none() && self.expected.is_none();
        let loose = store.capability().pin == PinKind::None || nameless;
        if !loose || !self.asked_again.load(Ordering::Relaxed) {
            return Ok(());
        }
        let head = self.context().within_grace(store.head(&self.subject.key, HeadOptions::default())).await?;
        let same_time = head.last_modified.is_none()
            || self.meta.last_modified.is_none()
            || head.last_modified == self.meta.last_modified;
        let same_sums = self
            .meta
            .checksums
            .iter()
            .all(|ours| head.checksum(ours.kind()).is_none_or(|theirs| theirs == ours));
        if self.pin.matches(&head) && same_time && same_sums {
            Ok(())
        } else {
            Err(Failure::Replaced(replaced()))
        }
    }

    /// Opens a body with the bytes of `range`; also says how many other bytes come before them, and where the
    /// body ends.
    async fn get(&self, range: Range<u64>) -> Result<(ByteStream, u64, u64), Refused> {
        let whole = range == (0..self.meta.size);
        self.asked_again.store(true, Ordering::Relaxed);
        let mut options = GetOptions::default();
        if self.subject.store.capability().pin != PinKind::None {
            options = options.with_pin(self.pin.clone());
        }
        if self.ranged && !whole {
            options = options.with_range(range.clone());
        }
        let get = self.subject.store.get(&self.subject.key, options);
        let answer = self.context().within_grace(get).await.map_err(|error| match error.kind() {
            ErrorKind::PreconditionFailed | ErrorKind::RangeNotSatisfiable => Refused::Replaced(error),
            _ => Refused::Failed(error),
        })?;
        if !self.pin.matches(&answer.meta) {
            return Err(Refused::Replaced(replaced()));
        }
        // A server that ignores the range sends more than was asked for, from an earlier byte.
        if answer.range.start > range.start || answer.range.end <= range.start {
            return Err(Refused::Failed(wrong_range(&answer, &range)));
        }
        let (skip, promised) = (range.start - answer.range.start, answer.range.end);
        Ok((answer.into_stream(), skip, promised))
    }

    pub(crate) fn compare(&self, found: Option<&Checksum>) -> Result<(), Failure> {
        match (&self.expected, found) {
            (Some(expected), Some(found)) if expected != found => Err(Failure::Corrupt(Error::new(
                ErrorKind::ChecksumMismatch,
                format!("the store states {expected}, but what arrived has {found}"),
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn kind(&self) -> Option<ChecksumKind> {
        self.expected.as_ref().map(Checksum::kind)
    }
}

/// The bytes of one range in order, whatever breaks off in between.
pub(crate) struct PartReader<S> {
    version: Arc<Version<S>>,
    index: u64,
    at: u64,
    end: u64,
    /// A request may ask for so much more, which is left to [`PartReader::rest`].
    upto: u64,
    body: Option<ByteStream>,
    /// Bytes behind the end that came in one piece with those before it.
    over: Option<Bytes>,
    /// Position behind the last byte of the body, as the answer says.
    promised: u64,
    /// Bytes of the body that come before the wanted ones.
    skip: u64,
    /// Bytes since the last failure.
    moved: u64,
    failed: u32,
    /// From where on, and since when, the body is measured.
    measured: (u64, Instant),
}

impl<S: BlobStore + Clone> PartReader<S> {
    /// The same, with requests that go on to this position.
    pub(crate) fn asking_up_to(mut self, upto: u64) -> Self {
        self.upto = upto.max(self.end);
        self
    }

    /// The body that goes on behind the end of the range, once that is reached; if it does.
    pub(crate) fn rest(self) -> Option<Opened> {
        let body = self.body.filter(|_| self.at == self.end && self.promised > self.end)?;
        let over = stream::iter(self.over.map(Ok));
        Some((over.chain(body).boxed(), self.promised))
    }

    /// Position of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The next bytes; `None` at the end of the range.
    pub(crate) async fn next(&mut self, reporter: &ItemReporter) -> Result<Option<Bytes>, Failure> {
        while self.at < self.end {
            let Some(body) = &mut self.body else {
                let asked = Instant::now();
                match self.version.get(self.at..self.upto).await {
                    Ok((body, skip, promised)) => {
                        self.version.measured.waited(asked.elapsed());
                        (self.body, self.skip, self.promised) = (Some(body), skip, promised);
                        self.measured = (self.at, Instant::now());
                    }
                    Err(Refused::Replaced(error)) => return Err(Failure::Replaced(error)),
                    Err(Refused::Failed(error)) => self.again(error, reporter).await?,
                }
                continue;
            };
            let frame = self.version.context().within_grace(async { body.next().await.transpose() }).await;
            match frame {
                Ok(Some(frame)) => {
                    if let Some(frame) = self.cut(frame) {
                        let context = self.version.context();
                        context.requests.moved(frame.len() as u64);
                        context.engine.download_rate.pace(frame.len()).await;
                        return Ok(Some(frame));
                    }
                }
                // Fewer bytes than asked for, but as many as the answer said: another request brings the rest.
                Ok(None) if self.at >= self.promised => self.body = None,
                Ok(None) => {
                    let error = self.ended_early();
                    self.again(error, reporter).await?;
                }
                Err(error) => self.again(error, reporter).await?,
            }
        }
        self.version.measured.brought(self.at - self.measured.0, self.measured.1.elapsed());
        if self.upto == self.end {
            // Dropping the body here lets its connection be used again, or closed if there is more on it.
            self.body = None;
        }
        Ok(None)
    }

    /// Goes on over another connection.
    pub(crate) fn renew(&mut self) {
        (self.body, self.skip) = (None, 0);
    }

    /// What of a frame belongs to the range.
    fn cut(&mut self, mut frame: Bytes) -> Option<Bytes> {
        let skipped = self.skip.min(frame.len() as u64);
        self.skip -= skipped;
        let mut frame = frame.split_off(usize::try_from(skipped).unwrap_or(frame.len()));
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        if frame.len() > left {
            self.over = Some(frame.split_off(left));
        }
        self.at += frame.len() as u64;
        self.moved += frame.len() as u64;
        if self.moved >= PROGRESS {
            self.failed = 0;
        }
        (!frame.is_empty()).then_some(frame)
    }

    fn ended_early(&self) -> Error {
        let text = format!("the body ended {} bytes early", self.end - self.at);
        Error::new(ErrorKind::Transport, text)
    }

    /// Waits before another request for what is missing.
    async fn again(&mut self, error: Error, reporter: &ItemReporter) -> Result<(), Failure> {
        self.body = None;
        let context = self.version.context();
        let mut attempts = Attempts::continued(&context.config().retry, self.failed);
        let (attempt, wait, error) = attempts.next(error)?;
        self.failed = attempts.failed();
        self.moved = 0;
        reporter.retried(self.index, attempt, &Arc::new(error), wait);
        context.pause(wait).await?;
        Ok(())
    }
}

/// The stated checksum that costs the least to compute.
fn best(stated: &[Checksum]) -> Option<Checksum> {
    use ChecksumKind::{Crc32c, Md5, Sha256, Sha512, XxHash64};
    let order = [Crc32c, XxHash64, Sha256, Sha512, Md5];
    order.iter().find_map(|kind| stated.iter().find(|sum| sum.kind() == *kind)).cloned()
}

fn wrong_range(answer: &GetResult, asked: &Range<u64>) -> Error {
    let text = format!("asked for the bytes {asked:?}, but the answer holds {:?}", answer.range);
    Error::new(ErrorKind::Protocol, text)
}

fn replaced() -> Error {
    Error::new(ErrorKind::PreconditionFailed, "the object was replaced while it was read")
}

fn unverifiable(store: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{store} states no checksum that the bytes could be compared with"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_request_brings_is_several_parts() {
        let cut = |first_end, part| Cut { start: 10, first_end: 10 + first_end, part, end: 110 };
        for (first, part, expected) in [(40, 20, 20), (50, 20, 10), (20, 20, 20), (7, 20, 7), (100, 20, 100)]
        {
            let fine = cut(first, part).with_first_in_parts();
            assert_eq!(fine, cut(expected, part), "{first} in parts of {part}");
            let brought = fine.parts_up_to(10 + first);
            assert_eq!(fine.range(brought - 1).end, 10 + first, "the last part ends where the answer does");
            assert_eq!(fine.range(fine.parts() - 1).end, 110);
        }
        let cut = cut(30, 20);
        let ends = [9, 39, 40, 59, 60, 109, 110, 999].map(|position| cut.parts_up_to(position));
        assert_eq!(ends, [0, 0, 1, 1, 2, 4, 5, 5]);
    }
}

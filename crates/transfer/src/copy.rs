//! Copies from one store to another, or within one.

use std::{
    fmt,
    future::{Future, IntoFuture},
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{TryStreamExt, stream};
use longshore_blob_api::{AnyStore, BlobStore, Capability, CopyOptions, HeadOptions, PutOptions};
use longshore_core_types::{Attributes, ErrorKind, ObjectKey, ObjectMeta, Result as CoreResult};

use crate::{
    Transfer,
    cancel::CancelToken,
    config::Engine,
    context::Context,
    download::Download,
    error::{Result, TransferError, attach},
    handle::TransferHandle,
    progress::{Direction, Item, ItemReporter, ProgressSink, Reporter},
    sink::Sink,
    source::Source,
    upload::Upload,
};

/// Key of the user's own metadata that holds when the content changed last: seconds since 1970 with a fraction, such as
/// `1700000000.25`. Stores know when an object was stored, and nothing earlier.
pub const MODIFIED_KEY: &str = "mtime";

/// A copy that has not started. Await it, or [`start`](Self::start) it in the background.
///
/// The server copies where it can, and then nothing passes through this process. Otherwise the object is read and
/// written at once, within the budgets of both transfers and without a temporary file. Content type and the like, the
/// user's metadata and the time of the last change go along as far as the destination can hold them.
#[must_use = "a copy does nothing until it is awaited or started"]
pub struct CopyObject {
    reader: Arc<Engine>,
    writer: Arc<Engine>,
    from: AnyStore,
    source: ObjectKey,
    to: AnyStore,
    target: ObjectKey,
    change: Option<Arc<Change>>,
    server_side: bool,
    create_only: bool,
    sink: Option<Arc<dyn ProgressSink>>,
    cancel: CancelToken,
}

type Change = dyn Fn(&Attributes) -> Attributes + Send + Sync;

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOutcome {
    /// Size of the object in bytes.
    pub bytes: u64,
    /// The server did it.
    pub server_side: bool,
    /// The destination stated the checksum of what was read.
    pub verified: bool,
    /// What stood beside the source and could not be stored beside the copy: headers, keys of metadata, the time.
    pub lost: u64,
}

impl CopyObject {
    pub(crate) fn new(
        reader: &Transfer,
        writer: &Transfer,
        (from, source): (AnyStore, ObjectKey),
        (to, target): (AnyStore, ObjectKey),
    ) -> Self {
        Self {
            reader: Arc::clone(&reader.0),
            writer: Arc::clone(&writer.0),
            from,
            source,
            to,
            target,
            change: None,
            server_side: true,
            create_only: false,
            sink: None,
            cancel: CancelToken::new(),
        }
    }

    /// What to store beside the copy, made of what stands beside the source. The bytes then pass through here.
    pub fn attributes(mut self, of: impl Fn(&Attributes) -> Attributes + Send + Sync + 'static) -> Self {
        self.change = Some(Arc::new(of));
        self
    }

    pub(crate) fn change(mut self, of: Option<Arc<Change>>) -> Self {
        self.change = of;
        self
    }

    /// Whether the server may do it. Off where equal URLs mean different services. Default on.
    pub fn server_side(mut self, on: bool) -> Self {
        self.server_side = on;
        self
    }

    /// Fails with `AlreadyExists` or `PreconditionFailed` if the destination has the object. A store that cannot
    /// promise that answers `Unsupported`.
    pub fn create_only(mut self, on: bool) -> Self {
        self.create_only = on;
        self
    }

    /// Tells what happens.
    pub fn progress(mut self, sink: impl ProgressSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Obeys this token.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Runs in the background of the current runtime; see [`TransferHandle`].
    pub fn start(mut self) -> TransferHandle<CopyOutcome> {
        let reporter = Reporter::new(self.sink.take(), self.writer.config.progress_interval);
        let (progress, cancel) = (reporter.watch(), self.cancel.clone());
        TransferHandle::start(self.run_alone(reporter), progress, cancel)
    }

    async fn run_alone(self, reporter: Reporter) -> Result<CopyOutcome> {
        let result = self.run(&reporter).await;
        reporter.finished();
        result
    }

    /// Copies as one item of `reporter`, which says how it ended.
    pub(crate) async fn run(self, reporter: &Reporter) -> Result<CopyOutcome> {
        let item = Item::copy(
            self.from.url().with_key(self.source.as_str()).to_string(),
            self.to.url().with_key(self.target.as_str()).to_string(),
        );
        let reporter = reporter.item(item, None);
        let result = self.run_as(&reporter).await;
        reporter.ended(&result);
        result
    }

    /// Copies as part of an item that somebody else accounts for.
    pub(crate) async fn run_as(self, reporter: &ItemReporter) -> Result<CopyOutcome> {
        let copied = Box::pin(self.at_server(reporter)).await;
        if let Some(outcome) = attach(copied, reporter.item())? {
            return Ok(outcome);
        }
        Box::pin(self.streamed(reporter)).await.map_err(|error| error.on(reporter.item()))
    }

    /// Lets the server do it, if it can and nothing is to change on the way.
    async fn at_server(&self, reporter: &ItemReporter) -> CoreResult<Option<CopyOutcome>> {
        if self.change.is_some() || !self.server_side {
            return Ok(None);
        }
        let mut context = Context::new(&self.writer, &self.to, Direction::Copy);
        context.cancel = self.cancel.clone();
        let mut options = CopyOptions::default();
        options.create_only = self.create_only;
        let _admission = context.admit(1, 1).await?;
        let copied = if self.from.url() == self.to.url() && self.to.capability().copy {
            context.within_grace(self.to.copy(&self.source, &self.target, options)).await
        } else if self.to.can_copy_from(&self.from.url()) {
            let from = self.from.url().with_key(self.source.as_str());
            context.within_grace(self.to.copy_from(&from, &self.target, options)).await
        } else {
            return Ok(None);
        };
        match copied {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Unsupported && !self.create_only => return Ok(None),
            Err(error) => return Err(error),
        }
        let head = context.ask_in_grace(self.to.head(&self.target, HeadOptions::default())).await?;
        reporter.planned(head.size, 1, head.size);
        reporter.moved(head.size);
        Ok(Some(CopyOutcome { bytes: head.size, server_side: true, verified: false, lost: 0 }))
    }

    /// What stands beside the source, and when it was stored, of which an answer with bytes may state a part only.
    async fn beside(&self, meta: &ObjectMeta) -> CoreResult<(Attributes, Option<SystemTime>)> {
        let apart = self.from.capability().metadata_apart;
        if !apart && meta.last_modified.is_some() {
            return Ok((meta.attributes.clone(), meta.last_modified));
        }
        let mut context = Context::new(&self.reader, &self.from, Direction::Download);
        context.cancel = self.cancel.clone();
        let head = context.ask(self.from.head(&self.source, HeadOptions::default())).await?;
        let attributes = if apart { head.attributes } else { meta.attributes.clone() };
        Ok((attributes, meta.last_modified.or(head.last_modified)))
    }

    /// Through this process, in order.
    async fn streamed(&self, reporter: &ItemReporter) -> Result<CopyOutcome> {
        let mut context = Context::new(&self.writer, &self.to, Direction::Upload);
        context.cancel = self.cancel.clone();
        let _copy = context.copy().await?;
        let reading = Download::new(
            &self.reader,
            self.from.clone(),
            self.source.clone(),
            Sink::writer(tokio::io::sink()),
        );
        let body = reading.cancel(self.cancel.clone()).body().await?;
        let size = body.meta().size;
        reporter.planned(size, 1, size);
        let (attributes, time) = self.beside(body.meta()).await?;
        let mut wanted = match &self.change {
            Some(change) => change(&attributes),
            None => attributes,
        };
        let mut lost = 0;
        match time.and_then(show_time) {
            Some(time) if self.to.capability().user_metadata => {
                wanted.metadata.entry(MODIFIED_KEY.to_owned()).or_insert(time);
            }
            Some(_) => lost += 1,
            None => {}
        }
        let (attributes, dropped) = holdable(wanted, self.to.capability());
        lost += dropped;
        // Why the source failed says more than that the upload of it did.
        let broken: Arc<Mutex<Option<TransferError>>> = Arc::default();
        let noted = Arc::clone(&broken);
        let bytes =
            stream::try_unfold(
                body,
                |mut body| async move { Ok(body.chunk().await?.map(|chunk| (chunk, body))) },
            );
        let bytes = bytes.map_err(move |error: TransferError| {
            io::Error::other(noted.lock().unwrap_or_else(PoisonError::into_inner).insert(error).clone())
        });
        let mut options = PutOptions::default().with_attributes(attributes);
        options.create_only = self.create_only;
        let upload =
            Upload::new(&self.writer, self.to.clone(), self.target.clone(), Source::sized(bytes, size))
                .options(options)
                .cancel(self.cancel.clone());
        let outcome = upload.run_as(reporter).await;
        let cause = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, cause) {
            (Err(_), Some(cause)) => Err(cause),
            (Err(error), None) => Err(error),
            (Ok(done), _) => {
                Ok(CopyOutcome { bytes: done.bytes, server_side: false, verified: done.verified, lost })
            }
        }
    }
}

impl IntoFuture for CopyObject {
    type Output = Result<CopyOutcome>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let reporter = Reporter::new(self.sink.take(), self.writer.config.progress_interval);
        Box::pin(self.run_alone(reporter))
    }
}

impl fmt::Debug for CopyObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyObject")
            .field("source", &self.from.url().with_key(self.source.as_str()))
            .field("target", &self.to.url().with_key(self.target.as_str()))
            .finish_non_exhaustive()
    }
}

/// What of it a store can hold, and how much it cannot.
pub(crate) fn holdable(mut attributes: Attributes, can: &Capability) -> (Attributes, u64) {
    let mut lost = 0;
    let given = attributes.metadata.len();
    attributes.metadata.retain(|key, value| can.user_metadata && can.metadata.holds(key, value));
    lost += (given - attributes.metadata.len()) as u64;
    let Attributes {
        content_type,
        cache_control,
        content_encoding,
        content_disposition,
        content_language,
        ..
    } = &mut attributes;
    for (header, held) in [
        (content_type, can.content_headers),
        (cache_control, can.content_headers),
        (content_encoding, can.content_headers && can.more_headers),
        (content_disposition, can.content_headers && can.more_headers),
        (content_language, can.content_headers && can.more_headers),
    ] {
        if !held {
            lost += u64::from(header.take().is_some());
        }
    }
    (attributes, lost)
}

/// A time as it stands in metadata.
pub(crate) fn show_time(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    let text = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// When the content of an object changed last: as its metadata says, else when it was stored.
pub(crate) fn modified(meta: &longshore_core_types::ObjectMeta) -> Option<SystemTime> {
    let said = meta.attributes.metadata.get(MODIFIED_KEY).and_then(|text| read_time(text));
    said.or(meta.last_modified)
}

fn read_time(text: &str) -> Option<SystemTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    UNIX_EPOCH.checked_add(std::time::Duration::new(seconds.parse().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::MetadataRule;

    use super::*;

    #[test]
    fn times_come_back_from_metadata() {
        for (nanos, text) in [(0, "1700000000"), (250_000_000, "1700000000.25"), (7, "1700000000.000000007")]
        {
            let time = UNIX_EPOCH + std::time::Duration::new(1_700_000_000, nanos);
            assert_eq!(show_time(time).unwrap(), text);
            assert_eq!(read_time(text), Some(time));
        }
        for wrong in ["", "-1", "1e9", "x", "1.-1", "99999999999999999999"] {
            assert_eq!(read_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_held_is_counted() {
        let mut all = Attributes::default()
            .with_content_type("a/b")
            .with_cache_control("no-store")
            .with_metadata("k", "v");
        let mut can = Capability::default();
        let (left, lost) = holdable(all.clone(), &can);
        assert!(left.is_empty());
        assert_eq!(lost, 3);
        can.user_metadata = true;
        assert_eq!(holdable(all.clone(), &can).1, 2);
        can.content_headers = true;
        assert_eq!(holdable(all.clone(), &can), (all.clone(), 0));
        all.content_language = Some("de".into());
        assert_eq!(holdable(all.clone(), &can).1, 1);
        can.more_headers = true;
        assert_eq!(holdable(all.clone(), &can), (all.clone(), 0));
        can.metadata = MetadataRule::Headers;
        let odd = all.with_metadata("Key", "v");
        assert_eq!(holdable(odd, &can).1, 1);
    }
}

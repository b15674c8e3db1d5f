//! Every fault of the dev server as a named case: the client's result is right, or a clear error.
//!
//! A body that breaks is an error of the call that reads it; readers go on. What was sent again, or failed, leaves the
//! new object or the old one, and nothing in between.

mod aistore;
mod supabase;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use libtest_mimic::Trial;
use longshore_blob_api::{
    AnyStore, BlobStore, BlobStoreExt, CopyOptions, DeleteOptions, Entry, GetOptions, HeadOptions,
    ListOptions, Pin, ReaderOptions, WriterOptions,
};
use longshore_core_types::{Error, ErrorKind, ObjectKey};
use longshore_devserver::{Handle, JournalEntry, NodeKind};
use longshore_transfer::{Direction, PartSize, Transfer};
use longshore_transport::{Jitter, RetryConfig, TimeoutConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::Operation::{
    CopyTo, Delete, Download, Get, Head, List, Overwrite, Parts, Pinned, Put, Range, Read, Upload,
};
use super::{Context, Fault, aistore::journal, known};

/// What is done while the fault is armed.
#[derive(Clone, Copy)]
enum Operation {
    /// The whole object in one request.
    Get,
    /// A part of it.
    Range,
    /// The whole object in the version that was current before the fault.
    Pinned,
    /// The whole object with a reader.
    Read,
    /// A new object of so many bytes.
    Put(usize),
    /// An object over another one.
    Overwrite(usize),
    /// A new object in parts, with a writer.
    Parts,
    /// A new object in parts, as transfers send it.
    Upload,
    /// The whole object in parts, as transfers fetch it, into a file.
    Download,
    Head,
    Delete,
    List,
    CopyTo,
}

/// How it must end.
#[derive(Clone, Copy)]
enum Expect {
    Right,
    Fails(ErrorKind),
    /// It fails after as many attempts as it may make.
    Exhausts(ErrorKind),
    /// Which of the two is a matter of luck.
    Either(ErrorKind),
}

struct Row {
    name: &'static str,
    /// The faults in their textual form, with spaces between them.
    fault: &'static str,
    operation: Operation,
    expect: Expect,
}

const fn row(name: &'static str, fault: &'static str, operation: Operation, expect: Expect) -> Row {
    Row { name, fault, operation, expect }
}

/// A platform, and what goes wrong there.
struct Platform {
    /// First part of the names of its trials.
    name: &'static str,
    /// Every error says on what it happened: this is in its text.
    place: &'static str,
    rows: &'static [Row],
    /// Rows that do not end as they must, and why.
    known: &'static [(&'static str, &'static str)],
    open: fn(&Context, Pace) -> Result<Scene, Fault>,
}

/// How long a client waits for a server that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As it does by default.
    Calm,
    /// Not long. A busy machine can take a while to answer, so only those who wait for nothing are in a hurry.
    Brisk,
}

/// One trial for each row of each platform, and for what does not fit in a row.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let platforms = [aistore::PLATFORM, supabase::PLATFORM, supabase::OVER_S3];
    let rows = platforms.into_iter().flat_map(|platform| {
        let (platform, context) = (Arc::new(platform), Arc::clone(context));
        platform.rows.iter().map(move |row| platform.trial(row, &context)).collect::<Vec<_>>()
    });
    rows.chain(super::redirects::trials(context)).chain(supabase::trials(context)).collect()
}

impl Platform {
    fn trial(self: &Arc<Self>, row: &'static Row, context: &Arc<Context>) -> Trial {
        let (platform, context) = (Arc::clone(self), Arc::clone(context));
        Trial::ignorable_test(format!("{}::{}", platform.name, row.name), move || {
            let pace = if row.fault.contains("stall") { Pace::Brisk } else { Pace::Calm };
            let scene = (platform.open)(&context, pace).map_err(|error| error.to_string())?;
            let result = context.run(scene.play(row, platform.place)).and_then(|result| result);
            let result = result.map_err(|error| format!("{error}\n{}", journal(&scene.server, "")));
            known(platform.known, row.name, result)
        })
    }
}

/// A server of its own for each case, so that a fault hits nobody else, and a bucket there.
struct Scene {
    server: Handle,
    /// For what comes before the fault, and for looking at what it left.
    calm: AnyStore,
    /// For the call that meets the fault, and those that follow.
    store: AnyStore,
}

impl Scene {
    async fn play(&self, row: &Row, place: &str) -> Result<(), Fault> {
        let old = content(100_000, 1);
        for name in ["object", "other"] {
            self.calm.write(&key(name)?, old.clone()).await?;
        }
        let pin = Pin::from(&self.calm.head(&key("object")?, HeadOptions::default()).await?);
        // Only a server that answered before is asked again when it cannot be reached.
        self.store.head(&key("other")?, HeadOptions::default()).await?;
        for fault in row.fault.split_whitespace() {
            self.server.faults().add_str(fault)?;
        }
        let result = self.act(row.operation, pin).await?;
        let hit = self.server.journal().count(|entry| entry.fault.is_some()) > 0;
        self.server.faults().clear();
        let refusals = self.store.pressure().map_or(0, |pressure| pressure.refusals());
        if refusals == 0 && ["429", "503"].iter().any(|status| row.fault.contains(status)) {
            return Err("the refusals were not noted".into());
        }
        if !hit {
            return Err(format!("the fault {} hit no request", row.fault).into());
        }
        self.parts_went_once()?;
        match (row.expect, result) {
            (Expect::Right | Expect::Either(_), Ok(())) => {}
            (Expect::Exhausts(kind), Err(error)) if error.kind() == kind && error.attempts() != ATTEMPTS => {
                return Err(format!("it ended after {} attempts: {}", error.attempts(), error.chain()).into());
            }
            (Expect::Fails(kind) | Expect::Exhausts(kind) | Expect::Either(kind), Err(error))
                if error.kind() == kind =>
            {
                clear(&error, place)?;
            }
            (_, Ok(())) => return Err("it should have failed".into()),
            (_, Err(error)) => return Err(format!("[{:?}] {}", error.kind(), error.chain()).into()),
        }
        if row.name.starts_with("extra") {
            // The connection with the bytes too many may cost the next call that uses it, but no more.
            drop(self.store.read(&key("other")?).await);
        }
        // Whatever happened, the next calls are right.
        self.store.write(&key("after")?, old.clone()).await?;
        expect(&self.store.read(&key("after")?).await?, &old, "an object written afterwards")
    }

    /// No target of AIStore took the whole of a part number twice, which would have lost its data.
    fn parts_went_once(&self) -> Result<(), Fault> {
        let whole = |entry: &JournalEntry| {
            let all = entry.content_length == Some(entry.bytes_in);
            // By 429 a server says that it did not take what it was sent.
            entry.operation == "mpt-part"
                && entry.node == NodeKind::Target
                && all
                && entry.status != Some(429)
        };
        let mut seen = BTreeSet::new();
        for entry in self.server.journal().filter(whole) {
            let (_, query) = entry.path.split_once('?').ok_or("a part without a query")?;
            let mut named: Vec<&str> = query.split('&').filter(|pair| is_part_name(pair)).collect();
            named.sort_unstable();
            if !seen.insert((entry.key.clone(), named.join("&"))) {
                return Err(format!("a part was sent twice: {}", entry.path).into());
            }
        }
        Ok(())
    }

    /// Does it, and checks what came of it. Only failures of the call itself are the inner error.
    async fn act(&self, operation: Operation, pin: Pin) -> Result<Result<(), Error>, Fault> {
        let (store, object, old) = (&self.store, key("object")?, content(100_000, 1));
        let got = match operation {
            Get => store.get(&object, GetOptions::default()).await,
            Pinned => store.get(&object, GetOptions::default().with_pin(pin)).await,
            Range => store.get(&object, GetOptions::default().with_range(1000..3000)).await,
            Read => return self.read(&object, &old).await,
            Put(length) => return self.put("new", length).await,
            Overwrite(length) => return self.put("object", length).await,
            Parts => return self.parts().await,
            Upload => return self.upload().await,
            Download => return self.download(object, &old).await,
            Head => {
                let head = store.head(&object, HeadOptions::default()).await;
                return check(head, |meta| meta.size == 100_000);
            }
            Delete => {
                let deleted = store.delete(&object, DeleteOptions::default()).await;
                let exists = self.calm.exists(&object).await?;
                return check(deleted, |()| !exists);
            }
            List => {
                let page = store.list_page(&ListOptions::default(), None).await;
                return check(page, |page| page.entries.iter().map(Entry::name).eq(["object", "other"]));
            }
            CopyTo => {
                let copied = store.copy(&object, &key("copy")?, CopyOptions::default()).await;
                if copied.is_ok() {
                    expect(&self.calm.read(&key("copy")?).await?, &old, "the copy")?;
                }
                return Ok(copied.map(drop));
            }
        };
        let expected = if matches!(operation, Range) { old.slice(1000..3000) } else { old };
        match async { got?.bytes().await }.await {
            Ok(found) => expect(&found, &expected, "the body").map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn read(&self, object: &ObjectKey, expected: &Bytes) -> Result<Result<(), Error>, Fault> {
        let opts = ReaderOptions::default().with_chunk(16 << 10).with_read_ahead(64 << 10);
        let mut reader = self.store.reader(object, opts).await?;
        let mut found = Vec::new();
        match reader.read_to_end(&mut found).await {
            Ok(_) => expect(&found, expected, "what the reader read").map(Ok),
            Err(error) => {
                expect(&found, &expected[..found.len()], "what the reader read before it failed")?;
                Ok(Err(inner(error)?))
            }
        }
    }

    async fn put(&self, name: &str, length: usize) -> Result<Result<(), Error>, Fault> {
        let (key, new) = (key(name)?, content(length, 2));
        let put = self.store.write(&key, new.clone()).await;
        self.settle(&key, &new, put.map(drop)).await
    }

    /// What goes in three parts and a bit.
    fn in_parts(&self) -> Bytes {
        let least = self.store.capability().multipart.map_or(0, |limits| limits.min_part);
        content(usize::try_from(3 * least.max(48 << 10)).unwrap_or_default() + 777, 2)
    }

    async fn parts(&self) -> Result<Result<(), Error>, Fault> {
        let (key, new) = (key("new")?, self.in_parts());
        let opts = WriterOptions::default().with_threshold(50_000).with_part_size(50_000);
        let mut writer = self.store.writer(&key, opts)?;
        let written = match writer.write_all(&new).await {
            Ok(()) => writer.shutdown().await,
            Err(error) => Err(error),
        };
        let written = match written {
            Ok(()) => Ok(()),
            Err(error) => Err(inner(error)?),
        };
        self.settle(&key, &new, written).await
    }

    async fn upload(&self) -> Result<Result<(), Error>, Fault> {
        let (key, new) = (key("new")?, self.in_parts());
        let transfer = transfer()?;
        let sent = transfer.upload(&self.store, key.clone(), new.clone()).await;
        self.obeyed(&transfer, Direction::Upload)?;
        self.settle(&key, &new, sent.map(drop).map_err(Error::from)).await
    }

    async fn download(&self, object: ObjectKey, old: &Bytes) -> Result<Result<(), Error>, Fault> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let transfer = transfer()?;
        let got = transfer.download(&self.store, object.clone(), path.as_path()).await;
        self.obeyed(&transfer, Direction::Download)?;
        if let Err(error) = got {
            // Nothing that could be taken for the object.
            return if path.exists() {
                Err("a failed download left a file".into())
            } else {
                Ok(Err(error.into()))
            };
        }
        // A fault may have replaced it by another version; mixing the two would be wrong.
        let found = std::fs::read(&path)?;
        match expect(&found, old, "the file") {
            Ok(()) => Ok(Ok(())),
            Err(_) => expect(&found, &self.calm.read(&object).await?, "the file").map(Ok),
        }
    }

    /// A server that had too much to do gets fewer requests from then on.
    fn obeyed(&self, transfer: &Transfer, direction: Direction) -> Result<(), Fault> {
        let refused = self.store.pressure().is_some_and(|pressure| pressure.refusals() > 0);
        let limit = transfer.concurrency(&self.store, direction);
        if refused == (limit < FIRST_LIMIT) {
            return Ok(());
        }
        Err(format!("{limit} requests at once, and the server refused some: {refused}").into())
    }

    /// An upload that succeeded left the new object; one that failed left the new, the old, or none, but whole.
    async fn settle(
        &self,
        key: &ObjectKey,
        new: &Bytes,
        result: Result<(), Error>,
    ) -> Result<Result<(), Error>, Fault> {
        self.server.faults().clear();
        let found = match self.calm.read(key).await {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        match (&result, found) {
            (Ok(()), Some(found)) => expect(&found, new, "the new object")?,
            (Ok(()), None) => return Err("the new object is not there".into()),
            (Err(_), Some(found)) if found != *new => {
                expect(&found, &content(100_000, 1), "the old object")?;
            }
            (Err(_), _) => {}
        }
        Ok(result)
    }
}

/// Whether a pair of a query says which part of which upload it is.
fn is_part_name(pair: &str) -> bool {
    pair.starts_with("uploadId=") || pair.starts_with("partNumber=")
}

const ATTEMPTS: u32 = 5;

/// So many requests a transfer has in flight when it begins.
const FIRST_LIMIT: usize = 8;

/// Many attempts in little time.
fn patient() -> RetryConfig {
    RetryConfig::default()
        .max_attempts(ATTEMPTS)
        .waits(Duration::from_millis(10), Duration::from_millis(40))
        .jitter(Jitter::None)
}

/// Everything in parts of 16 KiB, and in little time.
fn transfer() -> Result<Transfer, Error> {
    Transfer::builder()
        .part_size(PartSize::Fixed(16 << 10))
        .serial_download(1)
        .multipart_threshold(1)
        .part_lookup(Duration::from_millis(50), Duration::from_millis(10))
        .build()
}

fn brisk() -> TimeoutConfig {
    let limit = Duration::from_millis(200);
    TimeoutConfig::default().connect(Duration::from_secs(2)).head(limit).idle(limit)
}

fn key(name: &str) -> Result<ObjectKey, Error> {
    ObjectKey::new(name)
}

/// Bytes without a period that could hide a shift.
fn content(length: usize, seed: u64) -> Bytes {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn expect(found: &[u8], expected: &[u8], what: &str) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    let first = found.iter().zip(expected).position(|(a, b)| a != b);
    Err(format!(
        "{what} has {} bytes instead of {}, first difference at {first:?}",
        found.len(),
        expected.len()
    )
    .into())
}

fn check<T>(result: Result<T, Error>, right: impl Fn(&T) -> bool) -> Result<Result<(), Error>, Fault> {
    match result {
        Ok(value) if !right(&value) => Err("the answer is wrong".into()),
        result => Ok(result.map(drop)),
    }
}

/// The error inside an I/O error.
fn inner(error: std::io::Error) -> Result<Error, Fault> {
    let inner = error.into_inner().ok_or("an I/O error without the error of the store")?;
    Ok(*inner.downcast::<Error>()?)
}

/// A clear error says on what it happened.
fn clear(error: &Error, place: &str) -> Result<(), Fault> {
    let text = error.to_string();
    if !text.contains(place) {
        return Err(format!("the error does not say on what it happened: {text}").into());
    }
    Ok(())
}

//! Every fault of the dev server as a named case: the client's result is right, or a clear error.
//!
//! A body that breaks is an error of the call that reads it; readers go on. A part is never sent twice on its own
//! (AIStore loses it), so a part that fails fails the upload, which leaves nothing behind.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use libtest_mimic::Trial;
use longshore_aistore::{Client, Store};
use longshore_blob_api::{
    BlobStore, BlobStoreExt, CopyOptions, DeleteOptions, Entry, GetOptions, HeadOptions, ListOptions, Pin,
    ReaderOptions, WriterOptions,
};
use longshore_core_types::{Error, ErrorKind, ObjectKey};
use longshore_devserver::{DevServer, Handle};
use longshore_transfer::{PartSize, Transfer};
use longshore_transport::{Jitter, RetryConfig, TimeoutConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    Expect::{Either, Exhausts, Fails, Right},
    Operation::{
        CopyTo, Delete, Download, Get, Head, List, Overwrite, Parts, Pinned, Put, Range, Read, Upload,
    },
};
use super::{Context, Fault, aistore, known, redirects};

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
    /// The fault in its textual form.
    fault: &'static str,
    operation: Operation,
    expect: Expect,
}

const fn row(name: &'static str, fault: &'static str, operation: Operation, expect: Expect) -> Row {
    Row { name, fault, operation, expect }
}

use ErrorKind::{
    ChecksumMismatch, PreconditionFailed, Protocol, QuotaExceeded, RateLimited, Timeout, Transport,
    Unavailable,
};

const ROWS: &[Row] = &[
    row("reset::get", "get:reset-at=1000:count=1", Get, Fails(Transport)),
    row("reset::range", "get:reset-at=100:count=1", Range, Fails(Transport)),
    row("reset::reader_goes_on", "get:reset-at=1000:count=3", Read, Right),
    row("reset::reader_gives_up", "get:reset-at=1000", Read, Fails(Transport)),
    row("reset::put", "put:reset-at=1000:count=1", Put(50_000), Right),
    row("reset::large_put", "put:reset-at=300000:count=1", Put(1 << 20), Right),
    row("reset::overwrite", "put:reset-at=1000", Overwrite(50_000), Fails(Transport)),
    row("reset::part", "mpt-part:reset-at=1000:count=1", Parts, Fails(Transport)),
    row("reset::list", "list:reset-at=10:count=1", List, Fails(Transport)),
    row("reset::download", "get:reset-at=1000:count=4", Download, Right),
    row("reset::upload", "mpt-part:reset-at=1000:count=2", Upload, Right),
    row("stall::get", "get:stall:count=1", Get, Right),
    row("stall::get_without_end", "get:stall", Get, Exhausts(Timeout)),
    row("stall::body", "get:stall-at=1000:count=1", Get, Fails(Timeout)),
    row("stall::reader_goes_on", "get:stall-at=1000:count=1", Read, Right),
    row("stall::put", "put:stall:count=1", Put(50_000), Right),
    row("stall::body_of_put", "put:stall-at=1000:count=1", Put(50_000), Right),
    row("stall::part", "mpt-part:stall:count=1", Parts, Fails(Timeout)),
    row("stall::list", "list:stall:count=1", List, Right),
    row("stall::download", "get:stall-at=1000:count=1", Download, Right),
    row("delay::get", "get:delay=20ms", Get, Right),
    row("delay::put", "put:delay=20ms", Put(50_000), Right),
    row("rate::get", "get:rate=1MiB", Get, Right),
    row("rate::put", "put:rate=4MiB", Put(300_000), Right),
    row("truncate::get", "get:truncate-at=1000:count=1", Get, Fails(Transport)),
    row("truncate::reader_goes_on", "get:truncate-at=1000:count=1", Read, Right),
    row("truncate::list", "list:truncate-at=10:count=1", List, Fails(Transport)),
    row("truncate::download", "get:truncate-at=1000:count=2", Download, Right),
    row("short::get", "get:short-by=10", Get, Fails(ChecksumMismatch)),
    row("short::range", "get:short-by=10", Range, Fails(Transport)),
    row("short::reader", "get:short-by=10", Read, Fails(Transport)),
    row("short::list", "list:short-by=5", List, Fails(Protocol)),
    row("short::download", "get:short-by=10:count=1", Download, Right),
    row("extra::get", "get:extra=10", Get, Right),
    row("extra::range", "get:extra=10", Range, Right),
    row("extra::list", "list:extra=10", List, Right),
    row("wrong_range::range", "get:wrong-range=10", Range, Fails(Protocol)),
    row("wrong_range::reader", "get:wrong-range=10", Read, Fails(Protocol)),
    row("wrong_range::download", "get:wrong-range=10:skip=1", Download, Fails(Protocol)),
    row("wrong_range_body::download", "get:wrong-range-body=10:skip=1", Download, Fails(ChecksumMismatch)),
    row("ignored_range::range", "get:ignore-range", Range, Either(Protocol)),
    row("ignored_range::reader", "get:ignore-range", Read, Either(Protocol)),
    row("status_500::get", "get:status=500:count=1", Get, Right),
    row("status_500::put", "put:status=500:count=1", Put(50_000), Right),
    row("status_502::get", "get:status=502:count=2", Get, Right),
    row("status_503::get", "get:status=503:count=2", Get, Right),
    row("status_503::get_without_end", "get:status=503", Get, Exhausts(Unavailable)),
    row("status_503::head", "head:status=503:count=2", Head, Right),
    row("status_503::put", "put:status=503:count=2", Put(50_000), Right),
    row("status_503::large_put", "put:status=503:count=1", Put(1 << 20), Right),
    row("status_503::delete", "delete:status=503:count=2", Delete, Right),
    row("status_503::list", "list:status=503:count=2", List, Right),
    row("status_503::copy", "copy:status=503:count=2", CopyTo, Right),
    row("status_503::part", "mpt-part:status=503:count=1", Parts, Fails(Unavailable)),
    row("status_503::upload", "mpt-part:status=503:count=2", Upload, Right),
    row("status_503::download", "get:status=503:count=4", Download, Right),
    row("status_503::complete", "mpt-complete:status=503:count=1", Parts, Either(Unavailable)),
    row("status_503::with_retry_after", "get:status=503/0:count=2", Get, Right),
    row("status_504::get", "get:status=504:count=1", Get, Right),
    row("status_429::get", "get:status=429:count=2", Get, Right),
    row("status_429::put", "put:status=429/0:count=2", Put(50_000), Right),
    row("status_429::get_without_end", "get:status=429", Get, Exhausts(RateLimited)),
    row("wrong_checksum::get", "get:wrong-checksum", Get, Fails(ChecksumMismatch)),
    row("wrong_checksum::reader", "get:wrong-checksum", Read, Right),
    row("wrong_checksum::put", "put:wrong-checksum", Put(50_000), Fails(ChecksumMismatch)),
    row("redirect_dead::get", "get:redirect-dead:count=1", Get, Right),
    row("redirect_dead::get_without_end", "get:redirect-dead", Get, Exhausts(Transport)),
    row("redirect_dead::put", "put:redirect-dead:count=1", Put(50_000), Right),
    row("redirect_loop::get", "get:redirect-loop", Get, Fails(Protocol)),
    row("redirect_loop::put", "put:redirect-loop", Put(50_000), Fails(Protocol)),
    row("replace::pinned", "get:replace:count=1", Pinned, Fails(PreconditionFailed)),
    row("replace::reader", "get:replace:count=1:skip=1", Read, Fails(PreconditionFailed)),
    row("replace::download", "get:replace:count=1:skip=2", Download, Right),
    row("close::get", "get:close:count=1", Get, Right),
    row("close::get_without_end", "get:close", Get, Fails(Transport)),
    row("close::put", "put:close:count=1", Put(50_000), Right),
    row("close::part", "mpt-part:close:count=1", Parts, Fails(Transport)),
    row("close::upload", "mpt-part:close:count=1", Upload, Right),
    row("close::list", "list:close:count=1", List, Right),
    row("byte_writes::get", "get:byte-writes", Range, Right),
    row("byte_writes::head", "head:byte-writes", Head, Right),
    row("byte_writes::list", "list:byte-writes", List, Right),
    row("close_idle::reader", "get:close-idle", Read, Right),
    row("close_idle::put", "any:close-idle", Put(50_000), Right),
    // Completion is not repeated on a connection that turns out to be dead: it may have happened.
    row("close_idle::parts", "any:close-idle", Parts, Either(Transport)),
    row("close_idle::download", "any:close-idle", Download, Right),
    row("restart::get", "get:restart=30ms:count=1", Get, Right),
    row("restart::put", "put:restart=30ms:count=1", Put(50_000), Right),
    row("no_space::put", "put:no-space", Put(50_000), Fails(QuotaExceeded)),
    row("no_space::put_half_way", "put:no-space-at=1000", Put(50_000), Fails(QuotaExceeded)),
    row("no_space::overwrite", "put:no-space-at=1000", Overwrite(50_000), Fails(QuotaExceeded)),
    row("no_space::part", "mpt-part:no-space", Parts, Fails(QuotaExceeded)),
    row("no_space::upload", "mpt-part:no-space", Upload, Fails(QuotaExceeded)),
];

/// Rows that do not end as they must, and why.
const KNOWN: &[(&str, &str)] = &[];

/// One trial for each row, and for what does not fit in a row.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |row: &'static Row| {
        let context = Arc::clone(context);
        Trial::ignorable_test(format!("aistore-faults::{}", row.name), move || {
            let scene = Scene::new(row).map_err(|error| error.to_string())?;
            let result = context.run(scene.play(row)).and_then(|result| result);
            let result = result.map_err(|error| format!("{error}\n{}", aistore::journal(&scene.server, "")));
            known(KNOWN, row.name, result)
        })
    };
    ROWS.iter().map(trial).chain(redirects::trials(context)).collect()
}

/// A server of its own for each case, so that a fault hits nobody else.
struct Scene {
    server: Handle,
    /// For what comes before the fault, and for looking at what it left.
    calm: Store,
    /// For the call that meets the fault, and those that follow.
    store: Store,
}

impl Scene {
    fn new(row: &Row) -> Result<Self, Fault> {
        let server = DevServer::builder().start_blocking()?;
        let client = Client::builder(server.aistore_url());
        let calm = client.build()?.bucket("faults")?.store();
        let client = Client::builder(server.aistore_url()).retry(patient());
        // A busy machine can take a while to answer, so only those who wait for nothing are in a hurry.
        let client = if row.fault.contains("stall") { client.timeouts(brisk()) } else { client };
        let store = client.build()?.bucket("faults")?.store();
        Ok(Self { server, calm, store })
    }

    async fn play(&self, row: &Row) -> Result<(), Fault> {
        self.calm.bucket().create().await?;
        let old = content(100_000, 1);
        for name in ["object", "other"] {
            self.calm.write(&key(name)?, old.clone()).await?;
        }
        let pin = Pin::from(&self.calm.head(&key("object")?, HeadOptions::default()).await?);
        self.server.faults().add_str(row.fault)?;
        let result = self.act(row.operation, pin).await?;
        let hit = self.server.journal().count(|entry| entry.fault.is_some()) > 0;
        self.server.faults().clear();
        if !hit {
            return Err(format!("the fault {} hit no request", row.fault).into());
        }
        match (row.expect, result) {
            (Right | Either(_), Ok(())) => {}
            (Exhausts(kind), Err(error)) if error.kind() == kind && error.attempts() != ATTEMPTS => {
                return Err(format!("it ended after {} attempts: {}", error.attempts(), error.chain()).into());
            }
            (Fails(kind) | Exhausts(kind) | Either(kind), Err(error)) if error.kind() == kind => {
                clear(&error)?;
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

    async fn parts(&self) -> Result<Result<(), Error>, Fault> {
        let (key, new) = (key("new")?, content(150_000, 2));
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
        let (key, new) = (key("new")?, content(150_000, 2));
        let sent = transfer()?.upload(&self.store, key.clone(), new.clone()).await;
        self.settle(&key, &new, sent.map(drop).map_err(Error::from)).await
    }

    async fn download(&self, object: ObjectKey, old: &Bytes) -> Result<Result<(), Error>, Fault> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let got = transfer()?.download(&self.store, object.clone(), path.as_path()).await;
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

const ATTEMPTS: u32 = 5;

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
fn clear(error: &Error) -> Result<(), Fault> {
    let text = error.to_string();
    if !text.contains("ais://faults") {
        return Err(format!("the error does not say on what it happened: {text}").into());
    }
    Ok(())
}

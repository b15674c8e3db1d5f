//! Whole transfers over a store in memory.

mod continued;
mod download;
mod faults;
mod late;
mod limits;
mod odd;
mod resume;
mod stream;
mod sync;
mod tree;
mod upload;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use longshore_blob_api::{BlobStoreExt, MemoryCall, MemoryFault, MemoryStore, MemoryStoreBuilder};
use longshore_core_types::{Error, ErrorKind, ObjectKey};
use tempfile::TempDir;

use crate::{PartSize, RetryPolicy, Transfer, TransferBuilder, TransferEvent};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Settings with which small objects take the ways of large ones, and nothing waits long.
fn builder() -> TransferBuilder {
    Transfer::builder()
        .part_size(PartSize::Fixed(64 * KIB))
        .multipart_threshold(100 * KIB)
        .serial_download(100 * KIB)
        .retry(RetryPolicy::default().with_backoff(Duration::from_millis(1), Duration::from_millis(2)))
        .part_lookup(Duration::from_millis(20), Duration::from_millis(5))
        .grace(Duration::from_millis(50))
        .progress_interval(Duration::ZERO)
}

fn transfer() -> Transfer {
    builder().build().unwrap()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

/// Bytes that differ at every position that matters.
fn bytes(length: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(length);
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    random.fill(&mut bytes);
    bytes.into()
}

fn memory() -> MemoryStoreBuilder {
    MemoryStore::builder("b").chunk_size(10_000)
}

/// A store with one object `k` of so many bytes.
async fn store_with(builder: MemoryStoreBuilder, length: u64) -> (MemoryStore, Bytes) {
    let store = builder.build().unwrap();
    let content = bytes(length);
    store.write(&key("k"), content.clone()).await.unwrap();
    (store, content)
}

/// Names of everything in a directory and below, sorted.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|name| format!("{}/{name}", path.file_name().unwrap().to_str().unwrap())),
            );
        } else {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn broken() -> Error {
    Error::new(ErrorKind::Transport, "the connection broke")
}

/// A fault for the nth (from 1) call of an operation only.
fn nth(
    operation: &'static str,
    n: u64,
    fault: impl Fn() -> MemoryFault + Send + Sync + 'static,
) -> impl Fn(&MemoryCall<'_>) -> MemoryFault + Send + Sync + 'static {
    let seen = AtomicU64::new(0);
    move |call| {
        if call.operation == operation && seen.fetch_add(1, Ordering::Relaxed) + 1 == n {
            fault()
        } else {
            MemoryFault::None
        }
    }
}

/// Calls a store has seen.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, call: &MemoryCall<'_>) {
        let name = call.operation.rsplit('.').next().unwrap();
        let range = call.range.map(|range| format!(" {range}")).unwrap_or_default();
        let part = call.part.map(|part| format!(" {part}")).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{name}{range}{part}"));
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Events of a transfer.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<TransferEvent>>>);

impl Events {
    fn sink(&self) -> impl Fn(&TransferEvent) + Send + Sync + 'static {
        let events = Arc::clone(&self.0);
        move |event: &TransferEvent| events.lock().unwrap().push(event.clone())
    }

    fn count(&self, matches: impl Fn(&TransferEvent) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|event| matches(event)).count()
    }
}

/// Waits until something is so, which it will be.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

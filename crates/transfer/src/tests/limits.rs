//! Memory, requests and bytes per second stay within their limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{BlobStore, BlobStoreExt};
use longshore_core_types::ErrorKind;
use tokio::time::Instant;

use super::{KIB, MIB, builder, bytes, dir, key, memory, odd::Odd, store_with, transfer, until};
use crate::{CancelToken, PartSize, Sink, Source};

#[tokio::test]
async fn an_endless_stream_waits_for_memory() {
    let budget = 4 * MIB;
    let transfer =
        builder().memory_budget(budget).part_size(PartSize::Fixed(MIB)).concurrency(16).build().unwrap();
    let odd = Odd::new(memory().build().unwrap()).slow_parts(Duration::from_millis(10));
    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let chunk = Bytes::from(vec![7; 100_000]);
    let chunks = stream::repeat(chunk).take(200).map(move |chunk| {
        counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok(chunk)
    });
    let handle = transfer.upload(&odd, key("k"), Source::stream(chunks)).start();
    tokio::time::sleep(Duration::from_millis(5)).await;
    // What has been read and not been stored is what memory was granted for.
    assert!(read.load(Ordering::Relaxed) <= budget + 100_000);
    assert!(transfer.usage().memory <= budget);
    assert_eq!(handle.join().await.unwrap().bytes, 20_000_000);
    assert!(transfer.usage().memory_peak <= budget);
    assert_eq!(transfer.usage().memory, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffers_stay_within_the_tickets_however_many_transfers_there_are() {
    let budget = 4 * MIB;
    let part = PartSize::Fixed(600_000);
    let transfer = builder().memory_budget(budget).part_size(part).concurrency(64).build().unwrap();
    let dir = dir();
    let path = dir.path().join("f");
    std::fs::write(&path, bytes(3 * MIB)).unwrap();
    let (store, _) = store_with(memory(), 3 * MIB).await;
    let mut handles = Vec::new();
    for n in 0..6 {
        let up = transfer.upload(&store, key(&format!("u{n}")), &path).start();
        let down = transfer.download(&store, key("k"), dir.path().join(format!("d{n}"))).start();
        let stream = transfer.download(&store, key("k"), Sink::writer(tokio::io::sink())).start();
        handles.push((up, down, stream));
    }
    for (up, down, stream) in handles {
        up.join().await.unwrap();
        down.join().await.unwrap();
        stream.join().await.unwrap();
    }
    let usage = transfer.usage();
    assert_eq!(usage.memory, 0);
    assert!(usage.memory_peak <= budget, "{usage:?}");
    let slabs = transfer.0.slabs.most_in_use() * crate::slab::SLAB;
    assert!(slabs as u64 <= budget, "{slabs}");
}

/// A stream that has nothing to say for a moment.
fn late_stream(bytes: Bytes) -> Source {
    let chunk = stream::once(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(bytes)
    });
    Source::stream(chunk)
}

#[tokio::test(start_paused = true)]
async fn files_and_streams_at_once_do_not_wait_for_each_other() {
    // Two streams take all memory before they can send anything, and two parts of a file all requests.
    let part = PartSize::Fixed(2 * MIB);
    let transfer = builder().memory_budget(4 * MIB).part_size(part).concurrency(2).build().unwrap();
    let store = memory().build().unwrap();
    let dir = dir();
    let path = dir.path().join("f");
    let content = bytes(5 * MIB);
    std::fs::write(&path, &content).unwrap();
    let mut handles = Vec::new();
    for n in 0..2 {
        handles.push(transfer.upload(&store, key(&format!("s{n}")), late_stream(content.clone())).start());
    }
    for n in 0..2 {
        handles.push(transfer.upload(&store, key(&format!("f{n}")), &path).start());
    }
    for handle in handles {
        tokio::time::timeout(Duration::from_secs(3600), handle.join()).await.unwrap().unwrap();
    }
    for name in ["s0", "s1", "f0", "f1"] {
        assert!(store.read(&key(name)).await.unwrap() == content, "{name}");
    }
    assert!(transfer.usage().memory_peak <= 4 * MIB);
}

#[tokio::test(start_paused = true)]
async fn streams_to_a_store_without_parts_do_not_wait_for_each_other() {
    let transfer = builder().memory_budget(4 * MIB).build().unwrap();
    let store = memory().capability(|can| can.multipart = None).build().unwrap();
    let content = bytes(5 * MIB);
    let handles: Vec<_> = (0..3)
        .map(|n| transfer.upload(&store, key(&format!("s{n}")), late_stream(content.clone())).start())
        .collect();
    for handle in handles {
        let done = tokio::time::timeout(Duration::from_secs(3600), handle.join()).await.unwrap();
        assert_eq!(done.unwrap().bytes, 5 * MIB);
    }
    assert!(transfer.usage().memory_peak <= 4 * MIB);
}

#[tokio::test]
async fn no_more_requests_run_than_may() {
    let running = Arc::new(AtomicU64::new(0));
    let most = Arc::new(AtomicU64::new(0));
    let (store, _) = store_with(memory(), 3 * MIB).await;
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let odd = Odd::new(store).on_body(move |_, body| {
        peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let now = Arc::clone(&now);
        // The body counts until it is dropped.
        let guard = Guard(now);
        body.then(move |chunk| {
            let _ = &guard;
            async {
                tokio::task::yield_now().await;
                chunk
            }
        })
        .boxed()
    });
    let transfer = builder().concurrency(3).hedge(false).build().unwrap();
    let dir = dir();
    let handles: Vec<_> =
        (0..4).map(|n| transfer.download(&odd, key("k"), dir.path().join(format!("{n}"))).start()).collect();
    for handle in handles {
        handle.join().await.unwrap();
    }
    assert_eq!((most.load(Ordering::Relaxed), running.load(Ordering::Relaxed)), (3, 0));
}

struct Guard(Arc<AtomicU64>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_per_second_are_limited_in_each_direction() {
    let transfer = builder()
        .limit_download(Some(1_000_000))
        .limit_upload(Some(500_000))
        .hedge(false)
        .grace(Duration::from_secs(3600))
        .build()
        .unwrap();
    let (store, content) = store_with(memory(), 2_000_000).await;
    let begin = Instant::now();
    let mut body = transfer.read(&store, key("k")).await.unwrap();
    while body.chunk().await.unwrap().is_some() {}
    let taken = begin.elapsed().as_secs_f64();
    assert!((1.8..2.2).contains(&taken), "{taken}");
    let begin = Instant::now();
    transfer.upload(&store, key("u"), content.clone()).await.unwrap();
    let taken = begin.elapsed().as_secs_f64();
    assert!((3.8..4.2).contains(&taken), "{taken}");
    assert!(store.read(&key("u")).await.unwrap() == content);
}

#[tokio::test]
async fn a_stream_that_waits_for_its_turn_can_be_stopped() {
    let transfer = builder().concurrency(1).build().unwrap();
    let slow = Odd::new(memory().build().unwrap()).slow_parts(Duration::from_secs(3600));
    let first = transfer.upload(&slow, key("a"), bytes(300 * KIB).to_vec()).start();
    until(async || slow.parts_stored() > 0).await;
    let token = CancelToken::new();
    let source = Source::stream(stream::iter([Ok(bytes(80 * KIB))]));
    let second = transfer.upload(&slow, key("b"), source).cancel(token.clone()).start();
    until(async || slow.inner().open_uploads() == 2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    token.stop_now();
    let ended = tokio::time::timeout(Duration::from_secs(10), second.join()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
    drop(first);
}

#[tokio::test]
async fn a_transfer_of_nothing_needs_no_memory() {
    let store = memory().build().unwrap();
    let transfer = transfer();
    transfer.upload(&store, key("k"), Bytes::new()).await.unwrap();
    assert!(transfer.usage().memory_peak <= 4 * KIB);
    assert_eq!(store.head(&key("k"), longshore_blob_api::HeadOptions::default()).await.unwrap().size, 0);
}

//! Requests that are much slower than others.

use std::{fs, time::Duration};

use futures_util::StreamExt;
use longshore_blob_api::{BlobStoreExt, ByteStream};
use longshore_core_types::{ChecksumKind, ErrorKind};
use tokio::time::{Instant, sleep};

use super::{
    KIB, builder, bytes, dir, key, memory,
    odd::{Odd, failing},
    store_with,
};
use crate::{CancelToken, PartSize, unfinished};

/// A part of 64 KiB takes seven times this.
const CHUNK: Duration = Duration::from_millis(50);
/// Of ten parts.
const SIZE: u64 = 640 * KIB;

fn paced(body: ByteStream, slower: u32) -> ByteStream {
    body.then(move |chunk| async move {
        sleep(CHUNK * slower).await;
        chunk
    })
    .boxed()
}

/// How long a download takes in which these requests (from 1) are a hundred times slower, and how many there are.
async fn download(slow: &'static [u64]) -> (Duration, u64) {
    let (store, content) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store).on_body(|n, body| paced(body, if slow.contains(&n) { 100 } else { 1 }));
    let dir = dir();
    let target = dir.path().join("f");
    let transfer = builder().concurrency(3).serial_download(64 * KIB).build().unwrap();
    let begin = Instant::now();
    transfer.download(&odd, key("k"), target.as_path()).await.unwrap();
    let time = begin.elapsed();
    assert_eq!(fs::read(target).unwrap(), content);
    (time, odd.gets())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crawls_is_given_up_for_another_one() {
    assert_eq!(download(&[]).await.1, 10);
    for slow in [&[2], &[6], &[10]] {
        let (time, gets) = download(slow).await;
        assert!(time < Duration::from_secs(4), "{slow:?}: {time:?}");
        assert!(gets <= 12, "{slow:?}: {gets}");
    }
}

/// How many requests it takes to download 32 parts from a store whose answers take this long; the third breaks off
/// in its second part, if it has one.
async fn requests(latency: u64, plan: bool, in_order: bool) -> u64 {
    let part = 256 * KIB;
    let (store, content) = store_with(memory(), 32 * part).await;
    let odd = Odd::new(store).slow_gets(Duration::from_millis(latency)).on_body(|n, body| {
        let body = paced(body, 1);
        if n == 3 { failing(body, 300_000, ErrorKind::Transport) } else { body }
    });
    let odd = if in_order { odd.states(&[ChecksumKind::XxHash64]) } else { odd };
    let dir = dir();
    let target = dir.path().join("f");
    let builder = builder().part_size(PartSize::Fixed(part)).concurrency(2).hedge(false);
    let builder = if plan { builder.plan_requests() } else { builder };
    builder.build().unwrap().download(&odd, key("k"), target.as_path()).await.unwrap();
    assert!(fs::read(target).unwrap() == content);
    odd.gets()
}

#[tokio::test(start_paused = true)]
async fn a_request_brings_more_where_answers_take_long() {
    assert_eq!(requests(2000, false, false).await, 32);
    assert_eq!(requests(1, true, false).await, 32, "one that is answered at once brings one part");
    for in_order in [false, true] {
        let few = requests(2000, true, in_order).await;
        assert!((8..24).contains(&few), "{few}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unlucky_second_request_is_not_the_last_one() {
    // The tenth part, and whatever is tried for it first.
    let (time, _) = download(&[10, 11, 12]).await;
    assert!(time < Duration::from_secs(6), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_helps_a_part_once_the_transfer_is_stopped() {
    let (store, _) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store).on_body(|n, body| paced(body, if n < 10 { 1 } else { 100 }));
    let dir = dir();
    let transfer = builder().concurrency(3).serial_download(64 * KIB).build().unwrap();
    let cancel = CancelToken::new();
    let download = transfer.download(&odd, key("k"), dir.path().join("f")).cancel(cancel.clone()).start();
    // Nine parts are there, and two workers have nothing but the tenth to do.
    sleep(Duration::from_secs(3)).await;
    cancel.stop();
    let error = download.join().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_a_download_is_stopped_has_the_time_of_grace() {
    let (store, _) = store_with(memory(), SIZE).await;
    // The third part is on its way when those beside it are done.
    let odd = Odd::new(store).on_body(|n, body| paced(body, if n == 3 { 10 } else { 1 }));
    let (target, state) = (dir(), dir());
    let builder = builder().concurrency(3).serial_download(64 * KIB).hedge(false);
    let transfer = builder.grace(Duration::from_secs(60)).checkpoints(state.path()).build().unwrap();
    let cancel = CancelToken::new();
    let download = transfer.download(&odd, key("k"), target.path().join("f")).cancel(cancel.clone()).start();
    sleep(CHUNK * 3).await;
    cancel.stop();
    assert_eq!(download.join().await.unwrap_err().kind(), ErrorKind::Cancelled);
    let left = unfinished(state.path()).unwrap();
    assert_eq!((odd.gets(), left[0].done), (3, 3 * 64 * KIB));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_read_ahead_changes_its_connection_too() {
    for slow in [2, 6] {
        let (store, content) = store_with(memory(), SIZE).await;
        let odd = Odd::new(store).on_body(move |n, body| paced(body, if n == slow { 100 } else { 1 }));
        let transfer = builder().concurrency(3).serial_download(64 * KIB).build().unwrap();
        let begin = Instant::now();
        let mut body = transfer.read(&odd, key("k")).await.unwrap();
        let mut found = Vec::new();
        while let Some(bytes) = body.chunk().await.unwrap() {
            found.extend_from_slice(&bytes);
        }
        assert_eq!(found, content);
        assert!(begin.elapsed() < Duration::from_secs(5), "{slow}: {:?}", begin.elapsed());
        assert_eq!(odd.gets(), 11);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_whose_answer_does_not_come_is_sent_again_once_others_had_theirs() {
    let store = memory().build().unwrap();
    // Its answer would come when the store gives up.
    let odd = Odd::new(store.clone()).slow_part(12, Duration::from_secs(3600));
    let begin = Instant::now();
    let outcome = builder().build().unwrap().upload(&odd, key("k"), bytes(20 * 64 * KIB)).await.unwrap();
    assert_eq!(outcome.parts, 20);
    assert_eq!(store.read(&key("k")).await.unwrap(), bytes(20 * 64 * KIB));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

//! Downloads in order.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::StreamExt;
use longshore_core_types::ErrorKind;
use tokio::io::AsyncWrite;

use super::{
    KIB, MIB, builder, bytes, key, memory,
    odd::{Odd, failing, short, stalled, wrong},
    store_with, transfer, until,
};
use crate::{PartSize, Sink};

/// Everything that was written to it.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Collected {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_writer_gets_every_byte_in_order() {
    for length in [0, 1, 100 * KIB, 1_000_000, 5_000_000] {
        let (store, content) = store_with(memory(), length).await;
        let collected = Collected::default();
        let outcome = transfer().download(&store, key("k"), Sink::writer(collected.clone())).await.unwrap();
        assert!(*collected.0.lock().unwrap() == content, "{length}");
        assert_eq!(outcome.bytes, length);
        assert!(outcome.verified.is_some());
    }
}

#[tokio::test]
async fn slow_and_broken_parts_do_not_change_the_order() {
    let (store, content) = store_with(memory(), 1_000_000).await;
    let odd = Odd::new(store).on_body(|n, body| match n {
        2 => body
            .then(|chunk| async {
                tokio::time::sleep(Duration::from_millis(2)).await;
                chunk
            })
            .boxed(),
        3 => short(body, 10),
        5 => failing(body, 20_000, ErrorKind::Transport),
        _ => body,
    });
    let collected = Collected::default();
    transfer().download(&odd, key("k"), Sink::writer(collected.clone())).await.unwrap();
    assert!(*collected.0.lock().unwrap() == content);
}

#[tokio::test]
async fn a_stalled_part_never_lets_the_rest_pile_up() {
    let transfer = builder().memory_budget(4 * MIB).part_size(PartSize::Fixed(512 * KIB)).build().unwrap();
    let (store, content) = store_with(memory(), 20 * MIB).await;
    // The second part stalls for good.
    let odd = Odd::new(store).on_body(|n, body| if n == 2 { stalled(body, 10) } else { body });
    let mut body = transfer.read(&odd, key("k")).await.unwrap();
    let mut seen = 0;
    while let Ok(chunk) = tokio::time::timeout(Duration::from_millis(50), body.chunk()).await {
        seen += chunk.unwrap().unwrap().len();
    }
    assert!(seen <= 612 * 1024, "{seen}");
    let usage = transfer.usage();
    assert!(usage.memory <= 2 * MIB && usage.memory > 0, "{usage:?}");
    // What is held by a reader that stopped keeps nobody else from moving.
    let other = odd.inner();
    let mut second = transfer.read(&other, key("k")).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = second.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    assert!(all == content);
    drop((body, second));
    until(async || transfer.usage().memory == 0).await;
    assert!(transfer.usage().memory_peak <= 4 * MIB);
}

#[tokio::test]
async fn parts_larger_than_memory_are_cut() {
    let transfer = builder().memory_budget(4 * MIB).part_size(PartSize::Fixed(64 * MIB)).build().unwrap();
    let (store, content) = store_with(memory(), 10 * MIB).await;
    let odd = Odd::new(store).on_range(|n, options| {
        use longshore_core_types::ByteRange::Bounded;
        if n == 1 {
            options.range = Some(Bounded { start: 0, end: 1000 });
        }
    });
    let mut body = transfer.read(&odd, key("k")).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = body.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
        tokio::task::yield_now().await;
    }
    assert!(all == content);
    let usage = transfer.usage();
    assert!(usage.memory_peak <= 2 * MIB, "{usage:?}");
    assert!(transfer.0.slabs.most_in_use() * crate::slab::SLAB <= 3 << 20);
}

#[tokio::test]
async fn many_readers_at_once_all_get_on() {
    let transfer = builder().memory_budget(4 * MIB).concurrency(2).build().unwrap();
    let (store, content) = store_with(memory(), 2_000_000).await;
    let mut bodies = Vec::new();
    for _ in 0..20 {
        bodies.push((transfer.read(&store, key("k")).await.unwrap(), Vec::new()));
    }
    // Turn by turn, so that all of them are open all the time.
    let mut open = true;
    while open {
        open = false;
        for (body, all) in &mut bodies {
            if let Some(chunk) = body.chunk().await.unwrap() {
                all.extend_from_slice(&chunk);
                open = true;
            }
        }
    }
    assert!(bodies.iter().all(|(_, all)| *all == content));
}

#[tokio::test]
async fn wrong_bytes_end_in_an_error_before_the_last_are_handed_out() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store).on_body(|_, body| wrong(body));
    let body = transfer().read(&odd, key("k")).await.unwrap();
    let chunks: Vec<_> = body.collect().await;
    assert_eq!(chunks.last().unwrap().as_ref().unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    let seen: u64 = chunks.iter().flatten().map(|chunk| chunk.len() as u64).sum();
    assert!(seen < 300 * KIB);
}

#[tokio::test]
async fn a_replaced_object_is_an_error_once_bytes_are_out() {
    let (store, _) = store_with(memory(), 1_000_000).await;
    let inner = store.clone();
    let mut body = transfer().read(&store, key("k")).await.unwrap();
    longshore_blob_api::BlobStoreExt::write(&inner, &key("k"), bytes(900_000)).await.unwrap();
    let error = loop {
        match body.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("mixed"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert!(body.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn ranges_are_read_in_order_too() {
    let (store, content) = store_with(memory(), 1_000_000).await;
    let collected = Collected::default();
    let sink = Sink::writer(collected.clone());
    transfer().download(&store, key("k"), sink).range(100_000..900_000).await.unwrap();
    assert!(*collected.0.lock().unwrap() == content[100_000..900_000]);
}

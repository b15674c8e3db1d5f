//! Downloads that go on behind a file that is there.

use std::fs;

use longshore_blob_api::MemoryFault;
use longshore_core_types::ChecksumKind;

use super::{Events, Journal, KIB, dir, files, key, memory, odd::Odd, store_with, transfer};
use crate::TransferEvent;

#[tokio::test]
async fn only_what_is_missing_is_fetched() {
    for kind in [ChecksumKind::Crc32c, ChecksumKind::Md5] {
        let journal = Journal::default();
        let seen = journal.clone();
        let memory = memory().fault(move |call| {
            seen.note(call);
            MemoryFault::None
        });
        let (store, content) = store_with(memory, 200 * KIB).await;
        let store = Odd::new(store).states(&[kind]);
        let dir = dir();
        let target = dir.path().join("f");
        let there = 150 * 1024 + 7;
        fs::write(&target, &content[..there]).unwrap();
        journal.take();
        let events = Events::default();
        let download = transfer().download(&store, key("k"), &target).continue_file(true);
        let outcome = download.progress(events.sink()).await.unwrap();
        assert_eq!((outcome.resumed, outcome.bytes), (there as u64, 200 * KIB));
        assert_eq!(outcome.verified, Some(kind));
        // Those without a range are the wrapper's, which computes checksums.
        let asked: Vec<_> = journal.take().into_iter().filter(|line| line.starts_with("get ")).collect();
        assert_eq!(asked, [format!("get {there}..{}", 200 * KIB)]);
        assert!(fs::read(&target).unwrap() == content);
        assert_eq!(files(dir.path()), ["f"]);
        let is_resumed = |event: &TransferEvent| matches!(event, TransferEvent::Resumed { offset, .. } if *offset == there as u64);
        assert_eq!(events.count(is_resumed), 1);
    }
}

#[tokio::test]
async fn a_file_that_is_no_beginning_is_replaced() {
    let (store, content) = store_with(memory(), 200 * KIB).await;
    let dir = dir();
    let target = dir.path().join("f");
    let mut wrong = content[..1000].to_vec();
    wrong[500] ^= 1;
    for there in [wrong, content.to_vec(), vec![0; 300 * 1024], Vec::new()] {
        fs::write(&target, &there).unwrap();
        let outcome = transfer().download(&store, key("k"), &target).continue_file(true).await.unwrap();
        assert_eq!(outcome.resumed, 0, "{} bytes", there.len());
        assert!(fs::read(&target).unwrap() == content);
    }
    fs::remove_file(&target).unwrap();
    transfer().download(&store, key("k"), &target).continue_file(true).await.unwrap();
    assert_eq!(files(dir.path()), ["f"]);
}

#[tokio::test]
async fn a_failure_leaves_the_file_as_it_was() {
    let memory = memory().fault(|call| match call.operation {
        "memory.object.get" => MemoryFault::Refuse(super::broken()),
        _ => MemoryFault::None,
    });
    let (store, content) = store_with(memory, 200 * KIB).await;
    let dir = dir();
    let target = dir.path().join("f");
    fs::write(&target, &content[..1000]).unwrap();
    transfer().download(&store, key("k"), &target).continue_file(true).await.unwrap_err();
    assert!(fs::read(&target).unwrap() == content[..1000]);
    assert_eq!(files(dir.path()), ["f"]);
}

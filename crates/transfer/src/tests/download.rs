//! Downloads to files.

use std::{fs, path::Path};

use longshore_blob_api::{BlobStoreExt, MemoryFault, PinKind};
use longshore_core_types::{ByteRange, ChecksumKind, ErrorKind};

use super::{
    Events, Journal, KIB, builder, bytes, dir, files, key, memory,
    odd::{Odd, stalled},
    store_with, transfer, until,
};
use crate::{
    TransferEvent, Verify,
    part_file::{PartFile, Target},
};

#[tokio::test]
async fn objects_of_every_size_arrive_whole() {
    for length in [0, 1, 9_999, 100 * KIB, 100 * KIB + 1, 164 * KIB, 1_000_000] {
        let (store, content) = store_with(memory(), length).await;
        let dir = dir();
        let target = dir.path().join("f");
        let outcome = transfer().download(&store, key("k"), &target).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), content, "{length}");
        assert_eq!((outcome.bytes, outcome.verified), (length, Some(ChecksumKind::Crc32c)));
        assert_eq!(files(dir.path()), ["f"]);
    }
}

#[tokio::test]
async fn every_kind_of_checksum_is_compared_in_parts() {
    for kind in ChecksumKind::ALL {
        let (store, content) = store_with(memory(), 1_000_000).await;
        let store = Odd::new(store).states(&[kind]);
        let dir = dir();
        let target = dir.path().join("f");
        let outcome = transfer().download(&store, key("k"), &target).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), content);
        assert_eq!(outcome.verified, Some(kind));
        assert!(outcome.parts > 10);
    }
}

#[tokio::test]
async fn the_first_request_is_a_ranged_get_and_all_parts_are_asked_once() {
    let journal = Journal::default();
    let seen = journal.clone();
    let memory = memory().fault(move |call| {
        seen.note(call);
        MemoryFault::None
    });
    let (store, _) = store_with(memory, 300 * KIB).await;
    journal.take();
    let dir = dir();
    transfer().download(&store, key("k"), dir.path().join("f")).await.unwrap();
    let mut calls = journal.take();
    assert_eq!(calls.remove(0), "get 0..102400");
    calls.sort();
    assert_eq!(
        calls,
        ["get 102400..167936", "get 167936..233472", "get 233472..299008", "get 299008..307200"]
    );
}

#[tokio::test]
async fn a_size_hint_spares_small_objects_the_range() {
    let journal = Journal::default();
    let seen = journal.clone();
    let memory = memory().fault(move |call| {
        seen.note(call);
        MemoryFault::None
    });
    let (store, content) = store_with(memory, 1000).await;
    journal.take();
    let dir = dir();
    for hint in [1000, 0, 1_000_000] {
        transfer().download(&store, key("k"), dir.path().join("f")).size_hint(hint).await.unwrap();
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), content);
    }
    assert_eq!(journal.take(), ["get", "get", "get 0..65536"]);
}

#[tokio::test]
async fn stores_that_can_do_little_serve_too() {
    let builder = memory().capability(|can| {
        can.ranged_get = false;
        can.pin = PinKind::None;
        can.if_match = false;
    });
    let (store, content) = store_with(builder, 1_000_000).await;
    let store = Odd::new(store).states(&[]);
    let dir = dir();
    let outcome = transfer().download(&store, key("k"), dir.path().join("f")).await.unwrap();
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), content);
    assert_eq!((outcome.parts, outcome.verified), (1, None));
}

#[tokio::test]
async fn a_store_without_pins_is_asked_again_at_the_end() {
    let journal = Journal::default();
    let seen = journal.clone();
    let memory = memory().capability(|can| can.pin = PinKind::None).fault(move |call| {
        seen.note(call);
        MemoryFault::None
    });
    let (store, _) = store_with(memory, 300 * KIB).await;
    let dir = dir();
    transfer().download(&store, key("k"), dir.path().join("f")).await.unwrap();
    assert_eq!(journal.take().last().unwrap(), "head");
}

#[tokio::test]
async fn a_range_of_an_object_becomes_a_file() {
    let (store, content) = store_with(memory(), 1_000_000).await;
    let dir = dir();
    let target = dir.path().join("f");
    for (range, expected) in [
        (ByteRange::from(10..20), 10..20),
        (ByteRange::From(500_000), 500_000..1_000_000),
        (ByteRange::from(300_000..2_000_000), 300_000..1_000_000),
        (ByteRange::Suffix(300_000), 700_000..1_000_000),
        (ByteRange::from(0..999_999), 0..999_999),
    ] {
        let outcome = transfer().download(&store, key("k"), &target).range(range).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), content[expected.clone()], "{range}");
        let length = expected.len() as u64;
        // The first answer brings 100 KiB, or all of the last bytes. What is more than it brings comes in parts.
        let whole = matches!(range, ByteRange::Suffix(_)) || length <= 100 * KIB;
        assert_eq!(outcome.parts, if whole { 1 } else { 1 + (length - 36 * KIB).div_ceil(64 * KIB) });
    }
    let error = transfer().download(&store, key("k"), &target).range(2_000_000..2_000_001).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RangeNotSatisfiable);
}

#[tokio::test]
async fn verify_always_insists_on_a_checksum() {
    let (store, _) = store_with(memory(), 1000).await;
    let store = Odd::new(store).states(&[]);
    let dir = dir();
    let transfer = builder().verify(Verify::Always).build().unwrap();
    let error = transfer.download(&store, key("k"), dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn the_old_file_stays_until_the_new_one_is_whole() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    let dir = dir();
    let target = dir.path().join("f");
    fs::write(&target, "old").unwrap();
    let error = transfer().download(&store, key("missing"), &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fs::read(&target).unwrap(), b"old");
    transfer().download(&store, key("k"), &target).keep_modified(true).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), content);
    assert_eq!(files(dir.path()), ["f"]);
}

#[tokio::test]
async fn targets_that_cannot_be_written_are_named() {
    let (store, content) = store_with(memory(), 1000).await;
    let dir = dir();
    let missing = dir.path().join("a/b/f");
    let error = transfer().download(&store, key("k"), &missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.chain().contains(missing.to_str().unwrap()), "{}", error.chain());
    transfer().download(&store, key("k"), &missing).create_parents(true).await.unwrap();
    assert_eq!(fs::read(&missing).unwrap(), content);

    let error = transfer().download(&store, key("k"), dir.path().join("a")).await.unwrap_err();
    assert!(error.chain().contains("a directory is in the way"), "{}", error.chain());
    let below_file = missing.join("x");
    let error = transfer().download(&store, key("k"), &below_file).await.unwrap_err();
    assert!(error.chain().contains("not a directory"), "{}", error.chain());
    assert_eq!(files(dir.path()), ["a/b/f"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn devices_are_written_and_not_replaced() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    transfer().download(&store, key("k"), std::path::Path::new("/dev/null")).await.unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let error = transfer().download(&store, key("k"), std::path::Path::new("/dev/full")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.chain().contains("/dev/full: the disk is full"), "{}", error.chain());
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::PermissionsExt;
    let (store, content) = store_with(memory(), 1000).await;
    let dir = dir();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    transfer().download(&store, key("k"), &link).await.unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&real).unwrap(), content);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn what_others_may_not_read_they_may_not_read_while_it_arrives_either() {
    use std::os::unix::fs::PermissionsExt;
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store.clone()).on_body(|_, body| stalled(body, 10));
    let dir = dir();
    let (target, temp) = (dir.path().join("f"), dir.path().join(".f.longshore-part"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for wanted in [0o600, 0o440] {
        fs::write(&target, "old").unwrap_or_default();
        fs::set_permissions(&target, fs::Permissions::from_mode(wanted)).unwrap();
        let handle = transfer().download(&odd, key("k"), &target).start();
        until(async || temp.exists()).await;
        assert_eq!(mode(&temp) & 0o077 & !wanted, 0, "{:o}", mode(&temp));
        handle.abort().await.unwrap();
        transfer().download(&store, key("k"), &target).await.unwrap();
        assert_eq!(mode(&target), wanted);
    }
}

#[tokio::test]
async fn nothing_gets_the_name_of_an_unfinished_download() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    for name in [".k.longshore-part", ".k.longshore-part.json", ".small.longshore-part"] {
        store.write(&key(name), bytes(100 * KIB)).await.unwrap();
    }
    store.write(&key("small"), "1").await.unwrap();
    let dir = dir();
    let report = transfer().download_dir(&store, "", dir.path()).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (2, 3));
    assert!(report.failures.iter().all(|error| error.kind() == ErrorKind::InvalidInput));
    assert_eq!(files(dir.path()), ["k", "small"]);
    assert!(fs::read(dir.path().join("k")).unwrap() == content);
    #[cfg(unix)]
    {
        let (link, real) = (dir.path().join("link"), dir.path().join(".k.longshore-part"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let error = transfer().download(&store, key("k"), &link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn two_downloads_to_one_target_do_not_mix() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    let dir = dir();
    let target = dir.path().join("f");
    let busy = Target::inspect(&target).unwrap().unwrap();
    let busy = PartFile::create(busy, &transfer().0.config).unwrap();
    let error = transfer().download(&store, key("k"), &target).await.unwrap_err();
    assert!(error.chain().contains("another transfer is writing it"), "{}", error.chain());
    drop(busy);
    // What a killed transfer left is taken over.
    fs::write(dir.path().join(".f.longshore-part"), "left over, and longer than needed").unwrap();
    transfer().download(&store, key("k"), &target).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), content);
    assert_eq!(files(dir.path()), ["f"]);
}

#[tokio::test]
async fn durable_files_are_the_same_files() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    let dir = dir();
    let transfer = builder().durable(true).build().unwrap();
    transfer.download(&store, key("k"), dir.path().join("f")).await.unwrap();
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), content);
}

#[tokio::test]
async fn names_of_any_length_get_a_temporary_name() {
    let (store, content) = store_with(memory(), 1000).await;
    let dir = dir();
    let target = dir.path().join("n".repeat(255));
    transfer().download(&store, key("k"), &target).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), content);
}

#[tokio::test]
async fn events_tell_the_story() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let dir = dir();
    let events = Events::default();
    let handle = transfer().download(&store, key("k"), dir.path().join("f")).progress(events.sink()).start();
    let progress = handle.progress();
    handle.join().await.unwrap();
    let end = *progress.borrow();
    assert_eq!((end.bytes, end.bytes_total, end.succeeded, end.finished), (300 * KIB, 300 * KIB, 1, true));
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Started { .. })), 1);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Planned { parts: 6, .. })), 1);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::PartDone { .. })), 6);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::ItemDone { .. })), 1);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Finished { .. })), 1);
}

#[tokio::test]
async fn a_slow_disk_gets_a_thread_and_the_same_bytes() {
    let transfer = builder().slow_io(std::time::Duration::ZERO).build().unwrap();
    for kind in [ChecksumKind::Crc32c, ChecksumKind::Sha256] {
        let (store, content) = store_with(memory(), 3_000_000).await;
        let store = Odd::new(store).states(&[kind]);
        let dir = dir();
        let target = dir.path().join("f");
        transfer.download(&store, key("k"), &target).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), content);
    }
}

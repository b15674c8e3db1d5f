//! What can go wrong on the way: the result is right, or a clear error, and never half a file.

use std::{fs, sync::Arc, time::Duration};

use longshore_blob_api::{BlobStore, BlobStoreExt, MemoryCall, MemoryFault, MemoryStore, PartRetry, PinKind};
use longshore_core_types::{ChecksumKind, Error, ErrorKind, Retryability};

use super::{
    Events, Journal, KIB, MIB, broken, builder, bytes, dir, files, key, memory, nth,
    odd::{Odd, failing, short, stalled, wrong},
    store_with, transfer, until,
};
use crate::{CancelToken, MultipartFailure, TransferEvent, Verify};

async fn assert_arrives(store: Odd, content: &[u8]) {
    let dir = dir();
    let target = dir.path().join("f");
    transfer().download(&store, key("k"), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
    assert_eq!(files(dir.path()), ["f"]);
}

#[tokio::test]
async fn bodies_that_break_off_continue_behind_their_last_byte() {
    for length in [50 * KIB, 300 * KIB] {
        let (store, content) = store_with(memory(), length).await;
        let journal = Journal::default();
        let noted = journal.clone();
        let odd = Odd::new(store).on_range(move |_, options| {
            noted.add(options.range.map(|range| range.to_string()).unwrap_or_default());
        });
        let broken = odd.clone().on_body(|n, body| match n {
            1 => failing(body, 30_000, ErrorKind::Transport),
            2 => short(body, 7),
            3 => failing(body, 0, ErrorKind::Timeout),
            _ => body,
        });
        assert_arrives(broken, &content).await;
        let asked = journal.take();
        assert!(asked.iter().any(|range| range.starts_with("30000..")), "{asked:?}");
    }
}

#[tokio::test]
async fn a_body_that_always_breaks_fails_after_some_tries() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store).on_body(|_, body| short(body, 0));
    let dir = dir();
    let error = transfer().download(&odd, key("k"), dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.part().is_some());
    assert!(error.chain().contains("5 attempts"), "{}", error.chain());
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_server_that_sends_less_than_asked_for_is_asked_for_the_rest() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store).on_range(|_, options| {
        use longshore_core_types::ByteRange::Bounded;
        if let Some(Bounded { start, end }) = options.range {
            options.range = Some(Bounded { start, end: end.min(start + 10_000) });
        }
    });
    assert_arrives(odd, &content).await;
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_in_one_piece() {
    let (store, content) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store).on_range(|_, options| options.range = None);
    let gets = odd.clone();
    assert_arrives(odd, &content).await;
    assert_eq!(gets.gets(), 1);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_after_a_break() {
    let (store, content) = store_with(memory().capability(|can| can.ranged_get = false), 300 * KIB).await;
    let odd = Odd::new(store).on_body(|n, body| if n == 1 { short(body, 123_456) } else { body });
    let gets = odd.clone();
    assert_arrives(odd, &content).await;
    assert_eq!(gets.gets(), 2);
}

/// A store whose object is replaced by another one before the nth get.
async fn replaced(pin: PinKind, at: u64) -> (Odd, MemoryStore) {
    let (store, _) = store_with(memory().capability(|can| can.pin = pin), 300 * KIB).await;
    let inner = store.clone();
    let odd = Odd::new(store).on_range(move |n, _| {
        if n == at {
            use futures_util::FutureExt;
            inner.write(&key("k"), bytes(301 * KIB)).now_or_never().unwrap().unwrap();
        }
    });
    let inner = odd.inner();
    (odd, inner)
}

#[tokio::test]
async fn an_object_that_is_replaced_is_fetched_anew() {
    for pin in [PinKind::IfMatch, PinKind::None] {
        for at in 1..=5 {
            let (odd, _) = replaced(pin, at).await;
            let dir = dir();
            let target = dir.path().join("f");
            let events = Events::default();
            transfer().download(&odd, key("k"), &target).progress(events.sink()).await.unwrap();
            assert!(fs::read(&target).unwrap() == bytes(301 * KIB), "{pin:?} {at}");
            let restarts = events.count(|event| matches!(event, TransferEvent::Restarted { .. }));
            assert_eq!(restarts, usize::from(at > 1));
        }
    }
}

/// A store that states nothing of its object but its size and time, and whose object is replaced by another one of the
/// same size while the body of the first answer breaks.
async fn exchanged(pin: PinKind) -> (Odd, Vec<u8>) {
    let (store, content) = store_with(memory().capability(|can| can.pin = pin), 50 * KIB).await;
    let other: Vec<u8> = content.iter().map(|byte| !byte).collect();
    let (inner, new) = (store.clone(), other.clone());
    let odd = Odd::new(store).states(&[]).anonymous().on_body(|n, body| match n {
        1 => short(body, 30_000),
        _ => body,
    });
    let odd = odd.on_range(move |n, _| {
        if n == 2 {
            use futures_util::FutureExt;
            inner.write(&key("k"), new.clone()).now_or_never().unwrap().unwrap();
        }
    });
    (odd, other)
}

#[tokio::test]
async fn a_body_that_goes_on_in_another_object_is_no_mixture() {
    for pin in [PinKind::None, PinKind::VersionHeader, PinKind::IfMatch] {
        let (odd, other) = exchanged(pin).await;
        assert_arrives(odd, &other).await;

        let (odd, other) = exchanged(pin).await;
        let dir = dir();
        let report = transfer().download_dir(&odd, "", dir.path()).await.unwrap();
        assert!(report.is_success());
        assert!(fs::read(dir.path().join("k")).unwrap() == other);

        let (odd, _) = exchanged(pin).await;
        let mut body = transfer().read(&odd, key("k")).await.unwrap();
        let error = loop {
            match body.chunk().await {
                Ok(chunk) => assert!(chunk.is_some(), "a mixture"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    }
}

#[tokio::test]
async fn an_answer_without_bytes_is_no_object() {
    for (length, part) in [(50 * KIB, 64 * KIB), (300 * KIB, 64 * KIB), (300 * KIB, MIB)] {
        let (store, _) = store_with(memory(), length).await;
        let odd = Odd::new(store).empty_answers();
        let dir = dir();
        let transfer = builder().part_size(crate::PartSize::Fixed(part)).build().unwrap();
        for range in [None, Some(10..length)] {
            let mut download = transfer.download(&odd, key("k"), dir.path().join("f"));
            if let Some(range) = range {
                download = download.range(range);
            }
            assert_eq!(download.await.unwrap_err().kind(), ErrorKind::Protocol);
            assert!(files(dir.path()).is_empty());
        }
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_all_the_time_is_an_error() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let inner = store.clone();
    let odd = Odd::new(store).on_range(move |_, _| {
        use futures_util::FutureExt;
        inner.write(&key("k"), bytes(300 * KIB)).now_or_never().unwrap().unwrap();
    });
    let dir = dir();
    let error = transfer().download(&odd, key("k"), dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_never_kept() {
    for kind in [ChecksumKind::Crc32c, ChecksumKind::XxHash64] {
        for length in [50 * KIB, 300 * KIB] {
            let (store, content) = store_with(memory(), length).await;
            let odd = Odd::new(store).states(&[kind]);
            let once = odd.clone().on_body(|n, body| if n == 1 { wrong(body) } else { body });
            assert_arrives(once, &content).await;

            let always = odd.on_body(|_, body| wrong(body));
            let dir = dir();
            let target = dir.path().join("f");
            fs::write(&target, "old").unwrap();
            let error = transfer().download(&always, key("k"), &target).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
            assert_eq!(fs::read(&target).unwrap(), b"old");
            assert_eq!(files(dir.path()), ["f"]);

            let careless = builder().verify(Verify::Never).build().unwrap();
            careless.download(&always, key("k"), &target).await.unwrap();
            assert!(fs::read(&target).unwrap() != content);
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_nothing_stays() {
    for slow in [Duration::from_secs(60), Duration::ZERO] {
        for length in [50 * KIB, 3000 * KIB] {
            let (store, _) = store_with(memory(), length).await;
            let transfer = builder().disk_limit(length - 1).slow_io(slow).build().unwrap();
            let dir = dir();
            let target = dir.path().join("f");
            let error = transfer.download(&store, key("k"), &target).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LocalIo);
            let text = format!("cannot write {}: the disk is full", target.display());
            assert!(error.chain().contains(&text), "{}", error.chain());
            assert!(files(dir.path()).is_empty());
        }
    }
}

#[tokio::test]
async fn a_stalled_download_ends_after_the_time_of_grace() {
    let (store, _) = store_with(memory(), 300 * KIB).await;
    let odd = Odd::new(store).on_body(|_, body| stalled(body, 10));
    let dir = dir();
    for now in [false, true] {
        let token = CancelToken::new();
        let handle = transfer().download(&odd, key("k"), dir.path().join("f")).cancel(token.clone()).start();
        tokio::time::sleep(Duration::from_millis(5)).await;
        if now {
            token.stop_now();
        } else {
            token.stop();
        }
        assert_eq!(handle.join().await.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(files(dir.path()).is_empty());
    }
    let handle = transfer().download(&odd, key("k"), dir.path().join("f")).start();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(handle.abort().await.unwrap().is_none());
    let handle = transfer().download(&odd, key("k"), dir.path().join("f")).start();
    tokio::time::sleep(Duration::from_millis(5)).await;
    drop(handle);
    until(async || files(dir.path()).is_empty()).await;
}

#[tokio::test]
async fn a_part_that_is_late_is_fetched_by_two() {
    let length = 8000 * KIB;
    let (store, content) = store_with(memory(), length).await;
    // Part 100 stalls; fetching its last 64 KiB twice is less than 3 % of the whole.
    let odd = Odd::new(store).on_body(|n, body| if n == 100 { stalled(body, 1000) } else { body });
    let gets = odd.clone();
    let dir = dir();
    let target = dir.path().join("f");
    transfer().download(&odd, key("k"), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
    let parts = 1 + (length - 100 * KIB).div_ceil(64 * KIB);
    // Without help it would never have ended; a busy machine may make another part look late.
    assert!((parts + 1..parts + 9).contains(&gets.gets()), "{} for {parts}", gets.gets());
}

// Uploads.

fn parts_fail(operation: &'static str, fault: fn() -> MemoryFault, retry: PartRetry) -> MemoryStore {
    memory()
        .capability(|can| can.multipart.as_mut().unwrap().part_retry = retry)
        .fault(nth(operation, 2, fault))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_part_that_failed_is_sent_again_where_that_is_safe() {
    for fault in [|| MemoryFault::Refuse(broken()), || MemoryFault::Lose(broken())] {
        let store = parts_fail("memory.multipart.put_part", fault, PartRetry::Safe);
        let events = Events::default();
        let outcome =
            transfer().upload(&store, key("k"), bytes(300 * KIB)).progress(events.sink()).await.unwrap();
        assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
        assert_eq!(outcome.parts, 5);
        assert_eq!(events.count(|event| matches!(event, TransferEvent::Retried { .. })), 1);
        assert_eq!(events.count(|event| matches!(event, TransferEvent::Restarted { .. })), 0);
    }
}

/// Counts how often each part of each upload was sent.
fn watched(
    retry: PartRetry,
    fault: impl Fn(&MemoryCall<'_>) -> MemoryFault + Send + Sync + 'static,
) -> (MemoryStore, Journal) {
    let journal = Journal::default();
    let seen = journal.clone();
    let store = memory()
        .capability(|can| can.multipart.as_mut().unwrap().part_retry = retry)
        .fault(move |call| {
            seen.note(call);
            fault(call)
        })
        .build()
        .unwrap();
    (store, journal)
}

fn count(calls: &[String], name: &str) -> usize {
    calls.iter().filter(|call| call.split(' ').next() == Some(name)).count()
}

#[tokio::test]
async fn a_part_whose_answer_was_lost_is_looked_for_and_not_sent_twice() {
    let lose = nth("memory.multipart.put_part", 2, || MemoryFault::Lose(broken()));
    let (store, journal) = watched(PartRetry::LookFirst, lose);
    transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
    assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
    let calls = journal.take();
    assert_eq!((count(&calls, "create"), count(&calls, "put_part"), count(&calls, "list_parts")), (1, 5, 1));
}

#[tokio::test]
async fn a_part_that_never_shows_up_makes_the_upload_begin_anew() {
    for (retry, looks) in [(PartRetry::LookFirst, true), (PartRetry::Never, false)] {
        let refuse = nth("memory.multipart.put_part", 2, || MemoryFault::Refuse(broken()));
        let (store, journal) = watched(retry, refuse);
        transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
        assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
        let calls = journal.take();
        assert_eq!((count(&calls, "create"), count(&calls, "abort")), (2, 1), "{calls:?}");
        assert_eq!(count(&calls, "list_parts") > 1, looks);
        assert_eq!(store.open_uploads(), 0);
    }
}

#[tokio::test]
async fn a_part_may_be_looked_for_without_end() {
    let fault = || MemoryFault::Lose(broken().with_body_fully_sent(true));
    let store = parts_fail("memory.multipart.put_part", fault, PartRetry::LookFirst);
    let transfer = builder().part_lookup(Duration::MAX, Duration::from_millis(1)).build().unwrap();
    transfer.upload(&store, key("k"), bytes(300 * KIB).to_vec()).await.unwrap();
}

#[tokio::test]
async fn a_part_of_which_bytes_never_left_is_sent_again_if_the_store_lacks_it() {
    // Whether all of it was sent, whether it arrived, and the calls that follow.
    let cases = [(false, false, (1, 6, 1)), (true, true, (1, 5, 1)), (false, true, (1, 5, 1))];
    for (all_sent, arrives, expected) in cases {
        let error = move || broken().with_body_fully_sent(all_sent);
        let fault = nth("memory.multipart.put_part", 2, move || {
            if arrives { MemoryFault::Lose(error()) } else { MemoryFault::Refuse(error()) }
        });
        let (store, journal) = watched(PartRetry::LookFirst, fault);
        transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
        assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
        let calls = journal.take();
        let counts = (count(&calls, "create"), count(&calls, "put_part"), count(&calls, "list_parts"));
        assert_eq!(counts, expected, "{all_sent} {arrives}");
    }
}

#[tokio::test]
async fn a_part_that_was_all_sent_and_is_not_there_is_never_sent_again() {
    let refuse = || MemoryFault::Refuse(broken().with_body_fully_sent(true));
    let (store, journal) = watched(PartRetry::LookFirst, nth("memory.multipart.put_part", 2, refuse));
    transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
    assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
    let calls = journal.take();
    assert_eq!((count(&calls, "create"), count(&calls, "abort")), (2, 1), "{calls:?}");
    let looks = calls.iter().position(|call| call.starts_with("list_parts")).unwrap();
    let abort = calls.iter().position(|call| call.starts_with("abort")).unwrap();
    assert!(count(&calls[looks..abort], "list_parts") > 1, "{calls:?}");
}

#[tokio::test]
async fn a_part_of_an_upload_that_is_gone_makes_it_begin_anew() {
    let gone = nth("memory.multipart.list_parts", 1, || {
        MemoryFault::Refuse(Error::new(ErrorKind::NotFound, "no such upload"))
    });
    let cut =
        nth("memory.multipart.put_part", 2, || MemoryFault::Refuse(broken().with_body_fully_sent(false)));
    let fault = move |call: &MemoryCall<'_>| match gone(call) {
        MemoryFault::None => cut(call),
        fault => fault,
    };
    let (store, journal) = watched(PartRetry::LookFirst, fault);
    transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
    assert_eq!(count(&journal.take(), "create"), 2);
}

#[tokio::test]
async fn a_part_that_arrived_wrong_is_never_taken_for_the_right_one() {
    for (retry, creates) in [(PartRetry::Safe, 1), (PartRetry::LookFirst, 2), (PartRetry::Never, 2)] {
        let (store, journal) = watched(retry, |_| MemoryFault::None);
        let odd = Odd::new(store.clone()).wrong_receipt(3);
        transfer().upload(&odd, key("k"), bytes(300 * KIB)).await.unwrap();
        let calls = journal.take();
        assert_eq!((count(&calls, "create"), count(&calls, "list_parts")), (creates, 0));
        assert!(store.read(&key("k")).await.unwrap() == bytes(300 * KIB));
    }
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_looked_for() {
    for (fault, works) in [
        ((|| MemoryFault::Lose(broken())) as fn() -> MemoryFault, true),
        (|| MemoryFault::Refuse(broken()), false),
    ] {
        let store = memory().fault(nth("memory.multipart.complete", 1, fault)).build().unwrap();
        let result = transfer().upload(&store, key("k"), bytes(300 * KIB)).await;
        assert_eq!(result.is_ok(), works);
        assert_eq!(store.exists(&key("k")).await.unwrap(), works);
        assert_eq!(store.open_uploads(), 0);
    }
}

#[tokio::test]
async fn uploads_do_not_begin_anew_for_ever() {
    let refuse = |call: &MemoryCall<'_>| match call.operation {
        "memory.multipart.put_part" => MemoryFault::Refuse(broken()),
        _ => MemoryFault::None,
    };
    for retry in [PartRetry::Safe, PartRetry::LookFirst, PartRetry::Never] {
        let (store, journal) = watched(retry, refuse);
        let error = transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        let creates = count(&journal.take(), "create");
        assert_eq!(creates, if retry == PartRetry::Safe { 1 } else { 4 });
        assert_eq!(store.open_uploads(), 0);
    }
}

#[tokio::test]
async fn what_the_server_surely_did_not_do_is_sent_again_everywhere() {
    let refuse = || MemoryFault::Refuse(broken().with_retryability(Retryability::Always));
    for retry in [PartRetry::LookFirst, PartRetry::Never] {
        let (store, journal) = watched(retry, nth("memory.multipart.put_part", 2, refuse));
        transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap();
        let calls = journal.take();
        assert_eq!(
            (count(&calls, "create"), count(&calls, "put_part"), count(&calls, "list_parts")),
            (1, 6, 0)
        );
    }
}

#[tokio::test]
async fn a_failed_upload_is_aborted_or_kept() {
    let refuse = || MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no"));
    for (policy, open) in [(MultipartFailure::Abort, 0), (MultipartFailure::Keep, 1)] {
        let store = parts_fail("memory.multipart.put_part", refuse, PartRetry::Safe);
        let upload = transfer().upload(&store, key("k"), bytes(300 * KIB)).on_failure(policy);
        let error = upload.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(store.open_uploads(), open);
        assert_eq!(error.upload().is_some(), open == 1);
    }
}

#[tokio::test]
async fn an_abort_that_fails_is_told_beside_the_cause() {
    let store = memory()
        .fault(|call| match call.operation {
            "memory.multipart.put_part" => MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no")),
            "memory.multipart.abort" => MemoryFault::Refuse(Error::new(ErrorKind::Unavailable, "down")),
            _ => MemoryFault::None,
        })
        .build()
        .unwrap();
    let error = transfer().upload(&store, key("k"), bytes(300 * KIB)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(error.reason().related()[0].kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_read_is_no_mixture() {
    for length in [50 * KIB, 300 * KIB] {
        let dir = dir();
        let path = dir.path().join("f");
        fs::write(&path, bytes(length)).unwrap();
        let change = Arc::new(move |path: &std::path::Path| fs::write(path, bytes(length + 1)).unwrap());
        let changed = path.clone();
        let store = memory()
            .fault(move |call| {
                if call.operation.ends_with("put_part") || call.operation.ends_with("put") {
                    change(&changed);
                }
                MemoryFault::None
            })
            .build()
            .unwrap();
        let error = transfer().upload(&store, key("k"), &path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LocalIo);
        assert!(error.chain().contains("changed while it was read"), "{}", error.chain());
        assert_eq!(store.open_uploads(), 0);
        if length > 100 * KIB {
            assert!(!store.exists(&key("k")).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_stored_object_that_is_not_what_was_sent_is_an_error() {
    for length in [50 * KIB, 300 * KIB] {
        let (store, _) = store_with(memory(), 1).await;
        let odd = Odd::new(store).damages();
        let error = transfer().upload(&odd, key("k"), bytes(length)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{}", error.chain());
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_at_the_store() {
    let odd = Odd::new(memory().build().unwrap()).slow_parts(Duration::from_secs(3600));
    let store = odd.inner();
    let handle = transfer().upload(&odd, key("k"), bytes(300 * KIB)).start();
    until(async || store.open_uploads() == 1).await;
    assert!(handle.abort().await.unwrap().is_none());
    assert_eq!(store.open_uploads(), 0);
    assert!(!odd.exists(&key("k")).await.unwrap());
    assert!(odd.capability().ranged_get);
}

//! Trees in both directions.

use std::{
    fs,
    time::{Duration, UNIX_EPOCH},
};

use longshore_blob_api::{
    AnyStore, BlobStore, BlobStoreExt, HeadOptions, MemoryCall, MemoryFault, MemoryStore,
};
use longshore_core_types::{Attributes, Error, ErrorKind};

use super::{
    Events, Journal, KIB, builder, bytes, dir, files, key, memory, nth,
    odd::{Odd, stalled},
    transfer,
};
use crate::{BatchReport, CancelToken, FailurePolicy, Place, TransferEvent, tree::Fold};

async fn store_of(names: &[&str]) -> MemoryStore {
    let store = memory().build().unwrap();
    for name in names {
        store.write(&key(name), name.as_bytes().to_vec()).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_tree_goes_up_and_comes_back() {
    let (source, target) = (dir(), dir());
    let sizes = [("a", 10), ("d/b", 0), ("d/e/c ü#?%20", 300 * KIB), ("d/e/f", 64 * KIB)];
    for (name, size) in sizes {
        let path = source.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes(size)).unwrap();
    }
    let store = memory().build().unwrap();
    let events = Events::default();
    let report = transfer()
        .upload_dir(source.path(), &store, "p/q")
        .attributes(|path| {
            Attributes::default().with_content_type(format!("x/{}", path.display().to_string().len()))
        })
        .progress(events.sink())
        .await
        .unwrap();
    assert!(report.is_success());
    assert_eq!((report.succeeded, report.skipped, report.bytes), (4, 0, 364 * KIB + 10));
    assert_eq!(events.count(|event| matches!(event, TransferEvent::ItemDone { .. })), 4);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Finished { .. })), 1);
    let meta = store.head(&key("p/q/d/b"), HeadOptions::default()).await.unwrap();
    assert!(meta.attributes.content_type.unwrap().starts_with("x/"));

    let handle = transfer().download_dir(&store, "p/q/", target.path().join("new")).start();
    let progress = handle.progress();
    let report = handle.join().await.unwrap();
    assert!(report.is_success());
    assert_eq!((report.succeeded, report.bytes), (4, 364 * KIB + 10));
    let end = *progress.borrow();
    assert_eq!(
        (end.succeeded, end.items_total, end.bytes, end.bytes_total),
        (4, 4, report.bytes, report.bytes)
    );
    for (name, size) in sizes {
        assert_eq!(fs::read(target.path().join("new").join(name)).unwrap(), bytes(size), "{name}");
    }
    assert_eq!(files(target.path()).len(), 4);
}

#[tokio::test]
async fn files_bring_their_times_along_and_get_them_back() {
    let (source, target) = (dir(), dir());
    let time = UNIX_EPOCH + Duration::from_millis(1_000_000_000_250);
    let names = ["large", "small"];
    for (name, size) in names.into_iter().zip([300 * KIB, 10]) {
        fs::write(source.path().join(name), bytes(size)).unwrap();
        let file = fs::OpenOptions::new().write(true).open(source.path().join(name)).unwrap();
        file.set_modified(time).unwrap();
    }
    let store = memory().build().unwrap();
    transfer().upload_dir(source.path(), &store, "").keep_modified(true).await.unwrap();
    transfer().download_dir(&store, "", target.path()).keep_modified(true).await.unwrap();
    for name in names {
        let meta = store.head(&key(name), HeadOptions::default()).await.unwrap();
        assert_eq!(meta.attributes.metadata[crate::MODIFIED_KEY], "1000000000.25");
        assert_eq!(fs::metadata(target.path().join(name)).unwrap().modified().unwrap(), time, "{name}");
    }
    // A store that keeps no metadata takes the files all the same.
    let poor = memory().capability(|can| can.user_metadata = false).build().unwrap();
    let report = transfer().upload_dir(source.path(), &poor, "").keep_modified(true).await.unwrap();
    assert_eq!(report.succeeded, 2);
}

#[tokio::test]
async fn names_that_lead_out_of_the_destination_fail_alone() {
    let store = store_of(&["t/../x", "t//y", "t/./z", "t/ok", "t/a/../../b", "t/deep/ok", "tx"]).await;
    let dir = dir();
    let report = transfer().download_dir(&store, "t", dir.path().join("in")).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.total()), (2, 4, 6));
    assert!(report.failures.iter().all(|failure| failure.kind() == ErrorKind::InvalidInput));
    assert!(report.stopped.is_none() && !report.is_success());
    assert_eq!(files(dir.path()), ["in/deep/ok", "in/ok"]);
}

#[tokio::test]
async fn placeholders_become_directories_and_clashes_fail_alone() {
    let store = memory().build().unwrap();
    for (name, text) in [("", ""), ("empty/", ""), ("full/", "x"), ("a", "1"), ("a/b", "2"), ("c/d", "3")] {
        store.write(&key(&format!("t/{name}")), text.as_bytes().to_vec()).await.unwrap();
    }
    let dir = dir();
    fs::create_dir_all(dir.path().join("c/d")).unwrap();
    let report = transfer().download_dir(&store, "t/", dir.path()).await.unwrap();
    assert!(dir.path().join("empty").is_dir());
    // `full/`, `c/d` for the directory in the way, and one of `a` and `a/b`.
    assert_eq!((report.succeeded, report.failed), (3, 3), "{report:?}");
    let texts: Vec<String> = report.failures.iter().map(crate::TransferError::chain).collect();
    assert!(texts.iter().any(|text| text.contains("holds 1 bytes")), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("in the way")).count(), 2, "{texts:?}");
}

#[tokio::test]
async fn names_that_the_destination_does_not_tell_apart_fail_all_but_once() {
    let store = store_of(&["t/A", "t/a", "t/caf\u{e9}", "t/cafe\u{301}", "t/d/", "t/D/"]).await;
    for name in ["t/d/", "t/D/"] {
        store.write(&key(name), Vec::new()).await.unwrap();
    }
    let transfer = builder().fold(Fold { case: true, forms: true }).build().unwrap();
    let dir = dir();
    let report = transfer.download_dir(&store, "t", dir.path()).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (4, 2), "{report:?}");
    assert!(report.failures.iter().all(|failure| failure.kind() == ErrorKind::AlreadyExists));
    assert_eq!(files(dir.path()), ["A", "cafe\u{301}"]);
    assert_eq!(fs::read(dir.path().join("A")).unwrap(), b"t/A");

    let to = dir.path().join("synchronized");
    let (from, to) = (Place::store(AnyStore::new(store), "t/"), Place::local(to));
    let report = transfer.sync(from, to).await.unwrap();
    assert_eq!((report.copied, report.failed), (4, 2), "{report:?}");
}

#[tokio::test]
async fn thousands_of_small_objects_arrive_with_few_requests_each() {
    let store = memory().capability(|can| can.list_max_page = Some(100)).build().unwrap();
    let names: Vec<String> = (0..1000).map(|n| format!("t/{}/{}/{n}", n % 7, n % 11)).collect();
    for name in &names {
        store.write(&key(name), name.clone()).await.unwrap();
    }
    let dir = dir();
    let transfer = builder().memory_budget(4 << 20).build().unwrap();
    let report = transfer.download_dir(&store, "t", dir.path()).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (1000, 0));
    assert_eq!(files(dir.path()).len(), 1000);
    assert!(transfer.usage().memory_peak <= 4 << 20);
    let again = memory().build().unwrap();
    let report = transfer.upload_dir(dir.path(), &again, "t").await.unwrap();
    assert_eq!((report.succeeded, report.failed), (1000, 0));
    assert_eq!(again.read(&key("t/0/0/0")).await.unwrap(), "t/0/0/0");
}

/// A tree of so many objects of 1 to 9 bytes, and the calls that fetching them takes.
async fn fetch_many(objects: usize, fault: fn(&MemoryCall<'_>) -> MemoryFault) -> (BatchReport, Vec<String>) {
    let journal = Journal::default();
    let seen = journal.clone();
    let store = memory()
        .fault(move |call| {
            seen.note(call);
            fault(call)
        })
        .build()
        .unwrap();
    for n in 0..objects {
        store.write(&key(&format!("t/{n:04}")), bytes(n as u64 % 9 + 1)).await.unwrap();
    }
    journal.take();
    let dir = dir();
    let report = transfer().download_dir(&store, "t", dir.path()).await.unwrap();
    for name in files(dir.path()) {
        let n: u64 = name.parse().unwrap();
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), bytes(n % 9 + 1));
    }
    assert_eq!(files(dir.path()).len() as u64, report.succeeded);
    (report, journal.take())
}

fn batches(calls: &[String]) -> usize {
    calls.iter().filter(|call| *call == "get_many").count()
}

#[tokio::test]
async fn many_small_objects_share_requests() {
    for (objects, expected) in [(99, 0), (100, 1), (600, 3)] {
        let (report, calls) = fetch_many(objects, |_| MemoryFault::None).await;
        assert_eq!((report.succeeded, report.failed), (objects as u64, 0));
        assert_eq!(batches(&calls), expected);
    }
}

#[tokio::test]
async fn what_a_batch_does_not_bring_is_fetched_alone() {
    let refuse = |call: &MemoryCall<'_>| match call.operation {
        "memory.object.get_many" => MemoryFault::Refuse(Error::new(ErrorKind::Unavailable, "down")),
        _ => MemoryFault::None,
    };
    let (report, calls) = fetch_many(600, refuse).await;
    assert_eq!((report.succeeded, report.failed, batches(&calls)), (600, 0, 3));

    // The store fetches each object of a batch on its own, so a broken body is one of the batch.
    let break_some = |call: &MemoryCall<'_>| match call.key.filter(|_| call.operation.ends_with("get")) {
        Some(key) if call.range.is_none() && key.as_str().ends_with('5') => MemoryFault::BreakBody(1),
        Some(key) if key.as_str().ends_with("77") => {
            MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no"))
        }
        _ => MemoryFault::None,
    };
    let (report, calls) = fetch_many(600, break_some).await;
    assert_eq!((report.succeeded, report.failed, batches(&calls)), (594, 6, 3), "{report:?}");
    assert!(report.failures.iter().all(|failure| failure.kind() == ErrorKind::PermissionDenied));
}

#[tokio::test]
async fn failures_are_counted_and_the_rest_goes_on_unless_told_to_stop() {
    let refuse = |call: &longshore_blob_api::MemoryCall<'_>| {
        let bad = call.operation.ends_with("get") && call.key.is_some_and(|key| key.as_str().contains("bad"));
        if bad {
            MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no"))
        } else {
            MemoryFault::None
        }
    };
    let store = memory().fault(refuse).build().unwrap();
    for n in 0..500 {
        let name = if n % 10 == 0 { format!("t/bad{n:03}") } else { format!("t/ok{n:03}") };
        store.write(&key(&name), "x").await.unwrap();
    }
    let dir = dir();
    let events = Events::default();
    let report = transfer().download_dir(&store, "t", dir.path()).progress(events.sink()).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.failures.len()), (450, 50, 50));
    assert_eq!(events.count(|event| matches!(event, TransferEvent::ItemFailed { .. })), 50);

    let report =
        transfer().download_dir(&store, "t", dir.path()).on_item_failure(FailurePolicy::Stop).await.unwrap();
    assert!(report.stopped.is_some());
    assert!(report.total() < 500, "{}", report.total());
}

#[tokio::test]
async fn a_listing_that_breaks_off_is_no_success() {
    let fault =
        nth("memory.object.list", 2, || MemoryFault::Refuse(Error::new(ErrorKind::Unavailable, "down")));
    let store = memory().capability(|can| can.list_max_page = Some(10)).fault(fault).build().unwrap();
    for n in 0..30 {
        store.write(&key(&format!("t/{n}")), "x").await.unwrap();
    }
    let dir = dir();
    let report = transfer().download_dir(&store, "t", dir.path()).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (10, 0));
    assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::Unavailable);
    assert!(!report.is_success());
}

#[tokio::test]
async fn a_stop_leaves_nothing_half_written() {
    let store = store_of(&["t/a", "t/b"]).await;
    let dir = dir();
    let token = CancelToken::new();
    token.stop();
    let report = transfer().download_dir(&store, "t", dir.path()).cancel(token.clone()).await.unwrap();
    assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::Cancelled);
    assert!(files(dir.path()).is_empty());
    let report = transfer().upload_dir(dir.path(), &store, "u").cancel(token).await.unwrap();
    assert!(!report.is_success());
}

#[tokio::test]
async fn what_runs_when_it_is_stopped_is_accounted_for() {
    let store = memory().capability(|can| can.get_many = false).build().unwrap();
    for n in 0..40 {
        store.write(&key(&format!("t/{n:02}")), bytes(n)).await.unwrap();
    }
    // From the twentieth on no body ends.
    let odd = Odd::new(store).on_body(|n, body| if n > 20 { stalled(body, 3) } else { body });
    let dir = dir();
    let token = CancelToken::new();
    let handle = transfer().download_dir(&odd, "t", dir.path()).cancel(token.clone()).start();
    let mut progress = handle.progress();
    progress.wait_for(|progress| progress.succeeded >= 20).await.unwrap();
    token.stop();
    let report = handle.join().await.unwrap();
    assert_eq!(report.stopped.as_ref().unwrap().kind(), ErrorKind::Cancelled);
    assert!(report.failures.iter().all(|failure| failure.kind() == ErrorKind::Cancelled));
    assert_eq!(files(dir.path()).len() as u64, report.succeeded);
    let end = *progress.borrow();
    assert_eq!((end.succeeded, end.failed), (report.succeeded, report.failed));
}

#[tokio::test]
async fn filters_leave_out_and_say_so() {
    let store = store_of(&["t/a-txt", "t/b-bin", "t/c-txt"]).await;
    let dir = dir();
    let report = transfer()
        .download_dir(&store, "t", dir.path())
        .filter(|name, meta| name.ends_with("-txt") && meta.size > 0)
        .await
        .unwrap();
    assert_eq!((report.succeeded, report.skipped), (2, 1));
    let report = transfer()
        .upload_dir(dir.path(), &store, "u")
        .filter(|path, _| path.starts_with("a-txt"))
        .await
        .unwrap();
    assert_eq!((report.succeeded, report.skipped), (1, 1));
}

#[tokio::test]
async fn a_source_that_is_no_directory_fails_as_a_whole() {
    let store = memory().build().unwrap();
    let dir = dir();
    let error = transfer().upload_dir(dir.path().join("missing"), &store, "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    fs::write(dir.path().join("f"), "").unwrap();
    let error = transfer().download_dir(&store, "", dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
}

#[tokio::test]
async fn small_files_take_the_place_of_whatever_was_there() {
    let store = store_of(&["new", "old", "link", "left", "other"]).await;
    let dir = dir();
    fs::write(dir.path().join("old"), "before").unwrap();
    fs::write(dir.path().join(".left.longshore-part"), "half").unwrap();
    #[cfg(unix)]
    {
        fs::write(dir.path().join("real"), "before").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
    }
    fs::create_dir(dir.path().join("other")).unwrap();
    let report = transfer().download_dir(&store, "", dir.path()).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (4, 1));
    let reason = report.failures[0].reason().message().to_owned();
    assert!(reason.contains("a directory is in the way"), "{reason}");
    for name in ["new", "old", "link", "left"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), name.as_bytes());
    }
    #[cfg(unix)]
    assert_eq!(fs::read(dir.path().join("real")).unwrap(), b"link");
    assert_eq!(files(dir.path()), ["left", "link", "new", "old", "real"]);
}

#[tokio::test]
async fn a_small_object_whose_body_breaks_is_continued_and_one_that_is_damaged_leaves_nothing() {
    let store = memory().fault(nth("memory.object.get", 1, || MemoryFault::BreakBody(2))).build().unwrap();
    store.write(&key("a"), b"hello".to_vec()).await.unwrap();
    let dir = dir();
    let report = transfer().download_dir(&store, "", dir.path()).await.unwrap();
    assert!(report.is_success());
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"hello");

    fs::remove_file(dir.path().join("a")).unwrap();
    let report = transfer().download_dir(&Odd::new(store).damages(), "", dir.path()).await.unwrap();
    assert_eq!(report.failures[0].kind(), ErrorKind::ChecksumMismatch);
    assert!(files(dir.path()).is_empty());
}

//! Transfers that were interrupted and go on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use longshore_blob_api::{
    BlobStore, BlobStoreExt, MemoryCall, MemoryFault, MemoryStore, MemoryStoreBuilder, PartRetry,
};
use longshore_core_types::{Attributes, ChecksumKind, Error, ErrorKind};

use super::{
    Events, Journal, KIB, builder, bytes, dir, files, key, memory,
    odd::{Odd, stalled},
    store_with, until,
};
use crate::{Direction, Transfer, TransferEvent, Unfinished, Verify, unfinished};

const PART: u64 = 64 * KIB;
const SIZE: u64 = 10 * PART + 1;

/// One request at a time, and checkpoints.
fn resumable(state: &Path) -> Transfer {
    builder().concurrency(1).hedge(false).checkpoints(state).build().unwrap()
}

fn unavailable() -> MemoryFault {
    MemoryFault::Refuse(Error::new(ErrorKind::Unavailable, "the server is gone"))
}

/// Notes calls. After so many calls of an operation no upload in parts works any more, until it is healed.
fn breaking(
    builder: MemoryStoreBuilder,
    operation: &'static str,
    after: u64,
) -> (MemoryStoreBuilder, Journal, Arc<AtomicBool>) {
    let (journal, healed) = (Journal::default(), Arc::new(AtomicBool::new(false)));
    let (noted, well) = (journal.clone(), Arc::clone(&healed));
    let seen = std::sync::atomic::AtomicU64::new(0);
    let hook = move |call: &MemoryCall<'_>| {
        noted.note(call);
        if call.operation == operation {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        let gone = seen.load(Ordering::Relaxed) > after && call.operation.starts_with("memory.multipart");
        if gone && !well.load(Ordering::Relaxed) { unavailable() } else { MemoryFault::None }
    };
    (builder.fault(hook), journal, healed)
}

fn resumed(events: &Events) -> Vec<u64> {
    let events = events.0.lock().unwrap();
    let offset = |event: &TransferEvent| match event {
        TransferEvent::Resumed { offset, .. } => Some(*offset),
        _ => None,
    };
    events.iter().filter_map(offset).collect()
}

/// Drops a transfer, and waits until all of it has ended.
async fn drop_all<T>(handle: T, state: &Path) {
    drop(handle);
    until(async || unfinished(state).unwrap().iter().all(|left| !left.running)).await;
}

/// A download that is dropped while its fourth part is under way, and what it left.
async fn half_a_download(store: &Odd, dir: &Path, state: &Path) {
    let stuck = store.clone().on_body(|n, body| if n > 3 { stalled(body, 100) } else { body });
    let handle = resumable(state).download(&stuck, key("k"), dir.join("f")).start();
    // The next part is only asked for when those before it are noted.
    until(async || store.gets() == 4).await;
    drop_all(handle, state).await;
    assert_eq!(files(dir), [".f.longshore-part", ".f.longshore-part.json"]);
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_dropped() {
    for kinds in [&[ChecksumKind::Crc32c][..], &[ChecksumKind::XxHash64], &[]] {
        let (store, content) = store_with(memory(), SIZE).await;
        let odd = Odd::new(store).states(kinds);
        let (dir, state) = (dir(), dir());
        half_a_download(&odd, dir.path(), state.path()).await;
        let left = unfinished(state.path()).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].direction, left[0].size, left[0].running), (Direction::Download, SIZE, false));
        assert_eq!(left[0].path.file_name().unwrap(), "f");

        let asked = Journal::default();
        let noted = asked.clone();
        let odd = odd.on_range(move |_, options| {
            noted.add(options.range.map(|range| range.to_string()).unwrap_or_default());
        });
        let events = Events::default();
        let target = dir.path().join("f");
        let transfer = resumable(state.path());
        let outcome = transfer.download(&odd, key("k"), &target).progress(events.sink()).await.unwrap();
        assert_eq!(outcome.resumed, left[0].done);
        assert_eq!((outcome.bytes, outcome.verified), (SIZE, kinds.first().copied()));
        assert_eq!(resumed(&events), [outcome.resumed]);
        assert!(fs::read(&target).unwrap() == content);
        assert_eq!(files(dir.path()), ["f"]);
        // Nothing that was there was asked for again.
        let asked = asked.take();
        let missing = (SIZE - outcome.resumed).div_ceil(PART);
        assert_eq!(asked.len() as u64, missing, "{asked:?}");
        assert!(outcome.resumed >= 3 * PART);
        assert!(unfinished(state.path()).unwrap().is_empty());
    }
}

/// Of what the first request brings, each part is kept.
#[tokio::test]
async fn a_download_that_was_dropped_within_its_first_answer_goes_on_too() {
    let (store, content) = store_with(memory(), SIZE).await;
    let (dir, state) = (dir(), dir());
    // 36 KiB, then 64 KiB, of which the last ones do not come.
    let stuck = Odd::new(store.clone()).on_body(|_, body| stalled(body, 99 << 10));
    let handle = resumable(state.path()).download(&stuck, key("k"), dir.path().join("f")).start();
    until(async || unfinished(state.path()).unwrap().iter().any(|left| left.done > 0)).await;
    drop_all(handle, state.path()).await;
    assert_eq!(unfinished(state.path()).unwrap()[0].done, 36 * KIB);
    let target = dir.path().join("f");
    let outcome = resumable(state.path()).download(&store, key("k"), &target).await.unwrap();
    assert_eq!(outcome.resumed, 36 * KIB);
    assert!(fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn after_another_start_of_the_machine_parts_are_looked_at() {
    let (store, content) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store).states(&[]);
    let (dir, state) = (dir(), dir());
    half_a_download(&odd, dir.path(), state.path()).await;
    let done = unfinished(state.path()).unwrap()[0].done;
    let temp = dir.path().join(".f.longshore-part");
    let mut damaged = fs::read(&temp).unwrap();
    damaged[100] ^= 1;
    let file = fs::OpenOptions::new().write(true).open(&temp).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &damaged, 0).unwrap();

    let transfer = builder().concurrency(1).checkpoints(state.path()).boot("another").build().unwrap();
    let target = dir.path().join("f");
    let outcome = transfer.download(&odd, key("k"), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
    // The damaged part is the first one, which is larger.
    assert!(outcome.resumed > 0 && outcome.resumed < done, "{} of {done}", outcome.resumed);
}

#[tokio::test]
async fn a_copy_of_the_temporary_file_is_looked_at_too() {
    let (store, content) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store).states(&[]);
    let (dir, state) = (dir(), dir());
    half_a_download(&odd, dir.path(), state.path()).await;
    let temp = dir.path().join(".f.longshore-part");
    let mut copy = fs::read(&temp).unwrap();
    copy[0] ^= 1;
    fs::write(dir.path().join("copy"), &copy).unwrap();
    fs::rename(dir.path().join("copy"), &temp).unwrap();
    let target = dir.path().join("f");
    resumable(state.path()).download(&odd, key("k"), &target).await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn a_replaced_object_is_fetched_from_its_beginning() {
    let (store, _) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store.clone());
    let (dir, state) = (dir(), dir());
    half_a_download(&odd, dir.path(), state.path()).await;
    let other = bytes(SIZE + 1).slice(1..);
    store.write(&key("k"), other.clone()).await.unwrap();
    let events = Events::default();
    let target = dir.path().join("f");
    let outcome =
        resumable(state.path()).download(&odd, key("k"), &target).progress(events.sink()).await.unwrap();
    assert_eq!((outcome.resumed, resumed(&events).len()), (0, 0));
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Restarted { .. })), 1);
    assert!(fs::read(&target).unwrap() == other);
    assert_eq!(files(dir.path()), ["f"]);
}

#[tokio::test]
async fn checkpoints_that_make_no_sense_are_not_believed() {
    let (store, content) = store_with(memory(), SIZE).await;
    let edits: [fn(&Path); 6] = [
        |dir| fs::write(dir.join(".f.longshore-part.json"), "{").unwrap(),
        |dir| fs::write(dir.join(".f.longshore-part"), "").unwrap(),
        |dir| {
            let part = fs::File::options().write(true).open(dir.join(".f.longshore-part")).unwrap();
            part.set_len(SIZE + 1).unwrap();
        },
        |dir| fs::remove_file(dir.join(".f.longshore-part")).unwrap(),
        |dir| edit(&dir.join(".f.longshore-part.json"), "\"part\":65536", "\"part\":0"),
        |dir| edit(&dir.join(".f.longshore-part.json"), "\"version\":1,\"boot\"", "\"version\":9,\"boot\""),
    ];
    for change in edits {
        let (dir, state) = (dir(), dir());
        let odd = Odd::new(store.clone());
        half_a_download(&odd, dir.path(), state.path()).await;
        change(dir.path());
        let target = dir.path().join("f");
        let outcome = resumable(state.path()).download(&odd, key("k"), &target).await.unwrap();
        assert_eq!(outcome.resumed, 0);
        assert!(fs::read(&target).unwrap() == content);
        assert_eq!(files(dir.path()), ["f"]);
    }
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn what_cannot_go_on_is_not_kept() {
    let (store, _) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store.clone());
    let (dir, state) = (dir(), dir());
    half_a_download(&odd, dir.path(), state.path()).await;
    store.delete(&key("k"), longshore_blob_api::DeleteOptions::default()).await.unwrap();
    let transfer = resumable(state.path());
    let error = transfer.download(&odd, key("k"), dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(files(dir.path()).is_empty());
    assert!(unfinished(state.path()).unwrap().is_empty());
}

#[tokio::test]
async fn without_checkpoints_nothing_is_left() {
    let (store, _) = store_with(memory(), SIZE).await;
    let stuck = Odd::new(store).on_body(|n, body| if n > 3 { stalled(body, 100) } else { body });
    let dir = dir();
    let events = Events::default();
    let transfer = builder().concurrency(1).build().unwrap();
    let handle = transfer.download(&stuck, key("k"), dir.path().join("f")).progress(events.sink()).start();
    while events.count(|event| matches!(event, TransferEvent::PartDone { .. })) < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    handle.abort().await.unwrap();
    assert!(files(dir.path()).is_empty());
}

fn in_parts(rule: PartRetry) -> MemoryStoreBuilder {
    memory().capability(|can| {
        let mut limits = can.multipart.unwrap();
        limits.part_retry = rule;
        can.multipart = Some(limits);
    })
}

fn parts(journal: &Journal) -> Vec<String> {
    let parts = journal.take().into_iter().filter(|line| line.starts_with("put_part "));
    parts.map(|line| line.replace("put_part ", "")).collect()
}

#[tokio::test]
async fn an_upload_goes_on_where_it_failed() {
    let (dir, state) = (dir(), dir());
    let content = bytes(SIZE);
    fs::write(dir.path().join("f"), &content).unwrap();
    let (store, journal, healed) = breaking(memory(), "memory.multipart.put_part", 4);
    let store = store.build().unwrap();
    let transfer = resumable(state.path());
    let error = transfer.upload(&store, key("k"), dir.path().join("f")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let left = unfinished(state.path()).unwrap();
    assert_eq!((left[0].direction, left[0].done, left[0].size), (Direction::Upload, 4 * PART, SIZE));
    assert_eq!(error.upload(), left[0].upload.as_ref());
    #[cfg(unix)]
    for file in files(&state.path().join("uploads")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(state.path().join("uploads").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    journal.take();
    healed.store(true, Ordering::Relaxed);
    let events = Events::default();
    let upload = transfer.upload(&store, key("k"), dir.path().join("f")).progress(events.sink());
    let outcome = upload.await.unwrap();
    assert_eq!((outcome.resumed, outcome.bytes, outcome.parts), (4 * PART, SIZE, 11));
    assert!(outcome.verified);
    assert_eq!(resumed(&events), [4 * PART]);
    assert_eq!(parts(&journal), ["5", "6", "7", "8", "9", "10", "11"]);
    assert!(store.read(&key("k")).await.unwrap() == content);
    assert!(files(state.path()).is_empty());
}

/// An upload that is dropped while the answer to its fifth part, which the store has, is on the way.
async fn half_an_upload(store: &MemoryStore, file: &Path, state: &Path) {
    let stuck = Odd::new(store.clone()).slow_part(5, Duration::from_secs(3600));
    let handle = resumable(state).upload(&stuck, key("k"), file).start();
    until(async || stuck.parts_stored() == 5).await;
    drop_all(handle, state).await;
}

#[tokio::test]
async fn a_part_whose_answer_never_came_is_not_sent_again() {
    for rule in [PartRetry::Safe, PartRetry::LookFirst] {
        let (dir, state) = (dir(), dir());
        let (content, file) = (bytes(SIZE), dir.path().join("f"));
        fs::write(&file, &content).unwrap();
        let journal = Journal::default();
        let noted = journal.clone();
        let store = in_parts(rule).fault(move |call: &MemoryCall<'_>| {
            noted.note(call);
            MemoryFault::None
        });
        let store = store.build().unwrap();
        half_an_upload(&store, &file, state.path()).await;
        assert_eq!(parts(&journal).len(), 5);
        assert_eq!(unfinished(state.path()).unwrap()[0].done, 4 * PART);
        let outcome = resumable(state.path()).upload(&store, key("k"), &file).await.unwrap();
        assert_eq!((outcome.resumed, outcome.verified), (5 * PART, true));
        assert_eq!(parts(&journal).len(), 6);
        assert!(store.read(&key("k")).await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_part_that_may_show_up_is_not_sent_again_to_the_same_upload() {
    let (dir, state) = (dir(), dir());
    let (content, file) = (bytes(SIZE), dir.path().join("f"));
    fs::write(&file, &content).unwrap();
    let (store, journal, _) = breaking(in_parts(PartRetry::LookFirst), "none", 1);
    let store = store.build().unwrap();
    half_an_upload(&store, &file, state.path()).await;
    // As if the store had not got round to the fifth part.
    let json = files(&state.path().join("uploads")).into_iter().find(|name| name.contains("json")).unwrap();
    let json = state.path().join("uploads").join(json);
    let left = unfinished(state.path()).unwrap().remove(0).upload.unwrap();
    edit(&json, "\"handed_out\":[4]", "\"handed_out\":[4,7]");
    journal.take();
    let events = Events::default();
    let upload = resumable(state.path()).upload(&store, key("k"), &file).progress(events.sink());
    let outcome = upload.await.unwrap();
    let sent = parts(&journal);
    assert_eq!(outcome.resumed, 0);
    assert_eq!(events.count(|event| matches!(event, TransferEvent::Restarted { .. })), 1);
    // What was missing for sure was sent first; then everything to another upload.
    assert_eq!(sent.len(), 5 + 11, "{sent:?}");
    assert_eq!(store.list_parts(&left).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(store.read(&key("k")).await.unwrap() == content);
}

#[tokio::test]
async fn a_changed_source_is_sent_from_its_beginning() {
    for options in [false, true] {
        let (dir, state) = (dir(), dir());
        let file = dir.path().join("f");
        fs::write(&file, bytes(SIZE)).unwrap();
        let store = memory().build().unwrap();
        half_an_upload(&store, &file, state.path()).await;
        let left = unfinished(state.path()).unwrap().remove(0).upload.unwrap();
        let content = if options { bytes(SIZE) } else { bytes(SIZE + 5) };
        let mut attributes = Attributes::default();
        if options {
            attributes = attributes.with_content_type("x/y");
        } else {
            fs::write(&file, &content).unwrap();
        }
        let events = Events::default();
        let upload = resumable(state.path()).upload(&store, key("k"), &file).attributes(attributes);
        let outcome = upload.progress(events.sink()).await.unwrap();
        assert_eq!(outcome.resumed, 0);
        assert_eq!(events.count(|event| matches!(event, TransferEvent::Restarted { .. })), 1);
        assert_eq!(store.list_parts(&left).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(store.read(&key("k")).await.unwrap() == content);
        assert!(files(state.path()).is_empty());
    }
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_needs_no_second_upload() {
    for kind in [ChecksumKind::Crc32c, ChecksumKind::Sha256] {
        let (dir, state) = (dir(), dir());
        let file = dir.path().join("f");
        fs::write(&file, bytes(SIZE)).unwrap();
        let (store, journal, healed) = breaking(memory(), "memory.multipart.complete", 0);
        let store = Odd::new(store.build().unwrap()).states(&[kind]);
        let transfer = builder().checkpoints(state.path()).verify(Verify::Never).build().unwrap();
        transfer.upload(&store, key("k"), &file).await.unwrap_err();
        let left = unfinished(state.path()).unwrap().remove(0).upload.unwrap();
        healed.store(true, Ordering::Relaxed);
        let infos = store.list_parts(&left).await.unwrap();
        let receipts = infos.iter().map(|info| {
            let receipt = longshore_blob_api::PartReceipt::new(info.number, info.size.unwrap());
            receipt.with_etag(info.etag.clone().unwrap())
        });
        let receipts = receipts.collect();
        store.complete_multipart(&left, receipts).await.unwrap();
        journal.take();
        let outcome = transfer.upload(&store, key("k"), &file).await.unwrap();
        assert_eq!((outcome.resumed, outcome.verified), (SIZE, true));
        assert!(parts(&journal).is_empty());
        assert!(files(state.path()).is_empty());
    }
}

#[tokio::test]
async fn only_one_of_two_uploads_of_the_same_keeps_the_checkpoint() {
    let (dir, state) = (dir(), dir());
    let (content, file) = (bytes(SIZE), dir.path().join("f"));
    fs::write(&file, &content).unwrap();
    let store = Odd::new(memory().build().unwrap()).slow_parts(Duration::from_millis(2));
    let transfer = resumable(state.path());
    let one = transfer.upload(&store, key("k"), &file).start();
    while unfinished(state.path()).unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let running = unfinished(state.path()).unwrap().remove(0);
    assert!(running.running && running.forget().is_err());
    transfer.upload(&store, key("k"), &file).await.unwrap();
    one.join().await.unwrap();
    assert!(store.read(&key("k")).await.unwrap() == content);
    assert!(files(state.path()).is_empty());
}

#[tokio::test]
async fn a_name_that_is_too_long_for_the_temporary_file_is_told_all_the_same() {
    let (store, _) = store_with(memory(), SIZE).await;
    let odd = Odd::new(store);
    let stuck = odd.clone().on_body(|n, body| if n > 3 { stalled(body, 100) } else { body });
    let (dir, state) = (dir(), dir());
    let target = dir.path().join("n".repeat(250));
    let handle = resumable(state.path()).download(&stuck, key("k"), &target).start();
    until(async || odd.gets() == 4).await;
    drop_all(handle, state.path()).await;
    assert_eq!(unfinished(state.path()).unwrap()[0].path, target);
}

/// Half an upload, and half a download to a folder of its own: the folder, and what is left.
async fn half_of_each(dir: &Path, state: &Path) -> (PathBuf, Vec<Unfinished>) {
    let (file, downloads) = (dir.join("up"), dir.join("down"));
    fs::write(&file, bytes(SIZE)).unwrap();
    fs::create_dir(&downloads).unwrap();
    let (store, _) = store_with(memory(), SIZE).await;
    half_a_download(&Odd::new(store.clone()), &downloads, state).await;
    half_an_upload(&store, &file, state).await;
    (downloads, unfinished(state).unwrap())
}

#[tokio::test]
async fn what_nobody_takes_up_can_be_forgotten() {
    let (dir, state) = (dir(), dir());
    let (downloads, left) = half_of_each(dir.path(), state.path()).await;
    assert_eq!(left.len(), 2);
    for one in left {
        one.forget().unwrap();
    }
    assert!(files(&downloads).is_empty() && files(state.path()).is_empty());
    assert!(unfinished(state.path()).unwrap().is_empty());
}

/// The only checkpoint in a folder.
fn checkpoint(folder: &Path) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "json")).unwrap()
}

#[tokio::test]
async fn what_somebody_took_up_meanwhile_is_not_forgotten() {
    let (dir, state) = (dir(), dir());
    let (downloads, left) = half_of_each(dir.path(), state.path()).await;
    assert!(left.iter().all(|one| !one.running));
    let before = (files(&downloads), files(state.path()));
    let locks: Vec<fs::File> = left
        .iter()
        .map(|one| {
            let path = match one.direction {
                Direction::Download => downloads.join(".f.longshore-part"),
                _ => checkpoint(&state.path().join("uploads")).with_extension("lock"),
            };
            let file = fs::File::options().write(true).create(true).truncate(false).open(path).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    for one in &left {
        assert!(one.forget().unwrap_err().message().contains("running"));
    }
    drop(locks);
    let after = (files(&downloads), files(state.path()));
    assert_eq!(after.0, before.0);
    assert!(before.1.iter().all(|name| after.1.contains(name)));
}

#[tokio::test]
async fn an_upload_whose_checkpoint_cannot_be_written_any_more_leaves_nothing() {
    let (dir, state) = (dir(), dir());
    let file = dir.path().join("up");
    fs::write(&file, bytes(SIZE)).unwrap();
    for rule in [PartRetry::Safe, PartRetry::LookFirst] {
        let folder = state.path().join("uploads");
        let (blocked, refused) = (folder.clone(), AtomicU64::new(0));
        let store = in_parts(rule).fault(move |call| match call.operation {
            // From here on the checkpoint cannot be replaced.
            "memory.multipart.put_part" if refused.fetch_add(1, Ordering::Relaxed) == 0 => {
                fs::create_dir(checkpoint(&blocked).with_extension("json.tmp")).unwrap();
                MemoryFault::None
            }
            "memory.multipart.put_part" if refused.load(Ordering::Relaxed) > 3 => unavailable(),
            _ => MemoryFault::None,
        });
        let store = store.build().unwrap();
        let events = Events::default();
        let error = resumable(state.path())
            .upload(&store, key("u"), &file)
            .progress(events.sink())
            .await
            .unwrap_err();
        assert_eq!(events.count(|event| matches!(event, TransferEvent::NotResumable { .. })), 1);
        assert!(error.upload().is_none(), "{error}");
        assert_eq!(store.open_uploads(), 0);
        assert!(unfinished(state.path()).unwrap().is_empty());
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_does_not_stop_the_transfer() {
    let (dir, state) = (dir(), dir());
    let blocked = state.path().join("file");
    fs::write(&blocked, "").unwrap();
    fs::write(dir.path().join("up"), bytes(SIZE)).unwrap();
    let (store, _) = store_with(memory(), SIZE).await;
    let events = Events::default();
    let transfer = resumable(&blocked);
    transfer.upload(&store, key("u"), dir.path().join("up")).progress(events.sink()).await.unwrap();
    transfer.download(&store, key("k"), dir.path().join("f")).progress(events.sink()).await.unwrap();
    assert_eq!(events.count(|event| matches!(event, TransferEvent::NotResumable { .. })), 2);
    assert_eq!(files(dir.path()), ["f", "up"]);
}

//! Trees that are made the same, moved and copied.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt, TryStreamExt};
use longshore_blob_api::{
    AnyStore, BlobStore, BlobStoreExt, Capability, Entry, HeadOptions, ListOptions, ListPage, MemoryCall,
    MemoryFault, MemoryStore, NameRules, PageToken,
};
use longshore_core_types::{Attributes, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

use super::{KIB, builder, bytes, dir, files, key, memory, odd::Odd, transfer};
use crate::{Compare, End, Filter, PartSize, Place, Sync, SyncAction, SyncReport, Transfer};

type Tree = BTreeMap<String, Vec<u8>>;

async fn fill(store: &MemoryStore, prefix: &str, tree: &Tree) {
    for (name, content) in tree {
        store.write(&key(&format!("{prefix}{name}")), content.clone()).await.unwrap();
    }
}

async fn content(store: &MemoryStore, prefix: &str) -> Tree {
    let entries: Vec<Entry> = store.list(ListOptions::prefix(prefix)).try_collect().await.unwrap();
    let mut tree = Tree::new();
    for entry in entries {
        let name = entry.name().strip_prefix(prefix).unwrap().to_owned();
        tree.insert(name, store.read(&key(entry.name())).await.unwrap().to_vec());
    }
    tree
}

fn tree(random: &mut fastrand::Rng) -> Tree {
    let parts = ["a", "b", "a/b", "c/d/e", "é", ".x", "a.b", "z"];
    (0..random.usize(..9))
        .map(|_| {
            let name = format!("{}/{}", parts[random.usize(..8)], parts[random.usize(..8)]);
            (name, vec![random.u8(..3); random.usize(..4)])
        })
        .collect()
}

fn store(url_bucket: &str) -> MemoryStore {
    MemoryStore::builder(url_bucket).capability(|can| can.list_max_page = Some(3)).build().unwrap()
}

fn place(store: impl BlobStore, prefix: &str) -> Place {
    Place::store(AnyStore::new(store), prefix)
}

fn small() -> Transfer {
    builder().build().unwrap()
}

/// What can go wrong, all of which must keep everything that the destination has.
const FAULTS: [&str; 11] = [
    "source-error",
    "destination-error",
    "source-incomplete",
    "destination-incomplete",
    "source-repeats",
    "source-cycles",
    "empty-source",
    "unsettled-before",
    "unsettled-after",
    "unknown-after",
    "copy-fails",
];

fn on_list(
    fault: &'static str,
    side: &'static str,
) -> impl Fn(u64, ListPage) -> Result<ListPage> + Send + std::marker::Sync {
    let first: Mutex<Option<ListPage>> = Mutex::default();
    move |n, page| {
        let kind = fault.strip_prefix(side).unwrap_or_default();
        match kind {
            "-error" if n == 2 || page.next.is_none() => {
                Err(Error::new(ErrorKind::Unavailable, "the server is gone"))
            }
            "-incomplete" if page.next.is_none() => Ok(page.with_incomplete(true)),
            "-repeats" => {
                let mut first = first.lock().unwrap();
                let page = first.get_or_insert(page).clone();
                Ok(if n > 1 { ListPage::new(page.entries, None) } else { page })
            }
            // A token that leads back to where the listing was.
            "-cycles" => {
                let next = Some(longshore_blob_api::PageToken::new("a/a"));
                Ok(ListPage::new(page.entries, next))
            }
            _ => Ok(page),
        }
    }
}

#[tokio::test]
async fn sync_with_removal_agrees_with_a_model_or_removes_nothing() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut seen = BTreeMap::<&str, u32>::new();
    for round in 0..400 {
        let fault = if round % 3 == 0 { "none" } else { FAULTS[random.usize(..FAULTS.len())] };
        let (mut wanted, there) = (tree(&mut random), tree(&mut random));
        if fault == "empty-source" {
            wanted.clear();
        }
        let fail_copies = fault == "copy-fails";
        let target = MemoryStore::builder("to").capability(|can| can.list_max_page = Some(3));
        let target = target.fault(move |call: &MemoryCall<'_>| {
            if fail_copies
                && call.operation == "memory.object.put"
                && call.key.is_some_and(|key| key.as_str().starts_with("p/a"))
            {
                return MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no"));
            }
            MemoryFault::None
        });
        let (source, target) = (store("from"), target.build().unwrap());
        fill(&source, "", &wanted).await;
        let ready = Odd::new(target.clone());
        // Written below the fault.
        for (name, content) in &there {
            if !fail_copies || !name.starts_with('a') {
                target.write(&key(&format!("p/{name}")), content.clone()).await.unwrap();
            }
        }
        let before = content(&target, "p/").await;
        let asked = Arc::new(AtomicU64::new(0));
        let sync = small()
            .sync(
                place(Odd::new(source).on_list(on_list(fault, "source")), ""),
                place(ready.on_list(on_list(fault, "destination")), "p"),
            )
            .compare(Compare::Checksum)
            .remove(true)
            .settled({
                let asked = Arc::clone(&asked);
                move || {
                    let after = asked.fetch_add(1, Ordering::Relaxed) > 0;
                    let answer = match fault {
                        "unsettled-before" => Ok((!after).then(|| "rebalancing".to_owned())),
                        "unsettled-after" => Ok(after.then(|| "rebalancing".to_owned())),
                        "unknown-after" if after => Err(Error::new(ErrorKind::Timeout, "no answer")),
                        _ => Ok(None),
                    };
                    async { answer }.boxed()
                }
            });
        let report = sync.await.unwrap();
        let after = content(&target, "p/").await;
        let extra = before.keys().filter(|name| !wanted.contains_key(*name)).count() as u64;
        let context = format!("round {round}, {fault}: {report:?}");
        let certain = report.kept.is_none() && report.stopped.is_none();
        if fault == "none" {
            assert!(report.is_success() || wanted.is_empty(), "{context}");
        }
        if certain && report.failed == 0 && !(wanted.is_empty() && extra > 0) {
            assert_eq!(after, wanted, "{context}");
            assert_eq!((report.removed, report.extra), (extra, extra), "{context}");
        } else {
            assert_eq!(report.removed, 0, "{context}");
            for name in before.keys() {
                assert!(after.contains_key(name), "{name} is gone; {context}");
            }
        }
        if extra > 0 && report.removed == 0 {
            assert!(!report.is_success(), "{context}");
            *seen.entry(fault).or_default() += 1;
        }
        let same = wanted.iter().filter(|(name, content)| before.get(*name) == Some(content)).count() as u64;
        if certain {
            assert_eq!(report.copied + report.failed + report.unchanged, wanted.len() as u64, "{context}");
            assert_eq!(report.unchanged, same, "{context}");
        }
    }
    for fault in FAULTS {
        assert!(seen.get(fault).is_some_and(|times| *times > 3), "{fault} kept nothing: {seen:?}");
    }
}

fn write(root: &Path, name: &str, content: &[u8], modified: u64) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(modified)).unwrap();
}

fn observed(sync: Sync) -> (Sync, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&lines);
    let sync = sync.observe(move |action| {
        let line = match action {
            SyncAction::Copied { name, .. } => format!("+ {name}"),
            SyncAction::Unchanged { name } => format!("= {name}"),
            SyncAction::Skipped { name, .. } => format!("~ {name}"),
            SyncAction::Removed { name } => format!("- {name}"),
            SyncAction::Failed { .. } | SyncAction::Extra { .. } => return,
        };
        noted.lock().unwrap().push(line);
    });
    (sync, lines)
}

async fn ran(sync: Sync) -> (SyncReport, Vec<String>) {
    let (sync, lines) = observed(sync);
    let report = sync.await.unwrap();
    let mut lines = lines.lock().unwrap().clone();
    lines.sort();
    (report, lines)
}

#[tokio::test]
async fn a_directory_and_a_store_become_the_same_both_ways() {
    let (up, down) = (dir(), dir());
    for (name, size) in [("a", 3), ("d/b", 0), ("d/e/ü?#", 300 * KIB), ("d.x", 5)] {
        write(up.path(), name, &bytes(size), 1_000_000_000);
    }
    let store = memory().build().unwrap();
    let sync = || small().sync(Place::local(up.path()), place(store.clone(), "p"));
    let (report, lines) = ran(sync().dry_run(true)).await;
    assert_eq!((report.copied, report.bytes), (4, 300 * KIB + 8));
    assert_eq!(lines, ["+ a", "+ d.x", "+ d/b", "+ d/e/ü?#"]);
    assert!(content(&store, "").await.is_empty());

    let (report, _) = ran(sync()).await;
    assert!(report.is_success(), "{report:?}");
    let (report, lines) = ran(sync()).await;
    assert_eq!((report.copied, report.unchanged), (0, 4), "{lines:?}");

    // Down, with the times of the files.
    let back = || small().sync(place(store.clone(), "p/"), Place::local(down.path().join("new")));
    assert_eq!(ran(back()).await.0.copied, 4);
    assert_eq!(ran(back().compare(Compare::Checksum)).await.0.unchanged, 4);
    assert_eq!(ran(back()).await.0.unchanged, 4);

    // One file changes, one goes, one is new.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 100;
    write(up.path(), "a", b"xyz", now);
    fs::remove_file(up.path().join("d/b")).unwrap();
    write(up.path(), "new", b"1", 5);
    let (report, lines) = ran(sync().remove(true)).await;
    assert_eq!(lines, ["+ a", "+ new", "- d/b", "= d.x", "= d/e/ü?#"]);
    assert!(report.is_success());
    let (report, lines) = ran(back().remove(true).compare(Compare::TimeAndChecksum)).await;
    assert_eq!((report.removed, report.unchanged), (1, 2), "{lines:?}");
    assert_eq!(files(&down.path().join("new")), ["a", "d.x", "d/e/ü?#", "new"]);
    assert_eq!(fs::read(down.path().join("new/a")).unwrap(), b"xyz");
}

#[tokio::test]
async fn newer_files_of_the_destination_stay_with_update() {
    let target = dir();
    let store = memory().build().unwrap();
    fill(&store, "", &Tree::from([("a".into(), b"store".to_vec())])).await;
    write(target.path(), "a", b"here is more", 4_000_000_000);
    let sync = || small().sync(place(store.clone(), ""), Place::local(target.path()));
    assert_eq!(ran(sync().update(true)).await.0.unchanged, 1);
    assert_eq!(fs::read(target.path().join("a")).unwrap(), b"here is more");
    assert_eq!(ran(sync().no_clobber(true)).await.0.unchanged, 1);
    assert_eq!(ran(sync()).await.0.copied, 1);
    assert_eq!(fs::read(target.path().join("a")).unwrap(), b"store");
}

#[tokio::test]
async fn what_is_filtered_is_neither_copied_nor_removed() {
    let source = dir();
    for name in ["a.txt", "a.log", "d/b.log", "d/c.txt"] {
        write(source.path(), name, b"1", 5);
    }
    let store = memory().build().unwrap();
    fill(&store, "", &Tree::from([("old.log".into(), vec![]), ("old.txt".into(), vec![])])).await;
    let filter = Filter::builder().exclude("*.log").build().unwrap();
    let sync =
        small().sync(Place::local(source.path()), place(store.clone(), "")).filter(filter).remove(true);
    let (report, lines) = ran(sync).await;
    assert!(report.is_success());
    assert_eq!(lines, ["+ a.txt", "+ d/c.txt", "- old.txt", "~ a.log", "~ d/b.log"]);
    let left: Vec<String> = content(&store, "").await.into_keys().collect();
    assert_eq!(left, ["a.txt", "d/c.txt", "old.log"]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_unreadable_folders_protect_what_they_may_stand_for() {
    let source = dir();
    write(source.path(), "a", b"1", 5);
    fs::create_dir(source.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real", source.path().join("link")).unwrap();
    let store = memory().build().unwrap();
    let there = ["link/x", "link/y/z", "link", "link-2", "linked/x", "gone"];
    fill(&store, "", &there.iter().map(|name| ((*name).to_owned(), vec![])).collect()).await;
    let sync = || small().sync(Place::local(source.path()), place(store.clone(), "")).remove(true);
    let (report, lines) = ran(sync()).await;
    assert_eq!((report.removed, report.skipped), (3, 1), "{lines:?}");
    assert!(content(&store, "").await.into_keys().eq(["a", "link", "link/x", "link/y/z"]));
    // A link that leads nowhere cannot be looked at: nothing is certain.
    std::os::unix::fs::symlink("nowhere", source.path().join("broken")).unwrap();
    fill(&store, "", &Tree::from([("gone".into(), vec![])])).await;
    let (report, _) = ran(sync()).await;
    assert_eq!((report.removed, report.failed), (0, 1));
    assert!(report.kept.unwrap().contains("looked at"));
}

#[tokio::test]
async fn too_many_removals_are_none() {
    let (source, target) = (store("from"), store("to"));
    fill(&source, "", &Tree::from([("x".into(), vec![])])).await;
    fill(&target, "", &(0..5).map(|n| (n.to_string(), vec![])).collect()).await;
    let sync = |most| {
        let sync = small().sync(place(source.clone(), ""), place(target.clone(), "")).remove(true);
        sync.max_remove(Some(most))
    };
    let report = sync(4).await.unwrap();
    assert_eq!((report.removed, report.extra), (0, 5));
    assert!(report.kept.unwrap().contains("5 items would be removed, more than 4"));
    assert_eq!(sync(5).await.unwrap().removed, 5);
}

#[tokio::test]
async fn a_move_takes_the_source_away_once_the_destination_has_it() {
    let (source, target) = (dir(), dir());
    write(source.path(), "a", b"1", 5);
    write(source.path(), "d/b", &bytes(300 * KIB), 5);
    let (one, other) = (store("one"), store("other"));
    let up = small().sync(Place::local(source.path()), place(one.clone(), "p"));
    let report = up.copy_all().remove_source(true).await.unwrap();
    assert_eq!((report.copied, files(source.path()).len()), (2, 0));
    let across = small().sync(place(one.clone(), "p"), place(other.clone(), ""));
    let report = across.reader(&transfer()).copy_all().remove_source(true).await.unwrap();
    assert!(report.is_success());
    assert!(content(&one, "").await.is_empty());
    let within = small().sync(place(other.clone(), "d"), place(other.clone(), "e"));
    assert!(within.copy_all().remove_source(true).await.unwrap().is_success());
    let down = small().sync(place(other.clone(), ""), Place::local(target.path()));
    assert_eq!(down.copy_all().remove_source(true).await.unwrap().copied, 2);
    assert!(content(&other, "").await.is_empty());
    assert_eq!(files(target.path()), ["a", "e/b"]);
    assert!(fs::read(target.path().join("e/b")).unwrap() == bytes(300 * KIB));
    let meta = fs::metadata(target.path().join("e/b")).unwrap();
    assert_eq!(meta.modified().unwrap(), UNIX_EPOCH + Duration::from_secs(5));
}

#[tokio::test]
async fn what_is_moved_here_is_on_the_disk_before_its_source_goes() {
    let target = dir();
    let store = store("b");
    for (remove, expected) in [(false, false), (true, true)] {
        fill(&store, "", &Tree::from([("a".into(), vec![1]), ("b".into(), vec![2; 300 << 10])])).await;
        let down = small().sync(place(store.clone(), ""), Place::local(target.path()));
        assert!(down.copy_all().remove_source(remove).await.unwrap().is_success());
        for name in ["a", "b"] {
            assert_eq!(crate::part_file::was_forced(&target.path().join(name)), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn files_are_compared_within_the_memory_budget() {
    let source = dir();
    let store = store("b");
    for n in 0..40 {
        write(source.path(), &n.to_string(), &bytes(1000 + n), 5);
    }
    let up = || small().sync(Place::local(source.path()), place(store.clone(), ""));
    assert!(up().await.unwrap().is_success());
    let transfer = small();
    let compared = transfer.sync(Place::local(source.path()), place(store.clone(), ""));
    let report = compared.compare(Compare::Checksum).await.unwrap();
    assert_eq!((report.unchanged, report.copied), (40, 0));
    let usage = transfer.usage();
    assert!(usage.memory_peak > 0 && usage.memory_peak <= usage.memory_budget, "{usage:?}");
}

#[tokio::test]
async fn a_source_that_may_be_incomplete_is_no_success() {
    let target = dir();
    let store = store("b");
    fill(&store, "", &Tree::from([("a".into(), vec![1]), ("b".into(), vec![2])])).await;
    let odd = Odd::new(store).on_list(|_, page| Ok(page.with_incomplete(true)));
    let report = small().sync(place(odd.clone(), ""), Place::local(target.path())).await.unwrap();
    assert_eq!((report.copied, report.is_success()), (2, false));
    assert!(report.stopped.unwrap().chain().contains("may be incomplete"));
    let report = small().download_dir(&odd, "", target.path()).await.unwrap();
    assert_eq!((report.succeeded, report.is_success()), (2, false));
    assert!(report.stopped.unwrap().chain().contains("may be incomplete"));
    // A destination that lacks something gets it once more.
    let report = small().sync(Place::local(target.path()), place(odd, "")).await.unwrap();
    assert!(report.is_success());
}

#[tokio::test]
async fn many_streamed_copies_never_wait_for_memory_that_they_hold() {
    let (one, other) = (store("one"), store("other"));
    fill(&one, "", &(0..40).map(|n| (n.to_string(), vec![7; 100 * n])).collect()).await;
    let transfer = || Transfer::builder().memory_budget(16 << 20).build().unwrap();
    let sync =
        transfer().sync(place(one, ""), place(other.clone(), "")).reader(&transfer()).server_side(false);
    let report = tokio::time::timeout(Duration::from_secs(60), sync.copy_all()).await.unwrap().unwrap();
    assert_eq!(report.copied, 40);
    assert_eq!(content(&other, "").await.len(), 40);
}

#[tokio::test]
async fn copies_between_stores_that_share_connections_leave_some_to_write() {
    let pool = Arc::new(Semaphore::new(16));
    let (one, other) = (store("one"), store("other"));
    fill(&one, "", &(0..40).map(|n| (n.to_string(), vec![7; 1_500_000])).collect()).await;
    let from = Odd::new(one).pooled(&pool).slow_gets(Duration::from_millis(1));
    let to = Odd::new(other.clone()).pooled(&pool).slow_parts(Duration::from_millis(5));
    let transfer = || {
        let builder = Transfer::builder().memory_budget(4 << 20).part_size(PartSize::Fixed(1 << 20));
        builder.concurrency(4).build().unwrap()
    };
    let sync = transfer().sync(place(from, ""), place(to, "")).reader(&transfer()).server_side(false);
    let report = tokio::time::timeout(Duration::from_secs(20), sync.copy_all()).await.unwrap().unwrap();
    assert_eq!(report.copied, 40);
    assert!(content(&other, "").await.values().all(|content| content.len() == 1_500_000));
}

#[tokio::test]
async fn a_small_copy_needs_little_memory() {
    let (one, other) = (store("one"), store("other"));
    fill(&one, "", &Tree::from([("k".into(), vec![7; 1000]), ("none".into(), vec![])])).await;
    let writer = Transfer::builder().build().unwrap();
    let sync = writer.sync(place(one, ""), place(other.clone(), "")).reader(&small()).server_side(false);
    assert_eq!(sync.copy_all().await.unwrap().copied, 2);
    assert_eq!(content(&other, "").await["k"], vec![7; 1000]);
    assert!(writer.usage().memory_peak <= 64 << 10, "{:?}", writer.usage());
    assert_eq!(other.open_uploads(), 0);
}

#[tokio::test]
async fn an_object_is_not_moved_onto_itself() {
    let store = store("b");
    fill(&store, "", &Tree::from([("k".into(), b"1".to_vec())])).await;
    // As if two addresses led to one service.
    let sync = small().sync(place(store.clone(), ""), place(store.clone(), "")).server_side(false);
    let report = sync.copy_all().remove_source(true).await.unwrap();
    assert_eq!((report.copied, report.failed), (0, 1));
    assert_eq!(content(&store, "").await.len(), 1);
}

#[tokio::test]
async fn a_failed_move_leaves_the_source() {
    let source = dir();
    write(source.path(), "a", b"1", 5);
    let refusing = memory().fault(|call: &MemoryCall<'_>| match call.operation {
        "memory.object.put" => MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "no")),
        _ => MemoryFault::None,
    });
    let sync = small().sync(Place::local(source.path()), place(refusing.build().unwrap(), ""));
    let report = sync.copy_all().remove_source(true).await.unwrap();
    assert_eq!((report.failed, files(source.path()).len()), (1, 1));
}

#[tokio::test]
async fn copies_take_everything_along_that_the_destination_can_hold() {
    let one = store("one");
    let upload = transfer().upload(&one, key("k"), bytes(300 * KIB).to_vec());
    let attributes = Attributes::default().with_content_type("x/y").with_metadata("owner", "anna");
    upload.attributes(attributes.clone()).await.unwrap();
    let from = AnyStore::new(one.clone());
    let other = AnyStore::new(store("other"));
    let outcome =
        small().copy(&transfer(), &from, key("k"), &other, key("c")).server_side(false).await.unwrap();
    assert_eq!((outcome.bytes, outcome.lost, outcome.verified), (300 * KIB, 0, true));
    let meta = other.head(&key("c"), HeadOptions::default()).await.unwrap();
    assert_eq!(meta.attributes.content_type, attributes.content_type);
    assert_eq!(meta.attributes.metadata["owner"], "anna");
    assert!(meta.attributes.metadata.contains_key(crate::MODIFIED_KEY));
    let poor = MemoryStore::builder("poor").capability(|can| can.user_metadata = false);
    let poor = AnyStore::new(poor.build().unwrap());
    let outcome =
        small().copy(&transfer(), &from, key("k"), &poor, key("c")).server_side(false).await.unwrap();
    assert_eq!(outcome.lost, 2);
}

#[tokio::test]
async fn names_that_become_one_fail_all_but_once() {
    let source = dir();
    for name in ["a/x", "b/x", "b/y"] {
        write(source.path(), name, name.as_bytes(), 5);
    }
    let store = memory().build().unwrap();
    let sync = small().sync(Place::local(source.path()), place(store.clone(), "flat"));
    let sync = sync.copy_all().rename(|name| name.rsplit('/').next().unwrap_or(name).to_owned());
    let report = sync.await.unwrap();
    assert_eq!((report.copied, report.failed), (2, 1));
    let left: Vec<String> = content(&store, "").await.into_keys().collect();
    assert_eq!(left, ["flat/x", "flat/y"]);
}

#[tokio::test]
async fn single_items_move_too() {
    let source = dir();
    write(source.path(), "a", b"1", 5);
    let store = AnyStore::new(memory().build().unwrap());
    let ends = || (End::File(source.path().join("a")), End::Object(store.clone(), key("k")));
    let nowhere = || small().sync(Place::local(source.path()), Place::store(store.clone(), ""));
    let (from, to) = ends();
    assert_eq!(nowhere().only(from, to).await.unwrap().bytes, 1);
    let (from, to) = ends();
    assert!(nowhere().no_clobber(true).only(from, to).await.unwrap().existed);
    let (from, to) = ends();
    assert_eq!(nowhere().remove_source(true).only(from, to).await.unwrap().bytes, 1);
    assert!(files(source.path()).is_empty());
}

#[tokio::test]
async fn places_within_one_another_are_refused() {
    let store = store("b");
    for (a, b) in [("", "x"), ("x", ""), ("x", "x"), ("x/y", "x")] {
        let error = small().sync(place(store.clone(), a), place(store.clone(), b)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{a} {b}");
    }
    let missing = small().sync(Place::local("/nowhere/at/all"), place(store, "")).remove(true);
    assert_eq!(missing.await.unwrap_err().kind(), ErrorKind::LocalIo);
}

#[tokio::test]
async fn stores_that_list_in_no_order_are_sorted_first() {
    let unordered = |bucket: &str| {
        let rules = |can: &mut Capability| (can.list_ordered, can.list_max_page) = (false, Some(3));
        MemoryStore::builder(bucket).capability(rules).build().unwrap()
    };
    let backwards = |_, mut page: ListPage| {
        page.entries.reverse();
        Ok(page)
    };
    let (from, to) = (unordered("from"), unordered("to"));
    let tree: Tree = (0..20).map(|n: u8| (format!("{}/{n}", n % 3), vec![n])).collect();
    fill(&from, "", &tree).await;
    to.write(&key("extra"), "x").await.unwrap();
    let source = || place(Odd::new(from.clone()).on_list(backwards), "");
    let sync = || small().sync(source(), place(Odd::new(to.clone()).on_list(backwards), ""));
    let report = sync().remove(true).await.unwrap();
    assert_eq!((report.copied, report.removed), (20, 1), "{report:?}");
    assert_eq!(content(&to, "").await, tree);
    assert_eq!(sync().await.unwrap().unchanged, 20);
    // A listing that leads back into itself ends, and nothing is removed.
    let cycles = |_, page: ListPage| Ok(ListPage::new(page.entries, Some(PageToken::new("0/12"))));
    let sync = small().sync(place(Odd::new(from.clone()).on_list(cycles), ""), place(to.clone(), ""));
    let report = sync.remove(true).await.unwrap();
    assert!(report.stopped.is_some() && report.removed == 0, "{report:?}");
    assert_eq!(content(&to, "").await, tree);
}

#[tokio::test]
async fn names_that_the_destination_does_not_take_stop_everything() {
    let source = dir();
    for name in ["fine", "no#1", "d/no#2"] {
        write(source.path(), name, b"x", 5);
    }
    let picky = MemoryStore::builder("picky").capability(|can| can.names = Some(NameRules::new("/.", 100)));
    let store = picky.build().unwrap();
    let sync = || small().sync(Place::local(source.path()), place(store.clone(), "p"));
    let error = sync().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = error.reason().to_string();
    for name in ["no#1", "d/no#2"] {
        assert!(error.contains(name), "{error}");
    }
    assert!(!error.contains("fine") && content(&store, "").await.is_empty(), "{error}");
    // Under other names they are taken.
    let report = sync().copy_all().rename(|name| name.replace('#', ".")).await.unwrap();
    assert_eq!((report.copied, report.failed), (3, 0));
}

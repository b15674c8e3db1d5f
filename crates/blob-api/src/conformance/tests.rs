//! The suite itself, on stores in memory that can do more and less.

use std::collections::BTreeSet;

use futures_util::future::FutureExt;

use super::*;
use crate::{Capability, MemoryStore, PartOrder, PartRetry, PinKind};

/// Runs every case that applies: how many passed, and the reasons of the others.
fn run(store: MemoryStore) -> (usize, Vec<String>) {
    let store = AnyStore::new(store);
    let (mut passed, mut skipped) = (0, Vec::new());
    let mut failures = Vec::new();
    for case in cases() {
        match case.needs(&store) {
            Err(reason) => skipped.push(format!("{}: {reason}", case.name())),
            Ok(()) => match case.run(&store, "r/").now_or_never().expect("a store in memory never waits") {
                Ok(()) => passed += 1,
                Err(failure) => failures.push(failure.to_string()),
            },
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    (passed, skipped)
}

fn with(change: impl FnOnce(&mut Capability)) -> MemoryStore {
    MemoryStore::builder("b").capability(change).chunk_size(1000).build().unwrap()
}

#[test]
fn names_are_unique_and_grouped() {
    let names: BTreeSet<_> = cases().iter().map(Case::name).collect();
    assert_eq!(names.len(), cases().len());
    assert!(names.iter().all(|name| name.split("::").count() == 2));
    assert!(cases().len() >= 60, "{} cases", cases().len());
}

#[test]
fn a_store_that_can_do_everything_passes() {
    let (passed, skipped) = run(MemoryStore::new("b").unwrap());
    assert!(passed > 120, "{passed} passed");
    let wrong: Vec<_> = skipped.iter().filter(|case| !case.starts_with("agreement::")).collect();
    let expected =
        ["multipart_faults::a_part_that_is_too_small", "multipart_faults::parts_of_different_sizes"];
    assert!(wrong.iter().all(|case| expected.iter().any(|name| case.starts_with(name))), "{wrong:#?}");
}

#[test]
fn a_store_that_can_do_nothing_more_passes() {
    let (passed, skipped) = run(with(|can| *can = Capability::default()));
    assert!(passed > 60, "{passed} passed");
    assert!(skipped.iter().any(|case| case.starts_with("ranges::")));
    assert!(!skipped.iter().any(|case| case.starts_with("agreement::ranges")));
}

#[test]
fn a_store_with_odd_rules_passes() {
    run(with(|can| {
        can.pin = PinKind::None;
        can.put_requires_length = true;
        can.list_max_page = Some(3);
        can.delete_batch = Some(2);
        if let Some(limits) = &mut can.multipart {
            limits.part_order = PartOrder::InOrder;
            limits.part_retry = PartRetry::Never;
            limits.equal_parts = true;
            limits.min_part = 2000;
            limits.list_uploads = false;
        }
    }));
}

#[test]
fn read_only_and_unlisted_stores_pass() {
    let (passed, _) = run(with(|can| {
        can.read_only = true;
        can.unlisted = true;
        can.copy = false;
    }));
    assert!(passed >= 5, "{passed} passed");
}

#[test]
fn a_store_that_lies_is_found_out() {
    // It says that it lists in pages of at most 2, and its listings fail after the first.
    let store = MemoryStore::builder("b")
        .fault(|call| match call.operation {
            "memory.object.list" => crate::MemoryFault::Refuse(longshore_core_types::Error::new(
                ErrorKind::Unavailable,
                "out of order",
            )),
            _ => crate::MemoryFault::None,
        })
        .build()
        .unwrap();
    let store = AnyStore::new(store);
    let case = cases().iter().find(|case| case.name() == "listing::everything_once_with_sizes").unwrap();
    let failure = case.run(&store, "r/").now_or_never().unwrap().unwrap_err().to_string();
    for word in ["listing::everything_once_with_sizes", "listing.rs:", "out of order", "Unavailable"] {
        assert!(failure.contains(word), "{failure}");
    }
}

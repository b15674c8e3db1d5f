use futures_util::future::FutureExt;

use super::*;
use crate::{BlobStoreExt, PartRetry, PinKind};

/// The store never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory never waits")
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn kind<T: fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn bodies_arrive_in_chunks_of_the_size_set() {
    let store = MemoryStore::builder("b").chunk_size(4).build().unwrap();
    now(store.write(&key("k"), "0123456789")).unwrap();
    let got = now(store.get(&key("k"), GetOptions::default().with_range(1..8))).unwrap();
    assert_eq!((got.range.clone(), got.meta.size), (1..8, 10));
    let chunks: Vec<Bytes> = now(got.into_stream().try_collect()).unwrap();
    assert_eq!(chunks, ["1234", "567"]);
}

#[test]
fn what_is_taken_away_is_refused() {
    let store = MemoryStore::builder("b")
        .capability(|can| {
            can.ranged_get = false;
            can.pin = PinKind::None;
            can.create_only = false;
            can.user_metadata = false;
            can.multipart = None;
            can.copy = false;
        })
        .build()
        .unwrap();
    let k = key("k");
    let get = GetOptions::default().with_range(0..1);
    assert_eq!(kind(now(store.get(&k, get))), ErrorKind::Unsupported);
    let put = PutOptions::default().with_create_only();
    assert_eq!(kind(now(store.put(&k, "x".into(), put.clone()))), ErrorKind::Unsupported);
    assert_eq!(kind(now(store.create_multipart(&k, put))), ErrorKind::Unsupported);
    let error = now(store.copy(&k, &k, CopyOptions::default())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory.object.copy memory://b/k: this store does not support copying an object at the server"
    );
    assert!(!store.can_copy_from(&store.url()));
    assert!(!now(store.exists(&k)).unwrap(), "a refused call has no effect");
}

#[test]
fn siblings_copy_from_each_other() {
    let one = MemoryStore::new("one").unwrap();
    let two = one.sibling("two").unwrap();
    let stranger = MemoryStore::new("three").unwrap();
    now(one.write(&key("k"), "x")).unwrap();
    let from = one.url().with_key("k");
    assert!(two.can_copy_from(&one.url()) && !stranger.can_copy_from(&one.url()));
    now(two.copy_from(&from, &key("c"), CopyOptions::default())).unwrap();
    assert_eq!(now(two.read(&key("c"))).unwrap(), "x");
    assert_eq!(
        kind(now(stranger.copy_from(&from, &key("c"), CopyOptions::default()))),
        ErrorKind::Unsupported
    );
}

#[test]
fn a_part_sent_twice_is_lost_where_the_rules_say_so() {
    for (rule, outcome) in [(PartRetry::Safe, Ok(())), (PartRetry::LookFirst, Err(ErrorKind::Conflict))] {
        let store = MemoryStore::builder("b")
            .capability(|can| {
                if let Some(limits) = &mut can.multipart {
                    limits.part_retry = rule;
                }
            })
            .build()
            .unwrap();
        let id = now(store.create_multipart(&key("k"), PutOptions::default())).unwrap();
        let upload = MultipartRef { key: key("k"), id };
        let part = PartNumber::from_index(0);
        now(store.upload_part(&upload, part, "old".into())).unwrap();
        let receipt = now(store.upload_part(&upload, part, "new".into())).unwrap();
        let done = now(store.complete_multipart(&upload, vec![receipt]));
        assert_eq!(done.map(drop).map_err(|error| error.kind()), outcome);
    }
}

#[test]
fn faults_are_injected_where_the_hook_says() {
    let lost = || Error::new(ErrorKind::Timeout, "no answer");
    let store = MemoryStore::builder("b")
        .fault(move |call| match (call.operation, call.range) {
            ("memory.object.put", _) => MemoryFault::Lose(lost()),
            ("memory.object.delete", _) => MemoryFault::Refuse(lost()),
            ("memory.object.get", None) => MemoryFault::BreakBody(2),
            _ => MemoryFault::None,
        })
        .build()
        .unwrap();
    let k = key("k");
    assert_eq!(kind(now(store.write(&k, "abcd"))), ErrorKind::Timeout);
    assert_eq!(kind(now(store.delete(&k, DeleteOptions::default()))), ErrorKind::Timeout);
    let got = now(store.get(&k, GetOptions::default())).unwrap();
    let chunks: Vec<Result<Bytes>> = now(got.into_stream().collect());
    assert_eq!(chunks[0].as_ref().unwrap(), "ab");
    assert_eq!(chunks[1].as_ref().unwrap_err().kind(), ErrorKind::Transport);
    let rest = now(store.get(&k, GetOptions::default().with_range(2..4))).unwrap();
    assert_eq!(now(rest.bytes()).unwrap(), "cd");
}

#[test]
fn one_level_goes_on_behind_a_prefix() {
    let store = MemoryStore::new("b").unwrap();
    for name in ["a", "d/", "d/1", "d/2", "d0", "e/f/g", "z"] {
        now(store.write(&key(name), name)).unwrap();
    }
    let opts = ListOptions::default().with_delimiter().with_page_size(1);
    let names = |opts| -> Vec<String> {
        now(store.list(opts).map_ok(|entry| entry.name().to_owned()).try_collect()).unwrap()
    };
    assert_eq!(names(opts.clone()), ["a", "d/", "d0", "e/", "z"]);
    assert_eq!(names(ListOptions { prefix: "d/".into(), ..opts }), ["d/", "d/1", "d/2"]);
    let after = ListOptions::prefix("d").with_start_after("d/1");
    assert_eq!(names(after), ["d/2", "d0"]);
    let wrong = now(store.list_page(&ListOptions::default(), Some(PageToken::new("?"))));
    assert_eq!(kind(wrong), ErrorKind::InvalidInput);
}

#[test]
fn bad_settings_are_refused() {
    assert_eq!(kind(MemoryStore::new("a/b")), ErrorKind::InvalidInput);
    assert_eq!(kind(MemoryStore::builder("b").chunk_size(0).build()), ErrorKind::InvalidConfig);
    let signing = MemoryStore::builder("b").capability(|can| can.sign_get = true);
    assert_eq!(kind(signing.build()), ErrorKind::InvalidConfig);
}

//! Uploads of files, bytes and streams.

use std::{
    fs,
    io::{Cursor, Write},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{AnyStore, BlobStore, BlobStoreExt, HeadOptions, MemoryFault, PartOrder};
use longshore_core_types::{ChecksumKind, Error, ErrorKind};

use super::{
    Journal, KIB, MIB, builder, bytes, dir, key, memory,
    odd::{Odd, wrong},
    store_with, transfer,
};
use crate::{Source, Verify};

#[tokio::test]
async fn files_of_every_size_arrive_whole() {
    let dir = dir();
    let path = dir.path().join("f");
    for length in [0, 1, 9_999, 100 * KIB, 100 * KIB + 1, 164 * KIB, 1_000_000] {
        let store = memory().build().unwrap();
        let content = bytes(length);
        fs::write(&path, &content).unwrap();
        let outcome = transfer()
            .upload(&store, key("k"), &path)
            .content_type("text/plain")
            .metadata("a", "b")
            .await
            .unwrap();
        assert_eq!(store.read(&key("k")).await.unwrap(), content, "{length}");
        assert_eq!((outcome.bytes, outcome.verified), (length, true), "{length}");
        assert_eq!(outcome.checksum.unwrap().kind(), ChecksumKind::Crc32c);
        assert_eq!(outcome.parts > 0, length > 100 * KIB);
        assert_eq!(store.open_uploads(), 0);
        let meta = store.head(&key("k"), HeadOptions::default()).await.unwrap();
        assert_eq!(meta.attributes.content_type.as_deref(), Some("text/plain"));
        assert_eq!(meta.attributes.metadata["a"], "b");
    }
}

#[tokio::test]
async fn bytes_in_memory_arrive_whole() {
    for length in [0, 5, 1_000_000] {
        let store = memory().build().unwrap();
        transfer().upload(&store, key("k"), bytes(length)).await.unwrap();
        assert_eq!(store.read(&key("k")).await.unwrap(), bytes(length));
    }
}

#[tokio::test]
async fn streams_of_unknown_length_arrive_whole() {
    let transfer = builder().memory_budget(4 * MIB).build().unwrap();
    for length in [0, 5, 64 * KIB, 64 * KIB + 1, 128 * KIB, 1_000_000] {
        let store = memory().build().unwrap();
        let content = bytes(length);
        let chunks: Vec<_> = content.chunks(7777).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let outcome = transfer.upload(&store, key("k"), Source::stream(stream::iter(chunks))).await.unwrap();
        assert_eq!(store.read(&key("k")).await.unwrap(), content, "{length}");
        assert_eq!((outcome.bytes, outcome.verified), (length, true));
        assert_eq!(transfer.usage().memory, 0);
    }
}

#[tokio::test]
async fn a_stream_may_fill_every_part_that_there_is() {
    let store = memory().capability(|can| can.multipart.as_mut().unwrap().max_parts = 3).build().unwrap();
    let upload = |length| transfer().upload(&store, key("k"), Source::reader(Cursor::new(bytes(length))));
    let outcome = upload(3 * 64 * KIB).await.unwrap();
    assert_eq!((outcome.parts, outcome.bytes), (3, 3 * 64 * KIB));
    let error = upload(3 * 64 * KIB + 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(store.open_uploads(), 0);
}

#[tokio::test]
async fn a_copy_through_here_is_planned_by_its_size() {
    let from = AnyStore::new(store_with(memory(), 7 * MIB).await.0);
    let journal = Journal::default();
    let copy = |parts| {
        let seen = journal.clone();
        let to = memory().capability(move |can| can.multipart.as_mut().unwrap().max_parts = parts);
        let to = to.fault(move |call| {
            seen.note(call);
            MemoryFault::None
        });
        let writer = builder().memory_budget(4 * MIB).build().unwrap();
        let to = AnyStore::new(to.build().unwrap());
        writer.copy(&transfer(), &from, key("k"), &to, key("k")).server_side(false)
    };
    assert_eq!(copy(20).await.unwrap().bytes, 7 * MIB);
    assert!(journal.take().iter().filter(|call| call.starts_with("put_part")).count() <= 20);
    // A part has 2 MiB at most, which is half of the memory.
    let error = copy(3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.chain().contains("memory budget"), "{}", error.chain());
    assert!(journal.take().is_empty());
}

#[tokio::test]
async fn a_copy_tells_its_length_to_a_store_that_insists_on_it() {
    let from = AnyStore::new(store_with(memory(), 7 * MIB).await.0);
    let to = memory().capability(|can| {
        can.multipart = None;
        can.put_requires_length = true;
    });
    let to = to.build().unwrap();
    let writer = builder().memory_budget(4 * MIB).build().unwrap();
    let copy = writer.copy(&transfer(), &from, key("k"), &AnyStore::new(to.clone()), key("k"));
    assert_eq!(copy.server_side(false).await.unwrap().bytes, 7 * MIB);
    assert_eq!(to.read(&key("k")).await.unwrap(), bytes(7 * MIB));
}

#[tokio::test]
async fn streams_go_where_there_are_no_parts() {
    let transfer = builder().memory_budget(4 * MIB).build().unwrap();
    for (needs_length, length, fits) in [(false, 5 * MIB, true), (true, MIB, true), (true, 5 * MIB, false)] {
        let store = memory()
            .capability(|can| {
                can.multipart = None;
                can.put_requires_length = needs_length;
            })
            .build()
            .unwrap();
        let source = Source::reader(std::io::Cursor::new(bytes(length)));
        let result = transfer.upload(&store, key("k"), source).await;
        if fits {
            assert_eq!(result.unwrap().bytes, length);
            assert_eq!(store.read(&key("k")).await.unwrap(), bytes(length));
        } else {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}

#[tokio::test]
async fn an_object_goes_from_store_to_store_and_its_errors_stay_what_they_are() {
    let from = memory().build().unwrap();
    from.write(&key("k"), bytes(300 * KIB)).await.unwrap();
    let to = memory().build().unwrap();
    let to_store = &to;
    let copy = |from| async move {
        let body = transfer().read(&from, key("k")).await.unwrap();
        let stream = body.map(|chunk| chunk.map_err(std::io::Error::other));
        transfer().upload(to_store, key("k"), Source::stream(stream)).await
    };
    copy(Odd::new(from.clone())).await.unwrap();
    assert_eq!(to.read(&key("k")).await.unwrap(), bytes(300 * KIB));
    let error = copy(Odd::new(from).on_body(|_, body| wrong(body))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChecksumMismatch, "{}", error.chain());
    assert_eq!(to.open_uploads(), 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_whose_size_says_nothing_is_a_stream() {
    let path = "/proc/self/mountinfo";
    assert_eq!(fs::metadata(path).unwrap().len(), 0);
    let store = memory().build().unwrap();
    let outcome = transfer().upload(&store, key("k"), Source::file(path)).await.unwrap();
    assert!(outcome.bytes > 0);
    assert_eq!(store.read(&key("k")).await.unwrap(), fs::read(path).unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_a_stream() {
    let dir = dir();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let content = bytes(1_000_000);
    let writer = std::thread::spawn({
        let (path, content) = (path.clone(), content.clone());
        move || fs::OpenOptions::new().write(true).open(path).unwrap().write_all(&content).unwrap()
    });
    let store = memory().build().unwrap();
    transfer().upload(&store, key("k"), &path).await.unwrap();
    writer.join().unwrap();
    assert_eq!(store.read(&key("k")).await.unwrap(), content);
}

#[tokio::test]
async fn parts_in_order_where_the_store_wants_them_so() {
    let journal = Journal::default();
    let seen = journal.clone();
    let store = memory()
        .capability(|can| {
            let limits = can.multipart.as_mut().unwrap();
            limits.part_order = PartOrder::InOrder;
            limits.equal_parts = true;
            (limits.min_part, limits.max_part) = (60_000, 60_000);
        })
        .fault(move |call| {
            seen.note(call);
            MemoryFault::None
        })
        .build()
        .unwrap();
    transfer().upload(&store, key("k"), bytes(200_000)).await.unwrap();
    assert_eq!(
        journal.take(),
        ["create", "put_part 1", "put_part 2", "put_part 3", "put_part 4", "complete"]
    );
    assert_eq!(store.read(&key("k")).await.unwrap(), bytes(200_000));
}

#[tokio::test]
async fn what_no_request_can_store_is_refused_before_one_is_sent() {
    let journal = Journal::default();
    let seen = journal.clone();
    let store = memory()
        .capability(|can| can.max_object = Some(1000))
        .fault(move |call| {
            seen.note(call);
            MemoryFault::None
        })
        .build()
        .unwrap();
    let error = transfer().upload(&store, key("k"), bytes(1001)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.chain().contains("1001 bytes"), "{}", error.chain());
    assert_eq!(journal.take(), [""; 0]);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let dir = dir();
    let store = memory().build().unwrap();
    let path = dir.path().join("missing");
    let error = transfer().upload(&store, key("k"), &path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalIo);
    assert!(error.chain().contains("there is no such file"), "{}", error.chain());
}

#[tokio::test]
async fn verify_always_needs_a_store_that_states_checksums() {
    let store = Odd::new(memory().build().unwrap()).states(&[]);
    let transfer = builder().verify(Verify::Always).build().unwrap();
    for length in [10, 300 * KIB] {
        let error = transfer.upload(&store, key("k"), bytes(length)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let store = Odd::new(memory().build().unwrap()).states(&[ChecksumKind::Sha256]);
    let outcome = transfer.upload(&store, key("k"), bytes(10)).await.unwrap();
    assert!(outcome.verified);
}

#[tokio::test]
async fn who_may_only_write_can_upload_in_parts() {
    let store = memory().fault(|call| match call.operation {
        "memory.object.head" => MemoryFault::Refuse(Error::new(ErrorKind::PermissionDenied, "write-only")),
        _ => MemoryFault::None,
    });
    let store = Odd::new(store.build().unwrap()).silent_completions();
    let content = bytes(300 * KIB);
    let outcome = transfer().upload(&store, key("k"), content.to_vec()).await.unwrap();
    assert!(!outcome.verified && outcome.checksum.is_some());
    assert!(store.inner().read(&key("k")).await.unwrap() == content);
    let insisting = builder().verify(Verify::Always).build().unwrap();
    let error = insisting.upload(&store, key("k"), content.to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn slow_reads_move_to_the_background_and_give_the_same_bytes() {
    let transfer = builder().slow_io(Duration::ZERO).build().unwrap();
    let dir = dir();
    let path = dir.path().join("f");
    fs::write(&path, bytes(3_000_000)).unwrap();
    let store = memory().build().unwrap();
    transfer.upload(&store, key("k"), &path).await.unwrap();
    assert_eq!(store.read(&key("k")).await.unwrap(), bytes(3_000_000));
}

//! Readers, writers and ranges over stores that misbehave.

use std::{
    io::SeekFrom,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt};
use longshore_core_types::{ByteRange, Retryability};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::*;
use crate::{MemoryFault, MemoryStore, MemoryStoreBuilder, PinKind};

fn key() -> ObjectKey {
    ObjectKey::new("k").unwrap()
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

fn inner(error: &io::Error) -> &Error {
    error.get_ref().and_then(|e| e.downcast_ref()).expect("the original is inside")
}

async fn filled(builder: MemoryStoreBuilder, length: usize) -> MemoryStore {
    let store = builder.build().unwrap();
    store.write(&key(), content(length)).await.unwrap();
    store
}

fn small() -> ReaderOptions {
    ReaderOptions::default().with_read_ahead(40).with_chunk(10)
}

#[tokio::test]
async fn a_reader_reads_everything_in_chunks() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let builder = MemoryStore::builder("b").chunk_size(3).fault(move |call| {
        if let Some(range) = call.range {
            seen.lock().unwrap().push(range);
        }
        MemoryFault::None
    });
    let store = filled(builder, 95).await;
    let mut reader = store.reader(&key(), small()).await.unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, content(95));
    let expected: Vec<ByteRange> = (0..10).map(|i| (i * 10..(i * 10 + 10).min(95)).into()).collect();
    assert_eq!(*requests.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_reader_seeks() {
    let store = filled(MemoryStore::builder("b").chunk_size(3), 100).await;
    let mut reader = store.reader(&key(), small()).await.unwrap();
    for (to, at) in [
        (SeekFrom::Start(55), 55),
        (SeekFrom::Current(2), 61),
        (SeekFrom::Current(-30), 35),
        (SeekFrom::End(-4), 96),
        (SeekFrom::Start(0), 0),
        (SeekFrom::Current(23), 27),
    ] {
        assert_eq!(reader.seek(to).await.unwrap(), at);
        let mut four = [0; 4];
        reader.read_exact(&mut four).await.unwrap();
        let at = usize::try_from(at).unwrap();
        assert_eq!(four[..], content(100)[at..at + 4]);
    }
    reader.seek(SeekFrom::End(5)).await.unwrap();
    assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0, "behind the end there is nothing");
    let error = reader.seek(SeekFrom::End(-101)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_reader_goes_on_behind_a_break() {
    let breaks = Arc::new(AtomicU32::new(3));
    let left = Arc::clone(&breaks);
    let builder = MemoryStore::builder("b").chunk_size(3).fault(move |call| {
        let again = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        match (call.range, again) {
            (Some(_), Ok(_)) => MemoryFault::BreakBody(4),
            _ => MemoryFault::None,
        }
    });
    let store = filled(builder, 30).await;
    breaks.store(3, Ordering::Relaxed);
    let mut reader = store.reader(&key(), small().with_chunk(30)).await.unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, content(30));
}

#[tokio::test]
async fn a_reader_gives_up_after_so_many_breaks() {
    let builder = MemoryStore::builder("b").fault(|call| match call.range {
        Some(_) => MemoryFault::BreakBody(1),
        None => MemoryFault::None,
    });
    let store = filled(builder, 30).await;
    let mut reader = store.reader(&key(), small().with_resumes(2)).await.unwrap();
    let mut all = Vec::new();
    let error = reader.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(inner(&error).kind(), ErrorKind::Transport);
    assert_eq!(all, content(3), "one byte of each body");
    assert!(reader.read_u8().await.is_err(), "it stays failed");
}

#[tokio::test]
async fn a_reader_sees_one_version_or_fails() {
    for pin in [PinKind::IfMatch, PinKind::None] {
        let store = filled(MemoryStore::builder("b").capability(|can| can.pin = pin), 50).await;
        let mut reader = store.reader(&key(), small()).await.unwrap();
        reader.read_exact(&mut [0; 5]).await.unwrap();
        store.write(&key(), vec![0; 50]).await.unwrap();
        let error = reader.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(inner(&error).kind(), ErrorKind::PreconditionFailed, "{pin:?}");
    }
}

#[tokio::test]
async fn a_reader_without_ranges_reads_in_one_go() {
    let store = filled(MemoryStore::builder("b").capability(|can| can.ranged_get = false), 50).await;
    let mut reader = store.reader(&key(), small()).await.unwrap();
    assert_eq!(reader.seek(SeekFrom::Start(1)).await.unwrap_err().kind(), io::ErrorKind::Unsupported);
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, content(50));
}

#[tokio::test]
async fn senseless_settings_are_refused() {
    let store = filled(MemoryStore::builder("b"), 1).await;
    for opts in [small().with_chunk(0), small().with_chunk(41)] {
        assert_eq!(store.reader(&key(), opts).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let opts = WriterOptions::default().with_concurrency(0);
    assert_eq!(store.writer(&key(), opts).unwrap_err().kind(), ErrorKind::InvalidInput);
    let opts = RangesOptions::default().with_concurrency(0);
    assert_eq!(store.get_ranges(&key(), &[], opts).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn parts() -> WriterOptions {
    WriterOptions::default().with_threshold(20).with_part_size(10).with_concurrency(2)
}

/// Which calls a writer made of an object of so many bytes.
async fn calls(length: usize) -> Vec<&'static str> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let store = MemoryStore::builder("b")
        .fault(move |call| {
            seen.lock().unwrap().push(call.operation);
            MemoryFault::None
        })
        .build()
        .unwrap();
    let mut writer = store.writer(&key(), parts()).unwrap();
    for piece in content(length).chunks(7) {
        writer.write_all(piece).await.unwrap();
    }
    writer.shutdown().await.unwrap();
    assert!(writer.result().unwrap().etag.is_some());
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    assert_eq!(store.read(&key()).await.unwrap(), content(length));
    assert!(writer.write_u8(0).await.is_err(), "a finished writer takes no more");
    calls
}

#[tokio::test]
async fn a_writer_chooses_by_the_threshold() {
    let (put, create) = ("memory.object.put", "memory.multipart.create");
    let (part, complete) = ("memory.multipart.put_part", "memory.multipart.complete");
    assert_eq!(calls(0).await, [put]);
    assert_eq!(calls(20).await, [put]);
    assert_eq!(calls(21).await, [create, part, part, part, complete]);
    assert_eq!(calls(40).await, [create, part, part, part, part, complete]);
}

#[tokio::test]
async fn nothing_is_visible_of_a_writer_that_is_dropped_or_aborted() {
    let store = MemoryStore::new("b").unwrap();
    let mut writer = store.writer(&key(), parts()).unwrap();
    writer.write_all(&content(50)).await.unwrap();
    drop(writer);
    assert_eq!((store.exists(&key()).await.unwrap(), store.open_uploads()), (false, 1));

    let mut writer = store.writer(&key(), parts()).unwrap();
    writer.write_all(&content(50)).await.unwrap();
    writer.flush().await.unwrap();
    writer.abort().await.unwrap();
    assert_eq!((store.exists(&key()).await.unwrap(), store.open_uploads()), (false, 1));
}

#[tokio::test]
async fn a_writer_cleans_up_behind_an_error() {
    let builder = MemoryStore::builder("b").fault(|call| match (call.operation, call.part) {
        (_, Some(part)) if part.get() == 3 => {
            MemoryFault::Refuse(Error::new(ErrorKind::QuotaExceeded, "the disk is full"))
        }
        _ => MemoryFault::None,
    });
    let store = builder.build().unwrap();
    let mut writer = store.writer(&key(), parts()).unwrap();
    let error = match writer.write_all(&content(200)).await {
        Ok(()) => writer.shutdown().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(inner(&error).kind(), ErrorKind::QuotaExceeded);
    assert_eq!((store.exists(&key()).await.unwrap(), store.open_uploads()), (false, 0));
    assert!(writer.write_u8(0).await.is_err(), "it stays failed");
    assert!(writer.shutdown().await.is_err());
    writer.abort().await.unwrap();
}

#[tokio::test]
async fn a_failing_abort_does_not_hide_the_error() {
    let refuse = |text| MemoryFault::Refuse(Error::new(ErrorKind::Unavailable, text));
    let builder = MemoryStore::builder("b").fault(move |call| match call.operation {
        "memory.multipart.complete" => refuse("first"),
        "memory.multipart.abort" => refuse("second"),
        _ => MemoryFault::None,
    });
    let store = builder.build().unwrap();
    let mut writer = store.writer(&key(), parts()).unwrap();
    writer.write_all(&content(50)).await.unwrap();
    let error = writer.finish().await.unwrap_err();
    assert_eq!((error.message(), error.related()[0].message()), ("first", "second"));
}

#[tokio::test]
async fn a_writer_says_what_stops_it() {
    let none = MemoryStore::builder("b").capability(|can| can.multipart = None).build().unwrap();
    let mut writer = none.writer(&key(), parts()).unwrap();
    writer.write_all(&content(20)).await.unwrap();
    let error = writer.write_all(&[0]).await.unwrap_err();
    assert_eq!(inner(&error).kind(), ErrorKind::Unsupported);

    let builder = MemoryStore::builder("b").capability(|can| {
        can.user_metadata = false;
        if let Some(limits) = &mut can.multipart {
            limits.max_parts = 3;
        }
    });
    let few = builder.build().unwrap();
    let mut writer = few.writer(&key(), parts()).unwrap();
    writer.write_all(&content(31)).await.unwrap();
    let error = writer.shutdown().await.unwrap_err();
    assert!(error.to_string().contains("larger part size"), "{error}");
    assert_eq!(few.open_uploads(), 0);
    let attributes = longshore_core_types::Attributes::default().with_metadata("a", "b");
    let opts = parts().with_put(PutOptions::default().with_attributes(attributes));
    assert_eq!(few.writer(&key(), opts).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn ranges_come_in_the_order_asked_for() {
    let requests = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&requests);
    let builder = MemoryStore::builder("b").chunk_size(3).fault(move |call| {
        if call.range.is_some() {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        MemoryFault::None
    });
    let store = filled(builder, 100).await;
    let all = content(100);
    let asked = [90..120, 0..4, 6..9, 40..50, 2..3];
    let opts = RangesOptions::default().with_gap(2);
    let got = store.get_ranges(&key(), &asked, opts.clone()).await.unwrap();
    assert_eq!(got, [&all[90..], &all[..4], &all[6..9], &all[40..50], &all[2..3]]);
    assert_eq!(requests.load(Ordering::Relaxed), 3);
    assert!(store.get_ranges(&key(), &[], opts.clone()).await.unwrap().is_empty());
    for (range, kind) in [(100..101, ErrorKind::RangeNotSatisfiable), (5..5, ErrorKind::InvalidInput)] {
        let error = store.get_ranges(&key(), &[0..1, range], opts.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[tokio::test]
async fn ranges_of_two_versions_are_refused() {
    let other = Arc::new(Mutex::new(None::<MemoryStore>));
    let change = Arc::clone(&other);
    let builder = MemoryStore::builder("b").capability(|can| can.pin = PinKind::None).fault(move |call| {
        let store = call.range.and_then(|_| change.lock().unwrap().take());
        if let Some(store) = store {
            let write = async { store.write(&key(), content(100)).await };
            futures_util::future::FutureExt::now_or_never(write).unwrap().unwrap();
        }
        MemoryFault::None
    });
    let store = filled(builder, 100).await;
    let opts = RangesOptions::default().with_gap(0);
    store.get_ranges(&key(), &[0..10, 20..30], opts.clone()).await.unwrap();
    *other.lock().unwrap() = Some(store.clone());
    // The first request changes the object before it is answered; the pinned version is the old one.
    let old = crate::Pin::from(&store.head(&key(), HeadOptions::default()).await.unwrap());
    let error = store.get_ranges(&key(), &[0..10, 20..30], opts.with_pin(old)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(error.retryability(), Retryability::Never);
}

#[tokio::test]
async fn the_pages_of_a_listing_that_was_begun_hold_the_rest_of_it() {
    let store = MemoryStore::builder("b").capability(|can| can.list_max_page = Some(3)).build().unwrap();
    for n in 0..8 {
        store.write(&ObjectKey::new(n.to_string()).unwrap(), "x").await.unwrap();
    }
    for taken in 0..=8 {
        let mut listing = store.list(ListOptions::default());
        for n in 0..taken {
            assert_eq!(listing.next().await.unwrap().unwrap().name(), n.to_string());
        }
        let pages: Vec<_> = listing.pages().try_collect().await.unwrap();
        let names = pages.iter().flat_map(|page| page.entries.iter().map(|entry| entry.name().to_owned()));
        assert!(names.eq((taken..8).map(|n| n.to_string())), "{taken}");
        assert!(pages.iter().all(|page| !page.entries.is_empty()));
        assert!(pages.last().is_none_or(|page| page.next.is_none()));
    }
}

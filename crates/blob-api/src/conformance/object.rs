//! Whole objects: what is stored is what is read.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{
    ByteRange, Checksum, ChecksumKind, ErrorKind, ObjectKey, Payload, checksum::Hasher,
};
use tokio::io::AsyncReadExt;

use super::{
    Namespace,
    check::{Outcome, absent, content, holds, refused, same},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, GetOptions, HeadOptions, PutOptions};

cases! { "object" [writable]:
    round_trip;
    empty;
    every_byte_value;
    overwrite;
    missing;
    answers_describe_the_whole;
    put_and_head_agree;
    a_new_version_is_told_apart;
    replayable_body;
    one_shot_body;
    body_of_unknown_length [unknown_length];
    body_shorter_than_stated;
    body_longer_than_stated;
    body_that_fails;
    large_body_in_bounded_chunks;
    body_as_reader;
    dropped_body;
    stated_checksums_hold [checksums];
    wrong_checksum_is_refused [checksums];
}

/// Failures of a body that the caller sends.
const BODY: &[ErrorKind] = &[
    ErrorKind::LocalIo,
    ErrorKind::InvalidInput,
    ErrorKind::Transport,
    ErrorKind::Protocol,
    ErrorKind::Cancelled,
    ErrorKind::Other,
];

fn chunks(data: &Bytes, size: usize) -> Vec<io::Result<Bytes>> {
    data.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect()
}

fn replayable(data: &Bytes, length: Option<u64>) -> Payload {
    let data = data.clone();
    Payload::replayable(length, move || stream::iter(chunks(&data, 1000)).boxed())
}

async fn round_trip(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("greeting.txt")?;
    store.write(&key, "hello").await?;
    let meta = store.head(&key, HeadOptions::default()).await?;
    ensure_eq!((&meta.key, meta.size), (&key, 5), "head");
    holds(store, &key, b"hello").await
}

async fn empty(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("empty")?;
    store.write(&key, "").await?;
    ensure_eq!(store.head(&key, HeadOptions::default()).await?.size, 0, "size of an empty object");
    let got = store.get(&key, GetOptions::default()).await?;
    ensure_eq!((got.range.clone(), got.meta.size), (0..0, 0), "range of an empty object");
    same(&got.bytes().await?, b"", "an empty object")
}

async fn every_byte_value(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("bytes")?;
    let data: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    store.write(&key, data.clone()).await?;
    holds(store, &key, &data).await
}

async fn overwrite(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    for data in [content(5000, 1), content(70, 2), content(0, 3), content(900, 4)] {
        store.write(&key, data.clone()).await?;
        let size = store.head(&key, HeadOptions::default()).await?.size;
        ensure_eq!(size, data.len() as u64, "size after an overwrite");
        holds(store, &key, &data).await?;
    }
    Ok(())
}

async fn missing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("missing")?;
    let not_found = &[ErrorKind::NotFound];
    refused(store.get(&key, GetOptions::default()).await, not_found, "get of a missing object")?;
    refused(store.head(&key, HeadOptions::default()).await, not_found, "head of a missing object")?;
    absent(store, &key).await
}

async fn answers_describe_the_whole(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, content(1234, 1)).await?;
    let got = store.get(&key, GetOptions::default()).await?;
    ensure_eq!((got.range.clone(), got.meta.size, &got.meta.key), (0..1234, 1234, &key), "answer of get");
    let head = store.head(&key, HeadOptions::default()).await?;
    let both = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    ensure!(both(&got.meta.etag, &head.etag), "get says {:?}, head {:?}", got.meta.etag, head.etag);
    ensure!(both(&got.meta.version, &head.version), "get {:?}, head {:?}", got.meta.version, head.version);
    same(&got.bytes().await?, &content(1234, 1), "the body")
}

async fn put_and_head_agree(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let put = store.write(&key, content(100, 1)).await?;
    let head = store.head(&key, HeadOptions::default()).await?;
    if put.etag.is_some() && head.etag.is_some() {
        ensure_eq!(head.etag, put.etag, "entity tag of head and put");
    }
    if put.version.is_some() && head.version.is_some() {
        ensure_eq!(head.version, put.version, "version of head and put");
    }
    for sum in &put.checksums {
        let other = head.checksum(sum.kind());
        ensure!(other.is_none_or(|other| other == sum), "put states {sum}, head {other:?}");
    }
    Ok(())
}

async fn a_new_version_is_told_apart(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let mut seen = Vec::new();
    for seed in 0..3 {
        store.write(&key, content(100, seed)).await?;
        let meta = store.head(&key, HeadOptions::default()).await?;
        seen.push((meta.etag, meta.version));
    }
    let repeats = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    for pair in seen.windows(2) {
        let ((old_tag, old_version), (new_tag, new_version)) = (&pair[0], &pair[1]);
        ensure!(!repeats(old_tag, new_tag), "other content has the same entity tag {new_tag:?}");
        ensure!(!repeats(old_version, new_version), "other content has the same version {new_version:?}");
    }
    Ok(())
}

async fn replayable_body(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(300_000, 1));
    store.write(&key, replayable(&data, Some(300_000))).await?;
    holds(store, &key, &data).await
}

async fn one_shot_body(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(10_000, 1));
    store.write(&key, Payload::once(Some(10_000), stream::iter(chunks(&data, 999)))).await?;
    holds(store, &key, &data).await
}

async fn body_of_unknown_length(store: &AnyStore, ns: &Namespace) -> Outcome {
    let data = content(10_000, 1);
    let replay = ns.key("replayable")?;
    store.write(&replay, replayable(&data, None)).await?;
    holds(store, &replay, &data).await?;
    let once = ns.key("once")?;
    store.write(&once, Payload::once(None, stream::iter(chunks(&data, 999)))).await?;
    holds(store, &once, &data).await
}

/// A put that fails because of its body leaves what was there.
async fn fails_without_trace(
    store: &AnyStore,
    ns: &Namespace,
    body: impl Fn() -> Payload,
    what: &str,
) -> Outcome {
    let fresh = ns.key("fresh")?;
    refused(store.write(&fresh, body()).await, BODY, what)?;
    absent(store, &fresh).await?;
    let old = ns.key("old")?;
    store.write(&old, "old").await?;
    refused(store.write(&old, body()).await, BODY, what)?;
    holds(store, &old, b"old").await
}

async fn body_shorter_than_stated(store: &AnyStore, ns: &Namespace) -> Outcome {
    let data = content(5000, 1);
    fails_without_trace(store, ns, || replayable(&data, Some(5001)), "put of too short a body").await
}

async fn body_longer_than_stated(store: &AnyStore, ns: &Namespace) -> Outcome {
    let data = content(5000, 1);
    fails_without_trace(store, ns, || replayable(&data, Some(4999)), "put of too long a body").await
}

async fn body_that_fails(store: &AnyStore, ns: &Namespace) -> Outcome {
    let body = || {
        let mut chunks = chunks(&content(5000, 1), 1000);
        chunks.insert(3, Err(io::Error::other("the disk cannot be read")));
        Payload::once(Some(5000), stream::iter(chunks))
    };
    fails_without_trace(store, ns, body, "put of a body that fails").await
}

/// Largest chunk that a body may arrive in: whoever reads a stream bounds his memory by it.
const CHUNK: usize = 4 << 20;

async fn large_body_in_bounded_chunks(store: &AnyStore, ns: &Namespace) -> Outcome {
    const SIZE: u64 = 12 << 20;
    let (key, piece) = (ns.key("large")?, content(64 << 10, 1));
    let sent = piece.clone();
    let body = Payload::replayable(Some(SIZE), move || {
        let pieces = SIZE / sent.len() as u64;
        let sent = sent.clone();
        stream::iter((0..pieces).map(move |_| Ok(sent.clone()))).boxed()
    });
    store.write(&key, body).await?;
    let mut stream = store.get(&key, GetOptions::default()).await?.into_stream();
    let (mut at, mut expected) = (0, piece.clone());
    while let Some(mut chunk) = stream.try_next().await? {
        ensure!(chunk.len() <= CHUNK, "a chunk of a body has {} bytes", chunk.len());
        at += chunk.len() as u64;
        while !chunk.is_empty() {
            let length = chunk.len().min(expected.len());
            same(&chunk.split_to(length), &expected.split_to(length), "a piece of the body")?;
            if expected.is_empty() {
                expected.clone_from(&piece);
            }
        }
    }
    ensure_eq!(at, SIZE, "length of the body");
    Ok(())
}

async fn body_as_reader(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(20_000, 1));
    store.write(&key, data.clone()).await?;
    let mut found = Vec::new();
    store.get(&key, GetOptions::default()).await?.into_async_read().read_to_end(&mut found).await?;
    same(&found, &data, "what the reader read")
}

async fn dropped_body(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(2 << 20, 1));
    store.write(&key, data.clone()).await?;
    for _ in 0..3 {
        let mut body = store.get(&key, GetOptions::default()).await?.into_stream();
        ensure!(body.try_next().await?.is_some(), "the body has no chunk");
    }
    holds(store, &key, &data).await
}

fn sum(kind: ChecksumKind, data: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(kind);
    hasher.update(data);
    hasher.finish()
}

async fn stated_checksums_hold(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, data) = (ns.key("object")?, content(40_000, 1));
    let put = store.write(&key, data.clone()).await?;
    let head = store.head(&key, HeadOptions::default()).await?;
    let range = store.capability().ranged_get.then(|| ByteRange::from(0..10));
    let part = store.get(&key, GetOptions { range, ..GetOptions::default() }).await?.meta;
    for stated in put.checksums.iter().chain(&head.checksums).chain(&part.checksums) {
        ensure_eq!(stated, &sum(stated.kind(), &data), "a checksum of the whole object");
    }
    Ok(())
}

async fn wrong_checksum_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    for kind in &store.capability().checksums {
        let key: ObjectKey = ns.key(kind.as_str())?;
        let with = |data: &[u8]| PutOptions::default().with_checksum(sum(*kind, data));
        let put = store.put(&key, "right".into(), with(b"wrong")).await;
        refused(put, &[ErrorKind::ChecksumMismatch, ErrorKind::InvalidInput], "put with a wrong checksum")?;
        absent(store, &key).await?;
        store.put(&key, "right".into(), with(b"right")).await?;
        holds(store, &key, b"right").await?;
    }
    Ok(())
}

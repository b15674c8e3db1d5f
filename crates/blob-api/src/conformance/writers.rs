//! Objects as writers.

use longshore_core_types::ErrorKind;
use tokio::io::AsyncWriteExt;

use super::{
    Namespace, attributes,
    check::{Outcome, absent, content, holds, refused},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, PutOptions, WriterOptions};

cases! { "writers" [writable]:
    small;
    empty;
    in_parts [multipart];
    invisible_until_finished;
    abort_leaves_nothing [multipart];
    attributes_are_kept [attributes];
    create_only [create_only];
}

/// Parts of the store's smallest size.
fn opts(store: &AnyStore) -> WriterOptions {
    let least = store.capability().multipart.map_or(0, |limits| limits.min_part);
    WriterOptions::default().with_part_size(least.max(10_000)).with_threshold(least.max(10_000))
}

async fn small(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let mut writer = store.writer(&key, opts(store))?;
    writer.write_all(b"one ").await?;
    writer.write_all(b"two").await?;
    writer.shutdown().await?;
    holds(store, &key, b"one two").await
}

async fn empty(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("empty")?;
    store.writer(&key, opts(store))?.finish().await?;
    holds(store, &key, b"").await
}

async fn in_parts(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, opts) = (ns.key("object")?, opts(store));
    let length = usize::try_from(opts.part_size * 3 + 77).unwrap_or_default();
    let data = content(length, 1);
    let mut writer = store.writer(&key, opts)?;
    for piece in data.chunks(300_007) {
        writer.write_all(piece).await?;
    }
    writer.finish().await?;
    holds(store, &key, &data).await
}

async fn invisible_until_finished(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let mut writer = store.writer(&key, opts(store))?;
    writer.write_all(&content(5000, 1)).await?;
    writer.flush().await?;
    absent(store, &key).await?;
    writer.shutdown().await?;
    holds(store, &key, &content(5000, 1)).await?;
    store.delete(&key, DeleteOptions::default()).await?;
    Ok(())
}

async fn abort_leaves_nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, opts) = (ns.key("object")?, opts(store));
    let length = usize::try_from(opts.part_size * 2 + 77).unwrap_or_default();
    let mut writer = store.writer(&key, opts)?;
    writer.write_all(&content(length, 1)).await?;
    writer.abort().await?;
    absent(store, &key).await
}

async fn attributes_are_kept(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, set) = (ns.key("object")?, attributes::some(store, "blue"));
    let put = PutOptions::default().with_attributes(set.clone());
    let mut writer = store.writer(&key, opts(store).with_put(put))?;
    writer.write_all(b"body").await?;
    writer.finish().await?;
    attributes::kept(store, &key, &set).await
}

async fn create_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, "first").await?;
    let put = PutOptions::default().with_create_only();
    let mut writer = store.writer(&key, opts(store).with_put(put))?;
    writer.write_all(b"second").await?;
    refused(writer.finish().await, &[ErrorKind::AlreadyExists], "writing what exists")?;
    holds(store, &key, b"first").await
}

//! One version over several requests.

use longshore_core_types::{ErrorKind, ObjectKey};

use super::{
    Namespace,
    check::{Outcome, content, refused, same},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, ByteStream, DeleteOptions, GetOptions, HeadOptions, Pin};

cases! { "pin" [writable, pin]:
    the_same_version_is_read;
    ranges_of_one_version [ranged_get];
    another_version_is_refused;
    another_version_of_another_size_is_refused;
    a_range_of_another_version_is_refused [ranged_get];
    a_deleted_object_is_refused;
    an_answer_can_be_pinned;
}

async fn stored(store: &AnyStore, key: &ObjectKey, length: usize, seed: u8) -> Outcome<Pin> {
    store.write(key, content(length, seed)).await?;
    Ok(Pin::from(&store.head(key, HeadOptions::default()).await?))
}

/// A store may find out with the head of the answer or while the body is read.
async fn refuses(store: &AnyStore, key: &ObjectKey, opts: GetOptions, kinds: &[ErrorKind]) -> Outcome {
    let read = async { store.get(key, opts).await?.bytes().await };
    refused(read.await, kinds, "get of a version that is no longer there")?;
    Ok(())
}

async fn the_same_version_is_read(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let pin = stored(store, &key, 1000, 1).await?;
    for _ in 0..3 {
        let got = store.get(&key, GetOptions::default().with_pin(pin.clone())).await?;
        same(&got.bytes().await?, &content(1000, 1), "the pinned version")?;
    }
    Ok(())
}

async fn ranges_of_one_version(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let pin = stored(store, &key, 1000, 1).await?;
    for (start, end) in [(0_u16, 10_u16), (500, 700), (999, 1000)] {
        let range = u64::from(start)..u64::from(end);
        let got = store.get(&key, GetOptions::default().with_range(range).with_pin(pin.clone())).await?;
        let expected = &content(1000, 1)[usize::from(start)..usize::from(end)];
        same(&got.bytes().await?, expected, "a range of the pinned version")?;
    }
    Ok(())
}

async fn another_version_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let old = stored(store, &key, 1000, 1).await?;
    let new = stored(store, &key, 1000, 2).await?;
    refuses(store, &key, GetOptions::default().with_pin(old), &[ErrorKind::PreconditionFailed]).await?;
    let got = store.get(&key, GetOptions::default().with_pin(new)).await?;
    same(&got.bytes().await?, &content(1000, 2), "the new version")
}

async fn another_version_of_another_size_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let old = stored(store, &key, 1000, 1).await?;
    stored(store, &key, 999, 1).await?;
    refuses(store, &key, GetOptions::default().with_pin(old), &[ErrorKind::PreconditionFailed]).await
}

async fn a_range_of_another_version_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let old = stored(store, &key, 1000, 1).await?;
    stored(store, &key, 1000, 2).await?;
    let opts = GetOptions::default().with_range(500..600).with_pin(old);
    refuses(store, &key, opts, &[ErrorKind::PreconditionFailed]).await
}

async fn a_deleted_object_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let old = stored(store, &key, 1000, 1).await?;
    store.delete(&key, DeleteOptions::default()).await?;
    let kinds = [ErrorKind::NotFound, ErrorKind::PreconditionFailed];
    refuses(store, &key, GetOptions::default().with_pin(old), &kinds).await
}

async fn an_answer_can_be_pinned(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    stored(store, &key, 1000, 1).await?;
    let got = store.get(&key, GetOptions::default()).await?;
    let pin = Pin::from(&got.meta);
    let body: ByteStream = got.into_stream();
    drop(body);
    stored(store, &key, 1000, 2).await?;
    refuses(store, &key, GetOptions::default().with_pin(pin), &[ErrorKind::PreconditionFailed]).await
}

//! Many objects in one request.

use futures_util::{StreamExt, TryStreamExt};
use longshore_core_types::{ErrorKind, ObjectKey, Result};

use super::{
    Namespace,
    check::{Outcome, content, refused, same},
    listing::fill,
};
use crate::{AnyStore, BlobStore, BlobStoreExt, GetManyItem, GetManyOptions};

cases! { "get_many" [writable, get_many]:
    in_the_order_asked_for;
    the_same_object_twice;
    different_sizes;
    a_missing_one_ends_it;
    a_missing_one_is_reported;
    unread_bodies_are_passed_over;
}

fn keys<const N: usize>(ns: &Namespace, names: [&str; N]) -> Result<Vec<ObjectKey>> {
    names.into_iter().map(|name| ns.key(name)).collect()
}

/// Reads everything: name and content, or why there is none.
async fn read(
    store: &AnyStore,
    ns: &Namespace,
    keys: Vec<ObjectKey>,
    continue_on_error: bool,
) -> Result<Vec<(String, Result<Vec<u8>, ErrorKind>)>> {
    let mut items = store.get_many(keys, GetManyOptions { continue_on_error }).await?;
    let mut all = Vec::new();
    while let Some(GetManyItem { key, result, .. }) = items.try_next().await? {
        let content = match result {
            Ok(got) => Ok(got.bytes().await?.to_vec()),
            Err(error) => Err(error.kind()),
        };
        all.push((ns.short(key.as_str()), content));
    }
    Ok(all)
}

fn itself(name: &str) -> (String, Result<Vec<u8>, ErrorKind>) {
    (name.to_owned(), Ok(name.as_bytes().to_vec()))
}

async fn in_the_order_asked_for(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names = ["f", "a", "e/x", "b", "d", "c"];
    fill(store, ns, names).await?;
    let found = read(store, ns, keys(ns, names)?, false).await?;
    ensure_eq!(found, names.map(itself), "objects in the order asked for");
    Ok(())
}

async fn the_same_object_twice(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b"]).await?;
    let names = ["a", "b", "a", "a"];
    let found = read(store, ns, keys(ns, names)?, false).await?;
    ensure_eq!(found, names.map(itself), "objects that were asked for several times");
    Ok(())
}

async fn different_sizes(store: &AnyStore, ns: &Namespace) -> Outcome {
    let sizes: [usize; 6] = [0, 1, 511, 512, 513, 300_000];
    for size in sizes {
        store.write(&ns.key(&size.to_string())?, content(size, 1)).await?;
    }
    let keys = sizes.iter().map(|size| ns.key(&size.to_string())).collect::<Result<Vec<_>>>()?;
    let mut items = store.get_many(keys, GetManyOptions::default()).await?;
    for size in sizes {
        let item = items.try_next().await?;
        ensure!(item.is_some(), "the stream ends before the object of {size} bytes");
        let Some(item) = item else { continue };
        let got = item.result?;
        ensure_eq!((got.meta.size, got.range.clone()), (size as u64, 0..size as u64), "what the answer says");
        same(&got.bytes().await?, &content(size, 1), "an object")?;
    }
    ensure!(items.next().await.is_none(), "the stream goes on");
    Ok(())
}

async fn a_missing_one_ends_it(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b"]).await?;
    let found = read(store, ns, keys(ns, ["a", "missing", "b"])?, false).await;
    refused(found, &[ErrorKind::NotFound], "reading a missing object among others")?;
    Ok(())
}

async fn a_missing_one_is_reported(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b"]).await?;
    let found = read(store, ns, keys(ns, ["a", "missing", "b"])?, true).await?;
    let missing = ("missing".to_owned(), Err(ErrorKind::NotFound));
    ensure_eq!(found, [itself("a"), missing, itself("b")], "objects around a missing one");
    Ok(())
}

async fn unread_bodies_are_passed_over(store: &AnyStore, ns: &Namespace) -> Outcome {
    for name in ["a", "b", "c"] {
        store.write(&ns.key(name)?, content(200_000, name.as_bytes()[0])).await?;
    }
    let mut items = store.get_many(keys(ns, ["a", "b", "c"])?, GetManyOptions::default()).await?;
    let mut last = None;
    while let Some(item) = items.try_next().await? {
        // The body of the one before is dropped here.
        last = Some(item);
        if let Some(GetManyItem { key, .. }) = &last
            && key.as_str().ends_with('c')
        {
            break;
        }
    }
    let Some(item) = last else { return Err(super::Failure::new("the stream is empty")) };
    same(&item.result?.bytes().await?, &content(200_000, b'c'), "the last object")
}

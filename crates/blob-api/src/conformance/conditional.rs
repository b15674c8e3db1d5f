//! Calls under conditions.

use futures_util::{StreamExt, stream};
use longshore_core_types::{ErrorKind, ObjectKey};

use super::{
    Namespace,
    check::{Failure, Outcome, absent, holds, refused},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, GetOptions, HeadOptions, PutOptions};

cases! { "conditional" [writable]:
    get_if_match [if_match];
    head_if_match [if_match];
    put_if_match [if_match];
    put_if_match_of_a_missing_object [if_match];
    delete_if_match [if_match];
    get_if_none_match [if_none_match];
    head_if_none_match [if_none_match];
    a_condition_on_a_missing_object_is_not_found [if_match];
    create_only [create_only];
    create_only_after_delete [create_only];
    create_only_has_one_winner [create_only];
    put_if_match_has_one_winner [if_match];
}

const FAILED: &[ErrorKind] = &[ErrorKind::PreconditionFailed];

async fn etag(store: &AnyStore, key: &ObjectKey) -> Outcome<String> {
    let etag = store.head(key, HeadOptions::default()).await?.etag;
    etag.ok_or_else(|| Failure::new("the store has conditions on entity tags, but states none"))
}

/// Stores two versions, and says the entity tags of both.
async fn two_versions(store: &AnyStore, key: &ObjectKey) -> Outcome<(String, String)> {
    store.write(key, "old").await?;
    let old = etag(store, key).await?;
    store.write(key, "new").await?;
    Ok((old, etag(store, key).await?))
}

async fn get_if_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let get = async |etag| store.get(&key, GetOptions::default().with_if_match(etag)).await;
    refused(get(old).await, FAILED, "get of an old version")?;
    ensure_eq!(get(new).await?.bytes().await?, "new", "the current version");
    Ok(())
}

async fn head_if_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let head =
        async |etag| store.head(&key, HeadOptions { if_match: Some(etag), ..HeadOptions::default() }).await;
    refused(head(old).await, FAILED, "head of an old version")?;
    ensure_eq!(head(new).await?.size, 3, "size of the current version");
    Ok(())
}

async fn put_if_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let put = async |etag| store.put(&key, "third".into(), PutOptions::default().with_if_match(etag)).await;
    refused(put(old).await, FAILED, "put over another version")?;
    holds(store, &key, b"new").await?;
    put(new).await?;
    holds(store, &key, b"third").await
}

async fn put_if_match_of_a_missing_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (_, new) = two_versions(store, &key).await?;
    store.delete(&key, DeleteOptions::default()).await?;
    let put = store.put(&key, "third".into(), PutOptions::default().with_if_match(new)).await;
    refused(put, &[ErrorKind::PreconditionFailed, ErrorKind::NotFound], "put over an object that is gone")?;
    absent(store, &key).await
}

async fn delete_if_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let delete = async |etag| store.delete(&key, DeleteOptions { if_match: Some(etag) }).await;
    refused(delete(old).await, FAILED, "delete of another version")?;
    holds(store, &key, b"new").await?;
    delete(new).await?;
    absent(store, &key).await
}

async fn get_if_none_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let get = async |etag| store.get(&key, GetOptions::default().with_if_none_match(etag)).await;
    refused(get(new).await, &[ErrorKind::NotModified], "get of a version that is known")?;
    ensure_eq!(get(old).await?.bytes().await?, "new", "a version that is not known");
    Ok(())
}

async fn head_if_none_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (old, new) = two_versions(store, &key).await?;
    let head = async |etag| {
        store.head(&key, HeadOptions { if_none_match: Some(etag), ..HeadOptions::default() }).await
    };
    refused(head(new).await, &[ErrorKind::NotModified], "head of a version that is known")?;
    ensure_eq!(head(old).await?.size, 3, "size of a version that is not known");
    Ok(())
}

async fn a_condition_on_a_missing_object_is_not_found(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let got = store.get(&key, GetOptions::default().with_if_match("\"0\"")).await;
    refused(got, &[ErrorKind::NotFound, ErrorKind::PreconditionFailed], "get of a missing object")?;
    Ok(())
}

async fn create_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let create = async |data: &'static str| {
        store.put(&key, data.into(), PutOptions::default().with_create_only()).await
    };
    create("first").await?;
    let error = refused(create("second").await, &[ErrorKind::AlreadyExists], "creating what exists")?;
    ensure!(!error.is_retryable(), "creating what exists is called worth another try");
    holds(store, &key, b"first").await
}

async fn create_only_after_delete(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, "first").await?;
    store.delete(&key, DeleteOptions::default()).await?;
    store.put(&key, "second".into(), PutOptions::default().with_create_only()).await?;
    holds(store, &key, b"second").await
}

/// Of several puts at once with the same condition, exactly one succeeds, and its content stays.
async fn one_winner(store: &AnyStore, key: &ObjectKey, opts: PutOptions, kinds: &[ErrorKind]) -> Outcome {
    let puts: Vec<_> = (0..8_u8)
        .map(|number| {
            let opts = opts.clone();
            async move { (number, store.put(key, vec![number; 1000].into(), opts).await) }
        })
        .collect();
    let results: Vec<_> = stream::iter(puts).buffer_unordered(8).collect().await;
    let mut winner = None;
    for (number, result) in results {
        if result.is_ok() {
            ensure!(winner.is_none(), "two puts won");
            winner = Some(number);
        } else {
            refused(result, kinds, "a put that came too late")?;
        }
    }
    let winner = winner.ok_or_else(|| Failure::new("no put won"))?;
    holds(store, key, &[winner; 1000]).await
}

async fn create_only_has_one_winner(store: &AnyStore, ns: &Namespace) -> Outcome {
    let kinds = [ErrorKind::AlreadyExists, ErrorKind::Conflict];
    one_winner(store, &ns.key("object")?, PutOptions::default().with_create_only(), &kinds).await
}

async fn put_if_match_has_one_winner(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let (_, new) = two_versions(store, &key).await?;
    let kinds = [ErrorKind::PreconditionFailed, ErrorKind::Conflict];
    one_winner(store, &key, PutOptions::default().with_if_match(new), &kinds).await
}

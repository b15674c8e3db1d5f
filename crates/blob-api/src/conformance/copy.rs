//! Copies at the server.

use longshore_core_types::{ErrorKind, ObjectKey, Result, StoreUrl};

use super::{
    Namespace, attributes,
    check::{Outcome, absent, content, holds, refused},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, CopyOptions, DeleteOptions, PutOptions};

cases! { "copy" [writable]:
    content_and_size [copy];
    attributes_travel [copy, attributes];
    attributes_can_be_replaced [copy, attributes];
    over_an_object [copy];
    of_a_missing_object [copy];
    is_independent_of_its_source [copy];
    create_only [copy, create_only];
    from_its_own_url [copy_from_self];
    of_a_missing_url [copy_from_self];
    from_elsewhere_is_refused [no_copy_from_elsewhere];
}

/// An object that no store but a web client can read.
pub(super) fn elsewhere() -> Result<StoreUrl> {
    "https://example.invalid/object".parse()
}

async fn pair(store: &AnyStore, ns: &Namespace) -> Outcome<(ObjectKey, ObjectKey)> {
    let (from, to) = (ns.key("from")?, ns.key("deep/to")?);
    store.write(&from, content(5000, 1)).await?;
    Ok((from, to))
}

async fn content_and_size(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = pair(store, ns).await?;
    store.copy(&from, &to, CopyOptions::default()).await?;
    holds(store, &to, &content(5000, 1)).await?;
    holds(store, &from, &content(5000, 1)).await
}

async fn attributes_travel(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = (ns.key("from")?, ns.key("to")?);
    let set = attributes::some(store, "red");
    store.put(&from, "x".into(), PutOptions::default().with_attributes(set.clone())).await?;
    store.copy(&from, &to, CopyOptions::default()).await?;
    attributes::kept(store, &to, &set).await
}

async fn attributes_can_be_replaced(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = (ns.key("from")?, ns.key("to")?);
    let put = PutOptions::default().with_attributes(attributes::some(store, "red"));
    store.put(&from, "x".into(), put).await?;
    let set = attributes::some(store, "green");
    store.copy(&from, &to, CopyOptions { attributes: Some(set.clone()), ..CopyOptions::default() }).await?;
    attributes::kept(store, &to, &set).await?;
    attributes::kept(store, &from, &attributes::some(store, "red")).await
}

async fn over_an_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = pair(store, ns).await?;
    store.write(&to, content(9000, 2)).await?;
    store.copy(&from, &to, CopyOptions::default()).await?;
    holds(store, &to, &content(5000, 1)).await
}

async fn of_a_missing_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = (ns.key("missing")?, ns.key("to")?);
    let copied = store.copy(&from, &to, CopyOptions::default()).await;
    refused(copied, &[ErrorKind::NotFound], "copy of a missing object")?;
    absent(store, &to).await
}

async fn is_independent_of_its_source(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = pair(store, ns).await?;
    store.copy(&from, &to, CopyOptions::default()).await?;
    store.write(&from, "changed").await?;
    holds(store, &to, &content(5000, 1)).await?;
    store.delete(&from, DeleteOptions::default()).await?;
    holds(store, &to, &content(5000, 1)).await
}

async fn create_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = pair(store, ns).await?;
    let opts = CopyOptions { create_only: true, ..CopyOptions::default() };
    store.copy(&from, &to, opts.clone()).await?;
    store.write(&to, "mine").await?;
    let copied = store.copy(&from, &to, opts).await;
    refused(copied, &[ErrorKind::AlreadyExists], "copy over what exists")?;
    holds(store, &to, b"mine").await
}

async fn from_its_own_url(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = pair(store, ns).await?;
    let url = store.url().with_key(from.as_str());
    store.copy_from(&url, &to, CopyOptions::default()).await?;
    holds(store, &to, &content(5000, 1)).await
}

async fn of_a_missing_url(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (url, to) = (store.url().with_key(ns.name("missing")), ns.key("to")?);
    let copied = store.copy_from(&url, &to, CopyOptions::default()).await;
    refused(copied, &[ErrorKind::NotFound], "copy of a missing object")?;
    absent(store, &to).await
}

async fn from_elsewhere_is_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let to = ns.key("to")?;
    let copied = store.copy_from(&elsewhere()?, &to, CopyOptions::default()).await;
    refused(copied, &[ErrorKind::Unsupported], "copy from elsewhere")?;
    absent(store, &to).await
}

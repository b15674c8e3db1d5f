//! What is stored beside the bytes.

use longshore_core_types::{Attributes, ErrorKind, ObjectKey};

use super::{
    Namespace,
    check::{Outcome, absent, holds},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, GetOptions, HeadOptions, PutOptions};

cases! { "attributes" [writable]:
    none_by_default;
    user_metadata_is_kept [user_metadata];
    content_headers_are_kept [content_headers];
    an_overwrite_replaces_them [attributes];
    odd_names_are_kept_or_refused [user_metadata];
    odd_values_are_kept_or_refused [user_metadata];
}

/// Attributes that the store can hold.
pub(super) fn some(store: &AnyStore, value: &str) -> Attributes {
    let mut attributes = Attributes::default();
    if store.capability().content_headers {
        attributes = attributes.with_content_type("text/plain").with_cache_control("max-age=60");
    }
    if store.capability().user_metadata {
        attributes = attributes.with_metadata("colour", value).with_metadata("shape", "round");
    }
    attributes
}

/// Compares what was set; a server may add a content type of its own.
pub(super) async fn kept(store: &AnyStore, key: &ObjectKey, expected: &Attributes) -> Outcome {
    let head = store.head(key, HeadOptions::default()).await?.attributes;
    let get = store.get(key, GetOptions::default()).await?.meta.attributes;
    for (call, found) in [("head", head), ("get", get)] {
        ensure_eq!(found.metadata, expected.metadata, "metadata in the answer of {call}");
        if expected.content_type.is_some() {
            ensure_eq!(found.content_type, expected.content_type, "content type in the answer of {call}");
        }
        if expected.cache_control.is_some() {
            ensure_eq!(found.cache_control, expected.cache_control, "cache control in the answer of {call}");
        }
    }
    Ok(())
}

async fn put(store: &AnyStore, key: &ObjectKey, attributes: &Attributes) -> Outcome {
    let opts = PutOptions::default().with_attributes(attributes.clone());
    store.put(key, "body".into(), opts).await?;
    Ok(())
}

async fn none_by_default(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("plain")?;
    store.write(&key, "body").await?;
    kept(store, &key, &Attributes::default()).await
}

async fn user_metadata_is_kept(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let attributes = Attributes::default()
        .with_metadata("colour", "deep blue; not green")
        .with_metadata("punctuation", "1=2,3")
        .with_metadata("n", "0");
    put(store, &key, &attributes).await?;
    kept(store, &key, &attributes).await?;
    holds(store, &key, b"body").await
}

async fn content_headers_are_kept(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let attributes =
        Attributes::default().with_content_type("application/x-parquet").with_cache_control("no-cache");
    put(store, &key, &attributes).await?;
    kept(store, &key, &attributes).await
}

async fn an_overwrite_replaces_them(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let mut first = some(store, "red");
    if store.capability().user_metadata {
        first = first.with_metadata("first", "x");
    }
    put(store, &key, &first).await?;
    put(store, &key, &some(store, "green")).await?;
    kept(store, &key, &some(store, "green")).await?;
    put(store, &key, &Attributes::default()).await?;
    kept(store, &key, &Attributes::default()).await
}

async fn odd_names_are_kept_or_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    for (number, name) in ["with-dash", "with_underscore", "9", "Capital", "a.b"].into_iter().enumerate() {
        kept_or_refused(store, ns, &format!("name-{number}"), name, "x").await?;
    }
    Ok(())
}

async fn kept_or_refused(store: &AnyStore, ns: &Namespace, key: &str, name: &str, value: &str) -> Outcome {
    let key = ns.key(key)?;
    let attributes = Attributes::default().with_metadata(name, value);
    let opts = PutOptions::default().with_attributes(attributes.clone());
    match store.put(&key, "body".into(), opts).await {
        Ok(_) => kept(store, &key, &attributes).await,
        Err(error) if error.kind() == ErrorKind::InvalidInput => absent(store, &key).await,
        Err(error) => Err(error.into()),
    }
}

async fn odd_values_are_kept_or_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let odd = [
        "",
        " padded ",
        "caf\u{e9} \u{1F600}",
        "line\nbreak",
        "a\0b",
        "=?utf-8?q?x?=",
        "100%25",
        "\"quoted\"",
    ];
    for (number, value) in odd.into_iter().enumerate() {
        kept_or_refused(store, ns, &format!("value-{number}"), "odd", value).await?;
    }
    Ok(())
}

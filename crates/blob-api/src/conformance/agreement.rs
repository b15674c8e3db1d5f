//! What a store lacks, it refuses: every flag of the capability that is off, tried.

use std::time::Duration;

use futures_util::stream;
use longshore_core_types::{
    Attributes, ByteRange, ChecksumKind, ErrorKind, ObjectKey, Payload, Result, StoreUrl, checksum::Hasher,
};

use super::{
    Namespace,
    check::{Outcome, absent, content, holds, refused},
};
use crate::{
    AnyStore, BlobStore, BlobStoreExt, CopyOptions, DeleteOptions, GetManyOptions, GetOptions, HeadOptions,
    ListOptions, MultipartId, MultipartRef, PartNumber, PartReceipt, Pin, PutOptions, SignMethod,
    SignRequest,
};

cases! { "agreement" []:
    rules_are_possible;
    ranges [writable, no_ranged_get];
    last_bytes [writable, no_suffix_range];
    if_match [writable, no_if_match];
    if_none_match [writable, no_if_none_match];
    create_only [writable, no_create_only];
    pin [writable, no_pin];
    copy [writable, no_copy];
    get_many [writable, no_get_many];
    delimiter [no_list_delimiter];
    start_after [no_list_start_after];
    content_headers [writable, no_content_headers];
    user_metadata [writable, no_user_metadata];
    checksums [writable];
    unknown_length [writable, length_required];
    multipart [no_multipart];
    list_parts [no_list_parts];
    list_uploads [no_list_uploads];
    sign_get [no_sign_get];
    sign_put [no_sign_put];
    signing [signing];
    read_only [read_only];
    unlisted [unlisted];
}

#[track_caller]
fn unsupported<T: std::fmt::Debug>(result: Result<T>, what: &str) -> Outcome {
    refused(result, &[ErrorKind::Unsupported], what)?;
    Ok(())
}

async fn stored(store: &AnyStore, ns: &Namespace) -> Outcome<ObjectKey> {
    let key = ns.key("object")?;
    store.write(&key, content(100, 1)).await?;
    Ok(key)
}

/// Nothing here asks the store anything.
async fn rules_are_possible(store: &AnyStore, _: &Namespace) -> Outcome {
    let can = store.capability();
    ensure_eq!(can, store.capability(), "a capability that is asked twice");
    ensure!(can.list_max_page != Some(0), "a page has at most 0 entries");
    ensure!(can.delete_batch != Some(0), "a batch has at most 0 names");
    ensure!(can.ranged_get || !can.suffix_range, "the last bytes can be read, but no range");
    if let Some(limits) = &can.multipart {
        ensure!(limits.min_part <= limits.max_part, "the smallest part is larger than the largest");
        ensure!(limits.max_parts > 0, "an upload has at most 0 parts");
    }
    let url = store.url();
    ensure_eq!(url.to_string().parse::<StoreUrl>()?, url, "the URL read from its own text");
    Ok(())
}

async fn ranges(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    for range in [ByteRange::from(0..1), ByteRange::From(1)] {
        let got = store.get(&key, GetOptions::default().with_range(range)).await;
        unsupported(got, "get with a range")?;
    }
    Ok(())
}

async fn last_bytes(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    let got = store.get(&key, GetOptions::default().with_range(ByteRange::Suffix(5))).await;
    unsupported(got, "get of the last bytes")
}

async fn if_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    let etag = Some("\"0\"".to_owned());
    let head = HeadOptions { if_match: etag.clone(), ..HeadOptions::default() };
    unsupported(store.head(&key, head).await, "head under a condition")?;
    unsupported(
        store.get(&key, GetOptions::default().with_if_match("\"0\"")).await,
        "get under a condition",
    )?;
    let put = PutOptions::default().with_if_match("\"0\"");
    unsupported(store.put(&key, "new".into(), put).await, "put under a condition")?;
    let delete = DeleteOptions { if_match: etag };
    unsupported(store.delete(&key, delete).await, "delete under a condition")?;
    holds(store, &key, &content(100, 1)).await
}

async fn if_none_match(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    let head = HeadOptions { if_none_match: Some("\"0\"".to_owned()), ..HeadOptions::default() };
    unsupported(store.head(&key, head).await, "head under a condition")?;
    let get = GetOptions::default().with_if_none_match("\"0\"");
    unsupported(store.get(&key, get).await, "get under a condition")
}

async fn create_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let opts = PutOptions::default().with_create_only();
    unsupported(store.put(&key, "x".into(), opts.clone()).await, "put of what must be new")?;
    absent(store, &key).await?;
    if store.capability().multipart.is_some() {
        unsupported(store.create_multipart(&key, opts).await, "an upload of what must be new")?;
    }
    if store.capability().copy {
        let from = stored(store, ns).await?;
        let opts = CopyOptions { create_only: true, ..CopyOptions::default() };
        let to = ns.key("copy")?;
        unsupported(store.copy(&from, &to, opts).await, "copy to what must be new")?;
        absent(store, &to).await?;
    }
    Ok(())
}

async fn pin(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    let pin = Pin::from(&store.head(&key, HeadOptions::default()).await?);
    unsupported(store.get(&key, GetOptions::default().with_pin(pin)).await, "get of a pinned version")
}

async fn copy(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (from, to) = (stored(store, ns).await?, ns.key("copy")?);
    unsupported(store.copy(&from, &to, CopyOptions::default()).await, "copy")?;
    absent(store, &to).await
}

async fn get_many(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = stored(store, ns).await?;
    let got = store.get_many(vec![key], GetManyOptions::default()).await;
    unsupported(got.map(drop), "get_many")
}

async fn delimiter(store: &AnyStore, ns: &Namespace) -> Outcome {
    unsupported(store.list_page(&ns.list("").with_delimiter(), None).await, "listing one level")
}

async fn start_after(store: &AnyStore, ns: &Namespace) -> Outcome {
    let opts = ns.list("").with_start_after(ns.name("a"));
    unsupported(store.list_page(&opts, None).await, "listing from after a name")
}

async fn refuses_attributes(store: &AnyStore, ns: &Namespace, attributes: Attributes) -> Outcome {
    let key = ns.key("object")?;
    let opts = PutOptions::default().with_attributes(attributes);
    unsupported(store.put(&key, "x".into(), opts.clone()).await, "put with attributes")?;
    absent(store, &key).await?;
    if store.capability().multipart.is_some() {
        unsupported(store.create_multipart(&key, opts).await, "an upload with attributes")?;
    }
    Ok(())
}

async fn content_headers(store: &AnyStore, ns: &Namespace) -> Outcome {
    refuses_attributes(store, ns, Attributes::default().with_content_type("text/plain")).await?;
    refuses_attributes(store, ns, Attributes::default().with_cache_control("no-cache")).await
}

async fn user_metadata(store: &AnyStore, ns: &Namespace) -> Outcome {
    refuses_attributes(store, ns, Attributes::default().with_metadata("colour", "red")).await
}

async fn checksums(store: &AnyStore, ns: &Namespace) -> Outcome {
    for kind in ChecksumKind::ALL {
        if !store.capability().checksums.contains(&kind) {
            let key = ns.key(kind.as_str())?;
            let mut hasher = Hasher::new(kind);
            hasher.update(b"x");
            let opts = PutOptions::default().with_checksum(hasher.finish());
            let put = store.put(&key, "x".into(), opts).await;
            unsupported(put, "put with a checksum that the store does not know")?;
            absent(store, &key).await?;
        }
    }
    Ok(())
}

async fn unknown_length(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let body = Payload::once(None, stream::iter([Ok("x".into())]));
    unsupported(store.write(&key, body).await, "put of a body of unknown length")?;
    absent(store, &key).await
}

async fn multipart(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let at = MultipartRef { key: key.clone(), id: MultipartId::new("1") };
    let part = PartNumber::from_index(0);
    unsupported(store.create_multipart(&key, PutOptions::default()).await, "create_multipart")?;
    unsupported(store.upload_part(&at, part, "x".into()).await, "upload_part")?;
    let parts = vec![PartReceipt::new(part, 1)];
    unsupported(store.complete_multipart(&at, parts).await, "complete_multipart")?;
    unsupported(store.abort_multipart(&at).await, "abort_multipart")?;
    unsupported(store.list_parts(&at).await, "list_parts")?;
    unsupported(store.list_uploads(&ns.name(""), None).await, "list_uploads")
}

async fn list_parts(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let at = MultipartRef { id: store.create_multipart(&key, PutOptions::default()).await?, key };
    unsupported(store.list_parts(&at).await, "list_parts")?;
    Ok(store.abort_multipart(&at).await?)
}

async fn list_uploads(store: &AnyStore, ns: &Namespace) -> Outcome {
    unsupported(store.list_uploads(&ns.name(""), None).await, "list_uploads")
}

fn sign(method: SignMethod, key: ObjectKey) -> SignRequest {
    SignRequest::new(method, key, Duration::from_secs(90))
}

async fn sign_get(store: &AnyStore, ns: &Namespace) -> Outcome {
    unsupported(store.sign(sign(SignMethod::Get, ns.key("object")?)).await, "signing for reading")
}

async fn sign_put(store: &AnyStore, ns: &Namespace) -> Outcome {
    unsupported(store.sign(sign(SignMethod::Put, ns.key("object")?)).await, "signing for writing")
}

async fn signing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let can = store.capability();
    // Some stores sign nothing that is not there.
    let key = if can.read_only { ns.key("object")? } else { stored(store, ns).await? };
    for (method, able) in [(SignMethod::Get, can.sign_get), (SignMethod::Put, can.sign_put)] {
        if able {
            let signed = store.sign(sign(method, key.clone())).await?;
            ensure_eq!(signed.method, method, "method of a signed request");
            ensure!(signed.url.expose().starts_with("http"), "a signed URL is none");
            ensure!(!format!("{signed:?}").contains(signed.url.expose()), "Debug shows a signed URL");
        }
    }
    Ok(())
}

async fn read_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    unsupported(store.write(&key, "x").await, "put")?;
    unsupported(store.delete(&key, DeleteOptions::default()).await, "delete")?;
    unsupported(store.delete_many(vec![key.clone()]).await, "delete_many")?;
    unsupported(store.copy(&key, &key, CopyOptions::default()).await, "copy")?;
    unsupported(store.copy_from(&store.url(), &key, CopyOptions::default()).await, "copy_from")?;
    unsupported(store.create_multipart(&key, PutOptions::default()).await, "create_multipart")?;
    ensure!(!store.can_copy_from(&store.url()), "a read-only store says that it can copy");
    absent(store, &key).await
}

async fn unlisted(store: &AnyStore, ns: &Namespace) -> Outcome {
    unsupported(store.list_page(&ListOptions::prefix(ns.name("")), None).await, "list_page")
}

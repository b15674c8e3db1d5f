//! Uploads in parts that go well.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::ObjectKey;

use super::{
    Namespace, attributes,
    check::{Outcome, absent, content, holds},
    listing::sorted,
};
use crate::{
    AnyStore, BlobStore, BlobStoreExt, HeadOptions, ListOptions, MultipartRef, PageToken, PartNumber,
    PartOrder, PartReceipt, PutOptions, UploadInfo,
};

cases! { "multipart" [writable, multipart]:
    in_order;
    one_part;
    in_any_order [any_order];
    at_once [any_order];
    invisible_until_complete;
    overwrites_when_complete;
    attributes_are_kept [attributes];
    two_uploads_of_one_name [tracked];
    completed_as_stated;
    a_part_sent_again_replaces_the_first [resend];
    list_parts [list_parts];
    list_uploads [list_uploads];
    list_uploads_by_prefix [list_uploads];
    create_only [create_only];
}

/// An upload, and the parts that it takes.
pub(super) struct Upload<'a> {
    store: &'a AnyStore,
    pub(super) at: MultipartRef,
    part_size: u64,
}

impl<'a> Upload<'a> {
    pub(super) async fn begin(store: &'a AnyStore, key: &ObjectKey, opts: PutOptions) -> Outcome<Self> {
        let id = store.create_multipart(key, opts).await?;
        let least = store.capability().multipart.map_or(0, |limits| limits.min_part);
        Ok(Self { store, at: MultipartRef { key: key.clone(), id }, part_size: least.max(1000) })
    }

    /// Content of a full part.
    pub(super) fn content(&self, index: u32) -> Bytes {
        let seed = u8::try_from(index % 251).unwrap_or_default();
        content(usize::try_from(self.part_size).unwrap_or_default(), seed)
    }

    pub(super) async fn send(&self, index: u32, body: Bytes) -> Outcome<PartReceipt> {
        let number = PartNumber::from_index(index);
        Ok(self.store.upload_part(&self.at, number, body.into()).await?)
    }

    /// Sends full parts, one after the other.
    pub(super) async fn send_full(&self, indices: &[u32]) -> Outcome<Vec<PartReceipt>> {
        let mut receipts = Vec::new();
        for index in indices {
            receipts.push(self.send(*index, self.content(*index)).await?);
        }
        receipts.sort_unstable_by_key(|receipt| receipt.number);
        Ok(receipts)
    }

    pub(super) async fn complete(&self, receipts: Vec<PartReceipt>) -> Outcome {
        self.store.complete_multipart(&self.at, receipts).await?;
        Ok(())
    }

    pub(super) async fn abort(&self) -> Outcome {
        Ok(self.store.abort_multipart(&self.at).await?)
    }

    /// The object is these full parts, and nothing else.
    pub(super) async fn holds(&self, indices: &[u32]) -> Outcome {
        let mut whole = BytesMut::new();
        for index in indices {
            whole.extend_from_slice(&self.content(*index));
        }
        holds(self.store, &self.at.key, &whole).await
    }
}

async fn in_order(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    let mut receipts = upload.send_full(&[0, 1]).await?;
    receipts.push(upload.send(2, content(17, 2)).await?);
    for (receipt, number) in receipts.iter().zip(1..) {
        let size = if number == 3 { 17 } else { upload.part_size };
        ensure_eq!((receipt.number.get(), receipt.size), (number, size), "number and size of a receipt");
    }
    upload.complete(receipts).await?;
    let mut whole = BytesMut::from(upload.content(0));
    whole.extend_from_slice(&upload.content(1));
    whole.extend_from_slice(&content(17, 2));
    holds(store, &upload.at.key, &whole).await
}

async fn one_part(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let upload = Upload::begin(store, &key, PutOptions::default()).await?;
    let receipt = upload.send(0, content(5, 1)).await?;
    upload.complete(vec![receipt]).await?;
    holds(store, &key, &content(5, 1)).await
}

async fn in_any_order(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    let receipts = upload.send_full(&[2, 0, 3, 1]).await?;
    upload.complete(receipts).await?;
    upload.holds(&[0, 1, 2, 3]).await
}

async fn at_once(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    let sends: Vec<_> = (0..6).map(|index| upload.send(index, upload.content(index))).collect();
    let mut receipts: Vec<_> = stream::iter(sends).buffer_unordered(6).try_collect().await?;
    receipts.sort_unstable_by_key(|receipt: &PartReceipt| receipt.number);
    upload.complete(receipts).await?;
    upload.holds(&[0, 1, 2, 3, 4, 5]).await
}

async fn invisible_until_complete(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let upload = Upload::begin(store, &key, PutOptions::default()).await?;
    absent(store, &key).await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    absent(store, &key).await?;
    if !store.capability().unlisted {
        ensure_eq!(sorted(store, ns, ns.list("")).await?, Vec::<String>::new(), "names while parts are sent");
    }
    upload.complete(receipts).await?;
    if !store.capability().unlisted {
        ensure_eq!(sorted(store, ns, ns.list("")).await?, ["object"], "names after completion");
    }
    upload.holds(&[0, 1]).await
}

async fn overwrites_when_complete(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, "old").await?;
    let upload = Upload::begin(store, &key, PutOptions::default()).await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    holds(store, &key, b"old").await?;
    upload.complete(receipts).await?;
    upload.holds(&[0, 1]).await
}

async fn attributes_are_kept(store: &AnyStore, ns: &Namespace) -> Outcome {
    let (key, set) = (ns.key("object")?, attributes::some(store, "blue"));
    let opts = PutOptions::default().with_attributes(set.clone());
    let upload = Upload::begin(store, &key, opts).await?;
    let receipts = upload.send_full(&[0]).await?;
    upload.complete(receipts).await?;
    attributes::kept(store, &key, &set).await
}

async fn two_uploads_of_one_name(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let first = Upload::begin(store, &key, PutOptions::default()).await?;
    let second = Upload::begin(store, &key, PutOptions::default()).await?;
    ensure!(first.at.id != second.at.id, "two uploads have the same id {}", first.at.id);
    let receipt = first.send(0, content(100, 1)).await?;
    let other = second.send(0, content(200, 2)).await?;
    second.complete(vec![other]).await?;
    holds(store, &key, &content(200, 2)).await?;
    first.complete(vec![receipt]).await?;
    holds(store, &key, &content(100, 1)).await
}

async fn completed_as_stated(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let upload = Upload::begin(store, &key, PutOptions::default()).await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    let done = store.complete_multipart(&upload.at, receipts).await?;
    let head = store.head(&key, HeadOptions::default()).await?;
    let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    ensure!(same(&done.etag, &head.etag), "completion says {:?}, head {:?}", done.etag, head.etag);
    ensure!(same(&done.version, &head.version), "completion {:?}, head {:?}", done.version, head.version);
    ensure_eq!(head.size, 2 * upload.part_size, "size of the object");
    Ok(())
}

async fn a_part_sent_again_replaces_the_first(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    upload.send(0, upload.content(9)).await?;
    let receipts = upload.send_full(&[1, 0]).await?;
    upload.complete(receipts).await?;
    upload.holds(&[0, 1]).await
}

async fn list_parts(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    ensure_eq!(store.list_parts(&upload.at).await?, [], "parts of a new upload");
    let ordered = store.capability().multipart.is_some_and(|limits| limits.part_order == PartOrder::InOrder);
    let indices: &[u32] = if ordered { &[0, 1, 2] } else { &[2, 0, 1] };
    let receipts = upload.send_full(indices).await?;
    let parts = store.list_parts(&upload.at).await?;
    let numbers: Vec<u32> = parts.iter().map(|part| part.number.get()).collect();
    ensure_eq!(numbers, [1, 2, 3], "numbers of the parts that were sent");
    for part in &parts {
        ensure!(part.size.is_none_or(|size| size == upload.part_size), "a part is listed as {part:?}");
    }
    upload.complete(receipts).await?;
    upload.holds(&[0, 1, 2]).await
}

async fn all_uploads(store: &AnyStore, prefix: &str) -> Outcome<Vec<UploadInfo>> {
    let (mut all, mut page) = (Vec::new(), None::<PageToken>);
    loop {
        let found = store.list_uploads(prefix, page).await?;
        all.extend(found.uploads);
        match found.next {
            Some(next) => page = Some(next),
            None => return Ok(all),
        }
    }
}

async fn list_uploads(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = Upload::begin(store, &ns.key("object")?, PutOptions::default()).await?;
    let gone = Upload::begin(store, &ns.key("gone")?, PutOptions::default()).await?;
    upload.send_full(&[0]).await?;
    let has = |all: &[UploadInfo], which: &Upload<'_>| all.iter().any(|info| info.upload == which.at);
    let all = all_uploads(store, &ns.name("")).await?;
    ensure!(has(&all, &upload) && has(&all, &gone), "uploads that were begun are missing from {all:?}");
    gone.abort().await?;
    let all = all_uploads(store, &ns.name("")).await?;
    ensure!(has(&all, &upload) && !has(&all, &gone), "one upload should be left of {all:?}");
    upload.abort().await?;
    ensure_eq!(all_uploads(store, &ns.name("")).await?, [], "uploads after all are aborted");
    Ok(())
}

async fn list_uploads_by_prefix(store: &AnyStore, ns: &Namespace) -> Outcome {
    let mut begun = Vec::new();
    for name in ["a/1", "a/2", "b/1"] {
        begun.push(Upload::begin(store, &ns.key(name)?, PutOptions::default()).await?);
    }
    for (prefix, expected) in [("a/", &["a/1", "a/2"][..]), ("b", &["b/1"]), ("c", &[])] {
        let all = all_uploads(store, &ns.name(prefix)).await?;
        let mut found: Vec<_> = all.iter().map(|info| ns.short(info.upload.key.as_str())).collect();
        found.sort_unstable();
        ensure_eq!(found, expected, "uploads under {prefix}");
    }
    for upload in begun {
        upload.abort().await?;
    }
    let opts: ListOptions = ns.list("");
    ensure!(
        store.capability().unlisted || sorted(store, ns, opts).await?.is_empty(),
        "an upload left an object"
    );
    Ok(())
}

async fn create_only(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    let opts = PutOptions::default().with_create_only();
    let late = Upload::begin(store, &key, opts.clone()).await?;
    let receipts = late.send_full(&[0]).await?;
    store.write(&key, "first").await?;
    let done = store.complete_multipart(&late.at, receipts).await;
    super::check::refused(
        done,
        &[longshore_core_types::ErrorKind::AlreadyExists],
        "completing over what exists by now",
    )?;
    holds(store, &key, b"first").await?;
    late.abort().await
}

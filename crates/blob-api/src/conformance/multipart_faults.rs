//! Uploads in parts that go wrong.

use longshore_core_types::ErrorKind;

use super::{
    Namespace,
    check::{Outcome, absent, content, holds, refused, refused_unsent},
    multipart::Upload,
};
use crate::{
    AnyStore, BlobStore, BlobStoreExt, MultipartId, MultipartRef, PartNumber, PartReceipt, PutOptions,
};

cases! { "multipart_faults" [writable, multipart]:
    abort_leaves_nothing [tracked];
    abort_keeps_the_old_object;
    abort_twice;
    abort_of_an_unknown_upload;
    a_part_for_an_unknown_upload [tracked];
    a_part_for_the_upload_of_another_object;
    a_part_after_completion [tracked];
    completion_of_an_unknown_upload;
    completion_twice;
    completion_without_parts;
    completion_with_a_part_that_was_not_sent;
    completion_in_the_wrong_order;
    a_gap_is_closed_or_refused [any_order];
    a_part_that_is_too_small [small_part_limit];
    parts_of_different_sizes [equal_parts];
    a_number_over_the_limit [part_limit];
    parts_of_an_unknown_upload [list_parts, tracked];
}

const GONE: &[ErrorKind] = &[ErrorKind::NotFound];

async fn begin<'a>(store: &'a AnyStore, ns: &Namespace, name: &str) -> Outcome<Upload<'a>> {
    Upload::begin(store, &ns.key(name)?, PutOptions::default()).await
}

/// A reference to an upload that was there once, so that its id has the store's own form.
async fn unknown(store: &AnyStore, ns: &Namespace) -> Outcome<MultipartRef> {
    let upload = begin(store, ns, "unknown").await?;
    upload.abort().await?;
    Ok(upload.at)
}

async fn abort_leaves_nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    upload.abort().await?;
    absent(store, &upload.at.key).await?;
    refused(store.complete_multipart(&upload.at, receipts).await, GONE, "completing an aborted upload")?;
    absent(store, &upload.at.key).await
}

async fn abort_keeps_the_old_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    store.write(&upload.at.key, "old").await?;
    upload.send_full(&[0]).await?;
    upload.abort().await?;
    holds(store, &upload.at.key, b"old").await
}

async fn abort_twice(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    upload.send_full(&[0]).await?;
    upload.abort().await?;
    upload.abort().await
}

async fn abort_of_an_unknown_upload(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, "stays").await?;
    let at = MultipartRef { key: key.clone(), id: unknown(store, ns).await?.id };
    store.abort_multipart(&at).await?;
    holds(store, &key, b"stays").await
}

async fn a_part_for_an_unknown_upload(store: &AnyStore, ns: &Namespace) -> Outcome {
    let at = unknown(store, ns).await?;
    let sent = store.upload_part(&at, PartNumber::from_index(0), "x".into()).await;
    refused(sent, GONE, "a part for an unknown upload")?;
    let odd = MultipartRef { id: MultipartId::new("no/such?id=1&x"), ..at };
    let sent = store.upload_part(&odd, PartNumber::from_index(0), "x".into()).await;
    refused(sent, &[ErrorKind::NotFound, ErrorKind::InvalidInput], "a part for an id that is none")?;
    absent(store, &odd.key).await
}

async fn a_part_for_the_upload_of_another_object(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let other = MultipartRef { key: ns.key("other")?, id: upload.at.id.clone() };
    let sent = store.upload_part(&other, PartNumber::from_index(0), "x".into()).await;
    refused(sent, GONE, "a part for the upload of another object")?;
    absent(store, &other.key).await?;
    upload.abort().await
}

async fn a_part_after_completion(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let receipts = upload.send_full(&[0]).await?;
    upload.complete(receipts).await?;
    let sent = store.upload_part(&upload.at, PartNumber::from_index(1), "x".into()).await;
    refused(sent, GONE, "a part for a completed upload")?;
    upload.holds(&[0]).await
}

async fn completion_of_an_unknown_upload(store: &AnyStore, ns: &Namespace) -> Outcome {
    let at = unknown(store, ns).await?;
    let parts = vec![PartReceipt::new(PartNumber::from_index(0), 1000)];
    let done = store.complete_multipart(&at, parts).await;
    refused(done, &[ErrorKind::NotFound, ErrorKind::InvalidInput], "completing an unknown upload")?;
    absent(store, &at.key).await
}

async fn completion_twice(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    upload.complete(receipts.clone()).await?;
    // Some stores answer the second as they answered the first; none may harm the object.
    if let Err(error) = store.complete_multipart(&upload.at, receipts).await {
        refused(Err::<(), _>(error), GONE, "completing a second time")?;
    }
    upload.holds(&[0, 1]).await
}

async fn completion_without_parts(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let done = store.complete_multipart(&upload.at, Vec::new()).await;
    refused_unsent(done, "completing without parts")?;
    absent(store, &upload.at.key).await?;
    let receipts = upload.send_full(&[0]).await?;
    upload.complete(receipts).await?;
    upload.holds(&[0]).await
}

async fn completion_with_a_part_that_was_not_sent(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let mut receipts = upload.send_full(&[0]).await?;
    let mut invented = receipts[0].clone();
    invented.number = PartNumber::from_index(1);
    receipts.push(invented);
    let done = store.complete_multipart(&upload.at, receipts).await;
    let kinds = [ErrorKind::InvalidInput, ErrorKind::NotFound, ErrorKind::Conflict];
    refused(done, &kinds, "completing with a part that was not sent")?;
    absent(store, &upload.at.key).await?;
    upload.abort().await
}

async fn completion_in_the_wrong_order(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let receipts = upload.send_full(&[0, 1]).await?;
    let twice = vec![receipts[0].clone(), receipts[0].clone()];
    let turned = receipts.iter().rev().cloned().collect();
    for wrong in [twice, turned] {
        let done = store.complete_multipart(&upload.at, wrong).await;
        refused(done, &[ErrorKind::InvalidInput], "completing with parts in the wrong order")?;
    }
    absent(store, &upload.at.key).await?;
    upload.complete(receipts).await?;
    upload.holds(&[0, 1]).await
}

async fn a_gap_is_closed_or_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let receipts = upload.send_full(&[0, 2]).await?;
    match store.complete_multipart(&upload.at, receipts).await {
        Ok(_) => upload.holds(&[0, 2]).await,
        Err(error) => {
            refused(
                Err::<(), _>(error),
                &[ErrorKind::InvalidInput, ErrorKind::Conflict],
                "leaving a part out",
            )?;
            absent(store, &upload.at.key).await?;
            upload.abort().await
        }
    }
}

async fn a_part_that_is_too_small(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let first = upload.send(0, content(1, 1)).await?;
    let number = PartNumber::from_index(1);
    let receipts = match store.upload_part(&upload.at, number, content(1, 2).into()).await {
        Ok(second) => vec![first, second],
        // A store that takes parts in order knows where the next one starts.
        Err(error) => {
            refused(Err::<(), _>(error), &[ErrorKind::InvalidInput], "a part behind one that is too small")?;
            return upload.abort().await;
        }
    };
    let done = store.complete_multipart(&upload.at, receipts).await;
    refused(done, &[ErrorKind::InvalidInput], "completing with a part that is too small")?;
    absent(store, &upload.at.key).await?;
    upload.abort().await
}

async fn parts_of_different_sizes(store: &AnyStore, ns: &Namespace) -> Outcome {
    let upload = begin(store, ns, "object").await?;
    let full = upload.content(0);
    let mut larger = upload.content(1).to_vec();
    larger.push(0);
    let mut receipts = vec![upload.send(0, full).await?];
    match store.upload_part(&upload.at, PartNumber::from_index(1), larger.into()).await {
        Ok(receipt) => receipts.push(receipt),
        Err(error) => {
            refused(Err::<(), _>(error), &[ErrorKind::InvalidInput], "a larger part")?;
            return upload.abort().await;
        }
    }
    let done = store.complete_multipart(&upload.at, receipts).await;
    refused(done, &[ErrorKind::InvalidInput], "completing with parts of different sizes")?;
    absent(store, &upload.at.key).await?;
    upload.abort().await
}

async fn a_number_over_the_limit(store: &AnyStore, ns: &Namespace) -> Outcome {
    let most = store.capability().multipart.map_or(0, |limits| limits.max_parts);
    let upload = begin(store, ns, "object").await?;
    let sent = store.upload_part(&upload.at, PartNumber::from_index(most), "x".into()).await;
    refused_unsent(sent, "a part over the limit")?;
    upload.abort().await
}

async fn parts_of_an_unknown_upload(store: &AnyStore, ns: &Namespace) -> Outcome {
    let at = unknown(store, ns).await?;
    refused(store.list_parts(&at).await, GONE, "listing the parts of an unknown upload")?;
    Ok(())
}

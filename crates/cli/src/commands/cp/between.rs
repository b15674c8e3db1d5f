//! Copies between stores.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{TryStreamExt, stream};
use longshore::{
    AnyStore, Attributes, BlobStore, BlobStoreExt, Capability, CopyOptions, ErrorKind, ObjectKey, StoreUrl,
    transfer::{Sink, Source, TransferError},
};

use super::mover::{Mover, Tally, key};
use crate::{
    failure::Failure,
    listing::{Selection, nothing_found},
    output::Message,
    progress::Extent,
};

/// Objects at once.
const OBJECTS: usize = 8;

/// Both ends of copies.
#[derive(Clone)]
struct Ends {
    from: AnyStore,
    to: AnyStore,
}

impl Mover<'_> {
    /// One object.
    pub(super) async fn copy(&self, from: &StoreUrl, to: &StoreUrl) -> Result<Tally, Failure> {
        let ends = self.ends(from, to).await?;
        self.copy_object(&ends, &key(from)?, &key(to)?).await
    }

    /// Everything that is selected, under the prefix of `to`.
    pub(super) async fn copy_tree(
        &self,
        from: &StoreUrl,
        selection: &Selection,
        to: &StoreUrl,
    ) -> Result<Tally, Failure> {
        let ends = self.ends(from, to).await?;
        let (ends, base) = (&ends, selection.base());
        let found = selection
            .objects(&ends.from)
            .try_take_while(|_| std::future::ready(Ok(!self.cancel.is_stopped())))
            .map_err(|error| Failure::of(format!("cannot list {from}"), error));
        let done = found
            .map_ok(|found| async move {
                let source = found.key().clone();
                let name = source.as_str().strip_prefix(base).unwrap_or(source.as_str());
                let target = format!("{}{name}", to.key());
                Ok::<_, Failure>(self.copy_one_of_many(ends, &source, &target).await)
            })
            .try_buffer_unordered(self.app.settings.concurrency.unwrap_or(OBJECTS));
        let tally = done.try_fold(Tally::default(), |mut sum, one| {
            sum.add(one);
            std::future::ready(Ok(sum))
        });
        let tally = tally.await?;
        if tally.succeeded + tally.failed == 0 && !self.cancel.is_stopped() {
            return self.copy_object_instead(ends, from, selection, to).await;
        }
        Ok(tally)
    }

    async fn ends(&self, from: &StoreUrl, to: &StoreUrl) -> Result<Ends, Failure> {
        Ok(Ends { from: self.app.services.store(from).await?, to: self.app.services.store(to).await? })
    }

    /// `-r` on an object is no mistake, as it is none on a file.
    async fn copy_object_instead(
        &self,
        ends: &Ends,
        from: &StoreUrl,
        selection: &Selection,
        to: &StoreUrl,
    ) -> Result<Tally, Failure> {
        let missing = nothing_found(from, selection);
        let Selection::Tree(_) = selection else { return Err(missing) };
        let Ok(source) = key(from) else { return Err(missing) };
        let Some(name) = source.file_name() else { return Err(missing) };
        if !ends.from.exists(&source).await.unwrap_or(false) {
            return Err(missing);
        }
        let target = key(&to.with_key(format!("{}{name}", to.key())))?;
        self.copy_object(ends, &source, &target).await
    }

    /// One object whose failure does not end the others.
    async fn copy_one_of_many(&self, ends: &Ends, source: &ObjectKey, target: &str) -> Tally {
        let result = match ObjectKey::new(target) {
            Ok(target) => self.copy_object(ends, source, &target).await,
            Err(error) => Err(Failure::of("", error)),
        };
        match result {
            Ok(tally) => tally,
            Err(failure) if failure.is_cancelled() => Tally::default(),
            Err(failure) => {
                self.tell(failure);
                Tally { failed: 1, ..Tally::default() }
            }
        }
    }

    async fn copy_object(
        &self,
        ends: &Ends,
        source: &ObjectKey,
        target: &ObjectKey,
    ) -> Result<Tally, Failure> {
        let from = ends.from.url().with_key(source.as_str());
        let to = ends.to.url().with_key(target.as_str());
        let tally = match self.copy_at_server(ends, &from, source, target).await? {
            Some(tally) => tally,
            None => self.stream(ends, source, target).await?,
        };
        if self.app.out.shows_items() {
            let (source, destination) = (from.to_string(), to.to_string());
            self.app.out.print_now(&Message::Copied { source, destination, bytes: tally.bytes })?;
        }
        Ok(tally)
    }

    /// Lets the server do it, if it can and nothing is to change on the way.
    async fn copy_at_server(
        &self,
        ends: &Ends,
        from: &StoreUrl,
        source: &ObjectKey,
        target: &ObjectKey,
    ) -> Result<Option<Tally>, Failure> {
        if !self.wanted.said.is_empty() {
            return Ok(None);
        }
        let same_bucket = ends.from.url() == ends.to.url();
        let copied = if same_bucket && ends.to.capability().copy {
            ends.to.copy(source, target, CopyOptions::default()).await
        } else if ends.to.can_copy_from(&ends.from.url()) {
            ends.to.copy_from(from, target, CopyOptions::default()).await
        } else {
            return Ok(None);
        };
        match copied {
            Ok(_) => {
                let size =
                    ends.to.head(target, longshore::HeadOptions::default()).await.map_or(0, |meta| meta.size);
                Ok(Some(Tally::one(size)))
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => {
                let to = ends.to.url().with_key(target.as_str());
                Err(Failure::of(format!("cannot copy {from} to {to}"), error))
            }
        }
    }

    /// Through this process, in order, within the budget; nothing touches the disk.
    async fn stream(&self, ends: &Ends, source: &ObjectKey, target: &ObjectKey) -> Result<Tally, Failure> {
        let reading = self.reader.download(&ends.from, source.clone(), Sink::writer(tokio::io::sink()));
        let body = reading.cancel(self.cancel.clone()).body().await.map_err(Failure::transfer)?;
        let attributes = holdable(self.wanted.of_copy(&body.meta().attributes), ends.to.capability());
        // Why the source failed says more than that the upload of it did.
        let broken: Arc<Mutex<Option<TransferError>>> = Arc::default();
        let bytes =
            stream::try_unfold(
                body,
                |mut body| async move { Ok(body.chunk().await?.map(|chunk| (chunk, body))) },
            );
        let bytes = bytes.map_err({
            let broken = Arc::clone(&broken);
            move |error: TransferError| {
                let error = broken.lock().unwrap_or_else(PoisonError::into_inner).insert(error).clone();
                io::Error::other(error)
            }
        });
        let upload = self.transfer.upload(&ends.to, target.clone(), Source::stream(bytes));
        let outcome = self
            .watch(upload.attributes(attributes).cancel(self.cancel.clone()).start(), Extent::Object)
            .await;
        match (outcome, broken.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            (Err(_), Some(cause)) => Err(Failure::transfer(cause)),
            (outcome, _) => Ok(Tally::one(outcome?.bytes)),
        }
    }
}

/// What of it the store can hold.
fn holdable(mut attributes: Attributes, can: &Capability) -> Attributes {
    if !can.user_metadata {
        attributes.metadata.clear();
    }
    if !can.content_headers {
        let metadata = std::mem::take(&mut attributes.metadata);
        attributes = Attributes::default();
        attributes.metadata = metadata;
    }
    attributes
}

//! Copies between stores.

use std::sync::Arc;

use futures_util::TryStreamExt;
use longshore::{AnyStore, BlobStore, ObjectKey, StoreUrl};

use super::mover::{Mover, Tally, is_there, key};
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
        if !is_there(&ends.from, &source).await? {
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
        let mut copy = self.transfer.copy(&self.reader, &ends.from, source.clone(), &ends.to, target.clone());
        if !self.wanted.said.is_empty() {
            let wanted = Arc::clone(&self.wanted);
            copy = copy.attributes(move |source| wanted.of_copy(source));
        }
        let copy = copy.cancel(self.cancel.clone()).start();
        let outcome = self.watch(copy, Extent::Object).await?;
        if self.app.out.shows_items() {
            let (source, destination) = (from.to_string(), to.to_string());
            self.app.out.print_now(&Message::Copied { source, destination, bytes: outcome.bytes })?;
        }
        Ok(Tally { lost: outcome.lost, ..Tally::one(outcome.bytes) })
    }
}

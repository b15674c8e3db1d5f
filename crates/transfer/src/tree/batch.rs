//! Many small objects in one request.

use std::{collections::VecDeque, path::PathBuf};

use futures_util::StreamExt;
use longshore_blob_api::{BlobStore, GetManyItem, GetManyOptions};
use longshore_core_types::{ObjectMeta, Result as CoreResult};

use super::names::Directories;
use crate::{
    context::{Context, SMALL},
    download::{Download, MEMORY},
    error::Result,
    progress::Reporter,
    requests::FULL,
    sink::Sink,
};

/// Fewer objects than this are fetched one by one: a batch answers only when the server has gathered it.
const WORTH_IT: usize = 100;

/// So many objects are one request.
const BATCH: usize = 256;

/// Small objects of a listing that wait until there are enough of them for a request.
#[derive(Debug, Default)]
pub(super) struct Pending {
    objects: Vec<Wanted>,
    /// There was a whole batch already, so the last one may be smaller.
    many: bool,
}

/// An object and where it goes.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) meta: ObjectMeta,
    pub(super) path: PathBuf,
}

impl Pending {
    /// Whether an object is of the kind that waits here.
    pub(super) fn takes(meta: &ObjectMeta) -> bool {
        meta.size <= SMALL
    }

    /// Adds an object; a batch that is full comes back.
    pub(super) fn push(&mut self, wanted: Wanted) -> Option<Vec<Wanted>> {
        self.objects.push(wanted);
        if self.objects.len() < BATCH {
            return None;
        }
        self.many = true;
        Some(std::mem::take(&mut self.objects))
    }

    /// What is left at the end, and whether it makes a batch.
    pub(super) fn rest(self) -> (Vec<Wanted>, bool) {
        let worth = self.many || self.objects.len() >= WORTH_IT;
        (self.objects, worth)
    }
}

/// Fetches many objects with as few requests as it takes, and says what became of each.
pub(super) struct Batch<S> {
    pub(super) context: Context,
    pub(super) store: S,
    pub(super) keep_modified: bool,
    pub(super) reporter: Reporter,
}

impl<S: BlobStore + Clone> Batch<S> {
    /// One request for all; what it does not bring is fetched one by one.
    pub(super) async fn fetch(self, objects: Vec<Wanted>) -> Vec<Result<u64>> {
        let mut outcomes = Vec::with_capacity(objects.len());
        let mut left = VecDeque::from(objects);
        // Why the request broke off does not matter: what it did not bring gets requests of its own, and if those
        // fail too, with their own errors.
        let _ = self.together(&mut left, &mut outcomes).await;
        for wanted in left {
            outcomes.push(self.download(wanted).run(&self.reporter).await.map(|outcome| outcome.bytes));
        }
        outcomes
    }

    /// Takes objects from `left` as they arrive, or as they are known to be missing from the answer.
    async fn together(&self, left: &mut VecDeque<Wanted>, outcomes: &mut Vec<Result<u64>>) -> CoreResult<()> {
        let _admission = self.context.admit(FULL, MEMORY).await?;
        let keys = left.iter().map(|wanted| wanted.meta.key.clone()).collect();
        let mut options = GetManyOptions::default();
        options.continue_on_error = true;
        let mut answers = self.context.within_grace(self.store.get_many(keys, options)).await?;
        // Objects that the answer lacks; asked for once more at the end.
        let mut missing = VecDeque::new();
        let mut directories = Directories::default();
        while let Some(wanted) = left.pop_front() {
            let answer = self.context.within_grace(async { answers.next().await.transpose() }).await;
            match answer {
                Ok(Some(GetManyItem { key, result: Ok(answer), .. })) if key == wanted.meta.key => {
                    let dir = directories.for_small(&wanted.path, wanted.meta.size);
                    let download = self.download(wanted).given(answer).within(dir);
                    outcomes.push(download.run(&self.reporter).await.map(|outcome| outcome.bytes));
                }
                Ok(Some(GetManyItem { key, .. })) if key == wanted.meta.key => missing.push_back(wanted),
                // The answer ended, broke off, or holds something else.
                other => {
                    left.push_front(wanted);
                    left.append(&mut missing);
                    return other.map(drop);
                }
            }
        }
        left.append(&mut missing);
        Ok(())
    }

    fn download(&self, wanted: Wanted) -> Download<S> {
        Download::new(&self.context.engine, self.store.clone(), wanted.meta.key, Sink::file(wanted.path))
            .size_hint(wanted.meta.size)
            .keep_modified(self.keep_modified)
            .cancel(self.context.cancel.clone())
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ObjectKey;

    use super::*;

    fn wanted(n: usize) -> Wanted {
        Wanted { meta: ObjectMeta::new(ObjectKey::new(format!("{n}")).unwrap(), 1), path: PathBuf::new() }
    }

    #[test]
    fn few_objects_are_not_worth_a_batch() {
        for (objects, full, rest, worth) in
            [(0, 0, 0, false), (99, 0, 99, false), (100, 0, 100, true), (256, 1, 0, true), (257, 1, 1, true)]
        {
            let mut pending = Pending::default();
            let batches: Vec<_> = (0..objects).filter_map(|n| pending.push(wanted(n))).collect();
            assert_eq!(batches.len(), full);
            let (left, batch) = pending.rest();
            assert_eq!((left.len(), batch), (rest, worth));
        }
    }
}

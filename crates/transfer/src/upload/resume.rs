//! Taking up an upload that was interrupted.

use std::{collections::BTreeMap, sync::Arc};

use longshore_blob_api::{
    BlobStore, HeadOptions, MultipartLimits, MultipartRef, PartInfo, PartRetry, PutResult,
};
use longshore_core_types::{
    Checksum, Error, ErrorKind, Result as CoreResult,
    checksum::{Hasher, combine_crc32c},
};

use super::{
    Job, UploadOutcome,
    parts::{Begun, PART_SUM},
};
use crate::{
    body::Origin,
    checkpoint::{SavedUpload, UploadKeeper as Keeper},
    plan::Plan,
    source_file::SourceFile,
};

/// What is known about a part of an interrupted upload. Any other part has to be sent.
#[derive(Debug)]
pub(super) enum Known {
    /// The store has it, and this is its crc32c.
    Sent(PartInfo, u32),
    /// The store has it; its crc32c is that of the bytes in the file.
    There(PartInfo),
    /// Its last byte went out, and the store does not have it yet.
    Unsettled,
}

/// How an interrupted upload goes on.
pub(super) enum Resumed<S> {
    /// With the parts that are missing.
    Parts { begun: Begun<S>, plan: Plan, known: BTreeMap<u64, Known> },
    /// Not at all: only its answer was lost.
    Done(UploadOutcome),
}

impl<S: BlobStore + Clone> Job<S> {
    /// The checkpoint of this upload, where the store lets uploads be taken up.
    pub(super) fn keeper(&self, origin: &Origin, limits: &MultipartLimits) -> Option<Arc<Keeper>> {
        let Origin::File(file) = origin else { return None };
        let checkpoints = self.context.config().checkpoints.as_ref().filter(|_| limits.list_parts)?;
        let url = self.store.url().with_key(self.key.as_str());
        Keeper::claim(checkpoints, file, &url, &self.options, &self.reporter).map(Arc::new)
    }

    /// Asks the store for what it has of an interrupted upload. An error of kind `PreconditionFailed` means that it
    /// cannot go on.
    pub(super) async fn take_up(
        self: &Arc<Self>,
        file: &Arc<SourceFile>,
        saved: SavedUpload,
        keeper: &Arc<Keeper>,
        limits: MultipartLimits,
    ) -> CoreResult<Resumed<S>> {
        let upload = MultipartRef { key: self.key.clone(), id: saved.upload.clone() };
        let plan = Plan { size: file.size(), part: saved.part_size };
        if saved.changed || saved.part_size == 0 {
            // Nobody will ever complete it. A failure leaves it to the store's own clean-up.
            let _ = self.context.within_grace(self.store.abort_multipart(&upload)).await;
            return Err(lost("the file, or what is stored beside it, has changed since the upload began"));
        }
        let listed = match self.context.within_grace(self.store.list_parts(&upload)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match self.done_already(file, plan, &saved).await? {
                    Some(outcome) => Ok(Resumed::Done(outcome)),
                    None => Err(lost("the store does not have the interrupted upload any more")),
                };
            }
            listed => listed?,
        };
        let begun = Begun::new(self, upload, limits, Some(Arc::clone(keeper)));
        if let Some(known) = known(listed, &saved, plan, limits.part_retry) {
            return Ok(Resumed::Parts { begun, plan, known });
        }
        let _ = self.context.within_grace(self.store.abort_multipart(&begun.upload)).await;
        Err(lost("the store does not have what was sent to it"))
    }

    /// If the answer of the completion was lost, the object has the checksum of the file.
    async fn done_already(
        &self,
        file: &Arc<SourceFile>,
        plan: Plan,
        saved: &SavedUpload,
    ) -> CoreResult<Option<UploadOutcome>> {
        if saved.parts.len() as u64 != plan.parts() {
            return Ok(None);
        }
        let head = match self.context.within_grace(self.store.head(&self.key, HeadOptions::default())).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            head => head?,
        };
        if head.size != plan.size {
            return Ok(None);
        }
        let mut whole = 0;
        for (index, sum) in &saved.parts {
            let range = plan.range(*index);
            whole = combine_crc32c(whole, *sum, range.end - range.start);
        }
        let ours = match (head.checksum(PART_SUM), head.checksums.first()) {
            (Some(_), _) => super::parts::part_sum(whole),
            (None, Some(stated)) => Some(file.checksum(0..plan.size, Hasher::new(stated.kind())).await?),
            (None, None) => None,
        };
        let same = |sum: &Checksum| head.checksum(sum.kind()) == Some(sum);
        let Some(checksum) = ours.filter(same) else { return Ok(None) };
        let mut result = PutResult::default();
        (result.etag, result.version, result.checksums) = (head.etag, head.version, head.checksums);
        Ok(Some(UploadOutcome {
            result,
            bytes: plan.size,
            parts: plan.parts(),
            checksum: Some(checksum),
            verified: true,
            resumed: plan.size,
        }))
    }
}

/// What need not be sent, or not at once. `None` if the upload is not what it should be.
fn known(
    listed: Vec<PartInfo>,
    saved: &SavedUpload,
    plan: Plan,
    rule: PartRetry,
) -> Option<BTreeMap<u64, Known>> {
    let may_send_again = rule == PartRetry::Safe;
    let mut known = BTreeMap::new();
    for info in listed {
        let index = u64::from(info.number.get()) - 1;
        let range = plan.range(index);
        let whole = info.size.is_none_or(|size| size == range.end - range.start);
        match saved.parts.get(&index) {
            _ if range.is_empty() => return None,
            Some(sum) if whole => drop(known.insert(index, Known::Sent(info, *sum))),
            None if whole => drop(known.insert(index, Known::There(info))),
            _ if may_send_again => {}
            _ => return None,
        }
    }
    if !may_send_again {
        // What was acknowledged and is not there now would have to be sent twice.
        if saved.parts.keys().any(|index| !known.contains_key(index)) {
            return None;
        }
        for index in &saved.handed_out {
            known.entry(*index).or_insert(Known::Unsettled);
        }
    }
    Some(known)
}

fn lost(why: &'static str) -> Error {
    Error::new(ErrorKind::PreconditionFailed, why)
}

#[cfg(test)]
mod tests {
    use PartRetry::{LookFirst, Safe};
    use longshore_blob_api::{MultipartId, PartNumber};

    use super::*;

    fn info(index: u32, size: u64) -> PartInfo {
        let mut info = PartInfo::new(PartNumber::from_index(index));
        info.size = Some(size);
        info
    }

    #[test]
    fn what_the_store_has_is_compared_with_what_it_said() {
        let plan = Plan { size: 25, part: 10 };
        let saved = |parts: &[u64], handed_out: &[u64]| SavedUpload {
            upload: MultipartId::new("u"),
            part_size: 10,
            parts: parts.iter().map(|index| (*index, 7)).collect(),
            handed_out: handed_out.iter().copied().collect(),
            changed: false,
        };
        let look = |listed: Vec<PartInfo>, parts: &[u64], out: &[u64], rule| {
            known(listed, &saved(parts, out), plan, rule).map(|known| {
                let text = |(index, known): (u64, Known)| match known {
                    Known::Sent(..) => format!("{index} sent"),
                    Known::There(_) => format!("{index} there"),
                    Known::Unsettled => format!("{index} unsettled"),
                };
                known.into_iter().map(text).collect::<Vec<_>>()
            })
        };
        let both = [info(0, 10), info(2, 5)];
        assert_eq!(look(both.to_vec(), &[0], &[], Safe).unwrap(), ["0 sent", "2 there"]);
        assert_eq!(look(both.to_vec(), &[0], &[1], LookFirst).unwrap(), ["0 sent", "1 unsettled", "2 there"]);
        assert_eq!(look(both.to_vec(), &[0], &[1], Safe).unwrap(), ["0 sent", "2 there"]);
        // A part that was acknowledged is gone, or shorter.
        assert_eq!(look(both.to_vec(), &[1], &[], Safe).unwrap(), ["0 there", "2 there"]);
        assert!(look(both.to_vec(), &[1], &[], LookFirst).is_none());
        assert!(look(vec![info(0, 9)], &[0], &[], LookFirst).is_none());
        assert!(look(vec![info(0, 9)], &[0], &[], Safe).unwrap().is_empty());
        // A part that the file does not have.
        assert!(look(vec![info(3, 10)], &[], &[], Safe).is_none());
    }
}

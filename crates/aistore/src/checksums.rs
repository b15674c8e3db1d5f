//! Which checksum each bucket computes, as far as this client has seen.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use longshore_core_types::ChecksumKind;

use crate::{client::Client, names::BucketRef, wire::bucket as wire};

/// Learned from answers, so that an upload is hashed the way the server will state it.
#[derive(Debug, Default)]
pub(crate) struct BucketChecksums(Mutex<HashMap<BucketRef, Option<ChecksumKind>>>);

impl BucketChecksums {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<BucketRef, Option<ChecksumKind>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if nothing is known, `Some(None)` if the bucket has no checksums.
    #[expect(clippy::option_option, reason = "known kind, known to have none, or unknown")]
    pub(crate) fn get(&self, bucket: &BucketRef) -> Option<Option<ChecksumKind>> {
        self.map().get(bucket).copied()
    }

    pub(crate) fn learn(&self, bucket: &BucketRef, kind: ChecksumKind) {
        self.map().insert(bucket.clone(), Some(kind));
    }

    /// Asks for the bucket's properties. What cannot be learned stays unknown, which costs a comparison,
    /// not the upload.
    pub(crate) async fn ask(&self, client: &Client, bucket: &BucketRef) -> Option<ChecksumKind> {
        let answer = client.call(wire::head(bucket, None, true)).await.ok()?;
        let props = wire::parse_head(&answer.done().await.ok()?).ok()?;
        let kind = props.checksum_kind();
        self.map().insert(bucket.clone(), kind);
        kind
    }
}

//! What this client has learned about each bucket: the checksum that it computes, and whether it restricts access.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use longshore_core_types::ChecksumKind;
use tokio::sync::Mutex as AsyncMutex;

use crate::{client::Client, names::BucketRef, wire::bucket as wire};

/// Age at which a bucket is asked again whether it restricts access.
const MASK_AGE: Duration = Duration::from_secs(5);

/// What a bucket must allow before it is written to without asking: reading, writing, appending, deleting and
/// renaming objects, and listing them.
const READ_WRITE: u64 = 831;

/// Most buckets that are remembered.
const MOST_BUCKETS: usize = 1000;

/// Learned from answers and from one HEAD of a bucket, whoever asks for it.
#[derive(Debug, Default)]
pub(crate) struct BucketFacts(Mutex<HashMap<BucketRef, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    facts: Mutex<Facts>,
    /// Held while the bucket is asked, so that many uploads at once ask once.
    asking: AsyncMutex<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// The checksum of new objects; `Some(None)` if there is none.
    #[expect(clippy::option_option, reason = "known kind, known to have none, or unknown")]
    checksum: Option<Option<ChecksumKind>>,
    /// Whether everybody may write, and when the bucket said so.
    open: Option<(bool, Instant)>,
}

impl Slot {
    fn facts(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the bucket's properties, unless `known` holds by the time that nobody else is asking. What cannot be
    /// learned stays unknown.
    async fn ask(&self, client: &Client, bucket: &BucketRef, known: impl Fn(&Facts) -> bool) -> Facts {
        let _asking = self.asking.lock().await;
        let before = *self.facts();
        if known(&before) {
            return before;
        }
        let asked = Instant::now();
        let props = async {
            let answer = client.call(wire::head(bucket, None, true)).await?;
            wire::parse_head(&answer.done().await?)
        };
        match props.await {
            Ok(props) => {
                let open = props.access & READ_WRITE == READ_WRITE;
                let facts = Facts { checksum: Some(props.checksum_kind()), open: Some((open, asked)) };
                *self.facts() = facts;
                facts
            }
            Err(error) => {
                tracing::debug!(%bucket, %error, "the properties of the bucket are not known");
                before
            }
        }
    }
}

impl BucketFacts {
    fn slot(&self, bucket: &BucketRef) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(bucket) {
            return Arc::clone(slot);
        }
        if slots.len() >= MOST_BUCKETS {
            slots.clear();
        }
        Arc::clone(slots.entry(bucket.clone()).or_default())
    }

    /// `None` if nothing is known, `Some(None)` if the bucket has no checksums.
    #[expect(clippy::option_option, reason = "known kind, known to have none, or unknown")]
    pub(crate) fn checksum(&self, bucket: &BucketRef) -> Option<Option<ChecksumKind>> {
        self.slot(bucket).facts().checksum
    }

    /// Takes note of the checksum that an answer stated.
    pub(crate) fn learn_checksum(&self, bucket: &BucketRef, kind: ChecksumKind) {
        self.slot(bucket).facts().checksum = Some(Some(kind));
    }

    /// The checksum of new objects. Not knowing it costs a comparison, not the upload.
    pub(crate) async fn ask_checksum(&self, client: &Client, bucket: &BucketRef) -> Option<ChecksumKind> {
        let facts = self.slot(bucket).ask(client, bucket, |facts| facts.checksum.is_some()).await;
        facts.checksum.flatten()
    }

    /// Whether the bucket lets everybody write. If that cannot be learned it counts as no: the gateway decides.
    pub(crate) async fn is_open(&self, client: &Client, bucket: &BucketRef) -> bool {
        let fresh = |facts: &Facts| facts.open.is_some_and(|(_, asked)| asked.elapsed() < MASK_AGE);
        let slot = self.slot(bucket);
        let known = *slot.facts();
        let facts = if fresh(&known) { known } else { slot.ask(client, bucket, fresh).await };
        fresh(&facts) && facts.open.is_some_and(|(open, _)| open)
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    fn props(access: u64) -> Reply {
        let props = serde_json::json!({"checksum": {"type": "md5"}, "access": access.to_string()});
        Reply::ok("").header("ais-bucket-props", &props.to_string())
    }

    fn client(server: &ScriptedService) -> (Client, BucketRef) {
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        (client, "ais://b".parse().unwrap())
    }

    #[tokio::test]
    async fn one_head_tells_all_and_many_ask_once() {
        let server = ScriptedService::replies([props(u64::MAX)]);
        let (client, bucket) = client(&server);
        let facts = BucketFacts::default();
        let open = futures_util::future::join_all((0..8).map(|_| facts.is_open(&client, &bucket))).await;
        assert_eq!(open, [true; 8]);
        assert_eq!(facts.ask_checksum(&client, &bucket).await, Some(ChecksumKind::Md5));
        assert_eq!(server.requests().len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_known_counts_as_restricted() {
        let server = ScriptedService::replies([Reply::status(404), props(1), Reply::status(404)]);
        let (client, bucket) = client(&server);
        let facts = BucketFacts::default();
        assert!(!facts.is_open(&client, &bucket).await);
        assert!(!facts.is_open(&client, &bucket).await, "the second answer restricts access");
        assert!(!facts.is_open(&client, &bucket).await, "and is remembered");
        assert_eq!(server.requests().len(), 2);
        facts.learn_checksum(&bucket, ChecksumKind::Sha256);
        assert_eq!(facts.checksum(&bucket), Some(Some(ChecksumKind::Sha256)));
    }
}

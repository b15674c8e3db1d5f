//! Which parts of which uploads this client has sent.
//!
//! A server that is sent a part number twice loses the part's data and answers 200 both times. So a number goes out
//! once, whoever asks for it, unless it is certain that the server does not have it and cannot get it any more: the
//! part was refused, nothing of it was sent, or not all of it was and a later list of the parts lacks it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use longshore_blob_api::{PartInfo, PartNumber};
use longshore_core_types::{Error, ErrorKind, Result, Retryability};
use tokio::sync::Mutex as AsyncMutex;

use crate::{object::options::ObjectAt, verify::Sent, wire::multipart::s3_knows};

/// Most uploads that are remembered. One that was forgotten is asked for its parts before it gets another one.
const MOST_UPLOADS: usize = 1000;

/// All uploads that this client has to do with, by object and id.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<HashMap<(String, String), Arc<Upload>>>);

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    parts: Mutex<BTreeMap<PartNumber, Fate>>,
    /// Whether every part that the server may have from others is in `parts`.
    complete: AtomicBool,
    /// Held while that is found out.
    asking: AsyncMutex<()>,
    /// Whether the server can be asked for the parts.
    listable: bool,
}

/// What is known of a part that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is under way, or all of it went out: the server has it, or may yet.
    Out,
    /// Not all of it went out. The server does not have it if a list of the parts says so.
    CutShort,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploads {
    /// The upload of this id; `new` if this client has just begun it, so that it has no parts yet.
    pub(crate) fn get(&self, at: &ObjectAt, id: &str, new: bool) -> Arc<Upload> {
        let mut uploads = lock(&self.0);
        let key = (at.uname(), id.to_owned());
        if let Some(upload) = uploads.get(&key).filter(|_| !new) {
            return Arc::clone(upload);
        }
        if uploads.len() >= MOST_UPLOADS {
            // What cannot be asked for is kept, and so is what somebody is busy with.
            uploads.retain(|_, upload| !upload.listable || Arc::strong_count(upload) > 1);
        }
        let listable = s3_knows(at.bucket()) && !at.key().as_str().contains(['#', '?']);
        let complete = AtomicBool::new(new || !listable);
        let (parts, asking) = Default::default();
        let upload = Arc::new(Upload { parts, complete, asking, listable });
        uploads.insert(key, Arc::clone(&upload));
        upload
    }

    /// The upload is over.
    pub(crate) fn forget(&self, at: &ObjectAt, id: &str) {
        lock(&self.0).remove(&(at.uname(), id.to_owned()));
    }
}

impl Upload {
    /// Asks for the parts of an upload that another client began, unless that is done already. `ask` tells what it is
    /// answered by [`listed`](Self::listed).
    pub(crate) async fn ensure_complete<T>(&self, ask: impl Future<Output = Result<T>>) -> Result<()> {
        if self.complete.load(Relaxed) {
            return Ok(());
        }
        let _asking = self.asking.lock().await;
        if self.complete.load(Relaxed) { Ok(()) } else { ask.await.map(drop) }
    }

    /// Takes note of the parts that the server has.
    pub(crate) fn listed(&self, listed: &[PartInfo]) {
        let there: BTreeSet<PartNumber> = listed.iter().map(|part| part.number).collect();
        let mut parts = lock(&self.parts);
        parts.retain(|number, fate| *fate == Fate::Out || there.contains(number));
        parts.extend(there.into_iter().map(|number| (number, Fate::Out)));
        self.complete.store(true, Relaxed);
    }

    /// Takes a number for a part of so many bytes that is about to be sent. `Conflict` if it is taken.
    pub(crate) fn claim(self: &Arc<Self>, number: PartNumber, length: u64, sent: &Sent) -> Result<Claim> {
        let mut parts = lock(&self.parts);
        let why = match parts.get(&number) {
            None => {
                parts.insert(number, Fate::Out);
                let (upload, sent) = (Arc::clone(self), sent.clone());
                return Ok(Claim { upload, number, length, sent, settled: false });
            }
            Some(Fate::Out) => {
                "was sent before: sent again, its data would be lost; abort the upload and begin anew"
            }
            Some(Fate::CutShort) => "was sent in part: list the parts before it is sent again",
        };
        Err(Error::new(ErrorKind::Conflict, format!("part {number} {why}")))
    }
}

/// A number that is being sent. Dropped without an outcome, it stays taken.
#[derive(Debug)]
pub(crate) struct Claim {
    upload: Arc<Upload>,
    number: PartNumber,
    length: u64,
    sent: Sent,
    settled: bool,
}

impl Claim {
    /// What came of it.
    pub(crate) fn ended<T>(mut self, result: &Result<T>) {
        self.settled = match result {
            Ok(_) => true,
            // The server refused it before it took any of it, or nothing was sent.
            Err(error) if error.retryability() == Retryability::Always => {
                lock(&self.upload.parts).remove(&self.number);
                true
            }
            Err(_) => false,
        };
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled && self.sent.length() < self.length {
            lock(&self.upload.parts).insert(self.number, Fate::CutShort);
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::{ObjectKey, Payload};

    use super::*;

    fn at(bucket: &str) -> ObjectAt {
        ObjectAt::new(bucket.parse().unwrap(), ObjectKey::new("o").unwrap()).unwrap()
    }

    fn number(number: u32) -> PartNumber {
        PartNumber::new(number).unwrap()
    }

    #[tokio::test]
    async fn a_number_is_free_again_only_if_the_server_cannot_have_it() {
        let uploads = Uploads::default();
        let upload = uploads.get(&at("b"), "id", true);
        let (payload, whole) = Sent::watch(Payload::from("abc"), &[]);
        let nothing = Sent::default();
        let _ = payload.into_stream();
        // Refused before anything was taken.
        let busy = Error::new(ErrorKind::RateLimited, "busy");
        upload.claim(number(1), 3, &nothing).unwrap().ended::<()>(&Err(busy));
        // Cut short: free once the server says that it has no such part.
        drop(upload.claim(number(1), 3, &nothing).unwrap());
        assert_eq!(upload.claim(number(1), 3, &nothing).unwrap_err().kind(), ErrorKind::Conflict);
        upload.listed(&[PartInfo::new(number(2))]);
        upload.claim(number(1), 3, &whole).unwrap().ended(&Ok(()));
        // Sent, or there already: never again, whatever a list says.
        for taken in [1, 2] {
            upload.listed(&[]);
            let again = uploads.get(&at("b"), "id", false).claim(number(taken), 3, &nothing);
            assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict, "{taken}");
        }
        uploads.forget(&at("b"), "id");
        assert!(uploads.get(&at("b"), "id", false).claim(number(1), 3, &nothing).is_ok());
    }

    #[tokio::test]
    async fn what_others_began_is_asked_about_where_that_is_possible() {
        let uploads = Uploads::default();
        let asks = async |bucket: &str, id: &str, new| {
            let upload = uploads.get(&at(bucket), id, new);
            let busy = || Err::<(), _>(Error::new(ErrorKind::Unavailable, "busy"));
            let asks = upload.ensure_complete(async { busy() }).await.is_err();
            upload.listed(&[]);
            assert!(upload.ensure_complete(async { busy() }).await.is_ok());
            asks
        };
        assert!(asks("b", "theirs", false).await);
        assert!(!asks("b", "ours", true).await);
        assert!(!asks("ais://#ns/b", "theirs", false).await);
    }
}

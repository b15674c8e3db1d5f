//! Writing an object in parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::IntoFuture,
    sync::{Mutex, PoisonError},
};

use futures_core::future::BoxFuture;
use longshore_blob_api::{
    BlobStore, BlobStoreExt, MultipartId, MultipartRef, PartNumber, PartReceipt, PutOptions, PutResult,
    Writer, WriterOptions,
};
use longshore_core_types::{Attributes, Error, ErrorKind, Payload, Result};

use super::Object;
use crate::store::Store;

/// An object as [`AsyncWrite`](tokio::io::AsyncWrite): small ones are sent at once, large ones in parts; see
/// [`Object::writer`].
pub type ObjectWriter = Writer<Store>;

impl Object {
    fn store(&self) -> Store {
        self.client().bucket_ref(self.bucket().clone()).store()
    }

    /// Writes it like a file of unknown length. Nothing is visible until
    /// [`finish`](longshore_blob_api::Writer::finish) succeeds.
    #[doc(alias = "get_writer")]
    pub fn writer(&self) -> WriteObject {
        WriteObject { object: self.clone(), options: WriterOptions::default() }
    }

    /// Begins an upload in parts, which the caller sends in any order and number.
    #[doc(alias = "multipart_upload")]
    pub fn start_upload(&self) -> StartUpload {
        StartUpload { object: self.clone(), attributes: Attributes::default() }
    }

    /// Goes on with an upload in parts that was begun earlier, by its id and the receipts of the parts that arrived
    /// ([`MultipartUpload::receipts`]).
    ///
    /// Asks which parts the server has. One of them without a receipt may be incomplete, so the upload cannot be completed;
    /// one with a receipt that the server has not is sent anew.
    pub async fn resume_upload(
        &self,
        id: impl Into<String>,
        receipts: impl IntoIterator<Item = PartReceipt>,
    ) -> Result<MultipartUpload> {
        let upload = MultipartRef { key: self.key().clone(), id: MultipartId::new(id) };
        let store = self.store();
        let mut known: BTreeMap<_, _> = receipts.into_iter().map(|part| (part.number, part)).collect();
        let mut parts = Parts::default();
        for part in store.list_parts(&upload).await? {
            parts.sent.insert(part.number);
            match known.remove(&part.number) {
                Some(receipt) => drop(parts.receipts.insert(part.number, receipt)),
                None => drop(parts.lost.insert(part.number)),
            }
        }
        Ok(MultipartUpload { store, upload, parts: Mutex::new(parts) })
    }
}

/// The making of a writer; see [`Object::writer`].
#[derive(Clone, Debug)]
#[must_use = "this only collects settings; `open` makes the writer"]
pub struct WriteObject {
    object: Object,
    options: WriterOptions,
}

impl WriteObject {
    /// Adds one pair of custom metadata. All keys and values together have at most 2 KiB.
    pub fn custom(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.put.attributes.metadata.insert(key.into(), value.into());
        self
    }

    /// Bytes of a part; 8 MiB by default.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.options = self.options.with_part_size(bytes);
        self
    }

    /// Largest object that is sent at once; 8 MiB by default.
    pub fn threshold(mut self, bytes: u64) -> Self {
        self.options = self.options.with_threshold(bytes);
        self
    }

    /// Most parts under way at once; 4 by default.
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.options = self.options.with_concurrency(parts);
        self
    }

    /// The writer. Sends nothing yet; `InvalidInput` if the settings cannot be honoured.
    pub fn open(self) -> Result<ObjectWriter> {
        self.object.store().writer(self.object.key(), self.options)
    }
}

/// The beginning of an upload in parts; see [`Object::start_upload`].
#[derive(Clone, Debug)]
#[must_use = "nothing is begun until it is awaited"]
pub struct StartUpload {
    object: Object,
    attributes: Attributes,
}

impl StartUpload {
    /// Adds one pair of custom metadata. All keys and values together have at most 2 KiB.
    pub fn custom(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.metadata.insert(key.into(), value.into());
        self
    }
}

impl IntoFuture for StartUpload {
    type Output = Result<MultipartUpload>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (store, key) = (self.object.store(), self.object.key().clone());
            let options = PutOptions::default().with_attributes(self.attributes);
            let id = store.create_multipart(&key, options).await?;
            let upload = MultipartRef { key, id };
            Ok(MultipartUpload { store, upload, parts: Mutex::default() })
        })
    }
}

/// An upload in parts; see [`Object::start_upload`]. Nothing is visible before [`complete`](Self::complete).
///
/// The server loses the data of a part that it is sent twice, and says nothing. So each number is sent once, and a part
/// whose outcome is not known ends the upload: abort it and begin anew. Dropping it leaves the parts at the server,
/// invisible.
#[derive(Debug)]
pub struct MultipartUpload {
    store: Store,
    upload: MultipartRef,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    /// Numbers that were sent, or are being sent.
    sent: BTreeSet<PartNumber>,
    /// Numbers among them that cannot be vouched for: their sending failed, or was not ours.
    lost: BTreeSet<PartNumber>,
    receipts: BTreeMap<PartNumber, PartReceipt>,
}

impl MultipartUpload {
    /// The id to go on with, by [`Object::resume_upload`].
    pub fn id(&self) -> &str {
        self.upload.id.as_str()
    }

    /// What is known of the parts that arrived whole, to go on with them later.
    pub fn receipts(&self) -> Vec<PartReceipt> {
        self.state().receipts.values().cloned().collect()
    }

    /// Numbers of the parts that were sent, in order.
    pub fn parts(&self) -> Vec<u32> {
        self.state().sent.iter().map(|number| number.get()).collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, message: String) -> Error {
        let resource = self.store.reference().object_resource(&self.upload.key);
        Error::new(ErrorKind::Conflict, message)
            .with_operation("aistore.multipart.put_part")
            .with_resource(resource)
    }

    /// Sends a part of 1 to 9999; several may be under way at once. `Conflict`, with nothing sent, for a number that was
    /// sent before. It must not be empty and its length must be known.
    #[doc(alias = "add_part")]
    pub async fn part(&self, number: u32, body: impl Into<Payload>) -> Result<()> {
        let body = body.into();
        let number = PartNumber::new(number)?;
        if !self.state().sent.insert(number) {
            return Err(self.refused(format!("part {number} was sent before; again it would lose its data")));
        }
        let sent = Sending { upload: self, number, done: false };
        match self.store.upload_part(&self.upload, number, body).await {
            Ok(receipt) => {
                sent.arrived(receipt);
                Ok(())
            }
            Err(error) if is_unsent(&error) => {
                sent.never();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the object of the parts 1 to N, and compares its size and, where it can, its checksum with them.
    /// `Conflict` if a part failed; `InvalidInput` if there is a gap.
    pub async fn complete(&self) -> Result<PutResult> {
        let receipts: Vec<PartReceipt> = {
            let state = self.state();
            if let Some(number) = state.lost.first() {
                let message = format!("it is not known whether part {number} is whole; abort the upload");
                return Err(self.refused(message));
            }
            state.receipts.values().cloned().collect()
        };
        self.store.complete_multipart(&self.upload, receipts).await
    }

    /// Gives it up; the server drops the parts. `Ok` also if it is gone already.
    pub async fn abort(&self) -> Result<()> {
        self.store.abort_multipart(&self.upload).await
    }
}

/// Whether an error was found before anything went out.
fn is_unsent(error: &Error) -> bool {
    error.attempts() == 0 && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

/// A part under way. One that is dropped in the middle may be there or not.
struct Sending<'a> {
    upload: &'a MultipartUpload,
    number: PartNumber,
    done: bool,
}

impl Sending<'_> {
    fn arrived(mut self, receipt: PartReceipt) {
        self.done = true;
        self.upload.state().receipts.insert(self.number, receipt);
    }

    fn never(mut self) {
        self.done = true;
        self.upload.state().sent.remove(&self.number);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.upload.state().lost.insert(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;
    use crate::Client;

    fn object(server: &ScriptedService) -> Object {
        let builder = Client::builder("http://gateway:1").service(server.clone()).retry(RetryConfig::off());
        builder.build().unwrap().bucket("b").unwrap().object("o").unwrap()
    }

    #[tokio::test]
    async fn a_number_is_sent_once_whatever_came_of_it() {
        let server = ScriptedService::replies([Reply::ok("upload-1"), Reply::ok(""), Reply::status(503)]);
        let upload = object(&server).start_upload().await.unwrap();
        assert_eq!(upload.part(1, Payload::empty()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        upload.part(1, "one").await.unwrap();
        assert_eq!(upload.part(1, "one").await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(upload.part(2, "two").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(upload.part(2, "two").await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(upload.complete().await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(upload.parts(), [1, 2]);
        assert_eq!(server.requests().len(), 3);
    }

    #[tokio::test]
    async fn what_the_server_has_is_not_sent_again() {
        let listed = "<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>";
        let server = ScriptedService::replies([Reply::ok(listed), Reply::ok("")]);
        let receipt = |number| PartReceipt::new(PartNumber::new(number).unwrap(), 3);
        let upload = object(&server).resume_upload("upload-1", [receipt(1), receipt(2)]).await.unwrap();
        assert_eq!(upload.part(1, "one").await.unwrap_err().kind(), ErrorKind::Conflict);
        upload.part(2, "two").await.unwrap();
        assert_eq!(upload.receipts().len(), 2);
        assert_eq!(server.requests().len(), 2);

        let server = ScriptedService::replies([Reply::ok(listed)]);
        let upload = object(&server).resume_upload("upload-1", []).await.unwrap();
        assert_eq!(upload.complete().await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(server.requests().len(), 1);
    }
}

//! A bucket as a neutral store.

use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef, PageToken,
    PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{ObjectKey, ObjectMeta, Payload, Pressure, Result, StoreUrl};

use super::config::GcsBuilder;
use crate::s3::S3Store;

/// A bucket of Google Cloud Storage. Cheap to clone.
///
/// - Names and listings are raw: nothing is normalised. Names with a segment `.` or `..` can be listed, and nothing
///   else, because such segments do not survive in a URL.
/// - Versions are generations. Writes cannot insist on an entity tag, which the service compares on reads only;
///   `create_only` holds for `put` and `copy`, and is refused for uploads in parts, whose end has no such condition.
/// - What is stored compressed comes as it is stored.
#[derive(Clone, Debug)]
pub struct GcsStore(pub(super) S3Store);

impl GcsStore {
    /// Settings of a bucket; see [`GcsBuilder`].
    pub fn builder(bucket: impl Into<String>) -> GcsBuilder {
        GcsBuilder::new(bucket)
    }
}

/// Objects do not change there, each write makes a new one: the time of the last change is that of the making.
fn date(meta: &mut ObjectMeta) {
    meta.created = meta.last_modified;
}

// The protocol is S3's, and so is the store.
impl BlobStore for GcsStore {
    fn capability(&self) -> &Capability {
        self.0.capability()
    }

    fn url(&self) -> StoreUrl {
        self.0.url()
    }

    fn pressure(&self) -> Option<Pressure> {
        self.0.pressure()
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let mut meta = self.0.head(key, opts).await?;
        date(&mut meta);
        Ok(meta)
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let mut found = self.0.get(key, opts).await?;
        date(&mut found.meta);
        Ok(found)
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        self.0.get_many(keys, opts).await
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.0.put(key, body, opts).await
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.0.delete(key, opts).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        self.0.delete_many(keys).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.0.copy(from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        self.0.can_copy_from(from)
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.0.copy_from(from, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let mut page = self.0.list_page(opts, page).await?;
        for entry in &mut page.entries {
            if let Entry::Object(meta) = entry {
                date(meta);
            }
        }
        Ok(page)
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.0.create_multipart(key, opts).await
    }

    async fn upload_part(&self, to: &MultipartRef, number: PartNumber, body: Payload) -> Result<PartReceipt> {
        self.0.upload_part(to, number, body).await
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.0.list_parts(upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        self.0.list_uploads(prefix, page).await
    }

    async fn complete_multipart(&self, to: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        self.0.complete_multipart(to, parts).await
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        self.0.abort_multipart(upload).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.0.sign(request).await
    }
}

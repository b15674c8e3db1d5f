//! A bucket as a neutral store.

use futures_core::stream::BoxStream;
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef, PageToken,
    PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{ObjectKey, ObjectMeta, Payload, Pressure, Result, StoreUrl};

use super::{buckets, config::GcsBuilder};
use crate::s3::S3Store;

/// A bucket of Google Cloud Storage. Cheap to clone.
///
/// - Names and listings are raw: nothing is normalised. Names with a segment `.` or `..` can be listed, and nothing
///   else, because such segments do not survive in a URL.
/// - Versions are generations. Writes cannot insist on an entity tag, which the service compares on reads only;
///   `create_only` holds for `put` and `copy`, and is refused for uploads in parts, whose end has no such condition.
/// - What is stored compressed comes as it is stored.
#[derive(Clone, Debug)]
pub struct GcsStore {
    pub(super) store: S3Store,
    /// Whose buckets are listed, and who has a new one.
    pub(super) project: Option<String>,
}

impl GcsStore {
    /// Settings of a bucket; see [`GcsBuilder`].
    pub fn builder(bucket: impl Into<String>) -> GcsBuilder {
        GcsBuilder::new(bucket)
    }

    /// Creates the bucket, in the project of the settings and where the service sees fit.
    /// [`AlreadyExists`](longshore_core_types::ErrorKind::AlreadyExists) if there is one of this name, in whatever project.
    pub async fn create_bucket(&self) -> Result<()> {
        buckets::create(self).await
    }

    /// Removes the bucket, which must be empty.
    pub async fn delete_bucket(&self) -> Result<()> {
        buckets::delete(self).await
    }

    /// Names of all buckets of the project of the settings, which Google has in order, a page at a time. The bucket itself
    /// does not have to exist. [`InvalidConfig`](longshore_core_types::ErrorKind::InvalidConfig) without a project.
    #[doc(alias = "ListBuckets")]
    pub fn list_buckets(&self) -> BoxStream<'static, Result<String>> {
        buckets::list(self)
    }
}

/// Objects do not change there, each write makes a new one: the time of the last change is that of the making.
fn date(meta: &mut ObjectMeta) {
    meta.created = meta.last_modified;
}

// The protocol is S3's, and so is the store.
impl BlobStore for GcsStore {
    fn capability(&self) -> &Capability {
        self.store.capability()
    }

    fn url(&self) -> StoreUrl {
        self.store.url()
    }

    fn pressure(&self) -> Option<Pressure> {
        self.store.pressure()
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let mut meta = self.store.head(key, opts).await?;
        date(&mut meta);
        Ok(meta)
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let mut found = self.store.get(key, opts).await?;
        date(&mut found.meta);
        Ok(found)
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        self.store.get_many(keys, opts).await
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.store.put(key, body, opts).await
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.store.delete(key, opts).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        self.store.delete_many(keys).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.store.copy(from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        self.store.can_copy_from(from)
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.store.copy_from(from, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let mut page = self.store.list_page(opts, page).await?;
        for entry in &mut page.entries {
            if let Entry::Object(meta) = entry {
                date(meta);
            }
        }
        Ok(page)
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.store.create_multipart(key, opts).await
    }

    async fn upload_part(&self, to: &MultipartRef, number: PartNumber, body: Payload) -> Result<PartReceipt> {
        self.store.upload_part(to, number, body).await
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.store.list_parts(upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        self.store.list_uploads(prefix, page).await
    }

    async fn complete_multipart(&self, to: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        self.store.complete_multipart(to, parts).await
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        self.store.abort_multipart(upload).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.store.sign(request).await
    }
}

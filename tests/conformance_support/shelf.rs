//! A store as somebody else would write it: small, able to do little, and proven by the same suite.
//!
//! It uses nothing but what `longshore-blob-api` and `longshore-core-types` export, and is the example of
//! `docs/conformance.md`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_blob_api::{
    AnyStore, BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyOptions,
    GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest,
    UploadPage,
};
use longshore_core_types::{
    BucketName, Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Result, Scheme, StoreUrl,
};

use super::{Backend, Opened};

/// A shelf of small books: whole objects by name, no ranges, no conditions, no parts.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    name: BucketName,
    capability: Capability,
    books: Arc<Mutex<BTreeMap<ObjectKey, Bytes>>>,
}

impl Shelf {
    /// Longest name, in bytes.
    const NAME: usize = 1024;

    pub(crate) fn new(name: &str) -> Result<Self> {
        // Everything starts out as impossible; only what holds is set.
        let mut capability = Capability::default();
        capability.list_ordered = true;
        capability.put_requires_length = true;
        capability.max_put = Some(64 << 20);
        Ok(Self { name: BucketName::new(name)?, capability, books: Arc::default() })
    }

    fn books(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shelf has its rules about names, and checks them before it does anything.
    fn check_name(key: &ObjectKey) -> Result<()> {
        if key.as_str().len() > Self::NAME {
            let message = format!("a name has at most {} bytes", Self::NAME);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    fn find(&self, key: &ObjectKey) -> Result<Bytes> {
        Self::check_name(key)?;
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no {key:?} on this shelf"));
        self.books().get(key).cloned().ok_or_else(missing)
    }

    /// What follows the check of a call that the shelf never can.
    fn never<T>(checked: Result<()>) -> Result<T> {
        checked.and_then(|()| Err(Error::new(ErrorKind::Unsupported, "a shelf cannot do this")))
    }
}

impl BlobStore for Shelf {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::new(Scheme::Memory, self.name.clone(), "")
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        self.capability.check_head(&opts)?;
        let book = self.find(key)?;
        Ok(ObjectMeta::new(key.clone(), book.len() as u64))
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        self.capability.check_get(&opts)?;
        let book = self.find(key)?;
        let meta = ObjectMeta::new(key.clone(), book.len() as u64);
        let pages: Vec<Bytes> = book.chunks(4096).map(|page| book.slice_ref(page)).collect();
        Ok(GetResult::new(meta.clone(), 0..meta.size, stream::iter(pages).map(Ok).boxed()))
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.capability.check_put(&body, &opts)?;
        Self::check_name(key)?;
        let unreadable = |error| Error::new(ErrorKind::LocalIo, "the body ended badly").with_source(error);
        let book = body.into_stream().try_fold(BytesMut::new(), async |mut book, page| {
            book.extend_from_slice(&page);
            Ok(book)
        });
        let book = book.await.map_err(unreadable)?.freeze();
        self.books().insert(key.clone(), book);
        Ok(PutResult::default())
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.capability.check_delete(&opts)?;
        Self::check_name(key)?;
        self.books().remove(key);
        Ok(())
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            let result = self.delete(&key, DeleteOptions::default()).await;
            outcomes.push(DeleteOutcome::new(key, result));
        }
        Ok(outcomes)
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        self.capability.check_list(opts)?;
        let size = opts.page_size.map_or(usize::MAX, |size| size as usize);
        let after = page.as_ref().map_or("", PageToken::as_str);
        let books = self.books();
        let mut rest = books
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(&opts.prefix) && key.as_str() > after)
            .map(|(key, book)| ObjectMeta::new(key.clone(), book.len() as u64));
        let entries: Vec<ObjectMeta> = rest.by_ref().take(size).collect();
        let next = rest.next().and(entries.last()).map(|last| PageToken::new(last.key.as_str()));
        Ok(ListPage::new(entries.into_iter().map(Entry::Object).collect(), next))
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        Self::never(self.capability.check_get_many())
    }

    async fn copy(&self, _: &ObjectKey, _: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        Self::never(self.capability.check_copy(&opts))
    }

    fn can_copy_from(&self, _: &StoreUrl) -> bool {
        false
    }

    async fn copy_from(&self, _: &StoreUrl, _: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        Self::never(self.capability.check_copy(&opts))
    }

    async fn create_multipart(&self, _: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        Self::never(self.capability.check_create_multipart(&opts))
    }

    async fn upload_part(&self, _: &MultipartRef, number: PartNumber, body: Payload) -> Result<PartReceipt> {
        Self::never(self.capability.check_part(number, &body))
    }

    async fn list_parts(&self, _: &MultipartRef) -> Result<Vec<PartInfo>> {
        Self::never(self.capability.check_list_parts())
    }

    async fn list_uploads(&self, _: &str, _: Option<PageToken>) -> Result<UploadPage> {
        Self::never(self.capability.check_list_uploads())
    }

    async fn complete_multipart(&self, _: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        Self::never(self.capability.check_complete(&parts))
    }

    async fn abort_multipart(&self, _: &MultipartRef) -> Result<()> {
        Self::never(self.capability.check_multipart().map(drop))
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        Self::never(self.capability.check_sign(&request))
    }
}

/// The suite on it.
pub(crate) fn backend() -> Backend {
    Backend {
        name: "shelf",
        open: |_| Ok(Opened::new(AnyStore::new(Shelf::new("conformance")?))),
        except: &[],
    }
}

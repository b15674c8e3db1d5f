//! The objects of a bucket, under the names that the platform has for them.

use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{
    AnyStore, BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyItem,
    GetManyOptions, GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId,
    MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignMethod,
    SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{
    BucketName, Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Pressure, Resource, Result, Scheme,
    StoreUrl,
};

use crate::{
    client::Client,
    clock::Clock,
    encoded::{decode, encode},
    model::{Bucket, Provider},
    renewing::Renewing,
};

/// Characters of keys for which the service's signed URLs are wrong where the path of the URL is signed.
const UNSIGNABLE: &[char] = &['&', '=', '!', '\'', '(', ')', '*', '@', ':', ';', ',', '$'];

/// One bucket as a store, made by [`Client::store`]; requests go to its provider, with credentials that renew themselves.
///
/// It is called `blob://cluster/org/project/bucket`, in URLs and in errors. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    client: Client,
    behind: AnyStore,
    /// Of what is behind.
    #[cfg_attr(not(feature = "transfer"), expect(dead_code, reason = "copies of files alone ask"))]
    clock: Clock,
    keys: Renewing,
    id: String,
    url: StoreUrl,
    name: BucketName,
    capability: Capability,
    encoded: bool,
    /// Which URLs the service signs.
    signs: Signs,
}

/// Which URLs the service signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signs {
    Nothing,
    /// Those of keys without [`UNSIGNABLE`] characters.
    MostKeys,
    AllKeys,
}

impl Store {
    /// `signs` says whether the service can sign URLs of this bucket.
    pub(crate) fn new(
        client: Client,
        bucket: &Bucket,
        (behind, clock): (AnyStore, Clock),
        keys: Renewing,
        signs: bool,
    ) -> Result<Self> {
        let name = BucketName::new(bucket.name.as_ref().unwrap_or(&bucket.id))?;
        let url = bucket.uri().parse()?;
        let mut capability = behind.capability().clone();
        capability.sign_get |= signs;
        let signs = match bucket.provider {
            _ if !signs => Signs::Nothing,
            // What is signed there is the name, not the path of the URL.
            Provider::Azure => Signs::AllKeys,
            _ => Signs::MostKeys,
        };
        let id = bucket.id.clone();
        let encoded = false;
        Ok(Self(Arc::new(Inner { client, behind, clock, keys, id, url, name, capability, encoded, signs })))
    }

    /// The same bucket under raw names where the platform's own client, given them, writes percent-encoded ones: what it
    /// calls `sp ace` is the key `sp%20ace` in the bucket, and `sp ace` here.
    ///
    /// Objects whose keys it cannot have written are listed under their keys, and cannot be reached. Listings have no
    /// order.
    #[must_use]
    pub fn with_encoded_keys(self) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.encoded = true;
        inner.capability.list_ordered = false;
        Self(Arc::new(inner))
    }

    #[cfg(feature = "transfer")]
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The key that the bucket has for a name.
    fn outer(&self, name: &str) -> String {
        if self.0.encoded { encode(name) } else { name.to_owned() }
    }

    fn outer_key(&self, key: &ObjectKey) -> Result<ObjectKey> {
        if self.0.encoded { ObjectKey::new(encode(key.as_str())) } else { Ok(key.clone()) }
    }

    /// The name here of a key in the bucket.
    fn inner_name(&self, key: String) -> String {
        if self.0.encoded { decode(&key).unwrap_or(key) } else { key }
    }

    fn inner_key(&self, key: ObjectKey) -> ObjectKey {
        if !self.0.encoded {
            return key;
        }
        decode(key.as_str()).and_then(|name| ObjectKey::new(name).ok()).unwrap_or(key)
    }

    fn resource(&self, key: Option<&ObjectKey>) -> Resource {
        let bucket = self.0.name.clone();
        match key {
            Some(key) => Resource::Object { scheme: Scheme::Blob, bucket, key: key.clone() },
            None => Resource::Bucket { scheme: Scheme::Blob, bucket },
        }
    }

    /// An error under this bucket's name rather than its provider's.
    fn named<'a>(&'a self, key: Option<&'a ObjectKey>) -> impl FnOnce(Error) -> Error + 'a {
        move |error| error.with_resource(self.resource(key))
    }

    fn service_signs(&self, method: SignMethod, key: &ObjectKey) -> bool {
        method == SignMethod::Get
            && match self.0.signs {
                Signs::Nothing => false,
                Signs::MostKeys => !key.as_str().contains(UNSIGNABLE),
                Signs::AllKeys => true,
            }
    }

    fn upload(&self, upload: &MultipartRef) -> Result<MultipartRef> {
        Ok(MultipartRef { key: self.outer_key(&upload.key)?, id: upload.id.clone() })
    }

    fn meta(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.key = self.inner_key(meta.key);
        meta
    }

    fn found(&self, key: &ObjectKey, found: GetResult) -> GetResult {
        let (meta, range) = (self.meta(found.meta.clone()), found.range.clone());
        let resource = self.resource(Some(key));
        let body = found
            .into_stream()
            .map(move |piece| piece.map_err(|error| error.with_resource(resource.clone())));
        GetResult::new(meta, range, body.boxed())
    }
}

/// What a bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "BucketUsage")]
pub struct Usage {
    /// Bytes of all objects.
    pub bytes: u64,
    /// Objects, those among them that mark folders.
    pub objects: u64,
}

impl Store {
    /// What the bucket holds: after each page of the listing, so much so far; the last item is the whole. An empty bucket
    /// has one item, too.
    #[doc(alias = "get_disk_usage")]
    pub fn usage(&self) -> impl Stream<Item = Result<Usage>> + Send + use<> {
        let (this, options) = (self.clone(), ListOptions::default());
        stream::try_unfold((Some(None), Usage::default()), move |(page, mut usage)| {
            let (this, options) = (this.clone(), options.clone());
            async move {
                let Some(page) = page else { return Ok(None) };
                let found = this.list_page(&options, page).await?;
                for entry in &found.entries {
                    if let Entry::Object(meta) = entry {
                        usage.bytes += meta.size;
                        usage.objects += 1;
                    }
                }
                Ok(Some((usage, (found.next.map(Some), usage))))
            }
        })
    }
}

impl BlobStore for Store {
    fn capability(&self) -> &Capability {
        &self.0.capability
    }

    fn url(&self) -> StoreUrl {
        self.0.url.clone()
    }

    fn pressure(&self) -> Option<Pressure> {
        self.0.behind.pressure()
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let meta = self.0.behind.head(&self.outer_key(key)?, opts).await.map_err(self.named(Some(key)))?;
        Ok(self.meta(meta))
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let found = self.0.behind.get(&self.outer_key(key)?, opts).await.map_err(self.named(Some(key)))?;
        Ok(self.found(key, found))
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        let keys = keys.iter().map(|key| self.outer_key(key)).collect::<Result<_>>()?;
        let found = self.0.behind.get_many(keys, opts).await.map_err(self.named(None))?;
        let this = self.clone();
        let item = move |item: Result<GetManyItem>| {
            item.map(|item| {
                let key = this.inner_key(item.key);
                let result = item.result.map(|found| this.found(&key, found)).map_err(this.named(Some(&key)));
                GetManyItem::new(key, result)
            })
        };
        Ok(found.map(item).boxed())
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.0.behind.put(&self.outer_key(key)?, body, opts).await.map_err(self.named(Some(key)))
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.0.behind.delete(&self.outer_key(key)?, opts).await.map_err(self.named(Some(key)))
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let keys = keys.iter().map(|key| self.outer_key(key)).collect::<Result<_>>()?;
        let outcomes = self.0.behind.delete_many(keys).await.map_err(self.named(None))?;
        let outcome = |outcome: DeleteOutcome| {
            let key = self.inner_key(outcome.key);
            let result = outcome.result.map_err(self.named(Some(&key)));
            DeleteOutcome::new(key, result)
        };
        Ok(outcomes.into_iter().map(outcome).collect())
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        let (outer_from, outer_to) = (self.outer_key(from)?, self.outer_key(to)?);
        self.0.behind.copy(&outer_from, &outer_to, opts).await.map_err(self.named(Some(from)))
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        // Credentials are those of one bucket.
        self.0.capability.copy && from.with_key("") == self.0.url
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        if !self.can_copy_from(from) {
            let message = format!("{from} is not in this bucket, whose credentials open no other");
            let error = Error::new(ErrorKind::Unsupported, message).with_operation("apolo.object.copy");
            return Err(error.with_resource(self.resource(Some(to))));
        }
        self.copy(&from.object_key()?, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let mut outer = opts.clone();
        outer.prefix = self.outer(&opts.prefix);
        outer.start_after = opts.start_after.as_deref().map(|name| self.outer(name));
        let mut page = self.0.behind.list_page(&outer, page).await.map_err(self.named(None))?;
        if self.0.encoded {
            let entry = |entry| match entry {
                Entry::Object(meta) => Entry::Object(self.meta(meta)),
                Entry::Prefix(prefix) => Entry::Prefix(self.inner_name(prefix)),
                other => other,
            };
            page.entries = page.entries.into_iter().map(entry).collect();
        }
        Ok(page)
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.0.behind.create_multipart(&self.outer_key(key)?, opts).await.map_err(self.named(Some(key)))
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        let outer = self.upload(upload)?;
        self.0.behind.upload_part(&outer, number, body).await.map_err(self.named(Some(&upload.key)))
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.0.behind.list_parts(&self.upload(upload)?).await.map_err(self.named(Some(&upload.key)))
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        let found = self.0.behind.list_uploads(&self.outer(prefix), page).await;
        let mut found = found.map_err(self.named(None))?;
        for info in &mut found.uploads {
            info.upload.key = self.inner_key(info.upload.key.clone());
        }
        Ok(found)
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        let outer = self.upload(upload)?;
        self.0.behind.complete_multipart(&outer, parts).await.map_err(self.named(Some(&upload.key)))
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        self.0.behind.abort_multipart(&self.upload(upload)?).await.map_err(self.named(Some(&upload.key)))
    }

    /// What is signed with temporary credentials ends with them, and some sign nothing; then the service signs, which it
    /// does for reading, and not for all keys. [`ErrorKind::Unsupported`] where neither can.
    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        const OPERATION: &str = "apolo.object.sign";
        let (key, method, expires_in) = (request.key.clone(), request.method, request.expires_in);
        let refuse = |error: Error| error.with_operation(OPERATION).with_resource(self.resource(Some(&key)));
        self.0.capability.check_sign(&request).map_err(refuse)?;
        let outer = self.outer_key(&key)?;
        let service_can = self.service_signs(method, &outer);
        if self.0.behind.capability().check_sign(&request).is_ok() && self.0.keys.last(expires_in).await? {
            let request = SignRequest::new(method, outer.clone(), expires_in);
            match self.0.behind.sign(request).await {
                // There are names that it cannot sign.
                Err(error) if service_can && error.kind() == ErrorKind::Unsupported => {}
                signed => return signed.map_err(self.named(Some(&key))),
            }
        }
        if !service_can {
            let message = "the credentials of the bucket do not last as long as the URL is to be good, or sign nothing, \
                           and the service signs neither for writing nor for all names and buckets";
            return Err(refuse(Error::new(ErrorKind::Unsupported, message)));
        }
        let url = self.0.client.buckets().sign_url(&self.0.id, outer.as_str(), expires_in).await;
        Ok(SignedRequest::new(SignMethod::Get, url.map_err(self.named(Some(&key)))?))
    }
}

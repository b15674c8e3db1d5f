//! A bucket as a neutral store.

use std::collections::HashSet;

use futures_util::{
    StreamExt,
    future::{self, OptionFuture},
    stream,
};
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartLimits, MultipartRef,
    PageToken, PartInfo, PartNumber, PartOrder, PartReceipt, PartRetry, Pin, PinKind, PutOptions, PutResult,
    SignMethod, SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{
    Attributes, Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Pressure, Result, Scheme, StoreUrl,
};
use serde_json::{Map, Value};

use crate::{
    bucket::{self, Bucket, MOST_REMOVED, batches},
    client::Client,
    error::is_bucket_missing,
    model::{FileInfo, Uploaded},
    names::{KEYS, bucket_name, bucket_resource, encode_key, object_resource},
    store_list, store_multipart,
    wire::{
        list::MOST_OF_PAGE,
        object::{self as wire, At, CopyParams, FileOptions, GetParams, Over},
    },
};

/// How many single objects `delete_many` asks about at a time.
const DELETES: usize = 8;

/// A bucket as a neutral store; made by [`Bucket::store`]. Cheap to clone.
///
/// - Uploads in parts are resumable uploads: parts of one size ([`ClientBuilder::part_size`](crate::ClientBuilder::part_size),
///   6 MiB by default), one after the other. The object exists when the upload is completed, not before.
/// - Nothing is created only if it is absent: the service looks when an upload begins and replaces when it ends, so two
///   such uploads can both succeed. [`Bucket::upload`] has that look for callers to whom it is enough.
/// - The service ignores `If-Match`, so there are no conditions on the current entity tag, and a pinned read compares
///   the entity tag and size of every answer.
/// - A read of a whole object that is not pinned asks for the user's metadata too: a second request, at the same time.
/// - The service states no checksum of its own that could be relied on, so none is compared.
#[derive(Clone, Debug)]
pub struct Store {
    bucket: Bucket,
    capability: Capability,
    /// Names are written with what the service takes.
    encoded: bool,
    /// What takes uploads in parts, if there are keys for it.
    #[cfg(feature = "s3")]
    s3: Option<crate::s3::Fast>,
}

impl Store {
    pub(crate) fn new(bucket: Bucket) -> Self {
        #[cfg_attr(not(feature = "s3"), expect(unused_mut, reason = "only S3 has other rules"))]
        let mut capability = capability(&bucket);
        #[cfg(feature = "s3")]
        let s3 = crate::s3::Fast::new(bucket.client(), bucket.name());
        #[cfg(feature = "s3")]
        if let Some(s3) = &s3 {
            capability.multipart = s3.limits();
        }
        Self {
            bucket,
            capability,
            encoded: false,
            #[cfg(feature = "s3")]
            s3,
        }
    }

    /// The same bucket under names of any characters: each is written with those that the service takes
    /// ([`encode_key`]), and read back.
    ///
    /// Objects whose names could not be written so make listings fail: they were stored otherwise. Listings have no order.
    #[must_use]
    pub fn with_encoded_keys(mut self) -> Self {
        self.encoded = true;
        self.capability.names = None;
        self.capability.list_ordered = false;
        if let Some(limits) = &mut self.capability.multipart {
            limits.list_uploads = false;
        }
        self
    }

    /// A name as the service has it.
    fn outer(&self, key: &str) -> String {
        if self.encoded { encode_key(key) } else { key.to_owned() }
    }

    /// The bucket that it is.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(crate) fn client(&self) -> &Client {
        self.bucket.client()
    }

    /// The object of this name, checked before anything is sent.
    pub(crate) fn at(&self, key: &ObjectKey, operation: &'static str) -> Result<At> {
        ObjectKey::new(self.outer(key.as_str()))
            .and_then(|outer| At::new(self.bucket.name().clone(), outer))
            .map_err(|error| self.refuse(error, operation, Some(key)))
    }

    /// Names call and object in an error that was found before anything was sent.
    pub(crate) fn refuse(&self, error: Error, operation: &'static str, key: Option<&ObjectKey>) -> Error {
        let resource = match key {
            Some(key) => object_resource(self.bucket.name(), key),
            None => bucket_resource(self.bucket.name()),
        };
        error.with_operation(operation).with_resource(resource)
    }
}

/// What the service can do.
fn capability(bucket: &Bucket) -> Capability {
    let mut can = Capability::default();
    can.names = Some(KEYS);
    can.ranged_get = true;
    can.suffix_range = true;
    can.if_none_match = false;
    // The service looks for an object when an upload begins, and replaces it when the upload ends: of two uploads that
    // must not replace anything, both succeed.
    can.create_only = false;
    can.pin = PinKind::VersionHeader;
    can.copy = true;
    can.list_delimiter = true;
    can.list_ordered = true;
    can.list_max_page = Some(MOST_OF_PAGE);
    can.delete_batch = u32::try_from(MOST_REMOVED).ok();
    can.content_headers = true;
    can.user_metadata = true;
    can.metadata_apart = true;
    can.sign_get = true;
    let mut limits = MultipartLimits::default();
    limits.min_part = bucket.client().part_size();
    limits.max_part = bucket.client().part_size();
    limits.max_parts = u32::MAX;
    limits.equal_parts = true;
    limits.part_order = PartOrder::InOrder;
    // The server compares offsets: a part that is there is not stored twice.
    limits.part_retry = PartRetry::Safe;
    limits.list_parts = true;
    limits.list_uploads = false;
    can.multipart = Some(limits);
    can
}

/// The attributes as an upload carries them.
pub(crate) fn file_options(attributes: &Attributes) -> Result<FileOptions> {
    let unknown = [
        ("Content-Encoding", &attributes.content_encoding),
        ("Content-Disposition", &attributes.content_disposition),
        ("Content-Language", &attributes.content_language),
    ];
    if let Some((name, _)) = unknown.iter().find(|(_, value)| value.is_some()) {
        let message = format!("Supabase Storage keeps content type and cache control, but no {name}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let metadata: Map<String, Value> =
        attributes.metadata.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    Ok(FileOptions {
        content_type: attributes.content_type.clone(),
        cache_control: attributes.cache_control.clone(),
        metadata: (!metadata.is_empty()).then_some(metadata),
        ..FileOptions::default()
    })
}

fn other_version(pin: &Pin, found: &ObjectMeta) -> Error {
    let say = |etag: &Option<String>, size| match etag {
        Some(etag) => format!("{etag} of {size} bytes"),
        None => format!("one of {size} bytes"),
    };
    let message =
        format!("the object is {} by now, not {}", say(&found.etag, found.size), say(&pin.etag, pin.size));
    Error::new(ErrorKind::PreconditionFailed, message)
}

impl Store {
    async fn info(&self, key: &ObjectKey, at: &At) -> Result<ObjectMeta> {
        let answer = self.client().call(wire::info(at, self.bucket.access())?).await?;
        let info: FileInfo = answer.json("the description of an object").await?;
        Ok(info.to_meta(key.clone()))
    }

    /// A pinned answer must be of the same entity tag. Versions are not in the answers to reads.
    async fn read(&self, key: &ObjectKey, at: &At, opts: &GetOptions) -> Result<GetResult> {
        let params = GetParams { range: opts.range, ..GetParams::default() };
        let found = bucket::get(self.client(), at, self.bucket.access(), &params).await;
        let found = match (found, &opts.pin) {
            // A shorter object than the pinned one has no such range.
            (Err(error), Some(pin)) if error.kind() == ErrorKind::RangeNotSatisfiable => {
                let now = self.info(key, at).await?;
                return Err(if pin.matches(&now) {
                    error
                } else {
                    other_version(pin, &now).with_source(error)
                });
            }
            (found, _) => found?,
        };
        match &opts.pin {
            Some(pin) if !pin.matches(&found.meta) => Err(other_version(pin, &found.meta)),
            _ => Ok(found),
        }
    }

    async fn copy_at(&self, from: &At, to: &At, opts: CopyOptions) -> Result<PutResult> {
        let replace = match &opts.attributes {
            Some(attributes) => Some(
                file_options(attributes)
                    .map_err(|error| self.refuse(error, "supabase.object.copy", Some(&to.key)))?,
            ),
            None => None,
        };
        let params = CopyParams { upsert: Some(true), replace };
        let copied = bucket::copy(self.client(), from, to, &params).await?;
        let mut result = PutResult::default();
        result.etag = copied.metadata.and_then(|about| about.e_tag);
        result.version = copied.version;
        Ok(result)
    }

    /// What became of a name that the service did not report as deleted: there was no such object, or the caller may
    /// not delete it.
    async fn delete_again(&self, key: ObjectKey) -> DeleteOutcome {
        let result = self.delete(&key, DeleteOptions::default()).await;
        DeleteOutcome::new(key, result)
    }
}

impl BlobStore for Store {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::new(Scheme::Supabase, self.bucket.name().clone(), "")
    }

    fn pressure(&self) -> Option<Pressure> {
        Some(self.client().pressure())
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        const OPERATION: &str = "supabase.object.info";
        self.capability.check_head(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        self.info(key, &self.at(key, OPERATION)?).await
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        const OPERATION: &str = "supabase.object.get";
        self.capability.check_get(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let at = self.at(key, OPERATION)?;
        // Only the description has the user's metadata. Whoever reads a part, or a version, knows it already.
        let described = opts.range.is_none() && opts.pin.is_none();
        let info = OptionFuture::from(described.then(|| self.info(key, &at)));
        let (found, info) = future::join(self.read(key, &at, &opts), info).await;
        let found = found.map_err(|error| error.with_resource(object_resource(&at.bucket, key)))?;
        let (range, mut meta) = (found.range.clone(), found.meta.clone());
        meta.key = key.clone();
        // If it was stored anew between the two, what was opened is whole, and of its metadata nothing is known for sure.
        if let Some(info) = info.transpose()?.filter(|info| info.etag == meta.etag) {
            meta.version = info.version;
            meta.attributes = info.attributes;
        }
        Ok(GetResult::new(meta, range, found.into_stream()))
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        Err(match self.capability.check_get_many() {
            Err(error) => self.refuse(error, "supabase.object.get_many", None),
            Ok(()) => Error::new(ErrorKind::Unsupported, "there is no such call"),
        })
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        const OPERATION: &str = "supabase.object.upload";
        let checked = self.capability.check_put(&body, &opts).and_then(|()| file_options(&opts.attributes));
        let options = checked.map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let at = self.at(key, OPERATION)?;
        let request = wire::upload(&at, body, &options, Over::Replace)
            .map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let stored: Uploaded =
            self.client().call(request).await?.json("the name of the object that was stored").await?;
        tracing::debug!(%stored, "stored");
        Ok(PutResult::default())
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        const OPERATION: &str = "supabase.object.delete";
        self.capability.check_delete(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let request = wire::delete(&self.at(key, OPERATION)?);
        match self.client().call(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound && !is_bucket_missing(&error) => Ok(()),
            answer => answer?.done().await.map(drop),
        }
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        let (mut inner, mut outer) = (Vec::with_capacity(keys.len()), Vec::with_capacity(keys.len()));
        for key in keys {
            match self.at(&key, "supabase.object.remove") {
                Ok(at) => {
                    inner.push(key);
                    outer.push(at.key);
                }
                Err(error) => outcomes.push(DeleteOutcome::new(key, Err(error))),
            }
        }
        let mut inner = inner.into_iter();
        for batch in batches(&outer) {
            let removed = self.bucket.remove_batch(batch).await?;
            let removed: HashSet<String> = removed.into_iter().map(|file| file.name).collect();
            let mut left = Vec::new();
            for (outer, key) in batch.iter().zip(inner.by_ref()) {
                if removed.contains(outer.as_str()) {
                    outcomes.push(DeleteOutcome::new(key, Ok(())));
                } else {
                    left.push(key);
                }
            }
            let ask = left.into_iter().map(|key| self.delete_again(key));
            outcomes.extend(stream::iter(ask).buffer_unordered(DELETES).collect::<Vec<_>>().await);
        }
        Ok(outcomes)
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "supabase.object.copy";
        self.capability.check_copy(&opts).map_err(|e| self.refuse(e, OPERATION, Some(from)))?;
        self.copy_at(&self.at(from, OPERATION)?, &self.at(to, OPERATION)?, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        from.scheme() == Scheme::Supabase
            && from.bucket().is_some_and(|bucket| bucket_name(bucket.as_str()).is_ok())
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "supabase.object.copy";
        let source = || {
            let bucket = from.bucket().filter(|_| self.can_copy_from(from));
            let Some(bucket) = bucket else {
                let message = format!("{from} is not in this project");
                return Err(Error::new(ErrorKind::Unsupported, message));
            };
            self.capability.check_copy_options(&opts)?;
            At::new(bucket.clone(), ObjectKey::new(self.outer(from.object_key()?.as_str()))?)
        };
        let source = source().map_err(|e| self.refuse(e, OPERATION, Some(to)))?;
        self.copy_at(&source, &self.at(to, OPERATION)?, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        const OPERATION: &str = "supabase.bucket.list_objects";
        self.capability.check_list(opts).map_err(|e| self.refuse(e, OPERATION, None))?;
        store_list::page(&self.bucket, opts, page, self.encoded).await
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        const OPERATION: &str = "supabase.resumable.create";
        self.capability.check_create_multipart(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let at = self.at(key, OPERATION)?;
        let options = file_options(&opts.attributes).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.s3 {
            return s3.create(&at, &opts).await;
        }
        store_multipart::create(self.client(), &at, &options).await.map_err(|error| {
            if error.operation().is_empty() { self.refuse(error, OPERATION, Some(key)) } else { error }
        })
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        const OPERATION: &str = "supabase.resumable.send";
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.s3 {
            let at = self.at(&upload.key, OPERATION)?;
            return s3.upload_part(upload, at, number, body).await;
        }
        // The size of parts is that of this upload, whatever the client is set up with by now.
        store_multipart::put_part(self.client(), self.at(&upload.key, OPERATION)?, &upload.id, number, body)
            .await
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.s3 {
            return s3.list_parts(upload, self.at(&upload.key, "supabase.resumable.offset")?).await;
        }
        let at = self.at(&upload.key, "supabase.resumable.offset")?;
        store_multipart::list_parts(self.client(), at, &upload.id).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        #[cfg(feature = "s3")]
        if let (Some(s3), false) = (&self.s3, self.encoded) {
            return s3.list_uploads(prefix, page).await;
        }
        // Resumable uploads are known by their ids only.
        let _ = (prefix, page);
        Err(match self.capability.check_list_uploads() {
            Err(error) => self.refuse(error, "supabase.resumable.list", None),
            Ok(()) => Error::new(ErrorKind::Unsupported, "there is no such call"),
        })
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        const OPERATION: &str = "supabase.resumable.finish";
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.s3 {
            let at = self.at(&upload.key, OPERATION)?;
            let size: u64 = parts.iter().map(|part| part.size).sum();
            let result = s3.complete(upload, at.clone(), &parts).await?;
            // The endpoint makes an object also of fewer parts than it is told.
            let found = self.info(&upload.key, &at).await?.size;
            if found != size {
                let text = format!("the object has {found} bytes, its parts have {size}");
                return Err(self.refuse(
                    Error::new(ErrorKind::ChecksumMismatch, text),
                    OPERATION,
                    Some(&upload.key),
                ));
            }
            return Ok(result);
        }
        // The rules are those of this upload, whatever the client is set up with by now.
        store_multipart::complete(self.client(), self.at(&upload.key, OPERATION)?, &upload.id, &parts).await
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        #[cfg(feature = "s3")]
        if let Some(s3) = &self.s3 {
            return s3.abort(upload, self.at(&upload.key, "supabase.resumable.abort")?).await;
        }
        let at = self.at(&upload.key, "supabase.resumable.abort")?;
        store_multipart::abort(self.client(), at, &upload.id).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.capability
            .check_sign(&request)
            .map_err(|e| self.refuse(e, "supabase.object.sign", Some(&request.key)))?;
        let key = self.outer(request.key.as_str());
        let url = self.bucket.create_signed_url(key, request.expires_in).await?;
        Ok(SignedRequest::new(SignMethod::Get, url))
    }
}

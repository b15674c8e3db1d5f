//! A bucket as a neutral store.

use futures_util::{StreamExt, stream};
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartLimits, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PartRetry, Pin, PinKind, PutOptions, PutResult,
    SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{
    Attributes, CallInfo, ChecksumKind, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Payload,
    Pressure, Result, StoreUrl,
};

use crate::{
    batch,
    bucket::Bucket,
    client::Client,
    error::is_bucket_missing,
    names::{BucketRef, Provider, check_length, invalid},
    object::{
        self,
        options::{HeadProp, ObjectAt},
        props::{custom_of, is_content_key},
        put::{PutParams, put},
    },
    store_list, store_multipart,
    wire::object::{self as wire, CopyParams, GetParams, HeadParams},
};

/// How many objects `delete_many` deletes at a time.
const DELETES: usize = 16;

/// A bucket as a neutral store; made by [`Bucket::store`]. Cheap to clone.
///
/// Content type, cache control and the like are kept in custom metadata, under their HTTP names. There are no
/// conditional requests: AIStore ignores them, so they are `Unsupported` here. A pinned read compares version
/// and size of every answer; in a bucket without versions it compares entity tags before and after.
#[derive(Clone, Debug)]
pub struct Store {
    bucket: Bucket,
    capability: Capability,
}

impl Store {
    pub(crate) fn new(bucket: Bucket) -> Self {
        let capability = capability(bucket.reference());
        Self { bucket, capability }
    }

    /// The bucket that it is.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(crate) fn client(&self) -> &Client {
        self.bucket.client()
    }

    pub(crate) fn reference(&self) -> &BucketRef {
        self.bucket.reference()
    }

    /// The object of this name, checked before anything is sent.
    pub(crate) fn at(&self, key: &ObjectKey, operation: &'static str) -> Result<ObjectAt> {
        let call =
            CallInfo::new(operation, Idempotency::Idempotent).on(self.reference().object_resource(key));
        ObjectAt::new(self.reference().clone(), key.clone()).map_err(|error| error.with_call(&call))
    }

    /// The same for an object that is to be made.
    pub(crate) fn at_new(&self, key: &ObjectKey, operation: &'static str) -> Result<ObjectAt> {
        check_length(key).map_err(|error| self.refuse(error, operation, Some(key)))?;
        self.at(key, operation)
    }

    /// Names call and object in an error that was found before anything was sent.
    pub(crate) fn refuse(&self, error: Error, operation: &'static str, key: Option<&ObjectKey>) -> Error {
        let resource = match key {
            Some(key) => self.reference().object_resource(key),
            None => self.reference().resource(),
        };
        error.with_operation(operation).with_resource(resource)
    }
}

/// What AIStore can do. The rules of a remote bucket's provider come on top where they are stricter.
fn capability(bucket: &BucketRef) -> Capability {
    let mut can = Capability::default();
    can.path_conflicts = !bucket.is_remote();
    can.ranged_get = true;
    can.suffix_range = true;
    can.pin = PinKind::VersionHeader;
    can.copy = true;
    can.get_many = true;
    can.list_delimiter = true;
    can.list_start_after = !bucket.is_remote();
    can.list_ordered = true;
    can.list_max_page = Some(bucket.provider().max_page());
    can.content_headers = true;
    can.more_headers = true;
    can.user_metadata = true;
    can.checksums = vec![
        ChecksumKind::XxHash64,
        ChecksumKind::Crc32c,
        ChecksumKind::Md5,
        ChecksumKind::Sha256,
        ChecksumKind::Sha512,
    ];
    let mut limits = MultipartLimits::default();
    limits.min_part = if bucket.provider() == Provider::Ais { 1 } else { 5 << 20 };
    limits.max_parts = crate::wire::multipart::MAX_PARTS;
    limits.list_parts = crate::wire::multipart::s3_knows(bucket);
    limits.list_uploads = limits.list_parts;
    limits.part_retry = if limits.list_parts { PartRetry::LookFirst } else { PartRetry::Never };
    can.multipart = Some(limits);
    can
}

/// The attributes as custom metadata. A user's key that would be taken for a content header is refused.
pub(crate) fn custom_checked(attributes: &Attributes) -> Result<std::collections::BTreeMap<String, String>> {
    if let Some(key) = attributes.metadata.keys().find(|key| is_content_key(key)) {
        return Err(invalid(format!("the metadata key {key:?} stands for the content header of that name")));
    }
    let custom = custom_of(attributes);
    crate::names::check_custom(custom.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
    Ok(custom)
}

/// What a HEAD asks for so that it says everything that the neutral description has.
pub(crate) fn head_params() -> HeadParams {
    let props = vec![
        HeadProp::Checksum,
        HeadProp::Version,
        HeadProp::Custom,
        HeadProp::Chunked,
        HeadProp::LastModified,
        HeadProp::Etag,
    ];
    HeadParams { props, ..HeadParams::default() }
}

/// HEAD, in the neutral form.
async fn head(client: &Client, at: &ObjectAt) -> Result<ObjectMeta> {
    let answer = client.call(wire::head(at, &head_params())?).await?;
    Ok(wire::parse_head(&answer.done().await?).to_meta(at.key().clone()))
}

fn other_version(call: &CallInfo, pin: &Pin, found: &ObjectMeta) -> Error {
    let say = |version: &Option<String>, size| match version {
        Some(version) => format!("version {version} of {size} bytes"),
        None => format!("one of {size} bytes"),
    };
    let message = format!(
        "the object is {} by now, not {}",
        say(&found.version, found.size),
        say(&pin.version, pin.size)
    );
    Error::new(ErrorKind::PreconditionFailed, message).with_call(call)
}

/// Makes sure that an answer belongs to the pinned version.
///
/// Where answers carry no version, the entity tag of a HEAD is compared now and again when the body has ended.
async fn pinned(client: &Client, at: &ObjectAt, pin: Pin, result: GetResult) -> Result<GetResult> {
    let call = CallInfo::new("aistore.object.get", Idempotency::Idempotent)
        .on(at.bucket().object_resource(at.key()));
    if !pin.matches(&result.meta) {
        return Err(other_version(&call, &pin, &result.meta));
    }
    if result.meta.version.is_some() && pin.version.is_some() {
        return Ok(result);
    }
    let before = head(client, at).await?;
    if !pin.matches(&before) {
        return Err(other_version(&call, &pin, &before));
    }
    let (meta, range) = (result.meta.clone(), result.range.clone());
    let (client, at) = (client.clone(), at.clone());
    let recheck = async move {
        match head(&client, &at).await {
            Ok(after) if pin.matches(&after) && Pin::from(&before).matches(&after) => None,
            Ok(after) => Some(Err(other_version(&call, &pin, &after))),
            Err(error) => Some(Err(error)),
        }
    };
    let body = result.into_stream().chain(stream::once(recheck).filter_map(std::future::ready));
    Ok(GetResult::new(meta, range, body.boxed()))
}

impl BlobStore for Store {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn url(&self) -> StoreUrl {
        self.reference().url()
    }

    fn pressure(&self) -> Option<Pressure> {
        Some(self.client().pressure())
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        const OPERATION: &str = "aistore.object.head";
        self.capability.check_head(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        head(self.client(), &self.at(key, OPERATION)?).await
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        const OPERATION: &str = "aistore.object.get";
        self.capability.check_get(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let at = self.at(key, OPERATION)?;
        let params = GetParams { range: opts.range, ..GetParams::default() };
        let reader = object::get::get(self.client(), &at, &params, true, 0).await?;
        let result = reader.into_result();
        match opts.pin {
            Some(pin) => pinned(self.client(), &at, pin, result).await,
            None => Ok(result),
        }
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        const OPERATION: &str = "aistore.batch.get";
        self.capability.check_get_many().map_err(|e| self.refuse(e, OPERATION, None))?;
        for key in &keys {
            self.at(key, OPERATION)?;
        }
        batch::get_many(self.client(), self.reference(), keys, opts).await
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        const OPERATION: &str = "aistore.object.put";
        let checked = self.capability.check_put(&body, &opts).and_then(|()| custom_checked(&opts.attributes));
        let custom = checked.map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let at = self.at_new(key, OPERATION)?;
        let checksum = opts.checksum;
        let params = PutParams { custom, replace_custom: true, checksum, verify: true, ..Default::default() };
        Ok(put(self.client(), &at, body, &params).await?.to_put_result())
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        const OPERATION: &str = "aistore.object.delete";
        self.capability.check_delete(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        match object::delete(self.client(), &self.at(key, OPERATION)?).await {
            Err(error) if error.kind() == ErrorKind::NotFound && !is_bucket_missing(&error) => Ok(()),
            result => result,
        }
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let delete = |key: ObjectKey| async move {
            let result = self.delete(&key, DeleteOptions::default()).await;
            DeleteOutcome::new(key, result)
        };
        Ok(stream::iter(keys).map(delete).buffer_unordered(DELETES).collect().await)
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "aistore.object.copy";
        self.capability.check_copy(&opts).map_err(|e| self.refuse(e, OPERATION, Some(from)))?;
        self.copy_at(&self.at(from, OPERATION)?, &self.at_new(to, OPERATION)?, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        BucketRef::from_url(from).is_ok()
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "aistore.object.copy";
        let source = || {
            if !self.can_copy_from(from) {
                let message = format!("{from} is not in this cluster");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            self.capability.check_copy_options(&opts)?;
            ObjectAt::new(BucketRef::from_url(from)?, from.object_key()?)
        };
        let source = source().map_err(|e| self.refuse(e, OPERATION, Some(to)))?;
        self.copy_at(&source, &self.at_new(to, OPERATION)?, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        const OPERATION: &str = "aistore.bucket.list_objects";
        self.capability.check_list(opts).map_err(|e| self.refuse(e, OPERATION, None))?;
        store_list::page(self, opts, page).await
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.capability
            .check_create_multipart(&opts)
            .map_err(|e| self.refuse(e, "aistore.multipart.create", Some(key)))?;
        store_multipart::create(self, key, opts).await
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        self.capability
            .check_part(number, &body)
            .map_err(|e| self.refuse(e, "aistore.multipart.put_part", Some(&upload.key)))?;
        store_multipart::put_part(self, upload, number, body).await
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.capability
            .check_list_parts()
            .map_err(|e| self.refuse(e, "aistore.multipart.list_parts", Some(&upload.key)))?;
        store_multipart::list_parts(self, upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        self.capability
            .check_list_uploads()
            .map_err(|e| self.refuse(e, "aistore.multipart.list_uploads", None))?;
        store_multipart::list_uploads(self, prefix, page.as_ref()).await
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        self.capability
            .check_complete(&parts)
            .map_err(|e| self.refuse(e, "aistore.multipart.complete", Some(&upload.key)))?;
        store_multipart::complete(self, upload, &parts).await
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        store_multipart::abort(self, upload).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        let refused = Error::new(ErrorKind::Unsupported, "AIStore has no signed URLs");
        Err(self.refuse(refused, "aistore.object.sign", Some(&request.key)))
    }
}

impl Store {
    async fn copy_at(&self, from: &ObjectAt, to: &ObjectAt, opts: CopyOptions) -> Result<PutResult> {
        let custom = match &opts.attributes {
            Some(attributes) => Some(
                custom_checked(attributes)
                    .map_err(|e| self.refuse(e, "aistore.object.copy", Some(to.key())))?,
            ),
            None => None,
        };
        let client = self.client();
        client.call(wire::copy(from, to, &CopyParams::default())?).await?.done().await?;
        if let Some(custom) = custom {
            client.call(wire::patch_custom(to, &custom, true)?).await?.done().await?;
        }
        Ok(PutResult::default())
    }
}
